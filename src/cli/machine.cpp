#include "cli/machine.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <link.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <system_error>

#include "base/memory_limit.h"
#include "base/parallel.h"
#include "base/text.h"
#include "cli/device.h"
#include "data/cache.h"
#include "data/mnist.h"
#include "runtime/backend.h"
#include "runtime/libraries.h"

namespace gan::cli {
namespace {

namespace fs = std::filesystem;

/// The text behind "KEY: " in the first line of a file that begins with KEY; "" if there is none.
std::string value_in(const char* path, std::string_view key) {
  std::ifstream file(path);
  for (std::string text; std::getline(file, text);) {
    const auto colon = text.find(':');
    if (text.starts_with(key) && colon != std::string::npos) return std::string(base::trimmed(text.substr(colon + 1)));
  }
  return "";
}

/// The shared libraries that this program has loaded, with the versions in the names of their files, without those of
/// the compiler and the C library: "libfmt 9.1.0, libpng16 16.39.0".
std::string loaded_libraries() {
  std::set<std::string> found;
  const auto add = [](dl_phdr_info* info, std::size_t, void* out) {
    std::error_code error;
    const std::string file = fs::canonical(info->dlpi_name, error).filename().string();
    const std::size_t dot = file.find(".so.");
    const std::string name = file.substr(0, dot);
    if (error || dot == std::string::npos || !name.starts_with("lib")) return 0;
    for (const char* system : {"libc", "libm", "libdl", "librt", "libpthread", "libstdc++", "libgcc_s"})
      if (name == system) return 0;
    static_cast<std::set<std::string>*>(out)->insert(name + " " + file.substr(dot + 4));
    return 0;
  };
  ::dl_iterate_phdr(add, &found);
  return fmt::format("{}", fmt::join(found, ", "));
}

Finding memory() {
  const auto bytes_of = [](const char* key) {  // "24689316 kB"
    const std::string text = value_in("/proc/meminfo", key);
    return 1024 * base::parse_number<double>(text.substr(0, text.find(' '))).value_or(0);
  };
  std::string text = fmt::format("{:.1f} GB, {:.1f} GB of them free", bytes_of("MemTotal") / base::kGigabyte,
                                 bytes_of("MemAvailable") / base::kGigabyte);
  if (const auto limit = static_cast<double>(base::memory_limit()); limit > 0 && limit < bytes_of("MemTotal"))
    text += fmt::format("; a control group limits this program to {:.1f} GB", limit / base::kGigabyte);
  return {"memory", text};
}

Finding cache(const std::string& given) {
  const std::string folder = given.empty() ? data::default_cache() : given;
  fs::path nearest = fs::absolute(folder);
  std::error_code error;
  while (!fs::exists(nearest, error) && nearest.has_relative_path()) nearest = nearest.parent_path();
  if (!fs::is_directory(nearest, error) || ::access(nearest.c_str(), W_OK) != 0)
    return {"cache", folder + " cannot be written", "make it writable, or give another by --cache or XDG_CACHE_HOME"};
  struct statvfs status {};
  const double free = ::statvfs(nearest.c_str(), &status) == 0
                          ? static_cast<double>(status.f_bavail) * static_cast<double>(status.f_frsize)
                          : 0;
  std::uint64_t decoded = 0;
  const std::vector<data::CacheEntry> entries = data::cache_entries(given);
  for (const data::CacheEntry& entry : entries) decoded += entry.bytes;
  return {"cache", fmt::format("{}: {} of decoded pictures ({:.1f} GB), {:.1f} GB free", folder,
                               base::counted(static_cast<std::int64_t>(entries.size()), "set"),
                               static_cast<double>(decoded) / base::kGigabyte, free / base::kGigabyte)};
}

Finding mnist(const std::string& cache) {
  const std::string folder = data::mnist_folder(cache);
  std::error_code error;
  if (fs::exists(folder, error)) return {"mnist", folder};
  return {"mnist", "not fetched", "gan data fetch mnist"};
}

Finding fonts() {
  constexpr const char* kFontFolder = "/usr/share/fonts";
  const std::string advice = "for gan data make glyphs: apt-get install libfreetype6 and a package of fonts";
  void* const library = ::dlopen("libfreetype.so.6", RTLD_LAZY | RTLD_LOCAL);
  if (!library) return {"fonts", "the library FreeType is not there", advice};
  ::dlclose(library);
  std::error_code error;
  std::int64_t count = 0;
  for (fs::recursive_directory_iterator it(kFontFolder, fs::directory_options::skip_permission_denied, error), end;
       !error && it != end; it.increment(error)) {
    const std::string extension = it->path().extension().string();
    count += extension == ".ttf" || extension == ".ttc" || extension == ".otf" ? 1 : 0;
  }
  if (count == 0) return {"fonts", fmt::format("none in {}", kFontFolder), advice};
  return {"fonts", fmt::format("{} in {}", base::counted(count, "font"), kFontFolder)};
}

}  // namespace

std::string processor_name() {
  const std::string name = value_in("/proc/cpuinfo", "model name");
  return name.empty() ? "unknown" : name;
}

std::vector<Finding> find_processor() {
  base::set_threads(0);
  std::vector<Finding> found{{"processor", processor_name()},
                             {"instructions", runtime::default_backend().describe() + " (what oneDNN uses)"}};
  const int processors = base::processors(), threads = base::threads();
  if (threads < processors)
    found.push_back({"threads", fmt::format("{} of {} processors: OpenMP starts no more", threads, processors),
                     "OMP_THREAD_LIMIT and other OMP_ variables limit it"});
  else
    found.push_back({"threads", fmt::format("{} (--threads N for fewer)", threads)});
  found.push_back({"precision", runtime::default_backend().describe_precision()});
  found.push_back({"device", describe_devices()});
  return found;
}

std::vector<Finding> find_surroundings(const std::string& cache_folder) {
#ifdef __clang__
  const std::string compiler = __VERSION__;
#else
  const std::string compiler = "GCC " __VERSION__;
#endif
  return {{"libraries",
           fmt::format("oneDNN {} ({}); built by {}", runtime::onednn_version(), loaded_libraries(), compiler)},
          memory(),
          cache(cache_folder),
          mnist(cache_folder),
          fonts()};
}

}  // namespace gan::cli
