#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/safetensors.h"
#include "nn/scope.h"

namespace gan::train {

/// The metadata "library" of every file that this program writes: its name and version.
inline constexpr const char* kLibrary = "gan.cpp " GAN_VERSION;

/// The most elements of a sample: more is a broken file, not an image.
inline constexpr std::int64_t kLargestSample = 1 << 24;

/// Moves the tensors of a file into `state`. They must be exactly those of `variables`: each present, f32, of its shape
/// and finite, and no others. Throws a data error that names file and tensor, what was found and expected.
void take_variables(const std::string& path, io::Safetensors& file, const std::vector<nn::Variable>& variables,
                    runtime::State& state);

}  // namespace gan::train
