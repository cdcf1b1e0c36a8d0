#include "base/error.h"
#include "base/text.h"
#include "ops/support.h"

namespace gan::ops {

void expect_rank(const graph::TensorType& type, std::size_t rank, std::string_view what) {
  if (type.shape.size() != rank)
    base::fail_usage("{} is {}, {} expected", what, to_string(type),
                     base::counted(static_cast<std::int64_t>(rank), "axis", "axes"));
}

void expect_real(const graph::TensorType& type, std::string_view what) {
  if (type.dtype == DType::i32) base::fail_usage("{} is {}, real numbers expected", what, to_string(type));
}

}  // namespace gan::ops
