#include "runtime/cuda/source.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "base/error.h"
#include "base/integer.h"
#include "base/sha256.h"
#include "base/text.h"
#include "graph/c_expression.h"
#include "graph/type.h"

namespace gan::runtime::cuda {

using graph::Access;
using graph::Chain;
using graph::DType;
using graph::Shape;

namespace {

constexpr std::int64_t kThreads = 256;         // of most blocks
constexpr std::int64_t kColumns = 32;          // of a block that sums over rows
constexpr std::int64_t kWantedBlocks = 256;    // enough for every processor of a large GPU
constexpr std::int64_t kLeastRows = 32;        // of a part, where sums over rows are cut into parts
constexpr std::int64_t kLeastSummands = 1024;  // of a part, where sums along rows are
constexpr std::int64_t kSerialSum = 32;        // summands that one thread adds up alone
constexpr std::int64_t kLeastDepth = 256;      // of a part, where the depth of a product is cut
constexpr std::size_t kWorkspaceAlignment = 64;

using base::divide_up;
using base::filled;

// ---- text ----

std::string text(std::int64_t value) { return std::to_string(value); }
/// A constant by its bits: exact, and the same for infinities and NaN.
std::string text(float value) { return fmt::format("float_of({:#x}u)", std::bit_cast<std::uint32_t>(value)); }

std::string_view type_of(DType dtype) { return dtype == DType::bf16 ? "bf16" : dtype == DType::i32 ? "int" : "float"; }

/// The type of indices below `count`: 32 bits are divided several times as fast.
std::string index_type(std::int64_t count) { return count < (std::int64_t{1} << 31) - 1024 ? "unsigned" : "long long"; }

/// A pointer of a kernel: its address, its type and the number of its elements.
struct Parameter {
  std::string name;
  Address address;
  std::string type;
  std::int64_t elements;
  bool written = false;
  bool shared = false;  ///< read, and written by another parameter of the kernel

  Address bytes() const { return static_cast<Address>(elements) * (type == "bf16" ? 2 : 4); }
};

/// A kernel of this body. `$index` in the body stands for the type of indices below `count`.
SourceKernel kernel_of(const std::vector<Parameter>& parameters, std::string_view body, std::int64_t grid_x,
                       std::int64_t threads = kThreads, std::int64_t grid_y = 1) {
  SourceKernel kernel;
  kernel.grid_x = static_cast<unsigned>(grid_x);
  kernel.grid_y = static_cast<unsigned>(grid_y);
  kernel.threads = static_cast<unsigned>(threads);
  std::string list;
  for (const Parameter& p : parameters) {
    list += fmt::format("{}{}({}, {}, {})", list.empty() ? "" : ", ",
                        p.written  ? "OUT"
                        : p.shared ? "SAME"
                                   : "IN",
                        p.type, p.elements, p.name);
    kernel.arguments.push_back(p.address);
    (p.written ? kernel.touched.writes : kernel.touched.reads).push_back({p.address, p.address + p.bytes()});
  }
  const std::string unnamed = fmt::format("({}) {{\n{}}}\n", list, body);
  kernel.name = "k" + base::sha256(unnamed + std::to_string(threads)).substr(0, 16);
  kernel.text = fmt::format("KERNEL({}) {}{}EXPORT({})\n", threads, kernel.name, unnamed, kernel.name);
  return kernel;
}

/// A kernel whose thread number `i` does `statements`, for i in [0, count).
SourceKernel kernel_of_each(const std::vector<Parameter>& parameters, std::int64_t count,
                            const std::string& statements) {
  std::int64_t indices = count;
  for (const Parameter& parameter : parameters) indices = std::max(indices, parameter.elements);
  return kernel_of(parameters,
                   fmt::format("  THREADS {{\n    const {0} i = ({0})blockIdx.x * {1} + threadIdx.x;\n"
                               "    if (i < {2}) {{\n{3}    }}\n  }}\n",
                               index_type(indices), kThreads, count, statements),
                   divide_up(count, kThreads));
}

// ---- axes ----

struct Axis {
  std::int64_t length, stride;
};

/// The same elements in the same order with as few axes as possible.
std::vector<Axis> merged(const std::vector<Axis>& axes) {
  std::vector<Axis> out;
  for (const Axis& axis : axes) {
    if (axis.length == 1) continue;
    if (!out.empty() && out.back().stride == axis.length * axis.stride)
      out.back() = {out.back().length * axis.length, axis.stride};
    else
      out.push_back(axis);
  }
  return out;
}

/// The offset of element number `index` of these axes, as text.
std::string offset_of(const std::vector<Axis>& axes, const std::string& index) {
  std::string sum;
  std::int64_t inner = 1;
  for (std::size_t i = axes.size(); i-- > 0;) {
    if (axes[i].stride != 0) {
      std::string term = inner == 1 ? index : fmt::format("{} / {}", index, inner);
      if (i > 0) term = fmt::format("({}) % {}", term, axes[i].length);
      sum += fmt::format("{}({}) * {}", sum.empty() ? "" : " + ", term, axes[i].stride);
    }
    inner *= axes[i].length;
  }
  return sum.empty() ? "0" : sum;
}

std::int64_t count_of(const std::vector<Axis>& axes) {
  std::int64_t count = 1;
  for (const Axis& axis : axes) count *= axis.length;
  return count;
}

std::int64_t reach_of(const std::vector<Axis>& axes) {
  std::int64_t last = 0;
  for (const Axis& axis : axes) last += (axis.length - 1) * axis.stride;
  return last + 1;
}

/// The axes of a chain's operand of access strided.
std::vector<Axis> axes_of(const graph::ChainOperand& operand) {
  std::vector<Axis> axes;
  for (std::size_t i = 0; i < operand.lengths.size(); ++i) axes.push_back({operand.lengths[i], operand.strides[i]});
  return axes;
}

// ---- chains ----

/// The elements that an operand of a chain has.
std::int64_t elements_of(const graph::ChainOperand& operand, std::int64_t chain) {
  if (operand.access == Access::scalar) return 1;
  if (operand.access == Access::row) return operand.period;
  if (operand.access == Access::column) return divide_up(chain, operand.period);
  return operand.access == Access::strided ? reach_of(axes_of(operand)) : chain;
}

/// A chain with the addresses of its operands and results.
struct BoundChain {
  Chain chain;
  std::vector<Address> operands, results;
};

bool is_aligned(Address address, DType dtype) { return address % (4 * size_of(dtype)) == 0; }

/// Whether each thread may move four elements at once.
bool moves_four(const BoundChain& bound) {
  const Chain& chain = bound.chain;
  bool fits = chain.elements % 4 == 0;
  for (std::size_t i = 0; i < chain.operands.size(); ++i)
    if (chain.operands[i].access == Access::full || chain.operands[i].access == Access::product)
      fits &= is_aligned(bound.operands[i], chain.operands[i].dtype);
  for (std::size_t i = 0; i < chain.results.size(); ++i)
    fits &= is_aligned(bound.results[i], chain.results[i].dtype) && chain.results[i].access == Access::full;
  return fits;
}

/// The parameters of the kernel of a chain: operands a0, a1, ..., results r0, r1, ...
std::vector<Parameter> parameters_of(const BoundChain& bound) {
  std::vector<Parameter> parameters;
  const Chain& chain = bound.chain;
  for (std::size_t i = 0; i < chain.operands.size(); ++i) {
    const DType dtype = chain.operands[i].dtype;
    const std::int64_t elements = elements_of(chain.operands[i], chain.elements);
    const Address begin = bound.operands[i], end = begin + static_cast<Address>(elements) * size_of(dtype);
    bool shared = false;
    for (std::size_t r = 0; r < chain.results.size(); ++r) {
      const bool sum = chain.results[r].access == Access::sum;
      const Address bytes =
          static_cast<Address>(sum ? chain.results[r].period : chain.elements) * size_of(chain.results[r].dtype);
      shared |= bound.results[r] < end && begin < bound.results[r] + bytes;
    }
    parameters.push_back({fmt::format("a{}", i), begin, std::string(type_of(dtype)), elements, false, shared});
  }
  for (std::size_t r = 0; r < chain.results.size(); ++r)
    parameters.push_back(
        {fmt::format("r{}", r), bound.results[r], std::string(type_of(chain.results[r].dtype)), chain.elements, true});
  return parameters;
}

/// Statements that read operand `number` at element i + e into `to`.
std::string read_operand(const graph::ChainOperand& operand, std::size_t number, const std::string& to,
                         const std::string& at) {
  std::string index = at;
  if (operand.access == Access::scalar) index = "0";
  if (operand.access == Access::row) index = fmt::format("({}) % {}", at, operand.period);
  if (operand.access == Access::column) index = fmt::format("({}) / {}", at, operand.period);
  if (operand.access == Access::strided) index = offset_of(merged(axes_of(operand)), "(" + at + ")");
  return fmt::format("{} = widened(fetch<{}>(a{}, {}));\n", to, type_of(operand.dtype), number, index);
}

/// Statements that compute every slot s0, s1, ... of an element from the operands x0[e], x1[e], ...
std::string compute_slots(const Chain& chain) {
  std::string out;
  std::size_t slot = 0;
  for (std::size_t i = 0; i < chain.operands.size(); ++i) out += fmt::format("const float s{0} = x{0}[e];\n", slot++);
  for (const float constant : chain.constants) out += fmt::format("const float s{} = {};\n", slot++, text(constant));
  for (const graph::Instruction& instruction : chain.instructions)
    out += fmt::format("const float s{} = {};\n", instruction.dst,
                       graph::c_expression(instruction.op, fmt::format("s{}", instruction.a),
                                           fmt::format("s{}", instruction.b), text(instruction.alpha)));
  return out;
}

/// Statements that compute element `at` of a chain and store its results, but not sums. `product`: the element of a
/// product that no operand holds, or "".
std::string chain_of_element(const Chain& chain, const std::string& at, const std::string& product = "") {
  std::string out = "const int e = 0;\n";
  for (std::size_t k = 0; k < chain.operands.size(); ++k) {
    const std::string to = fmt::format("x{}[0]", k);
    out += fmt::format("float x{}[1];\n", k);
    out += chain.operands[k].access == Access::product && !product.empty() ? fmt::format("{} = {};\n", to, product)
                                                                           : read_operand(chain.operands[k], k, to, at);
  }
  out += compute_slots(chain);
  for (std::size_t r = 0; r < chain.results.size(); ++r)
    if (chain.results[r].access == Access::full)
      out += fmt::format("{0} y{1};\nassign(y{1}, s{2});\nstore(r{1}, {3}, y{1});\n", type_of(chain.results[r].dtype),
                         r, chain.results[r].source, at);
  return out;
}

/// A chain without sums.
SourceKernel plain_chain(const BoundChain& bound) {
  const Chain& chain = bound.chain;
  if (!moves_four(bound)) return kernel_of_each(parameters_of(bound), chain.elements, chain_of_element(chain, "i"));
  std::string body = fmt::format("const {} n = i * 4;\n", index_type(chain.elements));
  for (std::size_t i = 0; i < chain.operands.size(); ++i) {
    const graph::ChainOperand& operand = chain.operands[i];
    body += fmt::format("float x{}[4];\n", i);
    if (operand.access == Access::full || operand.access == Access::product)
      body += fmt::format(
          "const Four<{0}> f{1} = fetch<Four<{0}>>(a{1}, n);\nUNROLL\n"
          "for (int e = 0; e < 4; ++e) x{1}[e] = widened(f{1}.values[e]);\n",
          type_of(operand.dtype), i);
    else
      body += "UNROLL\nfor (int e = 0; e < 4; ++e) " + read_operand(operand, i, fmt::format("x{}[e]", i), "n + e");
  }
  for (std::size_t r = 0; r < chain.results.size(); ++r)
    body += fmt::format("Four<{}> y{};\n", type_of(chain.results[r].dtype), r);
  body += "UNROLL\nfor (int e = 0; e < 4; ++e) {\n" + compute_slots(chain);
  for (std::size_t r = 0; r < chain.results.size(); ++r)
    body += fmt::format("assign(y{}.values[e], s{});\n", r, chain.results[r].source);
  body += "}\n";
  for (std::size_t r = 0; r < chain.results.size(); ++r) body += fmt::format("store(r{0}, n, y{0});\n", r);
  return kernel_of_each(parameters_of(bound), chain.elements / 4, body);
}

// ---- sums ----

/// A lowering under way: the work so far and the end of the workspace.
struct Lowering {
  Address workspace;
  std::int64_t most_unfolded = kMostUnfolded;  // bytes
  Lowered out = {};

  Address scratch(std::int64_t bytes) {
    const Address at = workspace + out.workspace;
    out.workspace += base::round_up(static_cast<std::size_t>(bytes), kWorkspaceAlignment);
    return at;
  }
};

/// Sums or largest elements: `kept` and `reduced` are axes of src, the result is dense.
struct Reduction {
  bool sum = true;
  std::vector<Axis> kept, reduced;
  Address src = 0, dst = 0;
};

/// The number of parts into which `length` summands are cut so that there are enough blocks; parts are added in order.
std::int64_t parts_of(std::int64_t length, std::int64_t blocks, std::int64_t least) {
  const std::int64_t parts = std::clamp<std::int64_t>(kWantedBlocks / blocks, 1, divide_up(length, least));
  return divide_up(length, divide_up(length, parts));
}

/// A statement that adds `x` to `to`, or else takes the larger of both.
std::string combined(bool add, const std::string& to, const std::string& x) {
  return add ? fmt::format("{0} = {0} + {1};", to, x) : fmt::format("{0} = fmaxf({0}, {1});", to, x);
}
/// The value that a combination begins with.
std::string neutral(bool add) { return add ? "0.0f" : "float_of(0xFF800000u)"; }

/// A kernel that combines the rows of a matrix, in parts, for each of its columns. `compute`: statements that combine
/// sum[0], sum[1], ... with what is in `row` and `column`; `results`: the parameters that these are stored in.
struct OverRows {
  std::int64_t rows, columns, parts;
  std::string index;  ///< the type of indices
  std::string compute;
  std::vector<std::string> results;
  bool add = true;
};

SourceKernel kernel_over_rows(const std::vector<Parameter>& parameters, const OverRows& o) {
  std::string join;
  for (std::size_t k = 0; k < o.results.size(); ++k)
    join += fmt::format(
        "float sum{0} = {1};\nfor (int line = 0; line < {2}; ++line) {{ {3} }}\n"
        "store({4}, blockIdx.y * (long long){5} + column, sum{0});\n",
        k, neutral(o.add), kThreads / kColumns,
        combined(o.add, fmt::format("sum{}", k), fmt::format("sums[{}][line][threadIdx.x]", k)), o.results[k],
        o.columns);
  const std::string body = filled(R"(  SHARED float sums[$sums][$lines][$block];
  const $index begin = blockIdx.y * ($index)$part;
  const $index end = begin + $part < $rows ? begin + $part : $rows;
  PHASE {
    const $index column = blockIdx.x * ($index)$block + threadIdx.x % $block;
    float sum[$sums];
    UNROLL
    for (int k = 0; k < $sums; ++k) sum[k] = $first;
    if (column < $columns)
      for ($index row = begin + threadIdx.x / $block; row < end; row += $lines) {
        $compute
      }
    UNROLL
    for (int k = 0; k < $sums; ++k) sums[k][threadIdx.x / $block][threadIdx.x % $block] = sum[k];
  }
  THREADS {
    const $index column = blockIdx.x * ($index)$block + threadIdx.x;
    if (threadIdx.x < $block && column < $columns) {
$join    }
  }
)",
                                  {{"sums", std::to_string(o.results.size())},
                                   {"lines", text(kThreads / kColumns)},
                                   {"block", text(kColumns)},
                                   {"index", o.index},
                                   {"part", text(divide_up(o.rows, o.parts))},
                                   {"rows", text(o.rows)},
                                   {"first", neutral(o.add)},
                                   {"columns", text(o.columns)},
                                   {"compute", o.compute},
                                   {"join", join}});
  return kernel_of(parameters, body, divide_up(o.columns, kColumns), kThreads, o.parts);
}

void lower_reduction(Lowering& lowering, const Reduction& r) {
  const std::int64_t outputs = count_of(r.kept), length = count_of(r.reduced);
  const bool along_rows = r.kept.empty() || (!r.reduced.empty() && r.reduced.back().stride < r.kept.back().stride);
  const auto element = [&](const std::string& o, const std::string& i) {
    return fmt::format("fetch<float>(src, {} + {})", offset_of(r.kept, o), offset_of(r.reduced, i));
  };
  std::vector<Parameter> parameters{{"src", r.src, "float", reach_of(r.kept) + reach_of(r.reduced) - 1}};
  if (along_rows && length <= kSerialSum) {
    parameters.push_back({"dst", r.dst, "float", outputs, true});
    lowering.out.work.push_back(kernel_of_each(
        parameters, outputs,
        fmt::format("float sum = {};\nfor (long long k = 0; k < {}; ++k) {{\n{}\n}}\nstore(dst, i, sum);\n",
                    neutral(r.sum), length, combined(r.sum, "sum", element("i", "k")))));
    return;
  }
  const std::int64_t blocks = along_rows ? outputs : divide_up(outputs, kColumns);
  const std::int64_t parts = parts_of(length, blocks, along_rows ? kLeastSummands : kLeastRows);
  const Address dst = parts == 1 ? r.dst : lowering.scratch(parts * outputs * 4);
  parameters.push_back({"dst", dst, "float", parts * outputs, true});
  const std::string index = index_type(std::max(parameters[0].elements, parts * outputs));
  constexpr const char* kAlongRows = R"(  SHARED float sums[$threads];
  const $index o = blockIdx.x, begin = blockIdx.y * ($index)$part;
  const $index end = begin + $part < $length ? begin + $part : $length;
  PHASE {
    float sum = $first;
    for ($index k = begin + threadIdx.x; k < end; k += $threads) {
      $add
    }
    sums[threadIdx.x] = sum;
  }
  for (int half = $threads / 2; half > 0; half /= 2)
    PHASE {
      if (threadIdx.x < half) { $join }
    }
  THREADS {
    if (threadIdx.x == 0) store(dst, blockIdx.y * ($index)$outputs + o, sums[0]);
  }
)";
  if (along_rows) {
    const std::string body =
        filled(kAlongRows, {{"threads", text(kThreads)},
                            {"index", index},
                            {"part", text(divide_up(length, parts))},
                            {"length", text(length)},
                            {"first", neutral(r.sum)},
                            {"add", combined(r.sum, "sum", element("o", "k"))},
                            {"join", combined(r.sum, "sums[threadIdx.x]", "sums[threadIdx.x + half]")},
                            {"outputs", text(outputs)}});
    lowering.out.work.push_back(kernel_of(parameters, body, blocks, kThreads, parts));
  } else {
    const std::string compute = combined(r.sum, "sum[0]", element("column", "row"));
    lowering.out.work.push_back(kernel_over_rows(parameters, {length, outputs, parts, index, compute, {"dst"}, r.sum}));
  }
  if (parts > 1) lower_reduction(lowering, {r.sum, {{outputs, 1}}, {{parts, outputs}}, dst, r.dst});
}

/// The chain with its sums: a block sums 32 columns of a part of the rows while it computes them.
void lower_chain(Lowering& lowering, BoundChain bound) {
  Chain& chain = bound.chain;
  struct Sum {
    std::size_t result;
    std::int64_t period;
    Address dst;
  };
  std::vector<Sum> sums;
  for (std::size_t i = 0; i < chain.results.size(); ++i)
    if (chain.results[i].access == Access::sum) sums.push_back({i, chain.results[i].period, bound.results[i]});
  if (sums.empty()) {
    lowering.out.work.push_back(plain_chain(bound));
    return;
  }
  const std::int64_t period = sums[0].period, rows = chain.elements / period;
  if (std::ranges::any_of(sums, [&](const Sum& sum) { return sum.period != period; })) {
    // Sums over rows of several lengths: the summands are stored.
    for (const Sum& sum : sums) {
      chain.results[sum.result].access = Access::full;
      bound.results[sum.result] = lowering.scratch(chain.elements * 4);
    }
    lowering.out.work.push_back(plain_chain(bound));
    for (const Sum& sum : sums)
      lower_reduction(
          lowering,
          {true, {{sum.period, 1}}, {{chain.elements / sum.period, sum.period}}, bound.results[sum.result], sum.dst});
    return;
  }
  const std::int64_t parts = parts_of(rows, divide_up(period, kColumns), kLeastRows);
  for (const Sum& sum : sums)
    if (parts > 1) bound.results[sum.result] = lowering.scratch(parts * period * 4);
  std::vector<Parameter> parameters = parameters_of(bound);
  for (const Sum& sum : sums) parameters[chain.operands.size() + sum.result].elements = parts * period;

  const std::string index = index_type(chain.elements);
  std::string compute = fmt::format("const {} i = row * {} + column;\n", index, period);
  compute += chain_of_element(chain, "i");
  std::vector<std::string> to;
  for (std::size_t k = 0; k < sums.size(); ++k) {
    compute += fmt::format("sum[{0}] = sum[{0}] + s{1};\n", k, chain.results[sums[k].result].source);
    to.push_back(fmt::format("r{}", sums[k].result));
  }
  lowering.out.work.push_back(kernel_over_rows(parameters, {rows, period, parts, index, compute, to}));
  if (parts == 1) return;
  for (const Sum& sum : sums)
    lower_reduction(lowering, {true, {{period, 1}}, {{parts, period}}, bound.results[sum.result], sum.dst});
}

// ---- products and convolutions ----

/// A product whose operands are computed from indices: `a` and `b` are statements that set `value` for (m, k) and
/// (k, n) of `group`, and `to` the index in the result of (m, n).
struct Tiled {
  std::int64_t m, n, k, groups = 1;
  std::string a, b, to;
  bool a_along_k = true, b_along_k = true;  ///< which index neighbouring threads load along
  std::int64_t a_elements = 0, b_elements = 0, d_elements = 0;
  bool may_cut = true;        ///< into parts along k, which are added in order
  bool accumulate = false;    ///< adds to the result; not if it may be cut
  DType result = DType::f32;  ///< bf16 only if it may not be cut
  Address bias = 0;           ///< f32 [n], added to the result; only if it may not be cut
  /// Computed from each element in place of storing it, if it may not be cut; `to` is the element's number.
  const BoundChain* chain = nullptr;
};

/// The products of the tiles at y and x, by one thread and by a warp.
constexpr const char* kMultiply = R"(      for (int depth = 0; depth < $k; ++depth) {
        UNROLL
        for (int i = 0; i < 4; ++i) {
          UNROLL
          for (int j = 0; j < 4; ++j)
            sums[4 * i + j] = multiply_add(left[depth][y + i], right[depth][x + j], sums[4 * i + j]);
        }
      }
)";
constexpr const char* kMultiplyByWarps = R"(      UNROLL
      for (int i = 0; i < 4; ++i)
        multiply_tile<$k + 8>(left[y + i / $across * 16], right[x + i % $across * 8], &sums[4 * i]);
)";

/// Tiles of the result in registers, their operands in shared memory. Those of bf16 are multiplied by warps.
void lower_tiled(Lowering& lowering, const Tiled& t, DType operands, Address a, Address b, Address d) {
  std::int64_t tile_n = 4;
  while (tile_n < 64 && tile_n < t.n) tile_n *= 2;
  const std::int64_t tile_m = tile_n == 64 ? 64 : std::min<std::int64_t>(256, 2048 / tile_n), tile_k = 16;
  const std::int64_t threads = tile_m * tile_n / 16;
  const std::int64_t tiles = divide_up(t.m, tile_m) * divide_up(t.n, tile_n);
  const std::int64_t parts = t.may_cut ? parts_of(t.k, tiles * t.groups, kLeastDepth) : 1;
  const std::int64_t part = base::round_up(divide_up(t.k, parts), tile_k);
  const std::int64_t used = divide_up(t.k, part);  // rounding up may leave the last part empty
  const Address dst = used == 1 ? d : lowering.scratch(used * t.d_elements * 4);
  // Each warp computes four tiles of 16 x 8, `across` next to each other; four warps lie below each other.
  const bool warps = operands == DType::bf16 && tile_n >= 8;
  const std::int64_t across = warps ? std::min<std::int64_t>(4, tile_n / 8) : tile_n / 4;
  const auto chosen = [&](const char* by_threads, const char* by_warps) {
    return filled(warps ? by_warps : by_threads,
                  {{"m", text(tile_m)}, {"n", text(tile_n)}, {"k", text(tile_k)}, {"across", text(across)}});
  };
  const auto load = [&](const char* tile, const char* row, std::int64_t length, std::int64_t limit, bool along_k,
                        const std::string& statements) {
    return filled(R"(      for (int e = threadIdx.x; e < $count; e += $threads) {
        const int depth = $depth, line = $line;
        const $index $row = $row0 + line, k = k0 + depth;
        float value = 0.0f;
        if ($row < $limit && k < end) { $statements }
        assign($tile, value);
      }
)",
                  {{"count", text(length * tile_k)},
                   {"threads", text(threads)},
                   {"depth", along_k ? "e % " + text(tile_k) : "e / " + text(length)},
                   {"line", along_k ? "e / " + text(tile_k) : "e % " + text(length)},
                   {"index", index_type(std::max({t.a_elements, t.b_elements, t.d_elements}))},
                   {"row", row},
                   {"row0", std::string(row) + "0"},
                   {"limit", text(limit)},
                   {"statements", statements},
                   {"tile", std::string(tile) + (warps ? "[line][depth]" : "[depth][line]")}});
  };
  const std::string body = filled(
      R"(  $tiles;
  PerThread<float, 16> sums;
  const $index group = blockIdx.y / $parts, begin = blockIdx.y % $parts * ($index)$part;
  const $index end = begin + $part < $depth ? begin + $part : $depth;
  const $index m0 = blockIdx.x / $tiles_n * ($index)$tile_m, n0 = blockIdx.x % $tiles_n * ($index)$tile_n;
  PHASE {
    UNROLL
    for (int i = 0; i < 16; ++i) sums[i] = 0.0f;
  }
  for ($index k0 = begin; k0 < end; k0 += $tile_k) {
    PHASE {
$load_a$load_b    }
    PHASE {
      $place
$multiply    }
  }
  THREADS {
    $place
    UNROLL
    for (int i = 0; i < 4; ++i) {
      UNROLL
      for (int j = 0; j < 4; ++j) {
        const $index m = m0 + y + $row, n = n0 + x + $column;
        const long long at = blockIdx.y % $parts * (long long)$result + $to;
        if (m < $m && n < $n) {
$store        }
      }
    }
  }
)",
      {{"tiles", chosen("SHARED float left[$k][$m + 1], right[$k][$n + 1]",
                        "alignas(4) SHARED bf16 left[$m][$k + 8], right[$n][$k + 8]")},
       {"place",
        chosen("const int x = threadIdx.x % $across * 4, y = threadIdx.x / $across * 4;",
               "const int warp = threadIdx.x / 32, y = warp % 4 * (64 / $across), x = warp / 4 * $across * 8;")},
       {"multiply", chosen(kMultiply, kMultiplyByWarps)},
       {"row", chosen("i", "i / $across * 16 + threadIdx.x % 32 / 4 + j / 2 * 8")},
       {"column", chosen("j", "i % $across * 8 + threadIdx.x % 4 * 2 + j % 2")},
       {"tile_m", text(tile_m)},
       {"tile_n", text(tile_n)},
       {"tile_k", text(tile_k)},
       {"index", index_type(std::max({t.a_elements, t.b_elements, t.d_elements}))},
       {"parts", text(used)},
       {"part", text(part)},
       {"depth", text(t.k)},
       {"tiles_n", text(divide_up(t.n, tile_n))},
       {"load_a", load("left", "m", tile_m, t.m, t.a_along_k, t.a)},
       {"load_b", load("right", "n", tile_n, t.n, t.b_along_k, t.b)},
       {"m", text(t.m)},
       {"n", text(t.n)},
       {"result", text(t.d_elements)},
       {"store", t.chain ? chain_of_element(t.chain->chain, "at", "sums[4 * i + j]")
                         : fmt::format("{} value;\nassign(value, sums[4 * i + j]{}{});\nstore(d, at, value);\n",
                                       type_of(t.result), t.accumulate ? " + fetch<float>(d, at)" : "",
                                       t.bias ? " + fetch<float>(bias, n)" : "")},
       {"to", t.to}});
  const std::string type(type_of(operands));
  std::vector<Parameter> parameters{{"a", a, type, t.a_elements}, {"b", b, type, t.b_elements}};
  if (t.bias) parameters.push_back({"bias", t.bias, "float", t.n});
  if (!t.chain) {
    parameters.push_back({"d", dst, std::string(type_of(t.result)), used * t.d_elements, true});
  } else {
    const std::vector<Parameter> of_chain = parameters_of(*t.chain);
    for (std::size_t i = 0; i < of_chain.size(); ++i)
      if (i >= t.chain->chain.operands.size() || t.chain->chain.operands[i].access != Access::product)
        parameters.push_back(of_chain[i]);
  }
  lowering.out.work.push_back(kernel_of(parameters, body, tiles, threads, used * t.groups));
  if (used > 1) lower_reduction(lowering, {true, {{t.d_elements, 1}}, {{used, t.d_elements}}, dst, d});
}

/// The numbers of a convolution: N images of H x W x C, `h` x `w` x `o` results, taps KH x KW; I and O are the channels
/// of one group.
struct Geometry {
  explicit Geometry(const graph::Convolution& s)
      : N(s.src[0]),
        H(s.src[1]),
        W(s.src[2]),
        C(s.src[3]),
        h(s.dst[1]),
        w(s.dst[2]),
        c(s.dst[3]),
        I(s.weights[1]),
        O(s.dst[3] / s.groups()),
        KW(s.weights[3]),
        taps(s.weights[2] * s.weights[3]) {}
  std::int64_t N, H, W, C, h, w, c, I, O, KW, taps;
};

/// `template_` with the numbers of a convolution in place of $H, $stride and so on.
std::string with_geometry(std::string_view template_, const graph::Convolution& s, const std::string& type) {
  const Geometry g(s);
  return filled(template_, {{"N", text(g.N)},
                            {"H", text(g.H)},
                            {"W", text(g.W)},
                            {"C", text(g.C)},
                            {"h", text(g.h)},
                            {"w", text(g.w)},
                            {"c", text(g.c)},
                            {"I", text(g.I)},
                            {"O", text(g.O)},
                            {"KW", text(g.KW)},
                            {"taps", text(g.taps)},
                            {"stride", text(s.stride)},
                            {"padding", text(s.padding)},
                            {"T", type}});
}

// The element of src that result `p` (of N h w) reads at `tap` in channel `ch`: `value` stays 0 outside of the image.
constexpr std::string_view kReadSrc = R"(
          const int y = (int)(p / $w % $h) * $stride + (int)(tap / $KW) - $padding;
          const int x = (int)(p % $w) * $stride + (int)(tap % $KW) - $padding;
          if (y >= 0 && y < $H && x >= 0 && x < $W)
            value = widened(fetch<$T>($src, ((p / $w / $h * (long long)$H + y) * $W + x) * $C + ch));
)";

/// kReadSrc of the parameter with this name.
std::string read_src(std::string_view parameter) {
  std::string out(kReadSrc);
  out.replace(out.find("$src"), 4, parameter);
  return out;
}

/// A grouped convolution as one kernel.
void lower_grouped(Lowering& lowering, const graph::Convolution& s, Address a, Address b, Address d) {
  using Kind = graph::Convolution::Kind;
  const Geometry g(s);
  const std::string type(type_of(s.operands));
  Tiled t;
  t.groups = s.groups();
  t.a_elements = graph::element_count(s.a_shape());
  t.b_elements = graph::element_count(s.b_shape());
  t.d_elements = graph::element_count(s.result_shape());
  std::string of_a, of_b;
  if (s.kind == Kind::forward) {
    t.m = g.N * g.h * g.w, t.n = g.O, t.k = g.taps * g.I;
    of_a = "const auto p = m; const int tap = k / $I, ch = group * $I + k % $I;" + read_src("a");
    of_b = "value = widened(fetch<$T>(b, ((group * $O + n) * $I + k % $I) * $taps + k / $I));";
    t.to = "m * $c + group * $O + n";
  } else if (s.kind == Kind::data_gradient) {
    t.m = g.N * g.H * g.W, t.n = g.I, t.k = g.taps * g.O;
    of_a = R"(const int tap = k / $O;
          const int y = (int)(m / $W % $H) + $padding - tap / $KW, x = (int)(m % $W) + $padding - tap % $KW;
          if (y >= 0 && x >= 0 && y % $stride == 0 && x % $stride == 0 && y / $stride < $h && x / $stride < $w)
            value = widened(fetch<$T>(a, ((m / $W / $H * (long long)$h + y / $stride) * $w + x / $stride) * $c +
                                         group * $O + k % $O));)";
    of_b = "value = widened(fetch<$T>(b, ((group * $O + k % $O) * $I + n) * $taps + k / $O));";
    t.b_along_k = false;
    t.to = "m * $C + group * $I + n";
  } else {
    t.m = g.O, t.n = g.I * g.taps, t.k = g.N * g.h * g.w;
    of_a = "value = widened(fetch<$T>(b, k * $c + group * $O + m));";
    of_b = "const auto p = k; const int tap = n % $taps, ch = group * $I + n / $taps;" + read_src("a");
    t.a_along_k = t.b_along_k = false;
    t.to = "((group * $O + m) * $I * $taps + n)";
  }
  t.a = with_geometry(of_a, s, type);
  t.b = with_geometry(of_b, s, type);
  t.to = with_geometry(t.to, s, type);
  lower_tiled(lowering, t, s.operands, a, b, d);
}

/// Other convolutions as products with the unfolded src [N h w, I taps], some images at a time if all of them would
/// take too much memory. `result` and `bias` are those of a forward convolution's product; gradients are f32.
void lower_unfolded(Lowering& lowering, const graph::Convolution& s, Address a, Address b, Address d, DType result,
                    Address bias) {
  using Kind = graph::Convolution::Kind;
  const Geometry g(s);
  const bool plain = g.taps == 1 && s.stride == 1 && s.padding == 0;  // src is unfolded already
  const DType unfolded_type = s.kind == Kind::data_gradient ? DType::f32 : s.operands;
  const auto unfolded_size = static_cast<std::int64_t>(size_of(unfolded_type));
  const auto operand_size = static_cast<Address>(size_of(s.operands));
  const std::int64_t columns = g.I * g.taps, image = g.h * g.w * columns * unfolded_size;
  const std::int64_t at_once = plain ? g.N : std::clamp<std::int64_t>(lowering.most_unfolded / image, 1, g.N);
  const Address scratch = plain ? 0 : lowering.scratch(at_once * image);
  const std::string type(type_of(s.operands));
  for (std::int64_t first = 0; first < g.N; first += at_once) {
    const std::int64_t images = std::min(at_once, g.N - first), rows = images * g.h * g.w;
    const auto of_src = static_cast<Address>(first * g.H * g.W * g.C),
               of_dst = static_cast<Address>(first * g.h * g.w * g.c);
    const std::int64_t pixels = images * g.H * g.W * g.C;
    if (s.kind == Kind::data_gradient) {
      const Address unfolded = plain ? d + 4 * of_src : scratch;
      lowering.out.work.push_back(
          Product{{rows, columns, g.c, false, false, s.operands}, a + of_dst * operand_size, b, unfolded});
      if (plain) continue;
      // Every element of src is the sum of those that were copied from it, in order of the taps.
      lowering.out.work.push_back(kernel_of_each(
          {{"unfolded", unfolded, "float", rows * columns}, {"src", d + 4 * of_src, "float", pixels, true}}, pixels,
          with_geometry(R"(const auto p = i / $C;
      float sum = 0.0f;
      for (int tap = 0; tap < $taps; ++tap) {
        const int y = (int)(p / $W % $H) + $padding - tap / $KW, x = (int)(p % $W) + $padding - tap % $KW;
        if (y >= 0 && x >= 0 && y % $stride == 0 && x % $stride == 0 && y / $stride < $h && x / $stride < $w)
          sum = sum + fetch<float>(unfolded, ((p / $W / $H * (long long)$h + y / $stride) * $w + x / $stride) *
                                                 ($C * $taps) + i % $C * $taps + tap);
      }
      store(src, i, sum);
)",
                        s, type)));
      continue;
    }
    const Address src = a + of_src * operand_size, unfolded = plain ? src : scratch;
    if (!plain)
      lowering.out.work.push_back(kernel_of_each(
          {{"src", src, type, pixels}, {"unfolded", unfolded, type, rows * columns, true}}, rows * columns,
          with_geometry("const auto p = i / ($C * $taps);\nconst int tap = i % $taps, ch = i / $taps % $C;\n"
                        "float value = 0.0f;" +
                            read_src("src") + "$T to;\nassign(to, value);\nstore(unfolded, i, to);\n",
                        s, type)));
    const graph::Matmul forward{rows, g.c, columns, false, true, s.operands};
    const graph::Matmul gradient{g.c, columns, rows, true, false, s.operands};
    lowering.out.work.push_back(s.kind == Kind::forward
                                    ? Product{forward, unfolded, b, d + of_dst * size_of(result), false, result, bias}
                                    : Product{gradient, b + of_dst * operand_size, unfolded, d, first > 0});
  }
}

// ---- the other descriptions ----

struct LowerSpec {
  Lowering& lowering;
  const std::vector<Address> in;
  Address dst;
  DType result = DType::f32;  ///< of products
  Address bias = 0;           ///< of products; 0: none

  void each(const std::vector<Parameter>& parameters, std::int64_t count, const std::string& statements) const {
    lowering.out.work.push_back(kernel_of_each(parameters, count, statements));
  }

  void operator()(const graph::Matmul& s) const {
    lowering.out.work.push_back(Product{s, in[0], in[1], dst, false, result, bias});
  }

  void operator()(const graph::Convolution& s) const {
    if (s.groups() > 1) return lower_grouped(lowering, s, in[0], in[1], dst);
    lower_unfolded(lowering, s, in[0], in[1], dst, result, bias);
  }

  void operator()(const graph::Reduce& s) const {
    std::vector<Axis> kept, reduced;
    const std::size_t missing = s.from.size() - s.to.size();
    std::int64_t stride = 1;
    for (std::size_t axis = s.from.size(); axis-- > 0;) {
      const bool keeps = axis >= missing && s.to[axis - missing] == s.from[axis];
      (keeps ? kept : reduced).insert((keeps ? kept : reduced).begin(), {s.from[axis], stride});
      stride *= s.from[axis];
    }
    lower_reduction(lowering, {s.kind == graph::Reduce::Kind::sum, merged(kept), merged(reduced), in[0], dst});
  }

  void operator()(const graph::StridedCopy& s) const {
    // Elements are moved as bits.
    const std::string type = s.dtype == DType::bf16 ? "bf16" : "int";
    if (s.zeros)
      each({{"dst", dst, type, s.elements, true}}, s.elements,
           fmt::format("{} zero = {{}};\nstore(dst, i, zero);\n", type));
    for (const graph::StridedCopy::Part& part : s.parts) {
      std::vector<Axis> from, to;
      for (std::size_t axis = 0; axis < part.lengths.size(); ++axis) {
        if (part.lengths[axis] == 1) continue;
        const Axis src{part.lengths[axis], part.src_strides[axis]},
            dst_axis{part.lengths[axis], part.dst_strides[axis]};
        const bool joins = !from.empty() && from.back().stride == src.length * src.stride &&
                           to.back().stride == src.length * dst_axis.stride;
        if (joins) {
          from.back() = {from.back().length * src.length, src.stride};
          to.back() = {to.back().length * src.length, dst_axis.stride};
        } else {
          from.push_back(src);
          to.push_back(dst_axis);
        }
      }
      const std::int64_t count = count_of(from);
      std::int64_t begin = part.src_offset, to_begin = part.dst_offset, width = 1;
      // Four neighbours at once, where every run of them begins at a multiple of four.
      const auto in_fours = [&](const std::vector<Axis>& axes, std::int64_t offset, Address address) {
        bool fits = !axes.empty() && axes.back().stride == 1 && axes.back().length % 4 == 0 && offset % 4 == 0 &&
                    is_aligned(address, s.dtype);
        for (std::size_t axis = 0; axis + 1 < axes.size(); ++axis) fits &= axes[axis].stride % 4 == 0;
        return fits;
      };
      if (in_fours(from, begin, in[part.input]) && in_fours(to, to_begin, dst)) width = 4;
      const std::int64_t src_elements = begin + reach_of(from);
      if (width == 4) {
        for (std::vector<Axis>* axes : {&from, &to}) {
          for (std::size_t axis = 0; axis + 1 < axes->size(); ++axis) (*axes)[axis].stride /= 4;
          axes->back().length /= 4;
        }
        begin /= 4, to_begin /= 4;
      }
      const std::string moved = width == 4 ? fmt::format("Four<{}>", type) : type;
      each({{"src", in[part.input], type, src_elements}, {"dst", dst, type, s.elements, true}}, count / width,
           fmt::format("store(dst, ({} + {}) * {}, fetch<{}>(src, ({} + {}) * {}));\n", to_begin, offset_of(to, "i"),
                       width, moved, begin, offset_of(from, "i"), width));
    }
  }

  void operator()(const graph::Gather& s) const {
    const bool real = s.dtype == DType::f32;
    const std::string type = real ? "float" : "int";
    each({{"table", in[0], type, s.rows * s.width},
          {"index", in[1], "int", s.count},
          {"dst", dst, type, s.count * s.width, true}},
         s.count * s.width,
         filled("const int row = fetch<int>(index, i / $width);\n$type value = $none;\n"
                "if (row >= 0 && row < $rows) value = fetch<$type>(table, row * (long long)$width + i % $width);\n"
                "store(dst, i, value);\n",
                {{"width", text(s.width)},
                 {"rows", text(s.rows)},
                 {"type", type},
                 {"none", real ? "float_of(0x7FC00000u)" : "0"}}));
  }

  void operator()(const graph::ScatterAdd& s) const {
    each({{"values", in[0], "float", s.count * s.width},
          {"index", in[1], "int", s.count},
          {"dst", dst, "float", s.rows * s.width, true}},
         s.rows * s.width,
         filled("float sum = 0.0f;\nfor (int k = 0; k < $count; ++k)\n"
                "  if (fetch<int>(index, k) == (int)(i / $width))\n"
                "    sum = sum + fetch<float>(values, k * (long long)$width + i % $width);\nstore(dst, i, sum);\n",
                {{"width", text(s.width)}, {"count", text(s.count)}}));
  }

  void operator()(const graph::OneHot& s) const {
    each({{"labels", in[0], "int", s.count}, {"dst", dst, "float", s.count * s.classes, true}}, s.count * s.classes,
         fmt::format("store(dst, i, fetch<int>(labels, i / {0}) == (int)(i % {0}) ? 1.0f : 0.0f);\n", s.classes));
  }

  void operator()(const graph::Random& s) const {
    const char* const make = s.kind == graph::Random::Kind::normal
                                 ? "normal(w.x[0], w.x[1], x[0], x[1]);\nnormal(w.x[2], w.x[3], x[2], x[3]);\n"
                                 : "for (int k = 0; k < 4; ++k) x[k] = uniform(w.x[k]);\n";
    std::vector<Parameter> parameters = {{"key", in[0], "int", 2}, {"step", in[1], "int", 1}};
    if (s.by_part) parameters.push_back({"part", in[2], "int", 1});
    parameters.push_back({"dst", dst, "float", s.count, true});
    // A part may begin and end within a block of four: then one more block has values of it.
    each(parameters, divide_up<std::int64_t>(s.count, 4) + (s.by_part && s.count % 4 != 0 ? 1 : 0),
         filled(R"(const long long first = $first, block = first / 4 + i;
      const Words w = philox((unsigned)fetch<int>(key, 0), (unsigned)fetch<int>(key, 1), block,
                             (unsigned)fetch<int>(step, 0), $stream);
      float x[4];
      $make
      for (int k = 0; k < 4; ++k) {
        const long long to = 4 * block + k - first;
        if (to >= 0 && to < $count) store(dst, to, x[k]);
      }
)",
                {{"first", s.by_part ? "fetch<int>(part, 0) * (long long)" + text(s.count) : "0"},
                 {"stream", std::to_string(s.stream) + "u"},
                 {"make", make},
                 {"count", text(s.count)}}));
  }

  void operator()(const graph::ShiftImages& s) const {
    const std::int64_t count = graph::element_count(s.images);
    each({{"src", in[0], "float", count}, {"u", in[1], "float", 2 * s.images[0]}, {"dst", dst, "float", count, true}},
         count,
         filled(R"(const auto n = i / $image;
      const int dy = $sign * ((int)floorf(fetch<float>(u, 2 * n) * (float)$spots_y) - $reach_y);
      const int dx = $sign * ((int)floorf(fetch<float>(u, 2 * n + 1) * (float)$spots_x) - $reach_x);
      const int y = (int)(i / $W % $H) - dy, x = (int)(i % $W) - dx;
      const bool inside = y >= 0 && y < $H && x >= 0 && x < $W;
      float value = 0.0f;
      if (inside) value = fetch<float>(src, (i / ($H * $W) * (long long)$H + y) * $W + x);
      store(dst, i, value);
)",
                {{"image", text(s.images[1] * s.images[2] * s.images[3])},
                 {"H", text(s.images[2])},
                 {"W", text(s.images[3])},
                 {"sign", text(s.sign)},
                 {"reach_y", text(s.reach_y)},
                 {"reach_x", text(s.reach_x)},
                 {"spots_y", text(2 * s.reach_y + 1)},
                 {"spots_x", text(2 * s.reach_x + 1)}}));
  }

  void operator()(const graph::CutoutMask& s) const {
    each({{"u", in[0], "float", 2 * s.count}, {"dst", dst, "float", s.count * s.height * s.width, true}},
         s.count * s.height * s.width,
         filled(R"(const auto n = i / ($H * $W);
      const int top = (int)floorf(fetch<float>(u, 2 * n) * (float)$spots_y) - $box_y / 2;
      const int left = (int)floorf(fetch<float>(u, 2 * n + 1) * (float)$spots_x) - $box_x / 2;
      const int y = (int)(i / $W % $H), x = (int)(i % $W);
      const bool hidden = y >= top && y < top + $box_y && x >= left && x < left + $box_x;
      store(dst, i, hidden ? 0.0f : 1.0f);
)",
                {{"H", text(s.height)},
                 {"W", text(s.width)},
                 {"box_y", text(s.box_height)},
                 {"box_x", text(s.box_width)},
                 {"spots_y", text(s.height + 1 - s.box_height % 2)},
                 {"spots_x", text(s.width + 1 - s.box_width % 2)}}));
  }

  /// The parts of a batch on this GPU; sums over other ranks follow as a task of their own (Device::sum_task).
  void operator()(const graph::AllReduce& s) const {
    std::vector<Parameter> parameters;
    std::string choose;
    std::int64_t count = 0;
    for (std::size_t k = 0; k < s.counts.size(); count += s.counts[k++]) {
      parameters.push_back({fmt::format("a{}", k), in[k], "float", s.counts[k]});
      choose += fmt::format("{}if (i < {}) value = fetch<float>(a{}, i - {});\n", k > 0 ? "else " : "",
                            count + s.counts[k], k, count);
    }
    parameters.push_back({"dst", dst, "float", count, true});
    each(parameters, count,
         fmt::format("float value = 0.0f;\n{}store(dst, i, {}value);\n", choose,
                     s.add ? "fetch<float>(dst, i) + " : ""));
  }

  template <typename Other>
  void operator()(const Other&) const {
    base::fail_run("the CUDA backend has no kernel for one of this program's operations");
  }
};

std::vector<Address> addresses(const auto& pointers) {
  std::vector<Address> out;
  for (const auto* pointer : pointers) out.push_back(reinterpret_cast<Address>(pointer));
  return out;
}

/// Whether the chain behind a product does no more than products do themselves: round the result, or add a bias.
bool is_epilogue(const Launch& launch) {
  const auto* convolution = std::get_if<graph::Convolution>(&*launch.spec);
  const std::int64_t columns = convolution ? convolution->dst[3] : std::get<graph::Matmul>(*launch.spec).n;
  const Chain& chain = *launch.chain;
  if ((convolution && convolution->groups() > 1) || chain.instructions.size() != 1 || chain.results.size() != 1)
    return false;
  const auto fits = [&](const graph::ChainOperand& operand) {
    const bool row = operand.access == Access::row || operand.access == Access::scalar;
    return operand.access == Access::product ||
           (row && operand.dtype == DType::f32 && elements_of(operand, chain.elements) == columns);
  };
  const bool adds = chain.instructions[0].op == graph::ElementwiseOp::add && chain.results[0].dtype == DType::f32;
  return (adds || chain.instructions[0].op == graph::ElementwiseOp::copy) && chain.results[0].access == Access::full &&
         std::ranges::all_of(chain.operands, fits);
}

}  // namespace

bool Touched::depends_on(const Touched& earlier) const {
  const auto meet = [](const std::vector<Range>& a, const std::vector<Range>& b) {
    return std::ranges::any_of(a, [&](const Range& x) {
      return std::ranges::any_of(b, [&](const Range& y) { return x.begin < y.end && y.begin < x.end; });
    });
  };
  return meet(reads, earlier.writes) || meet(writes, earlier.reads) || meet(writes, earlier.writes);
}

Touched Product::touched() const {
  const auto range = [](Address at, std::int64_t elements, DType dtype) {
    return Range{at, at + static_cast<Address>(elements) * size_of(dtype)};
  };
  return {{range(a, shape.m * shape.k, shape.operands), range(b, shape.k * shape.n, shape.operands),
           range(bias, bias ? shape.n : 0, DType::f32)},
          {range(d, shape.m * shape.n, result)}};
}

namespace {

/// The kernel of a product; with a chain, which reads it and stores each of its results at the element's own place, it
/// computes that and does not store the product.
SourceKernel product_kernel(const Product& product, const BoundChain* chain) {
  const graph::Matmul& s = product.shape;
  Tiled t;
  t.m = s.m, t.n = s.n, t.k = s.k;
  t.a_elements = s.m * s.k, t.b_elements = s.k * s.n, t.d_elements = s.m * s.n;
  const auto read = [&](const char* from, const char* outer, std::int64_t length, const char* inner) {
    return fmt::format("value = widened(fetch<{}>({}, {} * (long long){} + {}));", type_of(s.operands), from, outer,
                       length, inner);
  };
  t.a = s.transpose_a ? read("a", "k", s.m, "m") : read("a", "m", s.k, "k");
  t.b = s.transpose_b ? read("b", "n", s.k, "k") : read("b", "k", s.n, "n");
  t.a_along_k = !s.transpose_a;
  t.b_along_k = s.transpose_b;
  t.to = fmt::format("m * (long long){} + n", s.n);
  t.may_cut = false;
  t.chain = chain;
  t.accumulate = product.accumulate;
  t.result = product.result;
  t.bias = product.bias;
  Lowering lowering{0};
  lower_tiled(lowering, t, s.operands, product.a, product.b, product.d);
  return std::get<SourceKernel>(lowering.out.work.front());
}

/// Whether product_kernel can compute the chain of a launch.
bool computes_chain(const Launch& launch) {
  const auto sums = [](const auto& operand) { return operand.access == Access::sum; };
  const auto full = [](const auto& result) { return result.access == Access::full; };
  return launch.spec && launch.chain && std::holds_alternative<graph::Matmul>(*launch.spec) &&
         std::ranges::none_of(launch.chain->operands, sums) && std::ranges::all_of(launch.chain->results, full);
}

}  // namespace

SourceKernel product_kernel(const Product& product) { return product_kernel(product, nullptr); }

Lowered lower(const Launch& launch, const LowerOptions& options) {
  Lowering lowering{reinterpret_cast<Address>(launch.workspace),
                    static_cast<std::int64_t>(std::min(options.most_unfolded, kMostUnfolded))};
  std::vector<Address> operands = addresses(launch.operands), results = addresses(launch.results);
  if (options.own_products && computes_chain(launch)) {
    const std::vector<Address> inputs = addresses(launch.inputs);
    const BoundChain chain{*launch.chain, std::move(operands), std::move(results)};
    lowering.out.work.push_back(product_kernel({std::get<graph::Matmul>(*launch.spec), inputs[0], inputs[1]}, &chain));
    return std::move(lowering.out);
  }
  const bool whole = launch.spec && launch.chain && is_epilogue(launch);
  if (launch.spec) {
    // A chain that products do not compute reads their result from the workspace.
    const bool stored = !launch.chain || whole;
    const Address dst = stored ? results[0] : lowering.scratch(launch.chain->elements * 4);
    Address bias = 0;
    for (std::size_t i = 0; i < operands.size(); ++i) {
      if (launch.chain->operands[i].access == Access::product)
        operands[i] = dst;
      else if (whole)
        bias = operands[i];
    }
    const DType result = whole ? launch.chain->results[0].dtype : DType::f32;
    std::visit(LowerSpec{lowering, addresses(launch.inputs), dst, result, bias}, *launch.spec);
  }
  if (launch.chain && !whole) lower_chain(lowering, {*launch.chain, std::move(operands), std::move(results)});
  return std::move(lowering.out);
}

}  // namespace gan::runtime::cuda
