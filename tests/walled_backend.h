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

/// The first with the ranks of a communicator.
std::shared_ptr<runtime::Backend> make_walled_backend(runtime::Communicator& communicator);

/// The bytes of such memory that are in use now, in whole pages.
std::size_t walled_bytes();

/// The backends that tests run on; with GAN_TEST_DEVICE the CPU and that device alone: cuda, or none with cpu.
std::vector<const runtime::Backend*> all_backends();

}  // namespace gan::test
