#pragma once

#include <string>

#include "train/model_file.h"

namespace gan::exchange {

struct CSource {
  std::string code;     ///< a C11 file that needs nothing but the C library
  std::string weights;  ///< bytes of little-endian f32 for a file of their own, if the code does not hold the weights
};

/// The generator of a model as C: `void NAME(const float* z, const float* condition, float* out)` draws one sample. z
/// has `latent` elements; condition one for each column, categories by position, numbers in their units; out
/// [...sample], as gan sample writes it. The function allocates nothing, may run on several threads at once, and keeps
/// its values on the stack. With `weights_apart`, `const float* NAME_weights` must point to the contents of the
/// weights' file first. Throws a usage error unless `name` is an identifier of C.
CSource c_source_of(const train::Model& model, const std::string& name, bool weights_apart);

/// A file's stem as an identifier of C: "my-digits.c" is "my_digits", "7.c" is "gan_7".
std::string c_identifier(const std::string& path);

}  // namespace gan::exchange
