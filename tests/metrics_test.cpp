#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <numeric>
#include <string>
#include <vector>

#include "base/random.h"
#include "file_helpers.h"
#include "io/safetensors.h"
#include "metrics/correlation.h"
#include "metrics/frechet.h"
#include "metrics/kid.h"
#include "metrics/kolmogorov_smirnov.h"
#include "metrics/modes.h"
#include "metrics/nearest.h"
#include "metrics/parzen.h"
#include "metrics/prdc.h"
#include "metrics/spread.h"
#include "metrics/two_sample.h"

// The formulas of src/metrics against closed forms, and against what numpy and scipy make of the same numbers.
namespace gan::test {
namespace {

using base::ErrorKind;
using metrics::Rows;

std::vector<float> normals(std::int64_t rows, std::int64_t width, std::uint64_t seed, float mean = 0,
                           float deviation = 1) {
  const base::RandomStream random(seed, 1);
  std::vector<float> values;
  for (std::int64_t i = 0; i < rows * width; ++i)
    values.push_back(mean + deviation * random.normal(static_cast<std::uint64_t>(i)));
  return values;
}

/// A tensor of the golden file.
class Golden {
 public:
  Golden() : file_(io::read_safetensors(std::string(GAN_GOLDEN_DIR) + "/metrics.safetensors")) {}
  Rows rows(const std::string& name) const {
    const runtime::Array& array = file_.tensors.at(name);
    return {array.f32(), array.type().shape.at(1)};
  }
  double number(const std::string& name, std::size_t i = 0) const {
    return static_cast<double>(file_.tensors.at(name).f32()[i]);
  }

 private:
  io::Safetensors file_;
};

// ---- rows ----

TEST(Distances, AreThoseOfEveryPairWhereverBlocksEnd) {
  // More rows than a block and more candidates than a piece, neither a multiple; far from the origin.
  const std::vector<float> left = normals(515, 3, 1, 100), right = normals(2051, 3, 2, 100);
  const Rows a{left, 3}, b{right, 3};
  std::vector<int> seen(static_cast<std::size_t>(a.count() * b.count()));
  std::vector<double> errors(static_cast<std::size_t>(a.count()));
  metrics::for_each_distance(a, b, [&](std::int64_t i, std::int64_t first, std::span<const float> squared) {
    for (std::size_t k = 0; k < squared.size(); ++k) {
      const std::int64_t j = first + static_cast<std::int64_t>(k);
      ++seen[static_cast<std::size_t>(i * b.count() + j)];
      double exact = 0;
      for (std::size_t c = 0; c < 3; ++c)
        exact += std::pow(static_cast<double>(a.row(i)[c]) - static_cast<double>(b.row(j)[c]), 2);
      double& error = errors[static_cast<std::size_t>(i)];
      error = std::max(error, std::abs(static_cast<double>(squared[k]) - exact));
    }
  });
  EXPECT_EQ(std::ranges::count(seen, 1), static_cast<std::ptrdiff_t>(seen.size()));
  EXPECT_LT(*std::ranges::max_element(errors), 1e-4);
}

TEST(ChooseRows, TakesDifferentRowsAndDependsOnTheSeedAlone) {
  std::vector<float> numbers(100);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i);
  std::vector<float> chosen = metrics::choose_rows({numbers, 1}, 60, 5);
  EXPECT_EQ(chosen, metrics::choose_rows({numbers, 1}, 60, 5));
  EXPECT_NE(chosen, metrics::choose_rows({numbers, 1}, 60, 6));
  ASSERT_EQ(chosen.size(), 60u);
  std::ranges::sort(chosen);
  EXPECT_EQ(std::ranges::adjacent_find(chosen), chosen.end());
  EXPECT_EQ(metrics::choose_rows({numbers, 50}, 10, 1).size(), 100u);  // no more than there are
}

// ---- Frechet distance ----

metrics::Gaussian gaussian(std::vector<double> mean, std::vector<double> covariance) {
  return {100, std::move(mean), std::move(covariance)};
}

TEST(Frechet, OfDiagonalGaussiansIsTheSumOverAxes) {
  // (m1 - m2)^2 + (s1 - s2)^2 on each axis.
  EXPECT_NEAR(metrics::frechet_distance(gaussian({1, 0}, {4, 0, 0, 9}), gaussian({3, 1}, {1, 0, 0, 16})), 4 + 1 + 1 + 1,
              1e-12);
  EXPECT_NEAR(metrics::frechet_distance(gaussian({0}, {2}), gaussian({0}, {2})), 0, 1e-12);
}

TEST(Frechet, EqualsScipyAlsoWithFewerSamplesThanFeatures) {
  const Golden golden;
  const metrics::Gaussian real = metrics::fit_gaussian(golden.rows("real"));
  EXPECT_NEAR(metrics::frechet_distance(real, metrics::fit_gaussian(golden.rows("fake"))), golden.number("frechet"),
              1e-6);
  EXPECT_NEAR(metrics::frechet_distance(real, metrics::fit_gaussian(golden.rows("fake").slice(0, 4))),
              golden.number("frechet.few"), 1e-5);
}

TEST(Metrics, ShrunkCovariancesFollowLedoitAndWolf) {
  // Four rows of three columns; the share, 0.44445, and the covariance by the formulas of the paper, in NumPy.
  const std::vector<float> rows{1, 2, 0, 3, 1, 4, 0, 5, 2, 2, 2, 7};
  const metrics::Gaussian shrunk = metrics::fit_shrunk_gaussian({rows, 3});
  const double expected[] = {2.93828585,  -1.11110116, 1.20369292,  -1.11110116, 3.67901995,
                             -0.83332587, 1.20369292,  -0.83332587, 6.96602754};
  for (std::size_t i = 0; i < 9; ++i) EXPECT_NEAR(shrunk.covariance[i], expected[i], 1e-7) << i;
  // Equal rows have no covariance to shrink.
  EXPECT_EQ(metrics::fit_shrunk_gaussian({std::vector<float>(12, 1.0f), 3}).covariance, std::vector<double>(9));
}

TEST(Metrics, FewRowsOfOneDistributionAreNearer) {
  const auto normals = [](std::uint64_t seed, std::size_t rows, float mean) {
    const base::RandomStream random(seed, 1);
    std::vector<float> values(rows * 32);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = random.normal(i) + mean;
    return values;
  };
  const std::vector<float> few = normals(1, 20, 0), same = normals(2, 200, 0), other = normals(3, 200, 1);
  const double near = metrics::frechet_distance_of_few({few, 32}, {same, 32}),
               far = metrics::frechet_distance_of_few({few, 32}, {other, 32});
  EXPECT_LT(near, 6);
  EXPECT_NEAR(far - near, 32, 8);  // the means are 1 apart in each of 32 columns
  EXPECT_EQ(metrics::frechet_distance_of_few({few, 32}, {few, 32}), 0);
}

TEST(Metrics, TwoSampleTestsTellDistributionsApart) {
  const base::RandomStream random(1, 1);
  std::vector<float> a, b, wide;
  for (std::uint64_t i = 0; i < 2000; ++i) {
    a.push_back(random.normal(3 * i));
    b.push_back(random.normal(3 * i + 1));
    wide.push_back(2 * random.normal(3 * i + 2));
  }
  std::vector<float> far = b;
  for (float& value : far) value += 20;
  EXPECT_NEAR(metrics::two_sample_auc({a, 2}, {b, 2}), 0.5, 0.06);
  const double spread = metrics::two_sample_auc({a, 2}, {wide, 2});
  EXPECT_GT(spread, 0.65);
  EXPECT_LT(spread, 0.85);
  EXPECT_EQ(metrics::two_sample_auc({a, 2}, {far, 2}), 1);
  EXPECT_EQ(metrics::two_sample_auc({std::vector<float>(40, 1.0f), 2}, {std::vector<float>(40, 1.0f), 2}), 0.5);
  expect_error(ErrorKind::usage, "at least 10 rows a side, 9 given", [&] {
    metrics::two_sample_auc(metrics::Rows{a, 2}.slice(0, 9), {b, 2});
  });
}

TEST(Frechet, FitsMeanAndUnbiasedCovarianceOverChunks) {
  const std::vector<float> points{1, 2, 3, 6};
  const metrics::Gaussian two = metrics::fit_gaussian({points, 2});
  EXPECT_EQ(two.mean, (std::vector<double>{2, 4}));
  EXPECT_EQ(two.covariance, (std::vector<double>{2, 4, 4, 8}));
  const std::vector<float> many = normals(3000, 2, 3, 5, 2);  // more than one chunk
  const metrics::Gaussian fitted = metrics::fit_gaussian({many, 2});
  double mean = 0, square = 0;
  for (std::size_t i = 0; i < many.size(); i += 2) mean += static_cast<double>(many[i]) / 3000;
  for (std::size_t i = 0; i < many.size(); i += 2) square += std::pow(static_cast<double>(many[i]) - mean, 2) / 2999;
  EXPECT_NEAR(fitted.mean[0], mean, 1e-9);
  EXPECT_NEAR(fitted.covariance[0], square, 1e-9);
}

// ---- KID ----

TEST(Kid, MmdEqualsNumpy) {
  const Golden golden;
  EXPECT_NEAR(metrics::mmd_squared(golden.rows("real"), golden.rows("fake")), golden.number("mmd"), 1e-5);
}

TEST(Kid, IsWithinItsErrorOfZeroForEqualDistributionsAndOfTheTruthForOthers) {
  const std::vector<float> a = normals(2000, 4, 1), b = normals(2000, 4, 2), shifted = normals(2000, 4, 3, 1);
  const metrics::Estimate same = metrics::kid({a, 4}, {b, 4});
  EXPECT_GT(same.se, 0);
  EXPECT_LT(std::abs(same.mean), 4 * same.se);
  // E (xy / d + 1)^3 with d = 4: 1 + 3 u + 3 E(xy)^2 / 16 + E(xy)^3 / 64 with u = E(xy) / 4, from normal moments. For
  // N(0, 1) against itself 1 + 3/4; against N(1, 1): 1 + 3 * 8/16 as E(xy)^2 = 4 * 2; N(1, 1) with itself below.
  const double of_a = 1 + 3 * 4 / 16.0, of_both = 1 + 3 * 8 / 16.0;
  // For x, y ~ N(1, I) of four axes: E xy = 4, Var xy = 4 * 3, third central moment 4 * 6 (each product's is 6).
  const double second = 12 + 16, third = 24 + 3 * 4 * 12 + 64;
  const double of_shifted = 1 + 3 * 4 / 4.0 + 3 * second / 16 + third / 64;
  const metrics::Estimate apart = metrics::kid({a, 4}, {shifted, 4});
  EXPECT_NEAR(apart.mean, of_a + of_shifted - 2 * of_both, 4 * apart.se);
  EXPECT_LT(apart.se, 0.1 * apart.mean);
}

// ---- precision, recall, density, coverage ----

TEST(Prdc, EqualsNumpy) {
  const Golden golden;
  const metrics::Prdc result = metrics::prdc(golden.rows("real"), golden.rows("fake"));
  EXPECT_NEAR(result.precision, golden.number("prdc", 0), 1e-6);
  EXPECT_NEAR(result.recall, golden.number("prdc", 1), 1e-6);
  EXPECT_NEAR(result.density, golden.number("prdc", 2), 1e-6);
  EXPECT_NEAR(result.coverage, golden.number("prdc", 3), 1e-6);
}

TEST(Prdc, TellsCollapseFromNoise) {
  const std::vector<float> real = normals(200, 2, 1), far = normals(200, 2, 2, 50);
  std::vector<float> collapsed;
  for (int i = 0; i < 200; ++i) collapsed.insert(collapsed.end(), real.begin(), real.begin() + 2);
  const metrics::Prdc one = metrics::prdc({real, 2}, {collapsed, 2}), none = metrics::prdc({real, 2}, {far, 2});
  EXPECT_EQ(one.precision, 1);
  EXPECT_LT(one.coverage, 0.1);
  EXPECT_LT(one.recall, 0.1);
  EXPECT_EQ(none.precision, 0);
  EXPECT_EQ(none.density, 0);
  EXPECT_EQ(none.coverage, 0);
}

// ---- Parzen ----

TEST(Parzen, EqualsScipy) {
  const Golden golden;
  const metrics::Parzen result =
      metrics::parzen(golden.rows("samples"), golden.rows("validation"), golden.rows("test"));
  EXPECT_NEAR(result.mean, golden.number("parzen", 0), 1e-4);
  EXPECT_NEAR(result.se, golden.number("parzen", 1), 1e-5);
  EXPECT_NEAR(result.sigma, golden.number("parzen", 2), 1e-6);
}

TEST(Parzen, OfOneSampleIsItsGaussianAndStaysFiniteFarOut) {
  const std::vector<float> sample{0, 0}, rows{3, 4, 3000, 4000};
  const std::vector<double> values = metrics::parzen_log_likelihoods({sample, 2}, {rows, 2}, 0.5);
  EXPECT_NEAR(values[0], -25 / 0.5 - std::log(2 * std::numbers::pi * 0.25), 1e-6);
  EXPECT_NEAR(values[1], -25e6 / 0.5, 100);
}

TEST(Parzen, SumsOverPiecesWhateverTheirOrder) {
  // The nearest sample lies in the second piece, far nearer than all before.
  std::vector<float> samples(3000, 10.0f);
  samples[2500] = 1;
  const std::vector<float> row{0};
  EXPECT_NEAR(metrics::parzen_log_likelihoods({samples, 1}, {row, 1}, 1)[0],
              -std::log(3000) - std::log(2 * std::numbers::pi) / 2 - 0.5, 2e-5);
}

// ---- nearest ----

TEST(Nearest, FindsTheNearestOverPiecesWithExactDistances) {
  const std::vector<float> rows{0, 0, 10, 10}, first{1, 0, 9, 9}, second{0, 0, 20, 20};
  metrics::Nearest nearest;
  metrics::find_nearest({rows, 2}, {first, 2}, 0, nearest);
  EXPECT_EQ(nearest.index, (std::vector<std::int64_t>{0, 1}));
  metrics::find_nearest({rows, 2}, {second, 2}, 2, nearest);
  EXPECT_EQ(nearest.index, (std::vector<std::int64_t>{2, 1}));
  EXPECT_EQ(nearest.distance[0], 0);
  EXPECT_NEAR(nearest.distance[1], std::sqrt(2), 1e-12);
}

TEST(Nearest, OtherRowsLeaveTheRowItselfOut) {
  const std::vector<float> rows{0, 0, 3, 4, 3, 4};
  EXPECT_EQ(metrics::nearest_other({rows, 2}), (std::vector<double>{5, 0, 0}));
}

TEST(Nearest, MedianAndShareOfPairs) {
  EXPECT_EQ(metrics::median({3, 1, 2}), 2);
  EXPECT_EQ(metrics::median({4, 1, 2, 3}), 2.5);
  EXPECT_EQ(metrics::share_smaller({1, 2}, {3, 4}), 1);
  EXPECT_EQ(metrics::share_smaller({3, 4}, {1, 2}), 0);
  EXPECT_EQ(metrics::share_smaller({2}, {1, 2, 3, 3}), 2.5 / 4);
}

// ---- modes ----

TEST(Modes, CountsThoseWithAGoodSampleAndTheShareOfGoodSamples) {
  const std::vector<float> modes{0, 0, 1, 0, 0, 1};
  const std::vector<float> samples{0, 0.029f, 0, 0.031f, 1.02f, 0.02f, 0.5f, 0.9f};  // deviation 0.01: within 0.03
  const metrics::ModeCount count = metrics::count_modes({samples, 2}, {modes, 2}, 0.01);
  EXPECT_EQ(count.found, 2);
  EXPECT_EQ(count.high_quality, 0.5);
  EXPECT_EQ(count.nearest, (std::vector<std::int32_t>{0, 0, 1, 2}));
}

TEST(Modes, SharesDivergeFromEqualOnes) {
  std::vector<std::int32_t> modes(1000);
  std::iota(modes.begin(), modes.end(), 0);
  EXPECT_EQ(metrics::share_modes(modes, 1000).found, 1000);
  EXPECT_NEAR(metrics::share_modes(modes, 1000).divergence, 0, 1e-12);
  modes.resize(250);  // a quarter of the modes, once each
  EXPECT_EQ(metrics::share_modes(modes, 1000).found, 250);
  EXPECT_NEAR(metrics::share_modes(modes, 1000).divergence, std::log(4), 1e-12);
  const std::vector<std::int32_t> one(26'000, 999), three_to_one{0, 0, 1, 0};
  EXPECT_EQ(metrics::share_modes(one, 1000).found, 1);
  EXPECT_NEAR(metrics::share_modes(one, 1000).divergence, std::log(1000), 1e-12);
  EXPECT_NEAR(metrics::share_modes(three_to_one, 2).divergence, 0.75 * std::log(1.5) + 0.25 * std::log(0.5), 1e-12);
}

TEST(Spread, IsBetweenLabelsAndWithinThem) {
  const std::vector<float> values{0, 1, 2, 1, 6, 1, 8, 1};  // rows (0, 1), (2, 1), (6, 1), (8, 1)
  const Rows rows{values, 2};
  const std::vector<std::int32_t> labels{3, 3, 300, 300};
  // Means of the labels 3 from that of all, rows 1 from those of the labels; half of the columns do not move.
  const metrics::Spread spread = metrics::spread(rows, labels);
  EXPECT_DOUBLE_EQ(spread.between.value(), 3 / std::sqrt(2));
  EXPECT_DOUBLE_EQ(spread.within, 1 / std::sqrt(2));
  const metrics::Spread unlabelled = metrics::spread(rows, {});
  EXPECT_FALSE(unlabelled.between);
  EXPECT_DOUBLE_EQ(unlabelled.within, std::sqrt(5));
}

TEST(Metrics, BadInput) {
  const std::vector<float> six{1, 2, 3, 4, 5, 6};
  const Rows two{six, 3}, three{six, 2}, one{six, 6}, none{std::span<const float>(), 2};
  expect_error(ErrorKind::usage, "expected rows of one width", [&] { metrics::mmd_squared(two, three); });
  expect_error(ErrorKind::usage, "expected rows of one width", [&] { metrics::prdc(three, none); });
  expect_error(ErrorKind::usage, "expected rows of one width", [&] { metrics::count_modes(two, three, 1); });
  const std::vector<std::int32_t> modes{0, 3};
  expect_error(ErrorKind::usage, "mode 3; expected 0 to 2", [&] { metrics::share_modes(modes, 3); });
  expect_error(ErrorKind::usage, "at least one sample", [&] { metrics::share_modes({}, 3); });
  expect_error(ErrorKind::usage, "at least two samples", [&] { metrics::fit_gaussian(one); });
  expect_error(ErrorKind::usage, "expected equal numbers",
               [&] { metrics::frechet_distance(metrics::fit_gaussian(two), metrics::fit_gaussian(three)); });
  expect_error(ErrorKind::usage, "at least two samples a side", [&] { metrics::mmd_squared(one, one); });
  expect_error(ErrorKind::usage, "at least four samples a side, 3 given", [&] { metrics::kid(three, three); });
  expect_error(ErrorKind::usage, "need more than 5 each", [&] { metrics::prdc(three, three); });
  expect_error(ErrorKind::usage, "at least two test rows", [&] { metrics::parzen(three, three, three.slice(0, 1)); });
  expect_error(ErrorKind::usage, "expected a number above 0",
               [&] { metrics::parzen_log_likelihoods(three, three, 0); });
  expect_error(ErrorKind::usage, "at least two samples", [&] { metrics::nearest_other(one); });
  expect_error(ErrorKind::usage, "2 labels for 3 rows", [&] {
    metrics::spread(three, std::vector<std::int32_t>{1, 2});
  });
  expect_error(ErrorKind::usage, "no rows", [&] { metrics::spread(none, {}); });
  expect_error(ErrorKind::usage, "no values", [&] { metrics::median({}); });
}

// ---- columns ----

TEST(KolmogorovSmirnov, IsTheLargestDifferenceOfDistributionFunctions) {
  EXPECT_EQ(metrics::kolmogorov_smirnov({1, 2, 3}, {3, 1, 2}), 0);
  EXPECT_EQ(metrics::kolmogorov_smirnov({1, 2}, {5}), 1);
  EXPECT_EQ(metrics::kolmogorov_smirnov({5}, {1, 2}), 1);
  EXPECT_DOUBLE_EQ(metrics::kolmogorov_smirnov({1, 2, 3, 4}, {2.5, 3.5, 4.5}), 0.5);  // below 2.5: 2/4 and 0
  EXPECT_DOUBLE_EQ(metrics::kolmogorov_smirnov({0, 0, 0, 1}, {0, 1, 1, 1}), 0.5);     // equal values count together
  const std::vector<float> a = normals(20'000, 1, 1), b = normals(20'000, 1, 2, 1);
  EXPECT_NEAR(metrics::kolmogorov_smirnov({a.begin(), a.end()}, {b.begin(), b.end()}), 0.38292,
              0.015);  // 2 Phi(1/2) - 1
}

TEST(KolmogorovSmirnov, ChanceIsExceededInOneOfTwentyCases) {
  EXPECT_DOUBLE_EQ(metrics::kolmogorov_smirnov_chance(100, 100), 1.358 * std::sqrt(0.02));
  EXPECT_EQ(metrics::kolmogorov_smirnov_chance(1, 1), 1);
  int above = 0;
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    const std::vector<float> a = normals(200, 1, 2 * seed + 10), b = normals(300, 1, 2 * seed + 11);
    above += metrics::kolmogorov_smirnov({a.begin(), a.end()}, {b.begin(), b.end()}) >
             metrics::kolmogorov_smirnov_chance(200, 300);
  }
  EXPECT_NEAR(above / 1000.0, 0.05, 0.02);
}

TEST(Correlation, IsPearsons) {
  const std::vector<float> rows{1, 2, 6, 5, 2, 4, 4, 5, 3, 6, 2, 5};  // b = 2 a, c = 8 - 2 a, d constant
  const std::vector<double> matrix = metrics::correlation({rows, 4});
  const double expected[] = {1, 1, -1, 0, 1, 1, -1, 0, -1, -1, 1, 0, 0, 0, 0, 1};
  for (std::size_t i = 0; i < 16; ++i) EXPECT_NEAR(matrix[i], expected[i], 1e-12) << i;
  const std::vector<float> some{1, 2, 2, 1, 3, 5};  // sums of squares 2 and 26/3, of products 3
  EXPECT_NEAR(metrics::correlation({some, 2})[1], 3 / std::sqrt(2 * 26.0 / 3), 1e-12);
}

TEST(Correlation, DifferencesNameTheColumns) {
  const std::vector<double> a{1, 0.5, 0.1, 0.5, 1, 0, 0.1, 0, 1}, b{1, 0.4, 0.1, 0.4, 1, -0.8, 0.1, -0.8, 1};
  const metrics::CorrelationDifference difference = metrics::compare_correlations(a, b, 3, 2);
  EXPECT_DOUBLE_EQ(difference.largest, 0.8);
  EXPECT_NEAR(difference.mean, 0.3, 1e-12);
  ASSERT_EQ(difference.pairs.size(), 2u);
  EXPECT_EQ(difference.pairs[0].i, 1);
  EXPECT_EQ(difference.pairs[0].j, 2);
  EXPECT_EQ(difference.pairs[0].b, -0.8);
  EXPECT_EQ(metrics::compare_correlations({1}, {1}, 1, 5).largest, 0);
}

TEST(Nearest, FindsTheKNearest) {
  const std::vector<float> rows{0, 10}, candidates{3, 1, 9, 12, 2};
  EXPECT_EQ(metrics::k_nearest({rows, 1}, {candidates, 1}, 3), (std::vector<std::uint32_t>{1, 4, 0, 2, 3, 0}));
  // Over the pieces of many candidates.
  const std::vector<float> many = normals(5000, 2, 3), few = normals(50, 2, 4);
  const std::vector<std::uint32_t> nearest = metrics::k_nearest({few, 2}, {many, 2}, 4);
  metrics::Nearest first;
  metrics::find_nearest({few, 2}, {many, 2}, 0, first);
  for (std::size_t i = 0; i < 50; ++i) EXPECT_EQ(nearest[4 * i], first.index[i]) << i;
}

TEST(MetricsOfColumns, BadInput) {
  const std::vector<float> one{1, 2};
  expect_error(ErrorKind::usage, "0 and 1 numbers", [] { metrics::kolmogorov_smirnov({}, {1}); });
  expect_error(ErrorKind::usage, "NaN", [] { metrics::kolmogorov_smirnov({1}, {std::nan("")}); });
  expect_error(ErrorKind::usage, "at least two samples", [&] { metrics::correlation({one, 2}); });
  expect_error(ErrorKind::usage, "correlations of 1 and 4", [] {
    metrics::compare_correlations({1}, {1, 0, 0, 1}, 1, 1);
  });
  expect_error(ErrorKind::usage, "3 nearest of 2 candidates", [&] { metrics::k_nearest({one, 1}, {one, 1}, 3); });
}

}  // namespace
}  // namespace gan::test
