#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"
#include "runtime/array.h"

namespace gan::nn {

using graph::Graph;
using graph::Shape;
using graph::Tensor;

/// How a variable starts.
struct Init {
  enum class Kind { constant, uniform, normal, unit_vector, copy };
  Kind kind = Kind::constant;
  double value = 0;       ///< the constant, the bound of U(-value, value), or the standard deviation
  std::string from = {};  ///< copy: the variable whose start this one shares

  static Init constant(double value) { return {Kind::constant, value}; }
  static Init uniform(double bound) { return {Kind::uniform, bound}; }
  static Init normal(double deviation) { return {Kind::normal, deviation}; }
  /// Normal numbers scaled to length 1.
  static Init unit_vector() { return {Kind::unit_vector, 1}; }
  static Init copy(const std::string& from) { return {Kind::copy, 0, from}; }
};

/// What a variable is for.
enum class Role {
  parameter,  ///< trained by gradients
  statistic,  ///< gathered while training and averaged like parameters (running means and variances)
  buffer,     ///< other state: power-iteration vectors, moments
};

struct Variable {
  std::string name;
  Shape shape;
  Init init;
  Role role = Role::parameter;
  Tensor value;  ///< the graph's input
};

/// The named f32 variables that a graph declares, with their next values. One graph has one.
class Variables {
 public:
  /// `training` chooses between the forms of layers that behave differently when a model is used.
  Variables(Graph& graph, bool training) : graph_(graph), training_(training) {}
  Variables(const Variables&) = delete;

  Graph& graph() const { return graph_; }
  bool training() const { return training_; }

  /// The variable called `name`, declared at first use. Throws a usage error if it is there with another shape.
  Tensor declare(const std::string& name, const Shape& shape, Init init, Role role);
  /// Sets the value that a variable has after the step.
  void update(const std::string& name, Tensor next);
  /// The value that a variable has after the step: its update, or as it is.
  Tensor next(const std::string& name) const;
  bool is_updated(const std::string& name) const { return updates_.count(name) > 0; }

  /// Random layers draw by this key (i32 [2], the seed's words) and step (i32 [1]).
  void set_random(Tensor key, Tensor step) { random_ = {key, step}; }
  /// Names the use of the networks that follows: random layers draw other numbers in passes of other names.
  void begin_pass(std::string name) { pass_ = std::move(name); }
  /// Numbers of U[0, 1) of the stream of this name and pass. Throws a run error before set_random.
  Tensor uniform(const std::string& name, const Shape& shape) const;
  /// Standard normal numbers of the stream of this name and pass.
  Tensor normal(const std::string& name, const Shape& shape) const;

  /// Every variable, in order of declaration.
  const std::vector<Variable>& all() const { return all_; }
  /// Those whose name begins with `prefix` and that have this role.
  std::vector<Variable> select(std::string_view prefix, Role role) const;
  /// Makes each update an output of the graph. Called once, last.
  void finish();

 private:
  Graph& graph_;
  bool training_;
  std::vector<Variable> all_;
  std::map<std::string, std::size_t> by_name_;
  std::map<std::string, Tensor> updates_;
  std::vector<Tensor> random_;  // key and step, once set
  std::string pass_;
};

/// A place in the tree of names while a network is built. Variables are called as a PyTorch state dict would call them.
class Scope {
 public:
  Scope(Variables& variables, std::string path) : variables_(&variables), path_(std::move(path)) {}

  bool training() const { return variables_->training(); }

  /// The scope called `name` in this one.
  Scope operator/(std::string_view name) const { return {*variables_, join(name)}; }
  /// The next layer of an nn.Sequential called `list`, which takes up `modules` places there: by default itself and
  /// the activation behind it.
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

/// Fills arrays that do not exist yet with the variables' initial values, which depend on (seed, name, index) alone.
void initialize(const std::vector<Variable>& variables, std::uint64_t seed, runtime::State& state);

/// The input of training graphs that holds the seed's low and high word, i32 [2].
inline constexpr const char* kRandomKey = "random.key";
/// Writes a seed there. The state has the entry.
void set_random_key(std::uint64_t seed, runtime::State& state);

}  // namespace gan::nn
