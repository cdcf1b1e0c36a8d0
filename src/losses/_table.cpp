#include "base/table.h"
#include "losses/loss.h"

namespace gan::losses {

const Loss& find_loss(std::string_view name) { return base::find_in_table(loss_table(), name, "loss"); }

}  // namespace gan::losses
