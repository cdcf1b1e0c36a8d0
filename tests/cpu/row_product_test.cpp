#include "runtime/cpu/row_product.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "product.h"

// One row times a frozen matrix of 16-bit numbers, against sums in float64.
namespace gan::test {
namespace {

using runtime::cpu::RowProduct;

constexpr const char *kRow = "int16-row", *kRows = "int16-rows", *kVectorRows = "vector-rows";

struct FrozenProduct : Product {
  FrozenProduct(std::int64_t n, std::int64_t k, DType dtype = DType::f32, std::int64_t m = 1)
      : Product(m, n, k, false, true, dtype) {
    matmul().frozen_b = true;
    spec.compact_rows = m;
  }
  /// The kernel, null if these weights cannot be rounded.
  std::shared_ptr<RowProduct> make() const {
    runtime::cpu::Workspace none(nullptr);
    return std::static_pointer_cast<RowProduct>(RowProduct::make(spec, none).detail);
  }
};

TEST(RowProduct, AnySizeLosesLittle) {
  for (const auto& [n, k] : std::vector<std::pair<std::int64_t, std::int64_t>>{
           {1, 1}, {3, 2}, {16, 128}, {17, 129}, {64, 96}, {65, 300}, {200, 31}, {784, 1024}})
    for (const DType dtype : {DType::f32, DType::bf16}) {
      FrozenProduct product(n, k, dtype);
      const auto row_product = product.make();
      ASSERT_TRUE(row_product);
      for (int run = 0; run < 2; ++run) {
        std::ranges::fill(product.dst.f32(), 99.0f);
        row_product->run();
        EXPECT_LT(product.error(), 1e-4) << n << " " << k;
      }
    }
}

TEST(RowProduct, RowsDoNotDisturbEachOther) {
  FrozenProduct product(65, 300);
  for (std::size_t i = 0; i < 300; ++i) product.b.f32()[7 * 300 + i] *= 1000;
  for (std::size_t i = 0; i < 300; ++i) product.b.f32()[8 * 300 + i] = 0;
  product.expected[7] *= 1000;
  product.expected[8] = 0;
  const auto row_product = product.make();
  ASSERT_TRUE(row_product);
  std::ranges::fill(product.b.f32(), 0.0f);  // what the product keeps is its own
  row_product->run();
  for (std::size_t i = 0; i < 65; ++i)
    EXPECT_NEAR(static_cast<double>(product.dst.f32()[i]), product.expected[i], i == 7 ? 10 : 0.01);
  EXPECT_EQ(product.dst.f32()[8], 0);
  EXPECT_LT(product.error(), 1e-4);
  EXPECT_GT(product.error(), 1e-6);  // it was rounded
}

TEST(RowProduct, EpilogueAndTypeOfTheResult) {
  FrozenProduct product(300, 40);
  runtime::Array bias({DType::f32, {1, 300}}), narrow({DType::bf16, {1, 300}});
  for (std::size_t i = 0; i < 300; ++i) bias.f32()[i] = static_cast<float>(i) / 10 - 15;
  const float half = 0.5f;
  product.spec.epilogue = product.epilogue()
                              .then(ElementwiseOp::add, bias.f32().data())
                              .then(ElementwiseOp::mul, &half, Access::scalar)
                              .then(ElementwiseOp::relu)
                              .store(narrow.bytes(), DType::bf16);
  ASSERT_TRUE(product.run(kRow));
  for (std::size_t i = 0; i < 300; ++i) {
    const double expected = std::max(0.0, 0.5 * (product.expected[i] + static_cast<double>(bias.f32()[i])));
    EXPECT_NEAR(static_cast<double>(base::from_bf16(narrow.bf16()[i])), expected, 0.004 * expected + 0.002);
  }
}

TEST(RowProduct, SeveralRowsAreAsIfEachWereAlone) {
  for (const auto& [row, rows] : {std::pair{kRow, kRows}, std::pair{"vector", kVectorRows}})
    for (const auto& [m, n, k] : std::vector<std::array<std::int64_t, 3>>{{2, 1, 1}, {9, 65, 300}, {40, 784, 129}}) {
      FrozenProduct product(n, k, DType::f32, m);
      ASSERT_TRUE(product.run(rows));
      EXPECT_LT(product.error(), 1e-4) << rows;
      const std::vector<float> together = product.result();
      const auto* first = static_cast<const float*>(product.matmul().a);
      product.matmul().m = 1;
      product.spec.epilogue = runtime::cpu::store_chain(product.dst.bytes(), DType::f32, n);
      for (std::int64_t i = 0; i < m; ++i) {
        product.matmul().a = first + i * k;
        ASSERT_TRUE(product.run(row));
        for (std::int64_t j = 0; j < n; ++j)
          ASSERT_EQ(product.dst.f32()[static_cast<std::size_t>(j)], together[static_cast<std::size_t>(i * n + j)])
              << rows << ", row " << i << " of " << m;
      }
    }
}

TEST(RowProduct, TurnsChangeNoBit) {
  for (const auto& [hidden, outputs] :
       std::vector<std::pair<std::int64_t, std::int64_t>>{{1024, 784}, {130, 5}, {7, 70}}) {
    FrozenProduct first(hidden, 512), second(outputs, hidden);
    second.matmul().a = first.dst.bytes();
    const auto one = first.make(), other = second.make();
    ASSERT_TRUE(one && other);
    EXPECT_TRUE(other->follows(*one));
    EXPECT_FALSE(one->follows(*other));
    one->run();
    other->run();
    const std::vector<float> hidden_alone = first.result(), alone = second.result();
    for (int run = 0; run < 4; ++run) {  // forwards and backwards
      std::ranges::fill(first.dst.f32(), 0.0f);
      std::ranges::fill(second.dst.f32(), 0.0f);
      one->run(other.get());
      EXPECT_EQ(first.result(), hidden_alone);
      EXPECT_EQ(second.result(), alone);
      one->run();
      other->run();
      EXPECT_EQ(second.result(), alone);
    }
  }
}

TEST(RowProduct, WhatIsNotFiniteShows) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    FrozenProduct product(40, 300);
    product.a.f32()[299] = bad;
    product.make()->run();
    for (const float value : product.dst.f32()) EXPECT_FALSE(std::isfinite(value));
  }
}

TEST(RowProduct, OtherProductsAreRefused) {
  const auto refused = [](const auto& change) {
    FrozenProduct product(40, 300);
    change(product);
    return !RowProduct::applies(product.spec) || !product.make();
  };
  EXPECT_FALSE(refused([](FrozenProduct&) {}));
  EXPECT_TRUE(refused([](FrozenProduct& product) { product.matmul().m = 2; }));
  EXPECT_FALSE(RowProduct::applies_to_rows(FrozenProduct(40, 300).spec));
  FrozenProduct several(40, 300, DType::f32, 2);
  EXPECT_TRUE(RowProduct::applies_to_rows(several.spec));
  several.matmul().transpose_a = true;
  EXPECT_FALSE(RowProduct::applies_to_rows(several.spec));
  EXPECT_TRUE(refused([](FrozenProduct& product) { product.matmul().frozen_b = false; }));
  EXPECT_TRUE(refused([](FrozenProduct& product) { product.spec.compact_rows = 0; }));
  EXPECT_TRUE(refused([](FrozenProduct& product) { product.matmul().transpose_b = false; }));
  // A large number in each row: rounding would miss too much of the others.
  EXPECT_TRUE(refused([](FrozenProduct& product) {
    for (std::size_t r = 0; r < 40; ++r) product.b.f32()[r * 300] = 150;
  }));
  EXPECT_TRUE(refused([](FrozenProduct& product) { product.b.f32()[5] = std::numeric_limits<float>::quiet_NaN(); }));
}

}  // namespace
}  // namespace gan::test
