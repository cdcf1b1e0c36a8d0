#pragma once

#include <bit>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/bf16.h"
#include "base/random.h"
#include "compare.h"
#include "runtime/array.h"
#include "runtime/cpu/processor.h"
#include "runtime/cpu/products.h"

// Helpers for the tests of the CPU's kernels of products.
namespace gan::test {

using graph::DType;
using graph::ElementwiseOp;
using runtime::cpu::Access;
using runtime::cpu::BoundChain;

/// Fills an array of f32 or bf16 with random numbers and returns them.
inline std::vector<double> fill_random(const runtime::Array& array, std::uint32_t stream) {
  const base::RandomStream random(11, stream);
  std::vector<double> values(static_cast<std::size_t>(array.type().elements()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    auto bits = std::bit_cast<std::uint32_t>(random.normal(i));
    if (array.type().dtype == DType::bf16) {
      bits &= 0xFFFF0000u;
      array.bf16()[i] = static_cast<std::uint16_t>(bits >> 16);
    } else {
      array.f32()[i] = std::bit_cast<float>(bits);
    }
    values[i] = static_cast<double>(std::bit_cast<float>(bits));
  }
  return values;
}

/// The tolerance (relative norm against float64) of packed products of bf16: `of_f32`, unless sums are in fp16.
inline double packed_tolerance(double of_f32) {
  return runtime::cpu::multiplier() == runtime::cpu::Multiplier::fp16 ? 1e-3 : of_f32;
}

/// A product's kernel and the memory of its workspace.
struct KernelOfProduct {
  /// `row`: the row of the table of products that computes this one; "" for the row that programs use. The kernel is
  /// empty if the row does not apply.
  explicit KernelOfProduct(const runtime::cpu::Product& product, const std::string& row = "") {
    std::set<std::string> disabled;
    bool applies = row.empty();
    for (const runtime::cpu::ProductRow& other : runtime::cpu::product_rows()) {
      if (other.name == row)
        applies = other.applies(product);
      else if (!row.empty())
        disabled.insert(std::string(other.name));
    }
    if (!applies) return;
    memory = runtime::Buffer(runtime::cpu::product_workspace(product, disabled));
    runtime::cpu::Workspace workspace(memory.data());
    kernel = runtime::cpu::product_kernel(product, workspace, disabled);
  }
  explicit operator bool() const { return static_cast<bool>(kernel.run); }
  void operator()() const { kernel.run(); }

  runtime::Buffer memory;
  runtime::Kernel kernel;
};

/// A chain after a product: operand 0 is the product, further operands and operations are added to it.
class EpilogueBuilder {
 public:
  explicit EpilogueBuilder(std::int64_t elements, std::int64_t columns) : columns_(columns) {
    chain_.elements = elements;
    chain_.operands.push_back({{.access = Access::product}, nullptr});
  }
  /// Applies `op` to the last value, and to an f32 operand if `data` is given.
  EpilogueBuilder& then(ElementwiseOp op, const float* data = nullptr, Access access = Access::full, float alpha = 0) {
    steps_.push_back({op, data ? static_cast<int>(chain_.operands.size()) : -1, alpha});
    if (data) chain_.operands.push_back({{.access = access, .period = columns_}, data});
    return *this;
  }
  /// The chain, whose last value is stored at dst.
  BoundChain store(void* dst, DType dtype = DType::f32) const {
    BoundChain chain = chain_;
    int last = 0, next = static_cast<int>(chain.operands.size());
    for (const Step& step : steps_) {
      chain.instructions.push_back({step.op, last, step.operand < 0 ? last : step.operand, next, step.alpha});
      last = next++;
    }
    chain.results.push_back({{.source = last, .dtype = dtype}, dst});
    return chain;
  }

 private:
  struct Step {
    ElementwiseOp op;
    int operand;
    float alpha;
  };
  std::int64_t columns_;
  BoundChain chain_;
  std::vector<Step> steps_;
};

/// Random operands of a matrix product, memory for its result, and the result in float64.
struct Product {
  Product(std::int64_t m, std::int64_t n, std::int64_t k, bool transpose_a, bool transpose_b, DType dtype)
      : a({dtype, {m, k}}), b({dtype, {k, n}}), dst({DType::f32, {m, n}}), expected(static_cast<std::size_t>(m * n)) {
    const std::vector<double> left = fill_random(a, 1), right = fill_random(b, 2);
    for (std::int64_t i = 0; i < m; ++i)
      for (std::int64_t j = 0; j < n; ++j)
        for (std::int64_t t = 0; t < k; ++t)
          expected[static_cast<std::size_t>(i * n + j)] +=
              left[static_cast<std::size_t>(transpose_a ? t * m + i : i * k + t)] *
              right[static_cast<std::size_t>(transpose_b ? j * k + t : t * n + j)];
    spec.matmul = {{m, n, k, transpose_a, transpose_b, dtype}, a.bytes(), b.bytes()};
    spec.epilogue = runtime::cpu::store_chain(dst.bytes(), DType::f32, m * n);
  }

  runtime::cpu::BoundMatmul& matmul() { return *spec.matmul; }
  EpilogueBuilder epilogue() const { return EpilogueBuilder(spec.matmul->m * spec.matmul->n, spec.matmul->n); }
  /// Runs the kernel of a row; false if the row does not apply.
  bool run(const std::string& row = "") const {
    const KernelOfProduct kernel(spec, row);
    if (kernel) kernel();
    return static_cast<bool>(kernel);
  }
  double error() const { return relative_error(dst.f32(), expected); }
  std::vector<float> result() const { return {dst.f32().begin(), dst.f32().end()}; }

  runtime::Array a, b, dst;
  std::vector<double> expected;
  runtime::cpu::Product spec;
};

}  // namespace gan::test
