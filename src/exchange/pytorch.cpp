#include "exchange/pytorch.h"

#include <fmt/format.h>

#include <algorithm>
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
    R"("""The generator of a conditional GAN, written by gan {version} from a model of the preset {preset}.

    generator = Generator()
    samples = generator({arguments})  # {shape}{range}
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


class Generator(torch.nn.Module):
    def __init__(self, path=pathlib.Path(__file__).with_name("generator.safetensors")):
        super().__init__()
        for name, tensor in load_weights(path).items():
            self.register_parameter(name.replace(".", "_"), torch.nn.Parameter(tensor))

    def forward(self, z{columns}):
        p = self._parameters
{body}        return {result}
)";

class Forward {
 public:
  explicit Forward(const train::Model& model) : model_(model), network_(model, 2) {
    for (std::size_t c = 0; c < network_.columns.size(); ++c) add_column(c);
    for (const Node& node : network_.graph.nodes()) {
      if (node.op)
        add(node);
      else if (!names_.contains(node.id))
        names_[node.id] = network_.weights.contains(node.name) ? parameter(node.name) : node.name;
    }
  }

  std::string module() const {
    const bool bytes = model_.sample_shape.size() == 3 && model_.units.bytes();
    Shape shape = model_.sample_shape;
    std::string columns, arguments = fmt::format("torch.randn(N, {})", model_.config.model.latent);
    if (model_.config.model.latent_distribution == "uniform")
      arguments = fmt::format("torch.rand(N, {}) * 2 - 1", model_.config.model.latent);
    for (std::size_t c = 0; c < network_.columns.size(); ++c) {
      columns += fmt::format(", condition{}", c);
      const data::ConditionColumn& column = model_.condition.columns[c];
      arguments += column.is_numeric() ? fmt::format(", torch.full((N,), {:g})", column.number.minimum)
                                       : std::string(", torch.zeros(N, dtype=torch.long)");
    }
    return fmt::format(fmt::runtime(kModule), fmt::arg("version", GAN_VERSION),
                       fmt::arg("preset", comment_text(model_.config.preset)), fmt::arg("arguments", arguments),
                       fmt::arg("shape", "[N, " + graph::to_string(shape).substr(1)),
                       fmt::arg("range", bytes ? " in [-1, 1]" : ""), fmt::arg("columns", columns),
                       fmt::arg("body", body_), fmt::arg("result", names_.at(network_.graph.outputs().at("samples"))));
  }

  const Network& network() const { return network_; }

 private:
  /// The parameter of a weight; names of columns may hold any characters.
  std::string parameter(std::string name) {
    std::ranges::replace(name, '.', '_');
    if (!parameters_.insert(name).second)
      base::fail_usage("two weights would be called {}: columns of the condition differ by . and _ alone", name);
    return fmt::format("p[{}]", nlohmann::json(name).dump());
  }

  void add_column(std::size_t c) {
    const data::ConditionColumn& column = model_.condition.columns[c];
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
      body_ += fmt::format("        {} = torch.stack([{}], 1)  # {}\n", features, parts, comment_text(column.name));
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
        {"conv2d_data_gradient", [&] { return transposed_convolution(node, in); }},
        {"gather", [&] { return fmt::format("{}[{}]", in[0], in[1]); }},
        {"one_hot", [&] { return fmt::format("F.one_hot({}, {}).float()", in[0], given.integer("classes")); }},
        {"concat", [&] { return fmt::format("torch.cat([{}], {})", fmt::join(in, ", "), given.integer("axis")); }},
        {"reshape",
         [&] {
           const Shape& to = node.type.shape;
           return fmt::format("{}.reshape(-1, {})", in[0], joined(Shape(to.begin() + 1, to.end())));
         }},
        {"permute", [&] { return fmt::format("{}.permute({})", in[0], joined(given.integers("order"))); }},
        {"add", [&] { return fmt::format("{} + {}", in[0], in[1]); }},
        {"sub", [&] { return fmt::format("{} - {}", in[0], in[1]); }},
        {"mul", [&] { return fmt::format("{} * {}", in[0], in[1]); }},
        {"div", [&] { return fmt::format("{} / {}", in[0], in[1]); }},
        {"exp", [&] { return fmt::format("torch.exp({})", in[0]); }},
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
        "F.conv_transpose2d({}.permute(0, 3, 1, 2), {}, stride={}, padding={}, output_padding=({}, {})).permute(0, 2, "
        "3, 1)",
        in[0], in[1], node.attributes.integer("stride"), node.attributes.integer("padding"), more[0], more[1]);
  }

  const train::Model& model_;
  Network network_;
  std::map<NodeId, std::string> names_;
  std::set<std::string> parameters_;
  std::string body_;
  int steps_ = 0;
};

}  // namespace

void write_pytorch(const std::string& folder, const train::Model& model) {
  const Forward forward(model);
  base::create_folder(folder);
  const std::filesystem::path path(folder);
  std::vector<io::NamedArray> tensors;
  for (const auto& [name, array] : forward.network().weights) tensors.push_back({name, &array});
  io::write_safetensors((path / "generator.safetensors").string(),
                        {{"format", "pt"}, {"library", "gan.cpp"}, {"version", GAN_VERSION}}, tensors);
  base::write_file((path / "generator.py").string(), forward.module(), base::Durability::unsynced);
}

}  // namespace gan::exchange
