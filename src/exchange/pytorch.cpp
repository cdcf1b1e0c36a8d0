#include "exchange/pytorch.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "exchange/network.h"
#include "io/safetensors.h"

namespace gan::exchange {

using graph::Node;
using graph::NodeId;
using graph::Shape;

namespace {

constexpr std::string_view kModule =
    R"("""{title}, written by gan {version} from {origin}.

    {name} = {class}()
    {results} = {name}({arguments})  # {described}
"""

import json
import pathlib
import struct

import torch
import torch.nn.functional as F


def load_weights(path):
    """The tensors of a safetensors file of float32."""
    data = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    buffer = bytearray(data[8 + length :])
    tensors = {{}}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        flat = torch.frombuffer(buffer, dtype=torch.float32, count=(end - begin) // 4, offset=begin)
        tensors[name] = flat.reshape(entry["shape"]).clone()
    return tensors


class {class}(torch.nn.Module):
    def __init__(self, path=pathlib.Path(__file__).with_name("{name}.safetensors")):
        super().__init__()
        for name, tensor in load_weights(path).items():
            self.register_parameter(name.replace(".", "_"), torch.nn.Parameter(tensor))

    def forward(self, {parameters}):
        p = self._parameters
{body}        return {returned}
)";

/// The name of the class for a part, such as "Generator".
std::string class_name(const Part& part) {
  std::string name = part.name;
  name[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(name[0])));
  return name;
}

class Forward {
 public:
  explicit Forward(const Part& part) : part_(part), network_(part, 2) {
    for (std::size_t c = 0; c < network_.columns.size(); ++c) add_column(c);
    for (const Node& node : network_.graph.nodes()) {
      if (node.op)
        add(node);
      else if (!names_.contains(node.id))
        names_[node.id] = network_.weights.contains(node.name) ? parameter(node.name) : node.name;
    }
  }

  std::string module() const {
    const std::string lengths = fmt::format("N, {}", fmt::join(part_.input_shape, ", "));
    const std::string& range = part_.input.range;
    std::string parameters = part_.input.name;
    std::string arguments = range.starts_with("normally")  ? fmt::format("torch.randn({})", lengths)
                            : range.starts_with("uniform") ? fmt::format("torch.rand({}) * 2 - 1", lengths)
                                                           : fmt::format("torch.ones({})", lengths);
    const std::string rows = part_.pack > 1 ? fmt::format("(N, {})", part_.pack) : "(N,)";
    for (std::size_t c = 0; c < network_.columns.size(); ++c) {
      parameters += fmt::format(", condition{}", c);
      const data::ConditionColumn& column = part_.condition.columns[c];
      arguments += column.is_numeric() ? fmt::format(", torch.full({}, {:g})", rows, column.number.minimum)
                                       : fmt::format(", torch.zeros({}, dtype=torch.long)", rows);
    }
    std::vector<std::string> described, returned;
    for (std::size_t i = 0; i < network_.outputs.size(); ++i) {
      const Shape& shape = network_.graph.node(network_.outputs[i]).type.shape;
      const Part::Value& output = part_.outputs[i];
      std::string text = comment_text(output.name) + " [N";
      for (std::size_t axis = 1; axis < shape.size(); ++axis) text += fmt::format(", {}", shape[axis]);
      described.push_back(text + "]" + (output.range.empty() ? "" : " " + output.range));
      returned.push_back(names_.at(network_.outputs[i]));
    }
    return fmt::format(
        fmt::runtime(kModule), fmt::arg("title", part_.title), fmt::arg("version", GAN_VERSION),
        fmt::arg("origin", part_.origin), fmt::arg("name", part_.name), fmt::arg("class", class_name(part_)),
        fmt::arg("results", described.size() == 1 ? part_.outputs[0].name : "results"),
        fmt::arg("arguments", arguments), fmt::arg("described", fmt::join(described, "; ")),
        fmt::arg("parameters", parameters), fmt::arg("body", body_), fmt::arg("returned", fmt::join(returned, ", ")));
  }

  const Network& network() const { return network_; }

 private:
  /// A unique Python name for the parameter of a weight.
  std::string parameter(std::string name) {
    std::ranges::replace(name, '.', '_');
    if (!parameters_.insert(name).second)
      base::fail_usage("two weights would be called {}: columns of the condition differ by . and _ alone", name);
    return fmt::format("p[{}]", nlohmann::json(name).dump());
  }

  void add_column(std::size_t c) {
    const data::ConditionColumn& column = part_.condition.columns[c];
    std::string value = fmt::format("condition{}", c);
    if (column.is_numeric()) {
      std::string parts;
      for (const Feature& feature : features_of(column.number)) {
        const std::string number = feature.log ? fmt::format("torch.log({})", value) : value;
        const std::string scaled = fmt::format("{} * ({} - {})", feature.factor, number, feature.offset);
        parts += (parts.empty() ? "" : ", ") +
                 (feature.wave == Feature::Wave::none
                      ? scaled
                      : fmt::format("torch.{}({})", feature.wave == Feature::Wave::sine ? "sin" : "cos", scaled));
      }
      const std::string features = fmt::format("features{}", c);
      body_ += fmt::format("        {} = torch.stack([{}], -1)  # {}\n", features, parts, comment_text(column.name));
      value = features;
    }
    names_[network_.graph.inputs().at(network_.columns[c])] = value;
  }

  void add(const Node& node) {
    std::vector<std::string> in;
    for (const NodeId input : node.inputs) in.push_back(names_.at(input));
    if (node.is_constant()) {
      names_[node.id] = fmt::format("{}", node.attributes.real("value"));
      return;
    }
    names_[node.id] = fmt::format("h{}", steps_++);
    body_ += fmt::format("        {} = {}\n", names_[node.id], expression(node, in));
  }

  std::string expression(const Node& node, const std::vector<std::string>& in) const {
    const graph::Attributes& given = node.attributes;
    const auto joined = [](const Shape& values) { return fmt::format("{}", fmt::join(values, ", ")); };
    const std::map<std::string_view, std::function<std::string()>> makers = {
        {"matmul",
         [&] {
           return given.integer("transpose_b") != 0 ? fmt::format("F.linear({}, {})", in[0], in[1])
                                                    : fmt::format("{} @ {}", in[0], in[1]);
         }},
        {"conv2d",
         [&] {
           return fmt::format(
               "F.conv2d({}.permute(0, 3, 1, 2), {}, stride={}, padding={}, groups={}).permute(0, 2, 3, 1)", in[0],
               in[1], given.integer("stride"), given.integer("padding"), given.integer("groups"));
         }},
        {"conv2d_data_gradient", [&] { return transposed_convolution(node, in); }},
        {"gather", [&] { return fmt::format("{}[{}]", in[0], in[1]); }},
        {"one_hot", [&] { return fmt::format("F.one_hot({}, {}).float()", in[0], given.integer("classes")); }},
        {"concat", [&] { return fmt::format("torch.cat([{}], {})", fmt::join(in, ", "), given.integer("axis")); }},
        {"slice",
         [&] {
           return fmt::format("{}.narrow({}, {}, {})", in[0], given.integer("axis"), given.integer("begin"),
                              given.integer("length"));
         }},
        {"sum",
         [&] {
           const Shape &from = network_.graph.node(node.inputs[0]).type.shape, &to = node.type.shape;
           Shape axes;
           for (std::size_t axis = 0; axis < to.size(); ++axis)
             if (from.at(axis) != to[axis]) axes.push_back(static_cast<std::int64_t>(axis));
           return fmt::format("{}.sum(({},), keepdim=True)", in[0], joined(axes));
         }},
        {"reshape",
         [&] {
           Shape to = node.type.shape;
           to.at(0) = -1;
           return fmt::format("{}.reshape({})", in[0], joined(to));
         }},
        {"permute", [&] { return fmt::format("{}.permute({})", in[0], joined(given.integers("order"))); }},
        {"add", [&] { return fmt::format("{} + {}", in[0], in[1]); }},
        {"sub", [&] { return fmt::format("{} - {}", in[0], in[1]); }},
        {"mul", [&] { return fmt::format("{} * {}", in[0], in[1]); }},
        {"div", [&] { return fmt::format("{} / {}", in[0], in[1]); }},
        {"maximum", [&] { return fmt::format("torch.maximum({}, {})", in[0], in[1]); }},
        {"exp", [&] { return fmt::format("torch.exp({})", in[0]); }},
        {"log", [&] { return fmt::format("torch.log({})", in[0]); }},
        {"tanh", [&] { return fmt::format("torch.tanh({})", in[0]); }},
        {"sigmoid", [&] { return fmt::format("torch.sigmoid({})", in[0]); }},
        {"relu", [&] { return fmt::format("F.relu({})", in[0]); }},
        {"leaky_relu", [&] { return fmt::format("F.leaky_relu({}, {})", in[0], given.real("alpha")); }},
    };
    const auto maker = makers.find(node.op->name);
    if (maker == makers.end()) base::fail_run("{} cannot be exported to PyTorch", node.op->name);
    return maker->second();
  }

  std::string transposed_convolution(const Node& node, const std::vector<std::string>& in) const {
    const Shape more = output_padding(network_.graph, node);
    return fmt::format(
        "F.conv_transpose2d({}.permute(0, 3, 1, 2), {}, stride={}, padding={}, output_padding=({}, {}), "
        "groups={}).permute(0, 2, 3, 1)",
        in[0], in[1], node.attributes.integer("stride"), node.attributes.integer("padding"), more[0], more[1],
        node.attributes.integer("groups"));
  }

  const Part& part_;
  Network network_;
  std::map<NodeId, std::string> names_;
  std::set<std::string> parameters_;
  std::string body_;
  int steps_ = 0;
};

}  // namespace

void write_pytorch(const std::string& folder, const Part& part) {
  const Forward forward(part);
  base::create_folder(folder);
  const std::filesystem::path path(folder);
  std::vector<io::NamedArray> tensors;
  for (const auto& [name, array] : forward.network().weights) tensors.push_back({name, &array});
  io::write_safetensors((path / (part.name + ".safetensors")).string(),
                        {{"format", "pt"}, {"library", "gan.cpp"}, {"version", GAN_VERSION}}, tensors);
  base::write_file((path / (part.name + ".py")).string(), forward.module(), base::Durability::unsynced);
}

}  // namespace gan::exchange
