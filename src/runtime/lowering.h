#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "runtime/kernels.h"
#include "runtime/row_product.h"

namespace gan::runtime {

/// Inputs of a graph whose values are there when the program is made and stay. What depends on them alone is computed
/// once, then.
struct Frozen {
  std::set<std::string> inputs;
  bool compact = false;  ///< weights may be rounded to 16 bits where one row is multiplied (MatmulSpec::compact)
};

/// One step of a program.
struct Kernel {
  std::string name;
  double operations = 0;  ///< floating-point, a multiply-add counts two
  double bytes = 0;       ///< read and written
  std::function<void()> run;
  std::string shape = {};                             ///< what tells kernels of one name apart, for people
  bool contraction = false;                           ///< counts by its operations; others by their bytes
  std::shared_ptr<RowProduct> row_product = nullptr;  ///< what `run` computes, if it is one
};

/// What an op is given to make its kernel: the addresses of its operands and of its result.
class Lowering {
 public:
  Lowering(const graph::Graph& graph, const graph::Node& node, std::vector<const void*> src, void* dst,
           graph::TensorType dst_type, std::vector<PostOp> post_ops, std::vector<bool> frozen, bool compact)
      : graph_(graph),
        node_(node),
        src_(std::move(src)),
        dst_(dst),
        dst_type_(std::move(dst_type)),
        post_ops_(std::move(post_ops)),
        frozen_(std::move(frozen)),
        compact_(compact) {}

  const graph::Node& node() const { return node_; }
  const graph::Attributes& attributes() const { return node_.attributes; }
  const graph::TensorType& src_type(std::size_t i) const { return graph_.node(node_.inputs[i]).type; }
  const graph::Shape& src_shape(std::size_t i) const { return src_type(i).shape; }
  template <typename T = void>
  const T* src(std::size_t i) const {
    return static_cast<const T*>(src_[i]);
  }
  template <typename T = void>
  T* dst() const {
    return static_cast<T*>(dst_);
  }
  /// The type of what is stored, after the post-ops.
  const graph::TensorType& dst_type() const { return dst_type_; }
  const std::vector<PostOp>& post_ops() const { return post_ops_; }
  /// Whether an operand holds already what it holds in every run.
  bool src_frozen(std::size_t i) const { return frozen_[i]; }
  /// Whether frozen weights may be rounded to 16 bits (Frozen::compact).
  bool compact() const { return compact_; }
  /// The chain that the kernel of a contraction runs behind it in place of post-ops, or null.
  const TileProgram* chain() const { return chain_ ? &*chain_ : nullptr; }
  void follow_with(TileProgram chain) { chain_ = std::move(chain); }

  /// The kernel of this node: its floating-point operations and what it does. Called once.
  void emit(double operations, std::function<void()> run);
  void emit(double operations, std::shared_ptr<RowProduct> product);
  Kernel take();

 private:
  const graph::Graph& graph_;
  const graph::Node& node_;
  std::vector<const void*> src_;
  void* dst_;
  graph::TensorType dst_type_;
  std::vector<PostOp> post_ops_;
  std::vector<bool> frozen_;
  bool compact_;
  std::optional<TileProgram> chain_;
  Kernel kernel_;
};

}  // namespace gan::runtime
