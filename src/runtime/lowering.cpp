#include "runtime/lowering.h"

#include "base/error.h"

namespace gan::runtime {

void Lowering::emit(double operations, std::function<void()> run) {
  double bytes = static_cast<double>(dst_type_.bytes());
  for (std::size_t i = 0; i < node_.inputs.size(); ++i) bytes += static_cast<double>(src_type(i).bytes());
  kernel_ = {std::string(node_.op->name), operations, bytes, std::move(run)};
}

void Lowering::emit(double operations, std::shared_ptr<RowProduct> product) {
  emit(operations, [product] { product->run(); });
  kernel_.row_product = std::move(product);
}

Kernel Lowering::take() {
  if (!kernel_.run) base::fail_run("op {} made no kernel", node_.op->name);
  return std::move(kernel_);
}

}  // namespace gan::runtime
