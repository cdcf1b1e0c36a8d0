#pragma once

#include <string>

#include "exchange/part.h"

namespace gan::exchange {

struct CSource {
  std::string code;     ///< a C11 file that needs nothing but the C library
  std::string weights;  ///< the weights as little-endian f32 for a separate file, if `code` does not contain them
};

/// A network as C: `void NAME(const float* INPUT, const float* condition, float* out)` computes it for a batch of one.
/// INPUT is the part's input; condition has one element for each column, categories by position, numbers in their
/// units; out gets the outputs one after the other. The function allocates nothing, is thread-safe and keeps its values
/// on the stack. With `weights_apart`, `const float* NAME_weights` must point to the contents of the weights' file
/// before the first call. Throws a usage error unless `name` is a C identifier, and for packs.
CSource c_source_of(const Part& part, const std::string& name, bool weights_apart);

/// A file's stem as a C identifier: "my-digits.c" is "my_digits", "7.c" is "gan_7".
std::string c_identifier(const std::string& path);

}  // namespace gan::exchange
