#pragma once

#include <memory>
#include <string>

#include "runtime/backend.h"
#include "runtime/cuda/functions.h"

namespace gan::runtime::cuda {

/// The backend of a GPU, by its number. `cache`: the folder where compiled kernels are kept, "" for none. Throws a run
/// error if a library or the GPU is missing or too old. The functions must outlive the backend.
std::shared_ptr<Backend> make_backend(const Functions& functions, int number, const std::string& cache);

/// A target that has every fusion that the kernels support.
graph::Target target();

}  // namespace gan::runtime::cuda
