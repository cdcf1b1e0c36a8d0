#include "runtime/cpu/moves.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/parallel.h"

namespace gan::runtime::cpu {

namespace {

constexpr std::int64_t kCopyGrain = 16384;  // fewest elements per thread

/// A part of a copy as lines of elements: adjacent axes are merged where source and destination allow it; the last axis
/// is the line.
struct Lines {
  explicit Lines(const graph::StridedCopy::Part& part) {
    for (std::size_t axis = 0; axis < part.lengths.size(); ++axis) {
      const Axis next{part.lengths[axis], part.src_strides[axis], part.dst_strides[axis]};
      if (next.length == 1) continue;
      if (!axes.empty() && axes.back().src == next.length * next.src && axes.back().dst == next.length * next.dst)
        axes.back() = {axes.back().length * next.length, next.src, next.dst};
      else
        axes.push_back(next);
    }
    if (!axes.empty()) {
      line = axes.back();
      axes.pop_back();
    }
    for (const Axis& axis : axes) count *= axis.length;
  }

  struct Axis {
    std::int64_t length, src, dst;
  };
  std::vector<Axis> axes;
  Axis line{1, 1, 1};
  std::int64_t count = 1;
};

template <typename T>
void copy_lines(const Lines& lines, const T* src, T* dst) {
  const Lines::Axis& line = lines.line;
  base::parallel_for(lines.count * line.length, kCopyGrain, [&](std::int64_t begin, std::int64_t end) {
    while (begin < end) {
      const std::int64_t first = begin % line.length, count = std::min(line.length - first, end - begin);
      const T* from = src + first * line.src;
      T* to = dst + first * line.dst;
      std::int64_t rest = begin / line.length;
      for (auto axis = lines.axes.rbegin(); axis != lines.axes.rend(); ++axis) {
        from += rest % axis->length * axis->src;
        to += rest % axis->length * axis->dst;
        rest /= axis->length;
      }
      if (line.src == 1 && line.dst == 1)
        std::copy_n(from, count, to);
      else
        for (std::int64_t i = 0; i < count; ++i) to[i * line.dst] = from[i * line.src];
      begin += count;
    }
  });
}

template <typename T>
std::function<void()> copy_of(const graph::StridedCopy& spec, std::span<const std::byte* const> inputs, T* dst) {
  struct Part {
    Lines lines;
    const T* src;
    T* dst;
  };
  std::vector<Part> parts;
  for (const graph::StridedCopy::Part& part : spec.parts)
    parts.push_back(
        {Lines(part), reinterpret_cast<const T*>(inputs[part.input]) + part.src_offset, dst + part.dst_offset});
  return [parts = std::move(parts), dst, elements = spec.zeros ? spec.elements : 0] {
    if (elements > 0) std::fill_n(dst, elements, T{});
    for (const Part& part : parts) copy_lines(part.lines, part.src, part.dst);
  };
}

struct Range {
  std::int64_t begin, end;
};

/// The range of a box, clipped to [0, length); its center may be anywhere in there.
Range box_range(float u, std::int64_t length, std::int64_t box) {
  const std::int64_t positions = length + 1 - box % 2;
  const auto begin = static_cast<std::int64_t>(std::floor(u * static_cast<float>(positions))) - box / 2;
  return {std::clamp<std::int64_t>(begin, 0, length), std::clamp<std::int64_t>(begin + box, 0, length)};
}

}  // namespace

std::function<void()> copy_kernel(const graph::StridedCopy& spec, std::span<const std::byte* const> inputs,
                                  std::byte* dst) {
  if (spec.dtype == graph::DType::bf16) return copy_of(spec, inputs, reinterpret_cast<std::uint16_t*>(dst));
  return copy_of(spec, inputs, reinterpret_cast<std::uint32_t*>(dst));  // f32 or i32, which are copied alike
}

namespace {

template <typename T>
std::function<void()> gather_of(const graph::Gather& spec, const std::byte* rows, const std::int32_t* index,
                                std::byte* to) {
  return [=, table = reinterpret_cast<const T*>(rows), dst = reinterpret_cast<T*>(to)] {
    for (std::int64_t i = 0; i < spec.count; ++i)
      if (index[i] >= 0 && index[i] < spec.rows)
        std::copy_n(table + index[i] * spec.width, spec.width, dst + i * spec.width);
      else
        std::fill_n(dst + i * spec.width, spec.width, std::numeric_limits<T>::quiet_NaN());  // 0 of integers
  };
}

}  // namespace

std::function<void()> gather_kernel(const graph::Gather& spec, const std::byte* table, const std::int32_t* index,
                                    std::byte* dst) {
  return spec.dtype == graph::DType::i32 ? gather_of<std::int32_t>(spec, table, index, dst)
                                         : gather_of<float>(spec, table, index, dst);
}

std::function<void()> scatter_add_kernel(const graph::ScatterAdd& spec, const float* values, const std::int32_t* index,
                                         float* dst) {
  return [=] {
    std::fill_n(dst, spec.rows * spec.width, 0.0f);
    for (std::int64_t i = 0; i < spec.count; ++i)
      if (index[i] >= 0 && index[i] < spec.rows)
        for (std::int64_t j = 0; j < spec.width; ++j) dst[index[i] * spec.width + j] += values[i * spec.width + j];
  };
}

std::function<void()> one_hot_kernel(const graph::OneHot& spec, const std::int32_t* labels, float* dst) {
  return [=] {
    std::fill_n(dst, spec.count * spec.classes, 0.0f);
    for (std::int64_t i = 0; i < spec.count; ++i)
      if (labels[i] >= 0 && labels[i] < spec.classes) dst[i * spec.classes + labels[i]] = 1.0f;
  };
}

std::function<void()> shift_kernel(const graph::ShiftImages& spec, const float* src, const float* u, float* dst) {
  return [=, N = spec.images[0], C = spec.images[1], H = spec.images[2], W = spec.images[3], sign = spec.sign,
          reach_y = spec.reach_y, reach_x = spec.reach_x] {
    const auto pixels = [](float uniform, std::int64_t reach) {
      return static_cast<std::int64_t>(std::floor(uniform * static_cast<float>(2 * reach + 1))) - reach;
    };
    std::fill_n(dst, N * C * H * W, 0.0f);
    for (std::int64_t n = 0; n < N; ++n) {
      const std::int64_t dy = sign * pixels(u[2 * n], reach_y), dx = sign * pixels(u[2 * n + 1], reach_x);
      const std::int64_t width = W - std::abs(dx);
      if (width <= 0) continue;
      for (std::int64_t c = 0; c < C; ++c)
        for (std::int64_t y = std::max<std::int64_t>(0, dy); y < std::min(H, H + dy); ++y)
          std::copy_n(src + ((n * C + c) * H + y - dy) * W + std::max<std::int64_t>(0, -dx), width,
                      dst + ((n * C + c) * H + y) * W + std::max<std::int64_t>(0, dx));
    }
  };
}

std::function<void()> cutout_kernel(const graph::CutoutMask& spec, const float* u, float* dst) {
  return [=] {
    std::fill_n(dst, spec.count * spec.height * spec.width, 1.0f);
    for (std::int64_t n = 0; n < spec.count; ++n) {
      const Range rows = box_range(u[2 * n], spec.height, spec.box_height);
      const Range columns = box_range(u[2 * n + 1], spec.width, spec.box_width);
      for (std::int64_t y = rows.begin; y < rows.end; ++y) {
        float* const line = dst + (n * spec.height + y) * spec.width;
        std::fill(line + columns.begin, line + columns.end, 0.0f);
      }
    }
  };
}

}  // namespace gan::runtime::cpu
