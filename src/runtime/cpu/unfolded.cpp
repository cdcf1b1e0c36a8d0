#include "runtime/cpu/unfolded.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "base/parallel.h"
#include "runtime/cpu/packed_product.h"
#include "runtime/cpu/processor.h"
#include "runtime/cpu/sums.h"

namespace gan::runtime::cpu {

namespace {

using Bf16 = std::uint16_t;
using Kind = graph::Convolution::Kind;

constexpr std::int64_t kFewChannels = 16;
constexpr std::int64_t kPart = 1024;        // rows that one thread unfolds and multiplies at once
constexpr std::int64_t kLargePart = 3200;   // rows that all threads multiply together, which fit into the caches
constexpr std::int64_t kBeyond = 64;        // elements that kernels read beyond the end of an operand
constexpr std::int64_t kFewWeights = 8192;  // most weights for which every part has a partial sum of its own

struct Geometry {
  explicit Geometry(const graph::Convolution& spec)
      : n(spec.src[0]),
        height(spec.src[1]),
        width(spec.src[2]),
        channels(spec.src[3]),
        kernel_height(spec.weights[2]),
        kernel_width(spec.weights[3]),
        stride(spec.stride),
        padding(spec.padding),
        dst_height(spec.dst[1]),
        dst_width(spec.dst[2]),
        dst_channels(spec.dst[3]),
        padded_height((dst_height - 1) * stride + kernel_height),
        padded_width((dst_width - 1) * stride + kernel_width) {}

  std::int64_t positions() const { return dst_height * dst_width; }
  std::int64_t rows() const { return n * positions(); }
  std::int64_t weights() const { return dst_channels * columns(); }
  std::int64_t taps() const { return kernel_height * kernel_width; }
  std::int64_t run() const { return kernel_width * channels; }  // contiguous elements of src in a row
  std::int64_t columns() const { return taps() * channels; }
  std::int64_t padded_elements() const { return n * padded_height * padded_width * channels; }

  /// The offset in the padded src at which a row of the unfolded src begins.
  std::int64_t row_begin(std::int64_t row) const {
    const std::int64_t x = row % dst_width, y = row / dst_width % dst_height, image = row / dst_width / dst_height;
    return ((image * padded_height + y * stride) * padded_width + x * stride) * channels;
  }

  std::int64_t n, height, width, channels, kernel_height, kernel_width, stride, padding;
  std::int64_t dst_height, dst_width, dst_channels;
  std::int64_t padded_height, padded_width;  // the area that kernels cover; may leave a rest of src out
};

/// Images [begin, end) of a batch.
struct Images {
  std::int64_t begin, end;
};

/// Copies src to `padded` with zeros around it.
void pad(const Geometry& g, Images images, const Bf16* src, Bf16* padded) {
  const std::int64_t lines = std::clamp<std::int64_t>(g.padded_height - g.padding, 0, g.height);
  const std::int64_t length = std::clamp<std::int64_t>(g.padded_width - g.padding, 0, g.width) * g.channels;
  const std::int64_t before = std::min(g.padding, g.padded_width) * g.channels, line = g.padded_width * g.channels;
  for (std::int64_t image = images.begin; image < images.end; ++image)
    for (std::int64_t py = 0; py < g.padded_height; ++py) {
      Bf16* const to = padded + (image * g.padded_height + py) * line;
      const std::int64_t y = py - g.padding;
      const bool covered = y >= 0 && y < lines;
      if (covered) std::copy_n(src + (image * g.height + y) * g.width * g.channels, length, to + before);
      std::fill_n(to, covered ? before : line, Bf16{0});
      if (covered) std::fill(to + before + length, to + line, Bf16{0});
    }
}

/// Writes the rows [KH, KW, I] of the unfolded src.
void unfold(const Geometry& g, Images images, const Bf16* padded, Bf16* unfolded) {
  const std::int64_t run = g.run(), line = g.padded_width * g.channels, columns = g.columns();
  for (std::int64_t y = images.begin * g.dst_height; y < images.end * g.dst_height; ++y)
    for (std::int64_t ky = 0; ky < g.kernel_height; ++ky) {
      const Bf16* from = padded + g.row_begin(y * g.dst_width) + ky * line;
      Bf16* to = unfolded + y * g.dst_width * columns + ky * run;
      for (std::int64_t x = 0; x < g.dst_width; ++x, from += g.stride * g.channels, to += columns)
        if (run == 4)
          std::memcpy(to, from, 4 * sizeof(Bf16));  // one channel and KW = 4: faster than a call
        else
          std::copy_n(from, run, to);
    }
}

/// The transpose of unfold: sums for every element of src [N, H, W, I] the elements of rows [KH, KW, I] that it was
/// copied to.
void fold(const Geometry& g, Images images, const float* unfolded, float* src) {
  const std::int64_t width = g.width * g.channels, border = g.padding * g.channels, step = g.stride * g.channels;
  std::vector<float> padded(static_cast<std::size_t>(std::max(g.padded_width * g.channels, border + width)));
  for (std::int64_t i = images.begin * g.height; i < images.end * g.height; ++i) {
    const std::int64_t image = i / g.height, py = i % g.height + g.padding;
    std::ranges::fill(padded, 0.0f);
    for (std::int64_t ky = py % g.stride; ky < g.kernel_height && ky <= py; ky += g.stride) {
      const std::int64_t y = (py - ky) / g.stride;
      if (y >= g.dst_height) continue;
      const float* from = unfolded + (image * g.dst_height + y) * g.dst_width * g.columns() + ky * g.run();
      // One kernel position after the other, so that consecutive additions are independent.
      for (std::int64_t kx = 0; kx < g.kernel_width; ++kx)
        for (std::int64_t x = 0; x < g.dst_width; ++x)
          for (std::int64_t c = kx * g.channels; c < (kx + 1) * g.channels; ++c)
            padded[static_cast<std::size_t>(x * step + c)] += from[x * g.columns() + c];
    }
    std::copy_n(padded.data() + border, width, src + i * width);
  }
}

/// Permutes weights [O, I, KH, KW] to [O, KH, KW, I].
void permute_weights(const Geometry& g, const Bf16* weights, Bf16* out) {
  for (std::int64_t o = 0; o < g.dst_channels; ++o)
    for (std::int64_t i = 0; i < g.channels; ++i)
      for (std::int64_t t = 0; t < g.taps(); ++t)
        out[(o * g.taps() + t) * g.channels + i] = weights[(o * g.channels + i) * g.taps() + t];
}

/// Stores pieces of a product [O, KH, KW, I] as weights [O, I, KH, KW], or adds them to the weights.
PieceFunction store_channels_first(const Geometry& g, float* weights, bool add) {
  return [g, weights, add](const Piece& piece) {
    for (std::int64_t o = piece.row; o < piece.row_end; ++o) {
      const float* from = piece.product + (o - piece.row) * piece.product_stride;
      float* const to = weights + o * g.columns();
      std::int64_t tap = piece.column / g.channels, channel = piece.column % g.channels;
      for (std::int64_t c = piece.column; c < piece.column_end; ++c, ++from) {
        float& weight = to[channel * g.taps() + tap];
        weight = (add ? weight : 0.0f) + *from;
        if (++channel < g.channels) continue;
        channel = 0;
        ++tap;
      }
    }
  };
}

/// The positions of the rows of the unfolded src in the padded src.
GatheredRows gathered(const Geometry& g, Images images) {
  GatheredRows out;
  for (std::int64_t row = images.begin * g.positions(); row < images.end * g.positions(); ++row)
    out.rows.push_back(g.row_begin(row));
  for (std::int64_t c = 0; c < g.columns(); c += GatheredRows::kLines)
    out.blocks.push_back(c / g.run() * g.padded_width * g.channels + c % g.run());
  return out;
}

/// A convolution as matrix products, one for each part of the batch.
class Unfolded {
 public:
  Unfolded(const Product& product, Workspace& workspace)
      : spec_(*product.convolution), epilogue_(product.epilogue), g_(spec_), result_(epilogue_.results[0].data) {
    padded_ = workspace.take<Bf16>(padded_count());
    weights_ = workspace.take<Bf16>(weights_count());
    unfolded_ = workspace.take<Bf16>(unfolded_count());
    folded_ = workspace.take<float>(folded_count());
    partial_sums_ = workspace.take<float>(partial_sums_count());
  }

  std::size_t workspace() const {
    return Workspace::bytes_of<Bf16>(padded_count()) + Workspace::bytes_of<Bf16>(weights_count()) +
           Workspace::bytes_of<Bf16>(unfolded_count()) + Workspace::bytes_of<float>(folded_count()) +
           Workspace::bytes_of<float>(partial_sums_count());
  }

  /// False if machine code cannot compute the epilogue.
  bool compile() {
    for (std::int64_t part = 0; part < parts(); ++part) {
      const Images images{part * images_per_part(), std::min((part + 1) * images_per_part(), g_.n)};
      parts_.push_back(spec_.kind == Kind::forward         ? forward(images)
                       : spec_.kind == Kind::data_gradient ? data_gradient(images)
                                                           : weight_gradient(images, part));
      if (!parts_.back()) return false;
    }
    return true;
  }

  void run() const {
    if (spec_.kind != Kind::weight_gradient) permute_weights(g_, static_cast<const Bf16*>(spec_.b), weights_);
    const auto parts = static_cast<std::int64_t>(parts_.size());
    if (one_part_at_a_time()) {
      for (const auto& part : parts_) part();
    } else {
      base::parallel_for(parts, 1, [&](std::int64_t begin, std::int64_t end) {
        for (; begin < end; ++begin) parts_[static_cast<std::size_t>(begin)]();
      });
    }
    if (has_partial_sums()) sum_over_rows(partial_sums_, static_cast<float*>(result_), parts, g_.weights());
  }

 private:
  /// Whether rows are read in place from the padded src.
  bool in_place() const { return spec_.kind == Kind::weight_gradient && g_.run() % GatheredRows::kLines == 0; }
  /// Whether all threads work on one part after the other, for large gradients; else each thread takes whole parts.
  bool one_part_at_a_time() const { return spec_.kind == Kind::weight_gradient && g_.weights() > kFewWeights; }
  bool has_partial_sums() const { return spec_.kind == Kind::weight_gradient && !one_part_at_a_time(); }

  std::int64_t images_per_part() const {
    return std::max<std::int64_t>(1, (one_part_at_a_time() ? kLargePart : kPart) / g_.positions());
  }
  std::int64_t parts() const { return (g_.n + images_per_part() - 1) / images_per_part(); }
  // Elements of each buffer. Kernels read whole tiles, also beyond the last row.
  std::int64_t padded_count() const { return spec_.kind == Kind::data_gradient ? 0 : g_.padded_elements() + kBeyond; }
  std::int64_t weights_count() const { return spec_.kind == Kind::weight_gradient ? 0 : g_.weights(); }
  std::int64_t unfolded_count() const {
    return spec_.kind == Kind::data_gradient || in_place() ? 0 : g_.rows() * g_.columns();
  }
  std::int64_t folded_count() const { return spec_.kind == Kind::data_gradient ? g_.rows() * g_.columns() : 0; }
  std::int64_t partial_sums_count() const { return has_partial_sums() ? parts() * g_.weights() : 0; }

  BoundMatmul product(Images images) const {
    BoundMatmul spec;
    spec.operands = graph::DType::bf16;
    spec.m = (images.end - images.begin) * g_.positions();
    return spec;
  }

  /// The unfolded src times weights^T.
  std::function<void()> forward(Images images) {
    const std::int64_t first = images.begin * g_.positions();
    BoundMatmul spec = product(images);
    spec.n = g_.dst_channels;
    spec.k = g_.columns();
    spec.transpose_b = true;
    spec.a = unfolded_ + first * g_.columns();
    spec.b = weights_;
    PieceFunction code = machine_code(part_of(epilogue_, first * g_.dst_channels, spec.m * spec.n), spec.n);
    if (!code) return {};
    return [=, this, multiply = packed_product_kernel(spec, std::move(code))] {
      prepare(images);
      multiply();
    };
  }

  /// The unfolded gradient with respect to src is dst [N H' W', O] times weights; fold makes src of it.
  std::function<void()> data_gradient(Images images) {
    const std::int64_t first = images.begin * g_.positions();
    BoundMatmul spec = product(images);
    spec.n = g_.columns();
    spec.k = g_.dst_channels;
    spec.a = static_cast<const Bf16*>(spec_.a) + first * g_.dst_channels;
    spec.b = weights_;
    const BoundChain store = store_chain(folded_ + first * g_.columns(), graph::DType::f32, spec.m * spec.n);
    return [=, this, multiply = packed_product_kernel(spec, machine_code(store, spec.n))] {
      multiply();
      fold(g_, images, folded_, static_cast<float*>(result_));
    };
  }

  /// dst^T [O, N H' W'] times the unfolded src.
  std::function<void()> weight_gradient(Images images, std::int64_t part) {
    const std::int64_t first = images.begin * g_.positions();
    BoundMatmul spec = product(images);
    spec.k = std::exchange(spec.m, g_.dst_channels);
    spec.n = g_.columns();
    spec.transpose_a = true;
    spec.a = static_cast<const Bf16*>(spec_.b) + first * g_.dst_channels;
    spec.b = in_place() ? padded_ : unfolded_ + first * g_.columns();
    float* const result = has_partial_sums() ? partial_sums_ + part * g_.weights() : static_cast<float*>(result_);
    return [=, this,
            multiply = packed_product_kernel(spec, store_channels_first(g_, result, one_part_at_a_time() && part > 0),
                                             in_place() ? gathered(g_, images) : GatheredRows())] {
      base::parallel_for(images.end - images.begin, 4, [&](std::int64_t begin, std::int64_t end) {
        prepare({images.begin + begin, images.begin + end});
      });
      multiply();
    };
  }

  void prepare(Images images) const {
    pad(g_, images, static_cast<const Bf16*>(spec_.a), padded_);
    if (!in_place()) unfold(g_, images, padded_, unfolded_);
  }

  BoundConvolution spec_;
  BoundChain epilogue_;
  Geometry g_;
  void* result_;
  Bf16 *padded_, *unfolded_, *weights_;
  float *folded_, *partial_sums_;
  std::vector<std::function<void()>> parts_;
};

}  // namespace

bool is_unfolded(const Product& product) {
  if (!product.convolution || product.operands() != graph::DType::bf16) return false;
  if (multiplier() == Multiplier::none || product.convolution->groups() > 1) return false;
  return multiplier() == Multiplier::fp16 || product.convolution->kind == Kind::weight_gradient ||
         product.convolution->src[3] < kFewChannels;
}

std::size_t unfolded_workspace(const Product& product) {
  Workspace none(nullptr);
  return Unfolded(product, none).workspace();
}

MadeProduct unfolded_kernel(const Product& product, Workspace& workspace) {
  const bool forward = product.convolution->kind == Kind::forward;
  if (!(forward ? is_linear(product.epilogue) : only_stores_f32(product.epilogue))) return {};
  auto convolution = std::make_shared<Unfolded>(product, workspace);
  if (!convolution->compile()) return {};
  return {[convolution] { convolution->run(); }};
}

}  // namespace gan::runtime::cpu
