#include "runtime/reference/spec.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/random.h"
#include "graph/op.h"

namespace gan::runtime::reference {

using graph::Shape;

namespace {

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

Values zeros(std::int64_t count) { return Values(at(count), 0.0); }

/// Calls visit(coordinates) for every element of a shape, in row-major order.
template <typename Visit>
void for_each(const Shape& shape, const Visit& visit) {
  Shape coordinates(shape.size(), 0);
  for (std::int64_t i = 0; i < graph::element_count(shape); ++i) {
    visit(coordinates);
    for (std::size_t axis = shape.size(); axis-- > 0;) {
      if (++coordinates[axis] < shape[axis]) break;
      coordinates[axis] = 0;
    }
  }
}

/// The index in a tensor of `shape` that broadcasting reads for these coordinates, which have at least as many axes.
std::size_t broadcast_index(const Shape& coordinates, const Shape& shape) {
  std::int64_t index = 0;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    const std::int64_t coordinate = coordinates[coordinates.size() - shape.size() + axis];
    index = index * shape[axis] + (shape[axis] == 1 ? 0 : coordinate);
  }
  return at(index);
}

struct Evaluate {
  std::span<const Values> in;

  Values operator()(const graph::Matmul& s) const {
    Values out = zeros(s.m * s.n);
    // The innermost loop runs along a row of the result, which is the fastest order.
    for (std::int64_t i = 0; i < s.m; ++i)
      for (std::int64_t k = 0; k < s.k; ++k) {
        const double a = in[0][at(s.transpose_a ? k * s.m + i : i * s.k + k)];
        for (std::int64_t j = 0; j < s.n; ++j)
          out[at(i * s.n + j)] += a * in[1][at(s.transpose_b ? j * s.k + k : k * s.n + j)];
      }
    return out;
  }

  Values operator()(const graph::Convolution& s) const {
    using Kind = graph::Convolution::Kind;
    Values out = zeros(graph::element_count(s.result_shape()));
    const std::int64_t H = s.src[1], W = s.src[2], KH = s.weights[2], KW = s.weights[3];
    const std::int64_t I = s.weights[1], O = s.dst[3] / (s.src[3] / I);  // channels of a group
    for_each(s.dst, [&](const Shape& d) {                                // n, y, x, o
      for_each({KH, KW, I}, [&](const Shape& w) {
        const std::int64_t channel = d[3] / O * I + w[2];
        const std::int64_t y = d[1] * s.stride - s.padding + w[0], x = d[2] * s.stride - s.padding + w[1];
        if (y < 0 || y >= H || x < 0 || x >= W) return;
        const std::size_t src = at(((d[0] * H + y) * W + x) * s.src[3] + channel);
        const std::size_t weight = at(((d[3] * I + w[2]) * KH + w[0]) * KW + w[1]);
        const std::size_t dst = at(((d[0] * s.dst[1] + d[1]) * s.dst[2] + d[2]) * s.dst[3] + d[3]);
        if (s.kind == Kind::forward) out[dst] += in[0][src] * in[1][weight];
        if (s.kind == Kind::data_gradient) out[src] += in[0][dst] * in[1][weight];
        if (s.kind == Kind::weight_gradient) out[weight] += in[0][src] * in[1][dst];
      });
    });
    return out;
  }

  Values operator()(const graph::Reduce& s) const {
    const bool sum = s.kind == graph::Reduce::Kind::sum;
    Values out(at(graph::element_count(s.to)), sum ? 0.0 : -INFINITY);
    std::size_t i = 0;
    for_each(s.from, [&](const Shape& coordinates) {
      double& to = out[broadcast_index(coordinates, s.to)];
      to = sum ? to + in[0][i] : std::max(to, in[0][i]);
      ++i;
    });
    return out;
  }

  Values operator()(const graph::StridedCopy& s) const {
    Values out = zeros(s.elements);
    for (const graph::StridedCopy::Part& part : s.parts)
      for_each(part.lengths, [&](const Shape& coordinates) {
        std::int64_t src = part.src_offset, dst = part.dst_offset;
        for (std::size_t axis = 0; axis < coordinates.size(); ++axis) {
          src += coordinates[axis] * part.src_strides[axis];
          dst += coordinates[axis] * part.dst_strides[axis];
        }
        out[at(dst)] = in[part.input][at(src)];
      });
    return out;
  }

  Values operator()(const graph::Gather& s) const {
    Values out(at(s.count * s.width), s.dtype == graph::DType::f32 ? NAN : 0);
    for (std::int64_t i = 0; i < s.count; ++i)
      for (std::int64_t j = 0; j < s.width; ++j) {
        const double row = in[1][at(i)];
        if (row >= 0 && row < static_cast<double>(s.rows))
          out[at(i * s.width + j)] = in[0][at(static_cast<std::int64_t>(row) * s.width + j)];
      }
    return out;
  }

  Values operator()(const graph::ScatterAdd& s) const {
    Values out = zeros(s.rows * s.width);
    for (std::int64_t r = 0; r < s.rows; ++r)
      for (std::int64_t i = 0; i < s.count; ++i)
        if (in[1][at(i)] == static_cast<double>(r))
          for (std::int64_t j = 0; j < s.width; ++j) out[at(r * s.width + j)] += in[0][at(i * s.width + j)];
    return out;
  }

  Values operator()(const graph::OneHot& s) const {
    Values out;
    for (std::int64_t i = 0; i < s.count; ++i)
      for (std::int64_t c = 0; c < s.classes; ++c) out.push_back(in[0][at(i)] == static_cast<double>(c) ? 1 : 0);
    return out;
  }

  Values operator()(const graph::Random& s) const {
    const auto word = [](double value) { return static_cast<std::uint32_t>(static_cast<std::int64_t>(value)); };
    const base::RandomStream random(std::uint64_t{word(in[0][1])} << 32 | word(in[0][0]), s.stream, word(in[1][0]));
    Values out;
    const std::int64_t first = s.by_part ? static_cast<std::int64_t>(in[2][0]) * s.count : 0;
    for (std::int64_t i = first; i < first + s.count; ++i) {
      const auto index = static_cast<std::uint64_t>(i);
      out.push_back(
          static_cast<double>(s.kind == graph::Random::Kind::normal ? random.normal(index) : random.uniform(index)));
    }
    return out;
  }

  Values operator()(const graph::ShiftImages& s) const {
    Values out;
    const std::int64_t H = s.images[2], W = s.images[3];
    const auto distance = [&](double u, std::int64_t reach) {
      return s.sign * (static_cast<std::int64_t>(std::floor(u * static_cast<double>(2 * reach + 1))) - reach);
    };
    for_each(s.images, [&](const Shape& i) {  // n, c, y, x
      const std::int64_t y = i[2] - distance(in[1][at(2 * i[0])], s.reach_y);
      const std::int64_t x = i[3] - distance(in[1][at(2 * i[0] + 1)], s.reach_x);
      const bool inside = y >= 0 && y < H && x >= 0 && x < W;
      out.push_back(inside ? in[0][at(((i[0] * s.images[1] + i[1]) * H + y) * W + x)] : 0);
    });
    return out;
  }

  Values operator()(const graph::CutoutMask& s) const {
    Values out;
    const auto covers = [](double u, std::int64_t length, std::int64_t box, std::int64_t i) {
      const double places = static_cast<double>(length + 1 - box % 2);
      const std::int64_t begin = static_cast<std::int64_t>(std::floor(u * places)) - box / 2;
      return i >= begin && i < begin + box;
    };
    for_each({s.count, s.height, s.width}, [&](const Shape& i) {
      const bool hidden = covers(in[0][at(2 * i[0])], s.height, s.box_height, i[1]) &&
                          covers(in[0][at(2 * i[0] + 1)], s.width, s.box_width, i[2]);
      out.push_back(hidden ? 0 : 1);
    });
    return out;
  }

  /// Of one rank and one part.
  Values operator()(const graph::AllReduce&) const {
    Values out;
    for (const Values& values : in) out.insert(out.end(), values.begin(), values.end());
    return out;
  }
};

/// The index in an operand that element i of a chain reads.
std::size_t element_of(const graph::ChainOperand& operand, std::int64_t i) {
  switch (operand.access) {
    case graph::Access::full:
    case graph::Access::product:
      return at(i);
    case graph::Access::scalar:
      return 0;
    case graph::Access::row:
    case graph::Access::sum:
      return at(i % operand.period);
    case graph::Access::column:
      return at(i / operand.period);
    case graph::Access::strided:
      break;
  }
  std::int64_t offset = 0;
  for (std::size_t axis = operand.lengths.size(); axis-- > 0; i /= operand.lengths[axis])
    offset += i % operand.lengths[axis] * operand.strides[axis];
  return at(offset);
}

}  // namespace

Values evaluate(const graph::Spec& spec, std::span<const Values> inputs) { return std::visit(Evaluate{inputs}, spec); }

std::vector<std::size_t> broadcast_indices(const Shape& operand, const Shape& result) {
  std::vector<std::size_t> indices;
  for_each(result, [&](const Shape& coordinates) { indices.push_back(broadcast_index(coordinates, operand)); });
  return indices;
}

double evaluate(graph::ElementwiseOp op, double a, double b, double alpha) {
  for (const graph::Op* known : graph::op_table())
    if (known->elementwise() && known->instruction == op) return known->scalar(a, b, alpha);
  base::fail_run("no op has the elementwise operation {}", static_cast<int>(op));
}

std::vector<Values> evaluate(const graph::Chain& chain, std::span<const Values> operands) {
  std::vector<Values> results;
  for (const graph::ChainResult& result : chain.results)
    results.push_back(zeros(result.access == graph::Access::sum ? result.period : chain.elements));
  Values slots(chain.operands.size() + chain.constants.size() + chain.instructions.size());
  for (std::int64_t i = 0; i < chain.elements; ++i) {
    for (std::size_t k = 0; k < operands.size(); ++k) slots[k] = operands[k][element_of(chain.operands[k], i)];
    for (std::size_t k = 0; k < chain.constants.size(); ++k)
      slots[operands.size() + k] = static_cast<double>(chain.constants[k]);
    for (const graph::Instruction& instruction : chain.instructions)
      slots[at(instruction.dst)] = evaluate(instruction.op, slots[at(instruction.a)], slots[at(instruction.b)],
                                            static_cast<double>(instruction.alpha));
    for (std::size_t r = 0; r < results.size(); ++r) {
      const bool sum = chain.results[r].access == graph::Access::sum;
      double& to = results[r][at(sum ? i % chain.results[r].period : i)];
      to = (sum ? to : 0) + slots[at(chain.results[r].source)];
    }
  }
  return results;
}

}  // namespace gan::runtime::reference
