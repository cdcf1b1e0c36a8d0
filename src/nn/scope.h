#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"
#include "ops/ops.h"
#include "runtime/array.h"

namespace gan::nn {

using graph::Graph;
using graph::Shape;
using graph::Tensor;

/// How a variable is initialized.
struct Init {
  enum class Kind { constant, uniform, normal, unit_vector, copy };
  Kind kind = Kind::constant;
  double value = 0;       ///< the constant, the bound of U(-value, value), or the standard deviation
  std::string from = {};  ///< copy: the variable whose initial value this one takes

  static Init constant(double value) { return {Kind::constant, value}; }
  static Init uniform(double bound) { return {Kind::uniform, bound}; }
  static Init normal(double deviation) { return {Kind::normal, deviation}; }
  /// Standard normal elements, scaled to a vector of length 1.
  static Init unit_vector() { return {Kind::unit_vector, 1}; }
  static Init copy(const std::string& from) { return {Kind::copy, 0, from}; }
};

/// The use of a variable.
enum class Role {
  parameter,  ///< trained by gradients
  statistic,  ///< running means and variances of batch norm, averaged (EMA) like parameters
  buffer,     ///< other state: power-iteration vectors, the optimizer's moments
};

struct Variable {
  std::string name;
  Shape shape;
  Init init;
  Role role = Role::parameter;
  Tensor value;  ///< the graph's input
};

/// The named f32 variables of a graph, with their values after the step. A graph has one such object.
class Variables {
 public:
  /// `training` selects how layers such as dropout behave, as torch.nn.Module.train() and eval() do.
  Variables(Graph& graph, bool training) : graph_(graph), training_(training) {}
  Variables(const Variables&) = delete;

  Graph& graph() const { return graph_; }
  bool training() const { return training_; }

  /// The variable called `name`, declared at first use. Throws a usage error if it has another shape.
  Tensor declare(const std::string& name, const Shape& shape, Init init, Role role);
  /// Sets the value that a variable has after the step.
  void update(const std::string& name, Tensor next);
  /// The value that a variable has after the step: its update, else its present value.
  Tensor next(const std::string& name) const;
  bool is_updated(const std::string& name) const { return updates_.count(name) > 0; }

  /// Sets the inputs for random layers: the key holds the seed's two words.
  void set_random(const ops::RandomSource& source) { random_ = source; }
  /// Says that the graph computes one of so many parts of a batch, equal in size; 1 at first.
  void set_parts(std::int64_t parts) { parts_ = parts; }
  std::int64_t parts() const { return parts_; }
  /// The sums over all parts of each of these f32 tensors, by one all_reduce; with one part the tensors themselves.
  std::vector<Tensor> joint_sums(const std::vector<Tensor>& tensors) const;
  /// The means over all parts of each of these f32 tensors.
  std::vector<Tensor> joint_means(const std::vector<Tensor>& tensors) const;
  /// Starts a named forward pass; random layers draw different elements in passes of different names.
  void begin_pass(std::string name) { pass_ = std::move(name); }
  /// Elements from U[0, 1), of the random stream of this name and pass. Throws a run error before set_random.
  Tensor uniform(const std::string& name, const Shape& shape) const;
  /// Standard normal elements; stream and errors as for uniform().
  Tensor normal(const std::string& name, const Shape& shape) const;

  /// Every variable, in order of declaration.
  const std::vector<Variable>& all() const { return all_; }
  /// The variables of this role whose name begins with `prefix`.
  std::vector<Variable> select(std::string_view prefix, Role role) const;
  /// Makes each update an output of the graph. Called once, last.
  void finish();

 private:
  Graph& graph_;
  bool training_;
  std::vector<Variable> all_;
  std::map<std::string, std::size_t> by_name_;
  std::map<std::string, Tensor> updates_;
  std::optional<ops::RandomSource> random_;
  std::int64_t parts_ = 1;
  std::string pass_;
};

/// A prefix of variables' names while a network is built. The names are those of a PyTorch state dict.
class Scope {
 public:
  Scope(Variables& variables, std::string path) : variables_(&variables), path_(std::move(path)) {}

  bool training() const { return variables_->training(); }
  std::int64_t parts() const { return variables_->parts(); }
  Tensor joint_sum(Tensor x) const { return variables_->joint_sums({x})[0]; }

  /// The scope called `name` in this one.
  Scope operator/(std::string_view name) const { return {*variables_, join(name)}; }
  /// The scope of the next layer in an nn.Sequential called `list`. The layer takes `modules` indices there, by default
  /// one for itself and one for the activation after it.
  Scope next(const std::string& list, int modules = 2);

  Tensor parameter(std::string_view name, const Shape& shape, Init init) const {
    return variables_->declare(join(name), shape, init, Role::parameter);
  }
  Tensor statistic(std::string_view name, const Shape& shape, Init init) const {
    return variables_->declare(join(name), shape, init, Role::statistic);
  }
  Tensor buffer(std::string_view name, const Shape& shape, Init init) const {
    return variables_->declare(join(name), shape, init, Role::buffer);
  }
  void update(std::string_view name, Tensor next) const { variables_->update(join(name), next); }
  Tensor next_value(std::string_view name) const { return variables_->next(join(name)); }
  bool is_updated(std::string_view name) const { return variables_->is_updated(join(name)); }
  Tensor uniform(std::string_view name, const Shape& shape) const { return variables_->uniform(join(name), shape); }
  Tensor normal(std::string_view name, const Shape& shape) const { return variables_->normal(join(name), shape); }

 private:
  std::string join(std::string_view name) const;

  Variables* variables_;
  std::string path_;
  std::map<std::string, int> positions_;
};

/// Adds the variables that `state` lacks, with initial values that depend on (seed, name, index) alone.
void initialize(const std::vector<Variable>& variables, std::uint64_t seed, runtime::State& state);

/// The input of training graphs that holds the seed's low and high word, i32 [2].
inline constexpr const char* kRandomKey = "random.key";
/// Writes a seed into the entry kRandomKey of the state, which must exist.
void set_random_key(std::uint64_t seed, runtime::State& state);

}  // namespace gan::nn
