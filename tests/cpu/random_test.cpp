#include "runtime/cpu/random.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <cmath>
#include <cstring>
#include <numbers>
#include <utility>
#include <vector>

#include "base/parallel.h"
#include "compiler/compile.h"
#include "ops/ops.h"

// Random numbers in vectors against those made one at a time.
namespace gan::test {
namespace {

using Fill = void (*)(const base::RandomStream&, std::uint64_t block, float* dst, std::size_t count);
constexpr Fill kFills[] = {runtime::cpu::uniforms, runtime::cpu::normals};
constexpr std::uint64_t kFarBlock = (1ull << 32) - 50;  // the counter's upper word is about to change

std::vector<float> draw(Fill fill, const base::RandomStream& random, std::uint64_t block, std::size_t count) {
  std::vector<float> values(count);
  fill(random, block, values.data(), count);
  return values;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return false;
  return a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/// In float64, the angle reduced to an eighth of a turn, so that a whole quadrant gives an exact 0.
double exact_normal(const base::RandomStream& random, std::uint64_t index) {
  const std::uint64_t first = index / 2 * 2;
  const double radius = std::sqrt(-2 * std::log1p(-0x1p-24 * (random.bits(first) >> 8)));
  const double quadrants = 0x1p-22 * (random.bits(first + 1) >> 8), whole = std::floor(quadrants + 0.5);
  const double angle = (quadrants - whole) * std::numbers::pi / 2, c = std::cos(angle), s = std::sin(angle);
  const double cosine_behind[] = {c, -s, -c, s};                                       // so many quadrants
  return radius * cosine_behind[(static_cast<int>(whole) + (index % 2 ? 3 : 0)) % 4];  // the sine: one before
}

void expect_exact(const base::RandomStream& random, std::uint64_t block, const std::vector<float>& normals) {
  for (std::size_t i = 0; i < normals.size(); ++i) {
    const double value = normals[i], expected = exact_normal(random, 4 * block + i);
    ASSERT_LE(std::abs(value - expected), 4e-7 * std::abs(expected)) << "block " << block << ", value " << i;
    ASSERT_NEAR(value, random.normal(4 * block + i), 4e-6);  // whose angle is rounded
  }
}

TEST(RandomVectors, UniformsAreEqualAndNormalsNear) {
  for (const std::uint64_t block : {std::uint64_t{0}, kFarBlock, ~std::uint64_t{0} / 4 - 60000}) {
    const base::RandomStream random(0x123456789abcdef0, 0xfedcba98, 77);
    const std::vector<float> uniforms = draw(runtime::cpu::uniforms, random, block, 200001);
    for (std::size_t i = 0; i < uniforms.size(); ++i) ASSERT_EQ(uniforms[i], random.uniform(4 * block + i));
    expect_exact(random, block, draw(runtime::cpu::normals, random, block, 200001));
  }
}

TEST(RandomVectors, RadiiAtBothEndsAreFinite) {
  const base::RandomStream random(7, 3);
  const std::uint64_t smallest = 2178706, largest = 9706817;
  ASSERT_EQ(random.bits(4 * smallest) >> 8, 0u);  // u = 0
  ASSERT_EQ(random.bits(4 * largest + 2) >> 8, 0xFFFFFFu);
  for (const std::uint64_t block : {smallest, largest})
    expect_exact(random, block, draw(runtime::cpu::normals, random, block, 4));
}

TEST(RandomVectors, CountsAndCutsChangeNoBit) {
  const base::RandomStream random(5, 6, 7);
  for (const Fill fill : kFills) {
    const std::vector<float> all = draw(fill, random, kFarBlock, 600);
    for (std::size_t count = 0; count < 300; ++count) {
      std::vector<float> part(count + 1, 9.0f);
      fill(random, kFarBlock + count / 4, part.data(), count);
      ASSERT_EQ(part.back(), 9.0f) << count << " numbers, and one more";
      part.pop_back();
      const auto begin = all.begin() + static_cast<std::ptrdiff_t>(count / 4 * 4);
      ASSERT_TRUE(same_bits(part, {begin, begin + static_cast<std::ptrdiff_t>(count)})) << count;
    }
  }
}

TEST(RandomVectors, InstructionSetsChangeNoBit) {
  const base::RandomStream random(8, 9, 10);
  const auto use = [](std::int64_t targets) {
    hwy::SetSupportedTargetsForTest(targets);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  };
  for (const Fill fill : kFills) {
    const std::vector<float> best = draw(fill, random, kFarBlock, 100003);
    for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
      use(target);
      EXPECT_TRUE(same_bits(draw(fill, random, kFarBlock, 100003), best)) << hwy::TargetName(target);
      use(0);
    }
  }
}

TEST(RandomVectors, ThreadsChangeNoBit) {
  const int before = base::threads();
  graph::Graph g;
  const ops::Tensor key = g.input("key", {graph::DType::i32, {2}}), step = g.input("step", {graph::DType::i32, {1}});
  const graph::Shape shape{3, 33335};  // odd, and enough for several threads
  g.output("uniform", ops::random_uniform({key, step}, 4, shape));
  g.output("normal", ops::random_normal({key, step}, 4, shape));
  runtime::State state;
  runtime::Arena arena;
  const auto program = compiler::compile(g, {}, state, arena);
  state.at("key").i32()[0] = 11;
  state.at("key").i32()[1] = -12;
  state.at("step").i32()[0] = 13;
  const base::RandomStream random(std::uint64_t{0xFFFFFFF4} << 32 | 11, 4, 13);
  for (const int threads : {1, 2, 3, 5}) {
    base::set_threads(threads);
    program.run();
    for (const auto& [name, fill] : {std::pair{"uniform", kFills[0]}, {"normal", kFills[1]}}) {
      const auto values = state.at(name).f32();
      EXPECT_TRUE(same_bits({values.begin(), values.end()}, draw(fill, random, 0, values.size()))) << threads << name;
    }
  }
  base::set_threads(before);
}

}  // namespace
}  // namespace gan::test
