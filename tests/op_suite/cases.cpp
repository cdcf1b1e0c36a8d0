#include "op_suite/cases.h"

#include "ops/ops.h"

namespace gan::test {

using namespace ops;
using graph::TensorType;
using Tensors = std::vector<Tensor>;

namespace {

Argument real(Shape shape, double low = -2, double high = 2) { return {{DType::f32, std::move(shape)}, low, high}; }
Argument kinked(Shape shape) { return {{DType::f32, std::move(shape)}, -2, 2, true, 0.1}; }
Argument index(Shape shape, double classes) { return {{DType::i32, std::move(shape)}, 0, classes, false}; }

Tensor input(Graph& g, const char* name, Shape shape, DType dtype = DType::f32) {
  return g.input(name, {dtype, shape});
}

void add_binary(std::vector<OpCase>& cases, const char* op, Tensor (*build)(Tensor, Tensor), double low_b) {
  const auto apply = [build](const Tensors& t) { return build(t[0], t[1]); };
  const auto with = [&](const char* name, Shape a, Shape b) {
    cases.push_back({op, name, {real(a), real(b, low_b, 3)}, apply});
  };
  with("same", {5, 7}, {5, 7});
  with("long", {3, 1111}, {3, 1111});
  with("row", {6, 9}, {9});
  with("column", {6, 9}, {6, 1});
  with("scalar", {6, 9}, {});
  with("one", {6, 9}, {1, 1});
  with("outer", {6, 1}, {1, 9});
  with("middle", {3, 4, 5}, {3, 1, 5});
  with("scalars", {}, {});
}

void add_unary(std::vector<OpCase>& cases, const char* op, std::function<Tensor(Tensor)> build, Argument argument) {
  const auto apply = [build](const Tensors& t) { return build(t[0]); };
  for (const Shape& shape : {Shape{4, 5}, Shape{}, Shape{2, 1300}}) {
    argument.type.shape = shape;
    cases.push_back({op, graph::to_string(shape), {argument}, apply});
  }
}

void add_matmul(std::vector<OpCase>& cases) {
  for (const bool ta : {false, true})
    for (const bool tb : {false, true}) {
      const Shape a = ta ? Shape{7, 5} : Shape{5, 7}, b = tb ? Shape{9, 7} : Shape{7, 9};
      cases.push_back(
          {"matmul", std::string(ta ? "T" : "N") + (tb ? "T" : "N"), {real(a), real(b)}, [=](const Tensors& t) {
             return matmul(t[0], t[1], ta, tb);
           }});
    }
  cases.push_back(
      {"matmul", "vector", {real({1, 33}), real({33, 17})}, [](const Tensors& t) { return matmul(t[0], t[1]); }});
  cases.push_back({"matmul", "outer", {real({1, 13}), real({1, 17})}, [](const Tensors& t) {
                     return matmul(t[0], t[1], true, false);
                   }});
  // A chain that one kernel computes: scale, bias, activation.
  cases.push_back({"matmul",
                   "epilogue",
                   {real({6, 8}), real({9, 8}), real({1, 1}, 0.5, 1), real({9})},
                   [](const Tensors& t) { return tanh(matmul(t[0], t[1], false, true) * t[2] + t[3]); },
                   5e-6});
  cases.push_back(
      {"matmul", "sum of two", {real({6, 8}), real({8, 9}), real({6, 8}), real({8, 9})}, [](const Tensors& t) {
         return matmul(t[0], t[1]) + matmul(t[2], t[3]);
       }});
  // One operand that is a product twice over, and a product that others read too.
  cases.push_back({"matmul", "shared", {real({5, 5}), real({5})}, [](const Tensors& t) {
                     const Tensor p = matmul(t[0], t[0]);
                     return sigmoid(p + t[1]) * p;
                   }});
}

void add_convolutions(std::vector<OpCase>& cases) {
  struct Geometry {
    const char* name;
    std::int64_t height, width, in, out, kernel, stride, padding, groups = 1;
  };
  for (const Geometry& g :
       {Geometry{"3x3", 5, 6, 2, 3, 3, 1, 1}, Geometry{"4x4 stride 2", 6, 8, 3, 4, 4, 2, 1},
        Geometry{"rest", 6, 7, 2, 2, 3, 2, 0}, Geometry{"1x1", 3, 3, 5, 4, 1, 1, 0},
        Geometry{"groups", 5, 6, 4, 6, 3, 1, 1, 2}, Geometry{"groups stride 2", 7, 6, 6, 3, 3, 2, 1, 3},
        Geometry{"depthwise", 5, 4, 3, 3, 3, 1, 1, 3}}) {
    const std::int64_t h = (g.height + 2 * g.padding - g.kernel) / g.stride + 1;
    const std::int64_t w = (g.width + 2 * g.padding - g.kernel) / g.stride + 1;
    const Shape src{2, g.height, g.width, g.in}, weights{g.out, g.in / g.groups, g.kernel, g.kernel},
        dst{2, h, w, g.out};
    cases.push_back({"conv2d", g.name, {real(src), real(weights)}, [=](const Tensors& t) {
                       return conv2d(t[0], t[1], g.stride, g.padding, g.groups);
                     }});
    cases.push_back({"conv2d_data_gradient", g.name, {real(dst), real(weights)}, [=](const Tensors& t) {
                       return conv2d_data_gradient(t[0], t[1], g.stride, g.padding, g.height, g.width, g.groups);
                     }});
    cases.push_back({"conv2d_weight_gradient", g.name, {real(src), real(dst)}, [=](const Tensors& t) {
                       return conv2d_weight_gradient(t[0], t[1], g.stride, g.padding, g.kernel, g.kernel, g.groups);
                     }});
  }
  cases.push_back({"conv2d", "epilogue", {real({2, 5, 5, 3}), real({4, 3, 3, 3}), real({4})}, [](const Tensors& t) {
                     return sigmoid(conv2d(t[0], t[1], 1, 1) + t[2]);
                   }});
}

void add_layout(std::vector<OpCase>& cases) {
  const auto with = [&](const char* op, const char* name, std::vector<Argument> arguments, auto build) {
    cases.push_back({op, name, std::move(arguments), build});
  };
  with("reshape", "merge", {real({2, 3, 4})}, [](const Tensors& t) { return square(reshape(t[0], {6, 4})); });
  with("permute", "to channels last", {real({2, 3, 4, 5})}, [](const Tensors& t) {
    return permute(t[0], {0, 2, 3, 1});
  });
  with("permute", "transpose", {real({3, 7})}, [](const Tensors& t) { return permute(t[0], {1, 0}); });
  with("concat", "columns", {real({4, 3}), real({4, 5})}, [](const Tensors& t) { return concat({t[0], t[1]}); });
  with("concat", "rows", {real({4, 3}), real({2, 3})}, [](const Tensors& t) { return concat({t[0], t[1]}, 0); });
  with("concat", "twice the same", {real({4, 3})}, [](const Tensors& t) { return concat({t[0], t[0]}); });
  with("slice", "columns", {real({4, 7})}, [](const Tensors& t) { return slice(t[0], 1, 2, 3); });
  with("slice", "rows", {real({4, 7})}, [](const Tensors& t) { return slice(t[0], 0, 1, 2); });
  with("pad", "columns", {real({4, 3})}, [](const Tensors& t) { return pad(t[0], 1, 2, 1); });
  with("pad", "middle", {real({2, 3, 2})}, [](const Tensors& t) { return pad(t[0], 1, 1, 2); });
  with("gather", "rows", {real({5, 3}), index({7}, 5)}, [](const Tensors& t) { return gather(t[0], t[1]); });
  with("scatter_add", "rows", {real({7, 3}), index({7}, 5)},
       [](const Tensors& t) { return scatter_add(t[0], t[1], 5); });
  with("one_hot", "labels", {index({7}, 5)}, [](const Tensors& t) { return one_hot(t[0], 5) * 2.0; });
  with("row_maximum", "rows", {real({6, 5})}, [](const Tensors& t) { return row_maximum(t[0]); });
  const Argument chance{{DType::f32, {4, 2}}, 0, 1, false};
  with("shift_images", "both ways", {real({4, 2, 5, 6}), chance},
       [](const Tensors& t) { return shift_images(t[0], t[1], 2, 3); });
  with("shift_images", "out of sight", {real({4, 1, 2, 2}), chance},
       [](const Tensors& t) { return shift_images(t[0], t[1], 9, 9); });
  with("cutout_mask", "odd and even", {chance}, [](const Tensors& t) { return cutout_mask(t[0], 7, 6, 3, 4) * 2.0; });
  with("broadcast", "row", {real({3})}, [](const Tensors& t) { return broadcast(t[0], {4, 3}); });
  with("broadcast", "axis", {real({2, 1, 3})}, [](const Tensors& t) { return broadcast(t[0], {2, 4, 3}); });
  with("sum", "all", {real({70, 90})}, [](const Tensors& t) { return sum(t[0]); });
  with("sum", "rows", {real({130, 9})}, [](const Tensors& t) { return sum_to(t[0], {9}); });
  with("sum", "columns", {real({7, 9})}, [](const Tensors& t) { return sum_to(t[0], {7, 1}); });
  with("sum", "middle", {real({3, 4, 5})}, [](const Tensors& t) { return sum_to(t[0], {3, 1, 5}); });
  with("sum", "ends", {real({3, 4, 5})}, [](const Tensors& t) { return sum_to(t[0], {1, 4, 1}); });
  with("constant", "read by a product", {real({4, 3})}, [](const Tensors& t) {
    return matmul(t[0], constant(*t[0].graph, 0.5, {3, 2}));
  });
  with("constant", "alone", {real({4})}, [](const Tensors& t) { return constant(*t[0].graph, 3.5, {4}); });
  with("stop_gradient", "factor", {real({4})},
       [](const Tensors& t) { return t[0] * 2.0 + stop_gradient(square(t[0])) * 0.0; });
  with("cast", "integer", {index({9}, 100)}, [](const Tensors& t) { return cast(t[0], DType::f32) * 0.5; });
  cases.push_back({"cast",
                   "bf16 and back",
                   {real({4, 70})},
                   [](const Tensors& t) { return cast(cast(t[0], DType::bf16), DType::f32); },
                   4e-3});
  const Argument key{{DType::i32, {2}}, 0, 1000, false}, step{{DType::i32, {1}}, 0, 1000, false};
  with("random_normal", "odd count", {key, step}, [](const Tensors& t) {
    return random_normal({t[0], t[1]}, 7, {3, 5});
  });
  with("random_normal", "long", {key, step}, [](const Tensors& t) { return random_normal({t[0], t[1]}, 8, {99, 99}); });
  const Argument part{{DType::i32, {1}}, 0, 9, false};
  with("random_normal", "of a part", {key, step, part}, [](const Tensors& t) {
    return random_normal({t[0], t[1], t[2]}, 7, {3, 5});
  });
  with("random_uniform", "of a part", {key, step, part}, [](const Tensors& t) {
    return random_uniform({t[0], t[1], t[2]}, 7, {4, 4});
  });
  with("all_reduce", "one", {real({3, 5})}, [](const Tensors& t) { return all_reduce({square(t[0])}); });
  with("all_reduce", "several", {real({3, 5}), real({}), real({70})}, [](const Tensors& t) {
    return square(all_reduce({t[0], t[1], tanh(t[2])}));
  });
  with("random_uniform", "odd count", {key, step}, [](const Tensors& t) {
    return random_uniform({t[0], t[1]}, 7, {3, 5});
  });
}

}  // namespace

std::vector<OpCase> op_cases() {
  std::vector<OpCase> cases;
  add_binary(cases, "add", add, -2);
  add_binary(cases, "sub", sub, -2);
  add_binary(cases, "mul", mul, -2);
  add_binary(cases, "div", div, 0.5);
  // The operands are apart, so that finite differences do not swap them.
  cases.push_back({"maximum", "first", {real({4, 5}, 1, 2), real({4, 5}, -1, 0.5)}, [](const Tensors& t) {
                     return maximum(t[0], t[1]);
                   }});
  cases.push_back({"maximum", "second", {real({4, 5}, -3, -2), real({5}, -1, 0.5)}, [](const Tensors& t) {
                     return maximum(t[0], t[1]);
                   }});
  add_unary(cases, "square", square, real({}));
  add_unary(cases, "sqrt", ops::sqrt, real({}, 0.5, 4));
  add_unary(cases, "exp", ops::exp, real({}, -10, 10));
  add_unary(cases, "expm1", ops::expm1, real({}));
  add_unary(cases, "log", ops::log, real({}, 0.3, 9));
  add_unary(cases, "tanh", ops::tanh, real({}));
  add_unary(cases, "sigmoid", sigmoid, real({}, -9, 9));
  add_unary(cases, "softplus", softplus, real({}, -9, 9));
  add_unary(cases, "relu", relu, kinked({}));
  add_unary(cases, "step", step, kinked({}));
  add_unary(
      cases, "leaky_relu", [](Tensor x) { return leaky_relu(x, 0.2); }, kinked({}));
  add_unary(
      cases, "leaky_step", [](Tensor x) { return leaky_step(x, 0.2); }, kinked({}));
  // Far outside what a trained network says, and still no NaN.
  for (const double far : {120.0, 1e4, 1e30}) {
    const auto with = [&](const char* op, Tensor (*build)(Tensor)) {
      cases.push_back(
          {op, "far", {{{DType::f32, {40}}, -far, far}}, [=](const Tensors& t) { return build(t[0]); }, 2e-5});
    };
    with("sigmoid", sigmoid);
    with("softplus", softplus);
    with("tanh", ops::tanh);
  }
  add_layout(cases);
  add_matmul(cases);
  add_convolutions(cases);
  return cases;
}

std::vector<OpError> op_errors() {
  std::vector<OpError> errors;
  const auto refuse = [&](const char* op, const char* name, const char* message, std::function<void(Graph&)> build) {
    errors.push_back({op, name, message, std::move(build)});
  };
  const auto binary = [&](const char* op, Tensor (*build)(Tensor, Tensor)) {
    refuse(op, "shapes", "do not broadcast", [=](Graph& g) { build(input(g, "a", {3}), input(g, "b", {4})); });
    refuse(op, "integers", "real", [=](Graph& g) { build(input(g, "a", {3}, DType::i32), input(g, "b", {3})); });
  };
  binary("add", add);
  binary("sub", sub);
  binary("mul", mul);
  binary("div", div);
  binary("maximum", maximum);
  const auto unary = [&](const char* op, std::function<Tensor(Tensor)> build) {
    refuse(op, "integers", "real", [=](Graph& g) { build(input(g, "a", {3}, DType::i32)); });
  };
  unary("square", square);
  unary("sqrt", ops::sqrt);
  unary("exp", ops::exp);
  unary("expm1", ops::expm1);
  unary("log", ops::log);
  unary("tanh", ops::tanh);
  unary("sigmoid", sigmoid);
  unary("softplus", softplus);
  unary("relu", relu);
  unary("step", step);
  unary("leaky_relu", [](Tensor x) { return leaky_relu(x, 0.2); });
  unary("leaky_step", [](Tensor x) { return leaky_step(x, 0.2); });
  refuse("cast", "to integers", "f32 or bf16", [](Graph& g) { cast(input(g, "a", {3}), DType::i32); });
  refuse("broadcast", "shape", "broadcast", [](Graph& g) { broadcast(input(g, "a", {3}), {4}); });
  refuse("sum", "shape", "do not broadcast", [](Graph& g) { sum_to(input(g, "a", {3, 4}), {2, 1}); });
  refuse("sum", "larger", "cannot be summed", [](Graph& g) { sum_to(input(g, "a", {3, 1}), {3, 4}); });
  refuse("reshape", "count", "cannot be reshaped", [](Graph& g) { reshape(input(g, "a", {3, 4}), {5, 2}); });
  refuse("permute", "order", "order", [](Graph& g) { permute(input(g, "a", {3, 4}), {0, 0}); });
  refuse("permute", "rank", "order", [](Graph& g) { permute(input(g, "a", {3, 4}), {0, 1, 2}); });
  refuse("concat", "rows", "does not join", [](Graph& g) { concat({input(g, "a", {3, 4}), input(g, "b", {2, 4})}); });
  refuse("concat", "nothing", "no tensors", [](Graph&) { concat({}); });
  refuse("all_reduce", "integers", "f32 expected", [](Graph& g) { all_reduce({input(g, "a", {3}, DType::i32)}); });
  refuse("all_reduce", "nothing", "no tensors", [](Graph&) { all_reduce({}); });
  refuse("random_normal", "part", "i32[1] expected", [](Graph& g) {
    random_normal({input(g, "k", {2}, DType::i32), input(g, "s", {1}, DType::i32), input(g, "p", {2}, DType::i32)}, 1,
                  {3});
  });
  refuse("slice", "end", "entries", [](Graph& g) { slice(input(g, "a", {3, 4}), 1, 2, 3); });
  refuse("pad", "negative", "zeros", [](Graph& g) { pad(input(g, "a", {3, 4}), 1, -1, 0); });
  refuse("gather", "real index", "i32", [](Graph& g) { gather(input(g, "a", {3, 4}), input(g, "i", {2})); });
  refuse("gather", "rank", "axes", [](Graph& g) { gather(input(g, "a", {3}), input(g, "i", {2}, DType::i32)); });
  refuse("scatter_add", "count", "scattered", [](Graph& g) {
    scatter_add(input(g, "a", {3, 4}), input(g, "i", {2}, DType::i32), 5);
  });
  refuse("one_hot", "real", "i32", [](Graph& g) { one_hot(input(g, "a", {3}), 5); });
  refuse("row_maximum", "rank", "axes", [](Graph& g) { row_maximum(input(g, "a", {3})); });
  refuse("shift_images", "places", "expected", [](Graph& g) {
    shift_images(input(g, "a", {3, 1, 4, 4}), input(g, "u", {2, 2}), 1, 1);
  });
  refuse("shift_images", "reach", "pixels", [](Graph& g) {
    shift_images(input(g, "a", {3, 1, 4, 4}), input(g, "u", {3, 2}), -1, 1);
  });
  refuse("cutout_mask", "box", "boxes", [](Graph& g) { cutout_mask(input(g, "u", {3, 2}), 4, 4, 5, 2); });
  refuse("matmul", "inner", "inner sizes", [](Graph& g) { matmul(input(g, "a", {3, 4}), input(g, "b", {3, 4})); });
  refuse("matmul", "rank", "axes", [](Graph& g) { matmul(input(g, "a", {3, 4, 5}), input(g, "b", {3, 4})); });
  refuse("matmul", "types", "types", [](Graph& g) {
    matmul(input(g, "a", {3, 4}), input(g, "b", {4, 3}, DType::bf16));
  });
  refuse("conv2d", "channels", "do not fit", [](Graph& g) {
    conv2d(input(g, "a", {1, 5, 5, 2}), input(g, "b", {4, 3, 3, 3}), 1, 1);
  });
  refuse("conv2d", "groups", "do not fit", [](Graph& g) {
    conv2d(input(g, "a", {1, 5, 5, 6}), input(g, "b", {4, 2, 3, 3}), 1, 1, 3);
  });
  refuse("conv2d", "no groups", "0 groups", [](Graph& g) {
    conv2d(input(g, "a", {1, 5, 5, 6}), input(g, "b", {4, 6, 3, 3}), 1, 1, 0);
  });
  refuse("conv2d", "kernel", "do not fit", [](Graph& g) {
    conv2d(input(g, "a", {1, 2, 2, 3}), input(g, "b", {4, 3, 3, 3}), 1, 0);
  });
  refuse("conv2d", "stride", "stride", [](Graph& g) {
    conv2d(input(g, "a", {1, 5, 5, 3}), input(g, "b", {4, 3, 3, 3}), 0, 0);
  });
  refuse("conv2d_data_gradient", "size", "do not fit", [](Graph& g) {
    conv2d_data_gradient(input(g, "a", {1, 5, 5, 4}), input(g, "b", {4, 3, 3, 3}), 1, 1, 9, 9);
  });
  refuse("conv2d_weight_gradient", "size", "do not fit", [](Graph& g) {
    conv2d_weight_gradient(input(g, "a", {1, 5, 5, 4}), input(g, "b", {1, 4, 4, 3}), 1, 1, 3, 3);
  });
  const auto random = [](Tensor (*build)(const RandomSource&, std::uint32_t, const Shape&)) {
    return [=](Graph& g) { build({input(g, "key", {2}), input(g, "step", {1}, DType::i32)}, 1, {3}); };
  };
  refuse("random_normal", "real key", "expected", random(random_normal));
  refuse("random_uniform", "real key", "expected", random(random_uniform));
  // These take anything, or nothing.
  refuse("constant", "inputs", "expected", [](Graph& g) {
    g.add(graph::find_op("constant"), {input(g, "a", {3})}, {{"value", 1.0}, {"shape", Shape{3}}});
  });
  refuse("stop_gradient", "inputs", "expected", [](Graph& g) {
    g.add(graph::find_op("stop_gradient"), {input(g, "a", {3}), input(g, "b", {3})});
  });
  return errors;
}

}  // namespace gan::test
