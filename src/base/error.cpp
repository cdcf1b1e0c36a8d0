#include "base/error.h"

#include "base/text.h"

namespace gan::base {

Error::Error(ErrorKind kind, std::string_view message) : std::runtime_error(printable(message)), kind_(kind) {}

}  // namespace gan::base
