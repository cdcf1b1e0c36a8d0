#include "graph/chain.h"

#include <algorithm>
#include <bit>
#include <map>
#include <utility>

#include "graph/graph.h"

namespace gan::graph {

ChainOperand broadcast_operand(const Shape& operand, const Shape& result) {
  ChainOperand out;
  const std::int64_t elements = element_count(operand);
  if (elements == element_count(result)) return out;
  if (elements == 1) {
    out.access = Access::scalar;
    return out;
  }
  const std::size_t missing = result.size() - operand.size();
  // The first and the last axis along which the operand is not broadcast.
  std::size_t first = result.size(), last = 0;
  for (std::size_t axis = 0; axis < result.size(); ++axis) {
    const std::int64_t length = axis < missing ? 1 : operand[axis - missing];
    if (length == 1) continue;
    first = std::min(first, axis);
    last = axis;
  }
  bool dense = true;
  std::int64_t inner = 1;
  for (std::size_t axis = first; axis <= last; ++axis) dense &= operand[axis - missing] == result[axis];
  for (std::size_t axis = last + 1; axis < result.size(); ++axis) inner *= result[axis];
  bool outermost = true;
  for (std::size_t axis = 0; axis < first; ++axis) outermost &= result[axis] == 1;
  if (dense && inner == 1) {
    out.access = Access::row;
    out.period = elements;
  } else if (dense && outermost) {
    out.access = Access::column;
    out.period = inner;
  } else {
    out.access = Access::strided;
    out.lengths = result;
    out.strides.assign(result.size(), 0);
    std::int64_t stride = 1;
    for (std::size_t axis = result.size(); axis-- > missing;) {
      const std::int64_t length = operand[axis - missing];
      if (length > 1) out.strides[axis] = stride;
      stride *= length;
    }
  }
  return out;
}

std::size_t operand_index(const ChainOperand& operand, std::size_t i) {
  const auto period = static_cast<std::size_t>(operand.period);
  switch (operand.access) {
    case Access::full:
    case Access::product:
      return i;
    case Access::scalar:
      return 0;
    case Access::row:
    case Access::sum:
      return i % period;
    case Access::column:
      return i / period;
    case Access::strided:
      break;
  }
  std::size_t offset = 0;
  for (std::size_t axis = operand.lengths.size(); axis-- > 0;) {
    const auto length = static_cast<std::size_t>(operand.lengths[axis]);
    offset += i % length * static_cast<std::size_t>(operand.strides[axis]);
    i /= length;
  }
  return offset;
}

namespace {

float alpha_of(const Node& node) {
  return node.attributes.has("alpha") ? static_cast<float>(node.attributes.real("alpha")) : 0.0f;
}

std::uint32_t bits_of(const Node& constant) {
  return std::bit_cast<std::uint32_t>(static_cast<float>(constant.attributes.real("value")));
}

}  // namespace

ChainOfNodes chain_of(const Graph& graph, const std::vector<NodeId>& nodes, NodeId product,
                      const std::function<bool(NodeId)>& is_stored) {
  ChainOfNodes made;
  Chain& chain = made.chain;
  chain.elements = graph.node(product >= 0 ? product : nodes[0]).type.elements();
  std::map<NodeId, int> read, computed;    // slots of the operands and of the nodes of the chain
  std::map<std::uint32_t, int> constants;  // by their bits: NaN and the two zeros are values of their own
  const auto inside = [&](NodeId id) { return std::find(nodes.begin(), nodes.end(), id) != nodes.end(); };
  const auto add_operand = [&](NodeId id, ChainOperand operand) {
    made.operands.push_back(id);
    chain.operands.push_back(std::move(operand));
    return static_cast<int>(chain.operands.size()) - 1;
  };
  if (product >= 0) computed[product] = add_operand(product, {.access = Access::product});
  for (NodeId id : nodes)
    for (NodeId input : graph.node(id).inputs) {
      if (id == product || inside(input)) continue;
      const Node& source = graph.node(input);
      if (source.is_constant()) {
        constants.emplace(bits_of(source), 0);
      } else if (!read.count(input)) {
        ChainOperand operand = broadcast_operand(source.type.shape, graph.node(id).type.shape);
        operand.dtype = source.type.dtype;
        read[input] = add_operand(input, std::move(operand));
      }
    }
  // Operands take the first slots, then constants, then results.
  int next = static_cast<int>(chain.operands.size());
  for (auto& [bits, slot] : constants) {
    slot = next++;
    chain.constants.push_back(std::bit_cast<float>(bits));
  }
  const auto slot_of = [&](NodeId id) {
    if (inside(id)) return computed.at(id);
    const Node& source = graph.node(id);
    return source.is_constant() ? constants.at(bits_of(source)) : read.at(id);
  };
  const auto add_result = [&](NodeId id, ChainResult result) {
    made.results.push_back(id);
    chain.results.push_back(result);
  };
  for (NodeId id : nodes) {
    const Node& node = graph.node(id);
    if (id == product && !is_stored(id)) continue;
    if (id != product && !node.op->elementwise()) {  // a sum over rows
      add_result(id, {computed.at(node.inputs[0]), node.type.dtype, Access::sum, node.type.elements()});
      continue;
    }
    Instruction instruction;
    if (id != product) {  // the product itself is stored by a copy
      instruction.op = node.op->instruction;
      instruction.a = slot_of(node.inputs[0]);
      instruction.b = node.inputs.size() > 1 ? slot_of(node.inputs[1]) : instruction.a;
      instruction.alpha = alpha_of(node);
    }
    instruction.dst = next++;
    if (id != product) computed[id] = instruction.dst;
    chain.instructions.push_back(instruction);
    if (is_stored(id)) add_result(id, {.source = instruction.dst, .dtype = node.type.dtype});
  }
  return made;
}

}  // namespace gan::graph
