#pragma once

#include <string>

#include "runtime/communicator.h"

// What the program and libgan_mpi.so know of each other. The module includes nothing else of the program, which opens
// it at run time (runtime/launcher.cpp).
namespace gan::runtime {

/// What the module asks of the program.
struct MpiHost {
  /// Throws a run error.
  void (*fail)(const std::string& message);
  /// Prints an error as one line; another thread may call it.
  void (*say)(const std::string& message);
};

/// The functions of the module by these names, and their types.
inline constexpr const char* kMpiVersion = "gan_mpi_version";
inline constexpr const char* kMpiOpen = "gan_mpi_open";
/// The version of the program that the module was built with.
using MpiVersionFunction = const char*();
/// Joins the ranks that the launcher has started; deleting the communicator waits for all of them and leaves.
using MpiOpenFunction = Communicator*(const MpiHost& host);

}  // namespace gan::runtime
