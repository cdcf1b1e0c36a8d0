#include "exchange/onnx.h"

#include <fmt/format.h>

#include <functional>
#include <map>
#include <set>
#include <span>
#include <vector>

#include "base/error.h"
#include "exchange/network.h"
#include "exchange/protobuf.h"

// Field numbers and enumerations come from onnx.proto (IR version 8).
namespace gan::exchange {

using graph::DType;
using graph::Node;
using graph::NodeId;
using graph::Shape;

namespace {

constexpr std::int64_t kIrVersion = 8, kOpset = 17;
constexpr int kFloat = 1, kInt64 = 7;  // TensorProto.DataType

Message attribute(std::string_view name, std::int64_t value) {
  return Message().text(1, name).integer(3, value).integer(20, 2);
}
Message attribute(std::string_view name, float value) {
  return Message().text(1, name).number(2, value).integer(20, 1);
}
Message attribute(std::string_view name, std::span<const std::int64_t> values) {
  Message message = Message().text(1, name);
  for (const std::int64_t value : values) message.integer(8, value);
  return message.integer(20, 7);
}

template <typename T>
Message tensor_proto(const std::string& name, int type, const Shape& shape, std::span<const T> values) {
  Message message;
  for (const std::int64_t length : shape) message.integer(1, length);
  return message.integer(2, type).text(8, name).text(
      9, {reinterpret_cast<const char*>(values.data()), values.size_bytes()});
}

/// A ValueInfoProto. An axis of length 0 is a batch axis of any length.
Message value_info(const std::string& name, int type, const Shape& shape) {
  Message axes;
  for (const std::int64_t length : shape)
    axes.message(1, length == 0 ? Message().text(2, "batch") : Message().integer(1, length));
  return Message().text(1, name).message(2, Message().message(1, Message().integer(1, type).message(2, axes)));
}

/// Writes a network node by node. Axis 0 of every tensor but weights is the batch.
class OnnxGraph {
 public:
  OnnxGraph(const Part& part, std::int64_t batch)
      : part_(part), batch_(batch), network_(part, batch > 0 ? batch : kTracedBatch) {}

  Message graph() {
    add_inputs();
    for (const Node& node : network_.graph.nodes())
      if (node.op) add(node);
    for (std::size_t i = 0; i < part_.outputs.size(); ++i)
      call("Identity", {name(network_.outputs[i])}, {}, part_.outputs[i].name);
    Message message;
    for (const Message& node : nodes_) message.message(1, node);
    message.text(2, part_.name);
    for (const Message& initializer : initializers_) message.message(5, initializer);
    for (const Message& input : inputs_) message.message(11, input);
    for (std::size_t i = 0; i < part_.outputs.size(); ++i)
      message.message(12, value_info(part_.outputs[i].name, kFloat, batched(shape(network_.outputs[i]))));
    return message;
  }

 private:
  static constexpr std::int64_t kTracedBatch = 2;

  std::string name(NodeId id) const { return names_.at(id); }
  const Shape& shape(NodeId id) const { return network_.graph.node(id).type.shape; }
  /// The name, with underscores appended until it is not in use.
  std::string unused(std::string name) {
    while (!taken_.insert(name).second) name += '_';
    return name;
  }
  Shape batched(Shape shape) const {
    shape[0] = batch_;
    return shape;
  }

  /// Reserves a name for an input or an output.
  void take(const std::string& name) {
    if (!taken_.insert(name).second)
      base::fail_usage("a column of the condition is called {}, as another value of the exported file", name);
  }

  void add_inputs() {
    Shape input{0};
    input.insert(input.end(), part_.input_shape.begin(), part_.input_shape.end());
    inputs_.push_back(value_info(part_.input.name, kFloat, batched(input)));
    take(part_.input.name);
    for (const Part::Value& output : part_.outputs) take(output.name);
    for (const data::ConditionColumn& column : part_.condition.columns) take(column.name);
    std::map<std::string, std::string> of_columns;  // for each input of the graph: the name of its value in the file
    for (std::size_t c = 0; c < network_.columns.size(); ++c) {
      const data::ConditionColumn& column = part_.condition.columns[c];
      const Shape rows = part_.pack > 1 ? Shape{0, part_.pack} : Shape{0};
      inputs_.push_back(value_info(column.name, column.is_numeric() ? kFloat : kInt64, batched(rows)));
      of_columns[network_.columns[c]] = column.is_numeric() ? add_features(column) : column.name;
    }
    for (const Node& node : network_.graph.nodes()) {
      if (node.op) continue;
      const auto weight = network_.weights.find(node.name);
      const auto column = of_columns.find(node.name);
      names_[node.id] = weight != network_.weights.end() ? unused("weights." + node.name)
                        : column != of_columns.end()     ? column->second
                                                         : node.name;
      if (weight != network_.weights.end())
        initializers_.push_back(tensor_proto<float>(names_[node.id], kFloat, node.type.shape, weight->second.f32()));
    }
  }

  /// Adds nodes that compute the features of a numeric column, along a new last axis; returns the name of the result.
  std::string add_features(const data::ConditionColumn& column) {
    const std::string value = call("Unsqueeze", {column.name, integers({-1})});
    std::vector<std::string> parts;
    for (const Feature& feature : features_of(column.number)) {
      const std::string number = feature.log ? call("Log", {value}) : value;
      const std::string scaled = call("Mul", {call("Sub", {number, real(feature.offset)}), real(feature.factor)});
      parts.push_back(feature.wave == Feature::Wave::none   ? scaled
                      : feature.wave == Feature::Wave::sine ? call("Sin", {scaled})
                                                            : call("Cos", {scaled}));
    }
    return call("Concat", parts, {attribute("axis", std::int64_t{-1})});
  }

  // ---- nodes ----

  /// Adds a node; returns the name of its result.
  std::string call(std::string_view op, const std::vector<std::string>& inputs,
                   const std::vector<Message>& attributes = {}, std::string result = "") {
    if (result.empty()) result = unused(fmt::format("value.{}", nodes_.size()));
    Message node;
    for (const std::string& input : inputs) node.text(1, input);
    node.text(2, result).text(3, fmt::format("{}.{}", op, nodes_.size())).text(4, op);
    for (const Message& value : attributes) node.message(5, value);
    nodes_.push_back(std::move(node));
    return result;
  }

  std::string integers(const std::vector<std::int64_t>& values) {
    const std::string name = unused(fmt::format("integers.{}", initializers_.size()));
    initializers_.push_back(tensor_proto<std::int64_t>(name, kInt64, {std::ssize(values)}, values));
    return name;
  }
  std::string real(double value) {
    const std::string name = unused(fmt::format("number.{}", initializers_.size()));
    const float rounded = static_cast<float>(value);
    initializers_.push_back(tensor_proto<float>(name, kFloat, {}, std::span(&rounded, 1)));
    return name;
  }

  std::string elementwise(const Node& node, const std::vector<std::string>& in) {
    using graph::ElementwiseOp;
    const auto alpha = [&] { return static_cast<float>(node.attributes.real("alpha")); };
    const auto is_positive = [&] { return call("Greater", {in[0], real(0)}); };
    switch (node.op->instruction) {
      case ElementwiseOp::add:
        return call("Add", in);
      case ElementwiseOp::sub:
        return call("Sub", in);
      case ElementwiseOp::mul:
        return call("Mul", in);
      case ElementwiseOp::div:
        return call("Div", in);
      case ElementwiseOp::maximum:
        return call("Max", in);
      case ElementwiseOp::copy:
        return call("Identity", in);
      case ElementwiseOp::square:
        return call("Mul", {in[0], in[0]});
      case ElementwiseOp::sqrt:
        return call("Sqrt", in);
      case ElementwiseOp::exp:
        return call("Exp", in);
      case ElementwiseOp::expm1:
        return call("Sub", {call("Exp", in), real(1)});
      case ElementwiseOp::log:
        return call("Log", in);
      case ElementwiseOp::tanh:
        return call("Tanh", in);
      case ElementwiseOp::sigmoid:
        return call("Sigmoid", in);
      case ElementwiseOp::softplus:
        return call("Softplus", in);
      case ElementwiseOp::relu:
        return call("Relu", in);
      case ElementwiseOp::step:
        return call("Cast", {is_positive()}, {attribute("to", std::int64_t{kFloat})});
      case ElementwiseOp::leaky_relu:
        return call("LeakyRelu", in, {attribute("alpha", alpha())});
      case ElementwiseOp::leaky_step:
        return call("Where", {is_positive(), real(1), real(node.attributes.real("alpha"))});
      case ElementwiseOp::none:
        break;
    }
    base::fail_run("{} cannot be exported", node.op->name);
  }

  std::string convolution(const Node& node, const std::vector<std::string>& in) {
    const bool transposed = node.op->name == "conv2d_data_gradient";
    const Shape& weights = shape(node.inputs[1]);
    const std::int64_t stride = node.attributes.integer("stride"), padding = node.attributes.integer("padding");
    std::vector<Message> attributes = {
        attribute("kernel_shape", Shape{weights[2], weights[3]}), attribute("strides", Shape{stride, stride}),
        attribute("pads", Shape(4, padding)), attribute("group", node.attributes.integer("groups"))};
    if (transposed) attributes.push_back(attribute("output_padding", output_padding(network_.graph, node)));
    const std::string channels_first = call("Transpose", {in[0]}, {attribute("perm", Shape{0, 3, 1, 2})});
    const std::string result = call(transposed ? "ConvTranspose" : "Conv", {channels_first, in[1]}, attributes);
    return call("Transpose", {result}, {attribute("perm", Shape{0, 2, 3, 1})});
  }

  /// The shape for a Reshape. Its axis 0, a multiple of the batch, is 0 (as in the input) or -1 (computed).
  std::string shape_of(const Node& node) {
    Shape to = node.type.shape;
    to.at(0) = to[0] == shape(node.inputs[0]).at(0) ? 0 : -1;
    return integers(to);
  }

  std::string sum(const Node& node, const std::vector<std::string>& in) {
    const Shape& from = shape(node.inputs[0]);
    const Shape& to = node.type.shape;
    if (to.size() != from.size() || to[0] != from[0]) base::fail_run("a sum over the batch cannot be exported");
    std::vector<std::int64_t> axes;
    for (std::size_t i = 0; i < to.size(); ++i)
      if (to[i] != from[i]) axes.push_back(static_cast<std::int64_t>(i));
    return call("ReduceSum", {in[0], integers(axes)});
  }

  void add(const Node& node) {
    std::vector<std::string> in;
    for (const NodeId input : node.inputs) in.push_back(name(input));
    const graph::Attributes& given = node.attributes;
    const auto axis = [&] { return attribute("axis", given.integer("axis")); };
    const std::map<std::string_view, std::function<std::string()>> makers = {
        {"constant", [&] { return real(given.real("value")); }},
        {"matmul",
         [&] {
           return call(
               "Gemm", in,
               {attribute("transA", given.integer("transpose_a")), attribute("transB", given.integer("transpose_b"))});
         }},
        {"conv2d", [&] { return convolution(node, in); }},
        {"conv2d_data_gradient", [&] { return convolution(node, in); }},
        {"gather", [&] { return call("Gather", in); }},
        {"one_hot",
         [&] {
           const float values[] = {0, 1};
           const std::string name = unused(fmt::format("numbers.{}", initializers_.size()));
           initializers_.push_back(tensor_proto<float>(name, kFloat, {2}, values));
           return call("OneHot", {in[0], integers({given.integer("classes")}), name});
         }},
        {"concat", [&] { return call("Concat", in, {axis()}); }},
        {"slice",
         [&] {
           const std::int64_t begin = given.integer("begin");
           return call("Slice", {in[0], integers({begin}), integers({begin + given.integer("length")}),
                                 integers({given.integer("axis")})});
         }},
        {"reshape",
         [&] {
           return call("Reshape", {in[0], shape_of(node)});
         }},
        {"permute", [&] { return call("Transpose", in, {attribute("perm", given.integers("order"))}); }},
        {"sum", [&] { return sum(node, in); }},
        {"broadcast",
         [&] {
           Shape shape = node.type.shape;
           shape[0] = 1;  // Expand takes the longer of two lengths
           return call("Expand", {in[0], integers(shape)});
         }},
        {"cast", [&] { return call("Cast", in, {attribute("to", std::int64_t{kFloat})}); }},
    };
    const auto maker = makers.find(node.op->name);
    names_[node.id] = maker != makers.end() ? maker->second() : elementwise(node, in);
  }

  const Part& part_;
  std::int64_t batch_;  // 0: any size
  Network network_;
  std::set<std::string> taken_;
  std::map<NodeId, std::string> names_;
  std::vector<Message> nodes_, initializers_, inputs_;
};

}  // namespace

std::string onnx_of(const Part& part, std::int64_t batch) {
  const Message opset = Message().text(1, "").integer(2, kOpset);
  Message file = Message().integer(1, kIrVersion).text(2, "gan.cpp").text(3, GAN_VERSION);
  file.message(7, OnnxGraph(part, batch).graph()).message(8, opset);
  for (const auto& [key, value] : part.metadata) file.message(14, Message().text(1, key).text(2, value));
  constexpr std::size_t kMostOnnxBytes = (std::size_t{1} << 31) - 1;
  if (file.bytes().size() > kMostOnnxBytes) base::fail_usage("an ONNX file holds at most 2 GB; the model is larger");
  return file.bytes();
}

}  // namespace gan::exchange
