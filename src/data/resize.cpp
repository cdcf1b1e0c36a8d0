#include "data/resize.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <string>

#include "base/error.h"
#include "base/text.h"

namespace gan::data {

namespace {

constexpr int kBits = 32 - 8 - 2;  // of a weight, so that sums with weights of both signs fit into 32 bits
constexpr double kLobes = 3;

double sinc(double x) { return x == 0 ? 1 : std::sin(std::numbers::pi * x) / (std::numbers::pi * x); }

double lanczos(double x) { return x >= -kLobes && x < kLobes ? sinc(x) * sinc(x / kLobes) : 0; }

// The source pixels [first, first + count) that a pixel of the result depends on, and the index of their first weight.
struct Support {
  std::int64_t first, count;
  std::size_t weights;
};

// A resampling filter along one axis: for each pixel of the result, its source pixels and their weights.
struct Filter {
  std::vector<Support> supports;
  std::vector<std::int32_t> weights;
};

// The filter that resizes the part [begin, end) of `src` pixels to `dst` pixels, as Pillow's precompute_coeffs and
// normalize_coeffs_8bpc make it.
Filter make_filter(std::int64_t src, float begin, float end, std::int64_t dst) {
  Filter filter;
  const double scale = static_cast<double>(end - begin) / static_cast<double>(dst);
  const double widened = std::max(scale, 1.0), reach = kLobes * widened;
  std::vector<double> weights;
  for (std::int64_t i = 0; i < dst; ++i) {
    const double centre = begin + (static_cast<double>(i) + 0.5) * scale;
    const std::int64_t first = std::max<std::int64_t>(static_cast<std::int64_t>(centre - reach + 0.5), 0);
    const std::int64_t last = std::min(static_cast<std::int64_t>(centre + reach + 0.5), src);
    weights.clear();
    double sum = 0;
    for (std::int64_t k = first; k < last; ++k) {
      weights.push_back(lanczos((static_cast<double>(k) - centre + 0.5) * (1 / widened)));
      sum += weights.back();
    }
    filter.supports.push_back({first, last - first, filter.weights.size()});
    for (const double weight : weights) {
      const double share = (sum != 0 ? weight / sum : weight) * (1 << kBits);
      filter.weights.push_back(static_cast<std::int32_t>(share < 0 ? share - 0.5 : share + 0.5));
    }
  }
  return filter;
}

std::uint8_t rounded(std::int32_t sum) { return static_cast<std::uint8_t>(std::clamp(sum >> kBits, 0, 255)); }

// Filters each of the rows [0, rows) of `src`, src_width pixels each, which changes their width.
template <int kChannels>
void filter_columns(const std::uint8_t* src, std::int64_t src_width, std::int64_t rows, const Filter& filter,
                    std::uint8_t* dst) {
  for (std::int64_t y = 0; y < rows; ++y, src += src_width * kChannels)
    for (const Support& support : filter.supports) {
      const std::int32_t* weights = filter.weights.data() + support.weights;
      const std::uint8_t* pixel = src + support.first * kChannels;
      std::int32_t sums[kChannels];
      std::fill_n(sums, kChannels, 1 << (kBits - 1));
      for (std::int64_t k = 0; k < support.count; ++k)
        for (int c = 0; c < kChannels; ++c) sums[c] += *pixel++ * weights[k];
      for (int c = 0; c < kChannels; ++c) *dst++ = rounded(sums[c]);
    }
}

// Filters along the other axis, which changes the number of rows, each of `row` bytes. The first row of `src` is row
// `first` for the filter.
void filter_rows(const std::uint8_t* src, std::int64_t row, std::int64_t first, const Filter& filter,
                 std::uint8_t* dst) {
  std::vector<std::int32_t> sums(static_cast<std::size_t>(row));
  for (const Support& support : filter.supports) {
    std::ranges::fill(sums, 1 << (kBits - 1));
    for (std::int64_t k = 0; k < support.count; ++k) {
      const std::int32_t weight = filter.weights[support.weights + static_cast<std::size_t>(k)];
      const std::uint8_t* line = src + (support.first + k - first) * row;
      for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += line[i] * weight;
    }
    dst = std::ranges::transform(sums, dst, rounded).out;
  }
}

// a * b / 255, rounded.
int product(int a, int b) {
  const int scaled = a * b + 128;
  return ((scaled >> 8) + scaled) >> 8;
}

void multiply_alpha(std::uint8_t* pixels, std::int64_t count, std::int64_t channels) {
  for (std::uint8_t *pixel = pixels, *end = pixels + count * channels; pixel < end; pixel += channels)
    for (std::int64_t c = 0; c + 1 < channels; ++c)
      pixel[c] = static_cast<std::uint8_t>(product(pixel[c], pixel[channels - 1]));
}

void divide_alpha(std::uint8_t* pixels, std::int64_t count, std::int64_t channels) {
  for (std::uint8_t *pixel = pixels, *end = pixels + count * channels; pixel < end; pixel += channels) {
    const int alpha = pixel[channels - 1];
    for (std::int64_t c = 0; c + 1 < channels && alpha > 0; ++c)
      pixel[c] = static_cast<std::uint8_t>(std::min(255 * pixel[c] / alpha, 255));
  }
}

using Bytes = std::vector<std::uint8_t>;

}  // namespace

void resize_lanczos(const std::uint8_t* src, std::int64_t src_height, std::int64_t src_width, std::int64_t channels,
                    const Box& box, std::uint8_t* dst, std::int64_t height, std::int64_t width) {
  const bool wide = width != src_width || box.left != 0 || box.right != static_cast<float>(src_width);
  const bool high = height != src_height || box.top != 0 || box.bottom != static_cast<float>(src_height);
  if (!wide && !high) {
    std::copy_n(src, height * width * channels, dst);
    return;
  }
  const bool alpha = channels == 2 || channels == 4;
  Bytes multiplied, middle;
  if (alpha) {
    multiplied.assign(src, src + src_height * src_width * channels);
    multiply_alpha(multiplied.data(), src_height * src_width, channels);
    src = multiplied.data();
  }
  Filter rows;
  std::int64_t first = 0, last = src_height;
  if (high) {
    rows = make_filter(src_height, box.top, box.bottom, height);
    first = rows.supports.front().first;
    last = rows.supports.back().first + rows.supports.back().count;
    src += first * src_width * channels;
  }
  if (wide) {
    const Filter columns = make_filter(src_width, box.left, box.right, width);
    if (high) middle.resize(static_cast<std::size_t>((last - first) * width * channels));
    std::uint8_t* const to = high ? middle.data() : dst;
    constexpr decltype(&filter_columns<1>) kFilters[] = {filter_columns<1>, filter_columns<2>, filter_columns<3>,
                                                         filter_columns<4>};
    kFilters[channels - 1](src, src_width, last - first, columns, to);
    src = to;
  }
  if (high) filter_rows(src, width * channels, first, rows, dst);
  if (alpha) divide_alpha(dst, height * width, channels);
}

Fit fit_of(std::string_view name) {
  static const std::string kFitNames[] = {"crop", "pad", "stretch"};
  for (int i = 0; i < 3; ++i)
    if (name == kFitNames[i]) return static_cast<Fit>(i);
  base::fail_usage("unknown fit \"{}\"{}", name, base::did_you_mean(name, kFitNames));
}

namespace {

Box whole(double height, double width) { return {0, 0, static_cast<float>(width), static_cast<float>(height)}; }

// The part that is cut out, as in Pillow's ImageOps.fit, where it is not rounded to whole pixels.
Box middle_of(double src_height, double src_width, double shape) {
  const bool wider = src_width / src_height > shape;
  if (src_width / src_height == shape) return whole(src_height, src_width);
  const double width = wider ? shape * src_height : src_width, height = wider ? src_height : src_width / shape;
  const double left = (src_width - width) * 0.5, top = (src_height - height) * 0.5;
  return {static_cast<float>(left), static_cast<float>(top), static_cast<float>(left + width),
          static_cast<float>(top + height)};
}

// The length of a side, 1 to `most`, when the other side is scaled to `target` and the aspect ratio is kept.
std::int64_t kept_side(double side, double other, std::int64_t target, std::int64_t most) {
  return std::clamp<std::int64_t>(std::llrint(side / other * static_cast<double>(target)), 1, most);
}

}  // namespace

void fit_picture(const std::uint8_t* src, std::int64_t src_height, std::int64_t src_width, std::int64_t channels,
                 Fit fit, const std::array<std::uint8_t, 4>& fill, std::uint8_t* dst, std::int64_t height,
                 std::int64_t width) {
  const auto h = static_cast<double>(src_height), w = static_cast<double>(src_width);
  const double shape = static_cast<double>(width) / static_cast<double>(height);
  if (fit != Fit::pad || w / h == shape) {
    const Box box = fit == Fit::crop ? middle_of(h, w, shape) : whole(h, w);
    resize_lanczos(src, src_height, src_width, channels, box, dst, height, width);
    return;
  }
  const bool wider = w / h > shape;
  const std::int64_t inner_height = wider ? kept_side(h, w, width, height) : height;
  const std::int64_t inner_width = wider ? width : kept_side(w, h, height, width);
  Bytes inner(static_cast<std::size_t>(inner_height * inner_width * channels));
  resize_lanczos(src, src_height, src_width, channels, whole(h, w), inner.data(), inner_height, inner_width);
  // llrint rounds .5 to the even number, as Python's round does.
  const std::int64_t top = std::llrint(static_cast<double>(height - inner_height) * 0.5);
  const std::int64_t left = std::llrint(static_cast<double>(width - inner_width) * 0.5);
  for (std::int64_t i = 0; i < height * width * channels; ++i) dst[i] = fill[static_cast<std::size_t>(i % channels)];
  for (std::int64_t y = 0; y < inner_height; ++y)
    std::copy_n(inner.data() + y * inner_width * channels, inner_width * channels,
                dst + ((top + y) * width + left) * channels);
}

}  // namespace gan::data
