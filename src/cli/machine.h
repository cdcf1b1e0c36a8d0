#pragma once

#include <string>
#include <vector>

namespace gan::cli {

/// Something that the program needs or uses.
struct Finding {
  std::string topic, text;
  std::string advice = {};  ///< what to do if something is wrong or missing; empty: all is well
};

/// The processor's model as its maker names it, "unknown" if the system does not say.
std::string processor_name();

/// The processor, its instructions, threads, the precision that auto takes, and the device with its reason.
std::vector<Finding> find_processor();

/// Libraries, memory, the cache of fetched and decoded data ("": the default folder), MNIST, fonts.
std::vector<Finding> find_surroundings(const std::string& cache);

}  // namespace gan::cli
