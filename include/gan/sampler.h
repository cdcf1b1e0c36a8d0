// Draws samples from models of gan.cpp, in C++17: a layer without code of its own over gan/gan.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "gan/gan.h"

namespace gan {

/// Thrown by the functions below; what() is one line that says what was wrong.
class Error : public std::runtime_error {
 public:
  explicit Error(gan_status status) : std::runtime_error(gan_error()), status_(status) {}
  gan_status status() const { return status_; }

 private:
  gan_status status_;
};

/// A column of the condition, or an element of a vector.
struct Column {
  std::string name, unit;               ///< unit: such as "degrees"; may be empty
  std::vector<std::string> categories;  ///< their names; empty for numbers
  double minimum = 0, maximum = 0;      ///< of numbers: the range seen in the training data
  double period = 0;                    ///< of numbers: 0, or the period, such as 360
};

/// What to draw: see gan_request.
struct Request {
  std::int64_t count = 1;
  std::vector<float> condition = {};  ///< [count, columns], or [columns], which then holds for all samples
  std::vector<float> latents = {};    ///< [count, latent], or empty: those of seed and first
  std::uint64_t seed = 1;
  std::int64_t first = 0;
  double truncation = 0;
  std::int32_t threads = 1;
  gan_precision precision = GAN_F32;
};

/// A generator with its weights, which it owns. Any number of threads may draw from one at once.
class Sampler {
 public:
  /// Opens a model file, or the folder of a run.
  explicit Sampler(const std::string& path) {
    gan_model* model = nullptr;
    check(gan_open(path.c_str(), &model));
    take(model);
  }
  /// Opens the contents of a model file, which may be freed afterwards.
  Sampler(const void* data, std::size_t bytes) {
    gan_model* model = nullptr;
    check(gan_open_memory(data, bytes, &model));
    take(model);
  }

  const gan_description& description() const { return description_; }
  const std::vector<Column>& columns() const { return columns_; }
  /// Elements [0, D) of vectors; empty for images.
  const std::vector<Column>& elements() const { return elements_; }

  /// Samples [count, elements of a sample]; images as [channels, height, width].
  std::vector<float> sample(const Request& request) const {
    const auto size = static_cast<std::size_t>(description_.elements);
    std::vector<float> samples(static_cast<std::size_t>(request.count > 0 ? request.count : 0) * size);
    sample(request, samples.data(), samples.size());
    return samples;
  }

  /// Writes them to samples, which has room for `elements` floats.
  void sample(const Request& request, float* samples, std::size_t elements) const {
    const std::size_t columns = columns_.size(), latent = static_cast<std::size_t>(description_.latent);
    const std::size_t count = request.count > 0 ? static_cast<std::size_t>(request.count) : 0;
    gan_request raw = {};
    std::vector<float> repeated;
    if (request.condition.size() == columns && count != 1) {
      for (std::size_t i = 0; i < count; ++i)
        repeated.insert(repeated.end(), request.condition.begin(), request.condition.end());
      raw.condition = repeated.data();
    } else if (request.condition.size() == count * columns) {
      raw.condition = request.condition.data();
    } else {
      throw std::invalid_argument("condition: " + std::to_string(request.condition.size()) + " values, expected " +
                                  std::to_string(columns) + " for each sample");
    }
    if (!request.latents.empty()) {
      if (request.latents.size() != count * latent)
        throw std::invalid_argument("latents: " + std::to_string(request.latents.size()) + " values, expected " +
                                    std::to_string(latent) + " for each sample");
      raw.latents = request.latents.data();
    }
    if (columns == 0) raw.condition = nullptr;
    raw.count = request.count;
    raw.seed = request.seed;
    raw.first = request.first;
    raw.truncation = request.truncation;
    raw.threads = request.threads;
    raw.precision = request.precision;
    check(gan_sample(model_.get(), &raw, samples, elements));
  }

 private:
  struct Close {
    void operator()(gan_model* model) const { gan_close(model); }
  };

  static void check(gan_status status) {
    if (status != GAN_OK) throw Error(status);
  }

  void take(gan_model* model) {
    model_.reset(model);
    check(gan_describe(model, &description_));
    for (std::int32_t i = 0; i < description_.columns; ++i) {
      gan_column raw = {};
      check(gan_describe_column(model, i, &raw));
      columns_.push_back(column_of(raw));
      for (std::int32_t k = 0; k < raw.categories; ++k) {
        const char* name = nullptr;
        check(gan_category_name(model, i, k, &name));
        columns_.back().categories.emplace_back(name);
      }
    }
    for (std::int64_t i = 0; description_.dimensions == 1 && i < description_.elements; ++i) {
      gan_column raw = {};
      check(gan_describe_element(model, i, &raw));
      elements_.push_back(column_of(raw));
    }
  }

  static Column column_of(const gan_column& raw) {
    return {raw.name, raw.unit, {}, raw.minimum, raw.maximum, raw.period};
  }

  std::unique_ptr<gan_model, Close> model_;
  gan_description description_ = {};
  std::vector<Column> columns_, elements_;
};

}  // namespace gan
