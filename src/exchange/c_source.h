#pragma once

#include <string>

#include "exchange/part.h"

namespace gan::exchange {

struct CSource {
  std::string code;     ///< a C11 file that needs nothing but the C library
  std::string weights;  ///< bytes of little-endian f32 for a file of their own, if the code does not hold the weights
};

/// A network as C: `void NAME(const float* INPUT, const float* condition, float* out)` computes it for a batch of one.
/// INPUT is that of the part; condition has one element for each column, categories by position, numbers in their
/// units; out holds the outputs one after the other. The function allocates nothing, may run on several threads at
/// once, and keeps its values on the stack. With `weights_apart`, `const float* NAME_weights` must point to the
/// contents of the weights' file first. Throws a usage error unless `name` is an identifier of C, and for packs.
CSource c_source_of(const Part& part, const std::string& name, bool weights_apart);

/// A file's stem as an identifier of C: "my-digits.c" is "my_digits", "7.c" is "gan_7".
std::string c_identifier(const std::string& path);

}  // namespace gan::exchange
