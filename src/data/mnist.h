#pragma once

#include <span>
#include <string>

namespace gan::data {

/// One of MNIST's files, uncompressed.
struct MnistFile {
  const char* name;    ///< "train-images-idx3-ubyte"
  const char* sha256;  ///< of its content, in hexadecimal
};

/// The four files: training images and labels, then the test pair.
std::span<const MnistFile> mnist_files();

/// The folder for data, decoded pictures, classifiers and whatever else is fetched or made once: $XDG_CACHE_HOME/gan,
/// else ~/.cache/gan. Throws a usage error if neither variable is set.
std::string default_cache();

/// `cache`/mnist; "" means default_cache().
std::string mnist_folder(const std::string& cache);

}  // namespace gan::data
