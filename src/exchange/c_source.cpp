#include "exchange/c_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>
#include <set>
#include <span>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "exchange/network.h"
#include "graph/c_expression.h"

namespace gan::exchange {

using graph::Node;
using graph::NodeId;
using graph::Shape;

namespace {

// The functions that generated code calls. $matmul and so on stand for names that begin with that of the exported
// function.
constexpr std::string_view kMatmul = R"(
/* y[rows][outputs] = x[rows][inputs] w[inputs][outputs] */
static void $matmul(const float* x, const float* w, float* y, int rows, int inputs, int outputs) {
  for (int r = 0; r < rows; ++r, x += inputs, y += outputs) {
    for (int o = 0; o < outputs; ++o) y[o] = 0;
    for (int i = 0; i < inputs; ++i)
      for (int o = 0; o < outputs; ++o) y[o] += x[i] * w[i * outputs + o];
  }
}
)";
constexpr std::string_view kConv = R"(
/* y[to_h][to_w][outputs], the convolution of x[from_h][from_w][inputs] with w[k_h][k_w][inputs / groups][outputs] */
static void $conv(const float* x, const float* w, float* y, int from_h, int from_w, int inputs, int to_h, int to_w,
                      int outputs, int k_h, int k_w, int stride, int padding, int groups) {
  const int in = inputs / groups, out = outputs / groups;
  for (int h = 0; h < to_h; ++h)
    for (int v = 0; v < to_w; ++v, y += outputs) {
      for (int o = 0; o < outputs; ++o) y[o] = 0;
      for (int a = 0; a < k_h; ++a)
        for (int b = 0; b < k_w; ++b) {
          const int row = h * stride - padding + a, column = v * stride - padding + b;
          if (row < 0 || row >= from_h || column < 0 || column >= from_w) continue;
          const float* const from = x + (row * from_w + column) * inputs;
          const float* weights = w + (a * k_w + b) * in * outputs;
          for (int i = 0; i < in; ++i, weights += outputs)
            for (int g = 0; g < groups; ++g)
              for (int o = g * out; o < (g + 1) * out; ++o) y[o] += from[g * in + i] * weights[o];
        }
    }
}
)";
constexpr std::string_view kConvTranspose = R"(
/* y[to_h][to_w][outputs], the transposed convolution of x[from_h][from_w][inputs] with w[inputs][k_h][k_w][outputs] */
static void $conv_transpose(const float* x, const float* w, float* y, int from_h, int from_w, int inputs, int to_h,
                                int to_w, int outputs, int k_h, int k_w, int stride, int padding) {
  for (int i = 0; i < to_h * to_w * outputs; ++i) y[i] = 0;
  for (int h = 0; h < from_h; ++h)
    for (int v = 0; v < from_w; ++v, x += inputs)
      for (int a = 0; a < k_h; ++a)
        for (int b = 0; b < k_w; ++b) {
          const int row = h * stride - padding + a, column = v * stride - padding + b;
          if (row < 0 || row >= to_h || column < 0 || column >= to_w) continue;
          float* const to = y + (row * to_w + column) * outputs;
          for (int i = 0; i < inputs; ++i) {
            const float* const from = w + ((i * k_h + a) * k_w + b) * outputs;
            for (int o = 0; o < outputs; ++o) to[o] += x[i] * from[o];
          }
        }
}
)";
constexpr std::string_view kCategory = R"(
/* A category of [0, count); others count as the nearest. */
static int $category(float value, int count) {
  return value >= (float)count ? count - 1 : value > 0 ? (int)value : 0;
}
)";

std::string literal(double value) {
  std::string text = fmt::format("{:.9g}", static_cast<float>(value));
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text + "f";
}

class CWriter {
 public:
  CWriter(const Part& part, const std::string& name, bool weights_apart)
      : part_(part), name_(name), apart_(weights_apart), network_(part, 1), last_use_(count()) {}

  CSource write() {
    plan();
    for (std::size_t c = 0; c < network_.columns.size(); ++c) add_column(c);
    for (const Node& node : network_.graph.nodes())
      if (node.op && !node.is_view()) add(node);
    std::int64_t at = 0;
    for (const NodeId id : network_.outputs) {
      body_ += fmt::format("  for (int i = 0; i < {}; ++i) {}[i] = {}[i];\n", elements(id), out(at), address(id));
      at += elements(id);
    }

    std::string code = header();
    code += "#include <math.h>\n";
    if (!network_.columns.empty() || apart_) code += "\n";
    if (apart_)
      code += fmt::format(
          "/* The contents of the file of weights, to be set before the first call. */\nconst float* {}_weights;\n",
          name_);
    code += arrays_;
    for (const std::string_view function : functions_) code += named(function);
    code += fmt::format(
        "\nvoid {0}(const float* {1}, const float* condition, float* out);\n\nvoid {0}(const float* {1}, const float* "
        "condition, float* out) {{\n",
        name_, part_.input.name);
    code += fmt::format("  float t[{}];\n{}", std::max<std::int64_t>(size_, 1), constants_);
    if (network_.columns.empty()) code += "  (void)condition;\n";
    return {code + body_ + "}\n", std::move(weights_)};
  }

 private:
  std::size_t count() const { return network_.graph.nodes().size(); }
  const Node& node(NodeId id) const { return network_.graph.node(id); }
  std::int64_t elements(NodeId id) const { return node(id).type.elements(); }
  NodeId storage(NodeId id) const { return network_.graph.storage(id); }

  std::string named(std::string_view text) const {
    return base::filled(text, {{"matmul", name_ + "_matmul"},
                               {"conv", name_ + "_conv"},
                               {"conv_transpose", name_ + "_conv_transpose"},
                               {"category", name_ + "_category"}});
  }

  std::string header() const {
    std::string text = fmt::format("/* {}, written by gan {} from {}.\n\n", part_.title, GAN_VERSION, part_.origin);
    const auto described = [](const Shape& shape, const std::string& range) {
      return (shape.empty() ? "a number" : graph::to_string(shape)) + (range.empty() ? "" : ", " + range);
    };
    text += fmt::format("   {}: {}\n", part_.input.name, described(part_.input_shape, part_.input.range));
    for (std::size_t c = 0; c < part_.condition.columns.size(); ++c) {
      const data::ConditionColumn& column = part_.condition.columns[c];
      text += fmt::format("   condition[{}]: {}", c, comment_text(column.name));
      if (column.is_numeric())
        text += fmt::format(", a number, {:g} to {:g} in training\n", column.number.minimum, column.number.maximum);
      else
        text += fmt::format(", 0 to {}\n", column.categories - 1);
    }
    std::int64_t at = 0;
    for (std::size_t i = 0; i < network_.outputs.size(); ++i) {
      const Shape& shape = node(network_.outputs[i]).type.shape;
      text += fmt::format("   {}: {}, {}\n", out(at), comment_text(part_.outputs[i].name),
                          described(Shape(shape.begin() + 1, shape.end()), part_.outputs[i].range));
      at += elements(network_.outputs[i]);
    }
    text.back() = ' ';
    return text + "*/\n";
  }

  /// The C expression for the parameter `out` from element `at` on.
  static std::string out(std::int64_t at) { return at == 0 ? "out" : fmt::format("(out + {})", at); }

  // ---- memory ----

  /// Assigns every computed node a place in the array t; nodes with disjoint lifetimes share places.
  void plan() {
    for (const Node& n : network_.graph.nodes())
      for (const NodeId input : n.inputs) last_use_[static_cast<std::size_t>(storage(input))] = n.id;
    for (const NodeId output : network_.outputs)
      last_use_[static_cast<std::size_t>(storage(output))] = static_cast<NodeId>(count());
    // The places in use: for the begin of each, its end and the last node that reads it.
    std::map<std::int64_t, std::pair<std::int64_t, NodeId>> used;
    for (const Node& n : network_.graph.nodes()) {
      std::erase_if(used, [&](const auto& entry) { return entry.second.second < n.id; });
      const bool computed = n.op ? !n.is_view() && !n.is_constant() : std::ranges::count(network_.columns, n.name) > 0;
      if (!computed) continue;
      std::int64_t at = 0;
      for (const auto& [begin, entry] : used) {
        if (begin - at >= n.type.elements()) break;
        at = entry.first;
      }
      used[at] = {at + n.type.elements(), std::max(last_use_[static_cast<std::size_t>(n.id)], n.id)};
      offset_[n.id] = at;
      size_ = std::max(size_, at + n.type.elements());
    }
  }

  std::string address(NodeId id) {
    const NodeId owner = storage(id);
    const std::int64_t within = network_.graph.offset_in_storage(id);
    if (const std::string& input = part_.input.name; node(owner).name == input && !node(owner).op)
      return within > 0 ? fmt::format("({} + {})", input, within) : input;
    if (const auto found = offset_.find(owner); found != offset_.end())
      return fmt::format("(t + {})", found->second + within);
    const auto weight = network_.weights.find(node(owner).name);
    if (weight == network_.weights.end()) base::fail_run("{} cannot be exported to C", graph::to_string(node(owner)));
    return add_weights(weight->first, weight->second.f32());
  }

  /// Adds an array of weights unless there is one with this key; returns its name.
  std::string add_weights(const std::string& key, std::span<const float> values) {
    const auto [found, is_new] = arrays_by_key_.try_emplace(key, fmt::format("w{}", arrays_by_key_.size()));
    const std::string& array = found->second;
    if (!is_new) return array;
    if (apart_) {
      constants_ += fmt::format("  const float* const {} = {}_weights + {};  /* {} */\n", array, name_,
                                weights_.size() / sizeof(float), comment_text(key));
      weights_.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
      return array;
    }
    arrays_ += fmt::format("\n/* {} */\nstatic const float {}_{}[] = {{", comment_text(key), name_, array);
    constexpr std::size_t kInLine = 8;
    for (std::size_t i = 0; i < values.size(); ++i)
      arrays_ += (i % kInLine == 0 ? "\n  " : " ") + literal(static_cast<double>(values[i])) + ",";
    arrays_ += "\n};\n";
    found->second = fmt::format("{}_{}", name_, array);
    return found->second;
  }

  /// Adds the weights of node `id` with permuted axes; returns the name of the array.
  std::string reordered(NodeId id, const char* suffix, const Shape& lengths, const Shape& strides) {
    const auto weight = network_.weights.find(node(id).name);
    if (weight == network_.weights.end()) base::fail_run("a product of two values cannot be exported to C");
    const std::span<const float> values = weight->second.f32();
    std::vector<float> out(values.size());
    for (std::size_t i = 0; i < out.size(); ++i) {
      std::size_t rest = i, from = 0;
      for (std::size_t axis = lengths.size(); axis-- > 0; rest /= static_cast<std::size_t>(lengths[axis]))
        from += rest % static_cast<std::size_t>(lengths[axis]) * static_cast<std::size_t>(strides[axis]);
      out[i] = values[from];
    }
    return add_weights(weight->first + suffix, out);
  }

  void use(std::string_view function) {
    if (std::ranges::find(functions_, function) == functions_.end()) functions_.push_back(function);
  }

  // ---- statements ----

  void add_column(std::size_t c) {
    const data::ConditionColumn& column = part_.condition.columns[c];
    const NodeId id = network_.graph.inputs().at(network_.columns[c]);
    if (!column.is_numeric()) {
      use(kCategory);
      body_ += named(fmt::format("  const int y{} = $category(condition[{}], {});\n", c, c, column.categories));
      categories_[id] = fmt::format("y{}", c);
      return;
    }
    std::int64_t k = offset_.at(id);
    for (const Feature& feature : features_of(column.number)) {
      const std::string number = feature.log ? fmt::format("logf(condition[{}])", c) : fmt::format("condition[{}]", c);
      const std::string scaled =
          fmt::format("{} * ({} - {})", literal(feature.factor), number, literal(feature.offset));
      body_ += fmt::format("  t[{}] = {};\n", k++,
                           feature.wave == Feature::Wave::none   ? scaled
                           : feature.wave == Feature::Wave::sine ? "sinf(" + scaled + ")"
                                                                 : "cosf(" + scaled + ")");
    }
  }

  void add(const Node& n) {
    if (n.is_constant()) return;
    if (n.op->elementwise()) return add_elementwise(n);
    std::visit([&](const auto& spec) { add_spec(n, spec); }, n.op->describe(network_.graph, n));
  }

  template <typename Spec>
  void add_spec(const Node& n, const Spec&) {
    base::fail_run("{} cannot be exported to C", n.op->name);
  }

  void add_spec(const Node& n, const graph::Matmul& m) {
    use(kMatmul);
    const std::string weights =
        m.transpose_b ? reordered(n.inputs[1], " transposed", {m.k, m.n}, {1, m.k}) : address(n.inputs[1]);
    body_ += named(fmt::format("  $matmul({}, {}, {}, {}, {}, {});\n", address(n.inputs[0]), weights, address(n.id),
                               m.m, m.k, m.n));
  }

  void add_spec(const Node& n, const graph::Convolution& c) {
    if (c.kind == graph::Convolution::Kind::weight_gradient) base::fail_run("{} cannot be exported to C", n.op->name);
    const bool transposed = c.kind == graph::Convolution::Kind::data_gradient;
    if (transposed && c.groups() > 1) base::fail_run("a transposed convolution of groups cannot be exported to C");
    use(transposed ? kConvTranspose : kConv);
    const Shape& w = c.weights;  // [inputs, outputs, k_h, k_w] if transposed, else [outputs, inputs, k_h, k_w]
    const Shape transposed_lengths{w[0], w[2], w[3], w[1]}, lengths{w[2], w[3], w[1], w[0]};
    const std::int64_t outer = w[1] * w[2] * w[3], inner = w[2] * w[3];
    const std::string weights = reordered(n.inputs[1], " with channels last", transposed ? transposed_lengths : lengths,
                                          transposed ? Shape{outer, w[3], 1, inner} : Shape{w[3], 1, inner, outer});
    const Shape &from = c.a_shape(), &to = c.result_shape();
    const std::string groups = transposed ? "" : fmt::format(", {}", c.groups());
    body_ += named(fmt::format("  $conv{}({}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}{});\n",
                               transposed ? "_transpose" : "", address(n.inputs[0]), weights, address(n.id), from[1],
                               from[2], from[3], to[1], to[2], to[3], w[2], w[3], c.stride, c.padding, groups));
  }

  void add_spec(const Node& n, const graph::Gather& gather) {
    body_ += fmt::format("  for (int i = 0; i < {1}; ++i) {2}[i] = {0}[{3} * {1} + i];\n", address(n.inputs[0]),
                         gather.width, address(n.id), categories_.at(storage(n.inputs[1])));
  }

  void add_spec(const Node& n, const graph::OneHot& one_hot) {
    body_ += fmt::format("  for (int i = 0; i < {}; ++i) {}[i] = i == {} ? 1.0f : 0.0f;\n", one_hot.classes,
                         address(n.id), categories_.at(storage(n.inputs[0])));
  }

  void add_spec(const Node& n, const graph::StridedCopy& copy) {
    if (copy.zeros) body_ += fmt::format("  for (int i = 0; i < {}; ++i) {}[i] = 0;\n", copy.elements, address(n.id));
    for (const graph::StridedCopy::Part& part : copy.parts) {
      std::string from = std::to_string(part.src_offset), to = std::to_string(part.dst_offset), loops;
      for (std::size_t axis = 0; axis < part.lengths.size(); ++axis) {
        if (part.lengths[axis] == 1) continue;
        loops += fmt::format("  for (int i{0} = 0; i{0} < {1}; ++i{0})\n", axis, part.lengths[axis]);
        from += fmt::format(" + {} * i{}", part.src_strides[axis], axis);
        to += fmt::format(" + {} * i{}", part.dst_strides[axis], axis);
      }
      body_ += fmt::format("{}    {}[{}] = {}[{}];\n", loops, address(n.id), to, address(n.inputs[part.input]), from);
    }
  }

  void add_spec(const Node& n, const graph::Reduce& reduce) {
    if (reduce.kind != graph::Reduce::Kind::sum || reduce.to.size() != reduce.from.size())
      base::fail_run("{} cannot be exported to C", n.op->name);
    std::string from, to, loops;
    std::int64_t from_stride = 1, to_stride = 1;
    for (std::size_t axis = reduce.from.size(); axis-- > 0;) {
      loops = fmt::format("  for (int i{0} = 0; i{0} < {1}; ++i{0})\n", axis, reduce.from[axis]) + loops;
      from += fmt::format("{}{} * i{}", from.empty() ? "" : " + ", from_stride, axis);
      if (reduce.to[axis] > 1) to += fmt::format("{}{} * i{}", to.empty() ? "" : " + ", to_stride, axis);
      from_stride *= reduce.from[axis];
      to_stride *= reduce.to[axis];
    }
    body_ += fmt::format("  for (int i = 0; i < {}; ++i) {}[i] = 0;\n", n.type.elements(), address(n.id));
    body_ += fmt::format("{}    {}[{}] += {}[{}];\n", loops, address(n.id), to.empty() ? "0" : to, address(n.inputs[0]),
                         from);
  }

  void add_elementwise(const Node& n) {
    std::vector<std::string> operands;
    for (const NodeId input : n.inputs) operands.push_back(operand(input, n.type.shape));
    const double alpha = n.attributes.has("alpha") ? n.attributes.real("alpha") : 0;
    body_ += fmt::format("  for (int i = 0; i < {}; ++i) {}[i] = {};\n", n.type.elements(), address(n.id),
                         graph::c_expression(n.op->instruction, operands[0], operands.back(), literal(alpha)));
  }

  std::string operand(NodeId id, const Shape& result) {
    if (node(id).is_constant()) return literal(node(id).attributes.real("value"));
    const graph::ChainOperand read = graph::broadcast_operand(node(id).type.shape, result);
    std::string index;
    switch (read.access) {
      case graph::Access::full:
        index = "i";
        break;
      case graph::Access::scalar:
        index = "0";
        break;
      case graph::Access::row:
        index = fmt::format("i % {}", read.period);
        break;
      case graph::Access::column:
        index = fmt::format("i / {}", read.period);
        break;
      case graph::Access::strided: {
        std::int64_t inner = 1;
        for (std::size_t axis = read.lengths.size(); axis-- > 0; inner *= read.lengths[axis])
          if (read.strides[axis] != 0)
            index += fmt::format("{}i / {} % {} * {}", index.empty() ? "" : " + ", inner, read.lengths[axis],
                                 read.strides[axis]);
        break;
      }
      case graph::Access::product:
      case graph::Access::sum:
        base::fail_run("an operand cannot be exported to C");
    }
    return fmt::format("{}[{}]", address(id), index);
  }

  const Part& part_;
  const std::string name_;
  bool apart_;
  Network network_;
  std::vector<NodeId> last_use_;              // the last node that reads each node
  std::map<NodeId, std::int64_t> offset_;     // in t
  std::map<NodeId, std::string> categories_;  // the C variable of each categorical input
  std::map<std::string, std::string> arrays_by_key_;
  std::vector<std::string_view> functions_;
  std::string arrays_, constants_, body_, weights_;
  std::int64_t size_ = 0;
};

bool is_identifier(const std::string& name) {
  return !name.empty() && !std::isdigit(static_cast<unsigned char>(name[0])) &&
         std::ranges::all_of(name, [](unsigned char c) { return std::isalnum(c) || c == '_'; });
}

}  // namespace

CSource c_source_of(const Part& part, const std::string& name, bool weights_apart) {
  if (!is_identifier(name)) base::fail_usage("\"{}\" is no name of a function of C", name);
  if (part.pack > 1)
    base::fail_usage("the {} judges packs of {} samples, which C code is not written for; use --to onnx or pytorch",
                     part.name, part.pack);
  return CWriter(part, name, weights_apart).write();
}

namespace {

/// Whether <math.h>, which generated files include, declares this name.
bool is_of_math(const std::string& name) {
  static const std::set<std::string> kFunctions = {
      "acos",     "acosh",    "asin",    "asinh",      "atan",        "atan2",     "atanh",      "cbrt",    "ceil",
      "copysign", "cos",      "cosh",    "erf",        "erfc",        "exp",       "exp2",       "expm1",   "fabs",
      "fdim",     "floor",    "fma",     "fmax",       "fmin",        "fmod",      "frexp",      "hypot",   "ilogb",
      "ldexp",    "lgamma",   "llrint",  "llround",    "log",         "log10",     "log1p",      "log2",    "logb",
      "lrint",    "lround",   "modf",    "nan",        "nearbyint",   "nextafter", "nexttoward", "pow",     "remainder",
      "remquo",   "rint",     "round",   "scalbln",    "scalbn",      "sin",       "sinh",       "sqrt",    "tan",
      "tanh",     "tgamma",   "trunc",   "gamma",      "drem",        "exp10",     "finite",     "isinf",   "isnan",
      "isfinite", "isnormal", "signbit", "fpclassify", "significand", "sincos",    "signgam",    "scalb",   "pow10",
      "j0",       "j1",       "jn",      "y0",         "y1",          "yn",        "float_t",    "double_t"};
  // Each function also has a form for float and one for long double, such as sinf and sinl.
  const bool has_form = name.ends_with('f') || name.ends_with('l');
  return kFunctions.contains(name) || (has_form && kFunctions.contains(name.substr(0, name.size() - 1)));
}

}  // namespace

std::string c_identifier(const std::string& path) {
  std::string name = std::filesystem::path(path).stem().string();
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  static const std::set<std::string> kReserved = {
      "auto",    "double",   "float",    "int",    "long",     "short",    "char",   "void",    "static",
      "main",    "for",      "if",       "else",   "while",    "do",       "switch", "case",    "default",
      "break",   "continue", "return",   "goto",   "const",    "volatile", "struct", "union",   "enum",
      "typedef", "extern",   "register", "signed", "unsigned", "sizeof",   "inline", "restrict"};
  const bool is_free = is_identifier(name) && name[0] != '_' && !kReserved.contains(name) && !is_of_math(name);
  return is_free ? name : "gan_" + name;
}

}  // namespace gan::exchange
