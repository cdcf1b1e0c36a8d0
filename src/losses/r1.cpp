#include "losses/loss.h"

// R1 (Mescheder et al. 2018, arXiv 1801.04406): gamma / 2 E |grad D(x)|^2 at real x.
namespace gan::losses {

using namespace ops;

extern const Penalty r1_penalty;
const Penalty r1_penalty{"r1", "gamma: D's loss + gamma/2 |grad D|^2 at real data",
                         [](const PenaltyInput& input) { return mean(input.real_squares()) * 0.5; }};

}  // namespace gan::losses
