#include "base/memory_limit.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

namespace gan::base {

namespace fs = std::filesystem;

std::uint64_t memory_limit() {
  std::uint64_t limit = 0;
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const std::size_t colon = line.find(':'), second = line.find(':', colon + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(colon + 1, second - colon - 1);
    const bool unified = controllers.empty();
    if (!unified && controllers != "memory") continue;
    const fs::path root = unified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    // In a container the path may be one of the host; the root is then the container's own.
    for (fs::path path = line.substr(second + 2);; path = path.parent_path()) {
      std::ifstream file(root / path / (unified ? "memory.max" : "memory.limit_in_bytes"));
      std::uint64_t bytes = 0;
      if (file >> bytes && bytes > 0) limit = limit == 0 ? bytes : std::min(limit, bytes);
      if (path.empty()) break;
    }
  }
  return limit;
}

}  // namespace gan::base
