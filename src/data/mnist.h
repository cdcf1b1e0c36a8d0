#pragma once

#include <span>
#include <string>

namespace gan::data {

/// A file of MNIST as Yann LeCun published it, not compressed.
struct MnistFile {
  const char* name;    ///< "train-images-idx3-ubyte"
  const char* sha256;  ///< of its content, in hexadecimal
};

/// The four files: training images and labels, then the test pair.
std::span<const MnistFile> mnist_files();

/// The folder of what is fetched or made once, such as data, decoded pictures and classifiers: $XDG_CACHE_HOME/gan,
/// else ~/.cache/gan. Throws a usage error if neither variable is set.
std::string default_cache();

/// `cache`/mnist; "" means default_cache().
std::string mnist_folder(const std::string& cache);

}  // namespace gan::data
