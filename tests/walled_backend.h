#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "runtime/backend.h"

namespace gan::test {

/// A backend with separate memory, like a GPU's: the host reaches it only through read and write, and any other access
/// ends the process. It computes as the reference does and rounds values that it stores.
runtime::Backend& walled_backend();
/// The same with a target that has epilogues, chains after products and sums in chains.
runtime::Backend& walled_backend_with_chains();

/// The backends that add up over ranks: the CPU's, the first of these and, where it is built with NCCL, CUDA's on a
/// stand-in. They keep their order; the communicator must outlive them.
std::vector<std::shared_ptr<runtime::Backend>> backends_of_rank(runtime::Communicator& communicator);

/// The bytes of such memory that are in use now, in whole pages.
std::size_t walled_bytes();

/// The backends that tests run on; with GAN_TEST_DEVICE the CPU and that device alone: cuda, or none with cpu.
/// GAN_TEST_CACHE is the folder of its compiled kernels.
std::vector<const runtime::Backend*> all_backends();

}  // namespace gan::test
