#include "losses/loss.h"

// R2 (Mescheder et al. 2018, arXiv 1801.04406): gamma / 2 E |grad D(x)|^2 at fakes x.
namespace gan::losses {

using namespace ops;

extern const Penalty r2_penalty;
const Penalty r2_penalty{"r2", "gamma: D's loss + gamma/2 |grad D|^2 at fakes",
                         [](const PenaltyInput& input) { return mean(input.fake_squares()) * 0.5; }};

}  // namespace gan::losses
