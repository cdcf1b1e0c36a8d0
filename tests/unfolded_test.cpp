#include "runtime/unfolded.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "product.h"
#include "runtime/packed_product.h"

// Convolutions as products with the unfolded src, against sums in float64.
namespace gan::test {
namespace {

using Kind = runtime::ConvolutionSpec::Kind;

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
    spec.kind = kind;
    spec.src = {s.n, s.height, s.width, s.channels};
    spec.weights = {s.dst_channels, s.channels, s.kernel, s.kernel};
    spec.dst = {s.n, height, width, s.dst_channels};
    spec.stride = s.stride;
    spec.padding = s.padding;
    spec.operand_dtype = DType::bf16;
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
    spec.result = result.bytes();
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

  double error() const { return relative_error(result, expected); }

  runtime::ConvolutionSpec spec;
  runtime::Array arrays[3], result;
  std::vector<double> expected;
};

TEST(Unfolded, IsForBf16WithAKernelOfOurs) {
  const auto multiplier = runtime::multiplier();
  const bool some = multiplier != runtime::Multiplier::none, all = multiplier == runtime::Multiplier::halves;
  Convolution few(kShapes[0], Kind::forward), many(kShapes[4], Kind::forward),
      gradient(kShapes[4], Kind::weight_gradient);
  EXPECT_EQ(runtime::convolution_is_unfolded(few.spec), some);
  EXPECT_EQ(runtime::convolution_is_unfolded(gradient.spec), some);
  EXPECT_EQ(runtime::convolution_is_unfolded(many.spec), all);
  few.spec.operand_dtype = DType::f32;
  EXPECT_FALSE(runtime::convolution_is_unfolded(few.spec));
}

TEST(Unfolded, AgreesWithSumsInFloat64) {
  if (runtime::multiplier() == runtime::Multiplier::none) return;
  for (const Shape& shape : kShapes)
    for (const Kind kind : {Kind::forward, Kind::data_gradient, Kind::weight_gradient}) {
      Convolution convolution(shape, kind);
      const auto kernel = runtime::unfolded_convolution_kernel(convolution.spec);
      for (int run = 0; run < 2; ++run) {
        std::ranges::fill(convolution.result.f32(), 99.0f);
        kernel();
        EXPECT_LT(convolution.error(), packed_tolerance(2e-6)) << name_of(shape) << ", kind " << static_cast<int>(kind);
      }
    }
}

TEST(Unfolded, PostOpsOfEachPart) {
  if (runtime::multiplier() == runtime::Multiplier::none) return;
  Convolution convolution({40, 14, 14, 1, 16, 4, 2, 1}, Kind::forward);
  runtime::Array bias({DType::f32, {16}}), full({DType::f32, convolution.spec.dst});
  for (std::size_t i = 0; i < 16; ++i) bias.f32()[i] = static_cast<float>(i);
  for (std::size_t i = 0; i < full.f32().size(); ++i) full.f32()[i] = static_cast<float>(i % 7) - 3;
  using runtime::Access;
  using runtime::TileOp;
  convolution.spec.post_ops = {{.op = TileOp::add, .data = bias.f32().data(), .access = Access::row},
                               {.op = TileOp::mul, .data = full.f32().data(), .access = Access::full},
                               {.op = TileOp::relu}};
  for (std::size_t i = 0; i < full.f32().size(); ++i)
    convolution.expected[i] =
        std::max(0.0, (convolution.expected[i] + static_cast<double>(i % 16)) * static_cast<double>(full.f32()[i]));
  runtime::unfolded_convolution_kernel(convolution.spec)();
  EXPECT_LT(convolution.error(), packed_tolerance(2e-6));
}

TEST(Unfolded, ThreadsChangeNothing) {
  if (runtime::multiplier() == runtime::Multiplier::none) return;
  const int before = base::threads();
  for (const Kind kind : {Kind::forward, Kind::data_gradient, Kind::weight_gradient})
    for (const std::size_t shape : {std::size_t{5}, std::size_t{6}}) {
      Convolution convolution(kShapes[shape], kind);
      std::vector<std::vector<float>> results;
      for (const int threads : {1, 2, 3}) {
        base::set_threads(threads);
        runtime::unfolded_convolution_kernel(convolution.spec)();
        results.emplace_back(convolution.result.f32().begin(), convolution.result.f32().end());
        EXPECT_EQ(results.back(), results.front());
      }
    }
  base::set_threads(before);
}

}  // namespace
}  // namespace gan::test
