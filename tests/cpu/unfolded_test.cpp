#include "runtime/cpu/unfolded.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "product.h"

// Convolutions as products with the unfolded src, against sums in float64.
namespace gan::test {
namespace {

using Kind = graph::Convolution::Kind;

struct Shape {
  std::int64_t n, height, width, channels, dst_channels, kernel, stride, padding;
};

const std::vector<Shape> kShapes = {
    {3, 8, 8, 1, 5, 4, 2, 1},       // one channel
    {2, 7, 9, 3, 4, 3, 1, 1},       // runs of nine numbers
    {2, 9, 8, 3, 40, 3, 2, 1},      // a stride that leaves something over
    {2, 6, 6, 4, 33, 4, 2, 1},      // rows in place, blocks that span taps
    {2, 6, 6, 16, 20, 3, 1, 0},     // blocks within taps
    {70, 14, 14, 32, 70, 4, 2, 1},  // two parts in turn
    {40, 14, 14, 16, 16, 4, 2, 1},  // parts side by side
    {3, 2, 2, 2, 3, 1, 1, 2},       // more padding than image
    {1, 1, 1, 1, 1, 1, 1, 0},
};

std::string name_of(const Shape& s) {
  return std::to_string(s.n) + "x" + std::to_string(s.height) + "x" + std::to_string(s.width) + "x" +
         std::to_string(s.channels) + " to " + std::to_string(s.dst_channels);
}

/// Operands of all three kinds in bf16 and float64, and what comes out.
struct Convolution {
  Convolution(const Shape& s, Kind kind) {
    const auto length = [&](std::int64_t size) { return (size + 2 * s.padding - s.kernel) / s.stride + 1; };
    const std::int64_t height = length(s.height), width = length(s.width);
    runtime::cpu::BoundConvolution& spec = convolution();
    spec.kind = kind;
    spec.src = {s.n, s.height, s.width, s.channels};
    spec.weights = {s.dst_channels, s.channels, s.kernel, s.kernel};
    spec.dst = {s.n, height, width, s.dst_channels};
    spec.stride = s.stride;
    spec.padding = s.padding;
    spec.operands = DType::bf16;
    const graph::Shape shapes[] = {spec.src, spec.weights, spec.dst};
    std::vector<double> exact[3];
    for (std::size_t i = 0; i < 3; ++i) {
      arrays[i] = runtime::Array({DType::bf16, shapes[i]});
      exact[i] = fill_random(arrays[i], static_cast<std::uint32_t>(i));
    }
    const std::size_t of_result = kind == Kind::forward ? 2 : kind == Kind::data_gradient ? 0 : 1;
    spec.a = arrays[kind == Kind::data_gradient ? 2 : 0].bytes();
    spec.b = arrays[kind == Kind::weight_gradient ? 2 : 1].bytes();
    result = runtime::Array({DType::f32, shapes[of_result]});
    product.epilogue = runtime::cpu::store_chain(result.bytes(), DType::f32, result.type().elements());
    expected.resize(result.f32().size());
    for (std::int64_t n = 0; n < s.n; ++n)
      for (std::int64_t y = 0; y < height; ++y)
        for (std::int64_t x = 0; x < width; ++x)
          for (std::int64_t ky = 0; ky < s.kernel; ++ky)
            for (std::int64_t kx = 0; kx < s.kernel; ++kx) {
              const std::int64_t sy = y * s.stride - s.padding + ky, sx = x * s.stride - s.padding + kx;
              if (sy < 0 || sy >= s.height || sx < 0 || sx >= s.width) continue;
              for (std::int64_t o = 0; o < s.dst_channels; ++o)
                for (std::int64_t i = 0; i < s.channels; ++i) {
                  const std::size_t at[] = {
                      static_cast<std::size_t>(((n * s.height + sy) * s.width + sx) * s.channels + i),
                      static_cast<std::size_t>(((o * s.channels + i) * s.kernel + ky) * s.kernel + kx),
                      static_cast<std::size_t>(((n * height + y) * width + x) * s.dst_channels + o)};
                  const std::size_t one = of_result == 0 ? 1 : 0, other = of_result == 2 ? 1 : 2;
                  expected[at[of_result]] += exact[one][at[one]] * exact[other][at[other]];
                }
            }
  }

  runtime::cpu::BoundConvolution& convolution() { return *product.convolution; }
  double error() const { return relative_error(result.f32(), expected); }

  runtime::cpu::Product product{.matmul = {}, .convolution = runtime::cpu::BoundConvolution(), .epilogue = {}};
  runtime::Array arrays[3], result;
  std::vector<double> expected;
};

TEST(Unfolded, IsForBf16WithAKernelOfOurs) {
  using runtime::cpu::Multiplier;
  const Multiplier multiplier = runtime::cpu::multiplier();
  const bool some = multiplier != Multiplier::none, all = multiplier == Multiplier::fp16;
  Convolution few(kShapes[0], Kind::forward), many(kShapes[4], Kind::forward),
      gradient(kShapes[4], Kind::weight_gradient);
  EXPECT_EQ(is_unfolded(few.product), some);
  EXPECT_EQ(is_unfolded(gradient.product), some);
  EXPECT_EQ(is_unfolded(many.product), all);
  few.convolution().operands = DType::f32;
  EXPECT_FALSE(is_unfolded(few.product));
}

class UnfoldedKernel : public testing::Test {
 protected:
  void SetUp() override {
    if (runtime::cpu::multiplier() == runtime::cpu::Multiplier::none)
      GTEST_SKIP() << "this processor has none of AMX, AVX-512 FP16 and AVX-512 BF16";
  }
};

TEST_F(UnfoldedKernel, AgreesWithSumsInFloat64) {
  for (const Shape& shape : kShapes)
    for (const Kind kind : {Kind::forward, Kind::data_gradient, Kind::weight_gradient}) {
      Convolution convolution(shape, kind);
      runtime::Buffer memory(runtime::cpu::unfolded_workspace(convolution.product));
      std::fill_n(memory.as<std::uint16_t>(), memory.size() / 2, std::uint16_t{0x7FC0});  // what others left there
      runtime::cpu::Workspace workspace(memory.data());
      const auto kernel = runtime::cpu::unfolded_kernel(convolution.product, workspace).run;
      for (int run = 0; run < 2; ++run) {
        std::ranges::fill(convolution.result.f32(), 99.0f);
        kernel();
        EXPECT_LT(convolution.error(), packed_tolerance(2e-6)) << name_of(shape) << ", kind " << static_cast<int>(kind);
      }
    }
}

TEST_F(UnfoldedKernel, EpilogueOfEachPart) {
  Convolution convolution({40, 14, 14, 1, 16, 4, 2, 1}, Kind::forward);
  runtime::Array bias({DType::f32, {16}}), full({DType::f32, convolution.convolution().dst});
  for (std::size_t i = 0; i < 16; ++i) bias.f32()[i] = static_cast<float>(i);
  for (std::size_t i = 0; i < full.f32().size(); ++i) full.f32()[i] = static_cast<float>(i % 7) - 3;
  convolution.product.epilogue = EpilogueBuilder(full.type().elements(), 16)
                                     .then(ElementwiseOp::add, bias.f32().data(), Access::row)
                                     .then(ElementwiseOp::mul, full.f32().data())
                                     .then(ElementwiseOp::relu)
                                     .store(convolution.result.bytes());
  for (std::size_t i = 0; i < full.f32().size(); ++i)
    convolution.expected[i] =
        std::max(0.0, (convolution.expected[i] + static_cast<double>(i % 16)) * static_cast<double>(full.f32()[i]));
  KernelOfProduct(convolution.product, "unfolded")();
  EXPECT_LT(convolution.error(), packed_tolerance(2e-6));
}

TEST_F(UnfoldedKernel, ThreadsChangeNothing) {
  const int before = base::threads();
  for (const Kind kind : {Kind::forward, Kind::data_gradient, Kind::weight_gradient})
    for (const std::size_t shape : {std::size_t{5}, std::size_t{6}}) {
      Convolution convolution(kShapes[shape], kind);
      std::vector<std::vector<float>> results;
      for (const int threads : {1, 2, 3}) {
        base::set_threads(threads);
        // Not the row of the table of products: with AMX it does not apply to all of these.
        const runtime::Buffer memory(runtime::cpu::unfolded_workspace(convolution.product));
        runtime::cpu::Workspace workspace(memory.data());
        unfolded_kernel(convolution.product, workspace).run();
        results.emplace_back(convolution.result.f32().begin(), convolution.result.f32().end());
        EXPECT_EQ(results.back(), results.front());
      }
    }
  base::set_threads(before);
}

}  // namespace
}  // namespace gan::test
