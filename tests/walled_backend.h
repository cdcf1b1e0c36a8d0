#pragma once

#include <vector>

#include "runtime/backend.h"

namespace gan::test {

/// A backend with memory of its own, as a device has: the host reaches it through read and write alone, any other
/// access ends the process. It computes with the reference's arithmetic and rounds what it stores.
runtime::Backend& walled_backend();
/// The same with a target that has epilogues, chains behind products and sums in chains.
runtime::Backend& walled_backend_with_chains();

/// The backends that tests run on.
std::vector<const runtime::Backend*> all_backends();

}  // namespace gan::test
