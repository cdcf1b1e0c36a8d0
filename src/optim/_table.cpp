#include "base/table.h"
#include "optim/optimizer.h"

namespace gan::optim {

const Optimizer& find_optimizer(std::string_view name) {
  return base::find_in_table(optimizer_table(), name, "optimizer");
}

}  // namespace gan::optim
