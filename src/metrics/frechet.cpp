#define EIGEN_DONT_PARALLELIZE  // the order of sums must not depend on threads
#include "metrics/frechet.h"

#include <Eigen/Eigenvalues>
#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace gan::metrics {

namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr std::int64_t kRowsOfChunk = 1024;  // rows converted to double at a time

Eigen::Map<const Matrix> covariance_of(const Gaussian& gaussian) {
  const auto width = static_cast<Eigen::Index>(gaussian.mean.size());
  return {gaussian.covariance.data(), width, width};
}

}  // namespace

Gaussian fit_gaussian(const Rows& rows) {
  if (rows.width < 1 || rows.count() < 2) base::fail_usage("a covariance needs at least two samples");
  const std::int64_t count = rows.count(), width = rows.width;
  const auto chunk = [&](std::int64_t first) {
    const std::int64_t size = std::min(kRowsOfChunk, count - first);
    return Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>(
               rows.values.data() + first * width, size, width)
        .cast<double>();
  };
  Eigen::RowVectorXd mean = Eigen::RowVectorXd::Zero(width);
  for (std::int64_t first = 0; first < count; first += kRowsOfChunk) mean += chunk(first).colwise().sum();
  mean /= static_cast<double>(count);
  Matrix covariance = Matrix::Zero(width, width);
  for (std::int64_t first = 0; first < count; first += kRowsOfChunk) {
    const Matrix centred = chunk(first).rowwise() - mean;
    covariance.noalias() += centred.transpose() * centred;
  }
  covariance /= static_cast<double>(count - 1);
  return {count, {mean.data(), mean.data() + width}, {covariance.data(), covariance.data() + width * width}};
}

Gaussian fit_shrunk_gaussian(const Rows& rows) {
  Gaussian gaussian = fit_gaussian(rows);
  const auto count = static_cast<double>(rows.count()), width = static_cast<double>(rows.width);
  Eigen::Map<Matrix> covariance(gaussian.covariance.data(), rows.width, rows.width);
  // Their formulas divide the covariance by N, and every squared norm by D.
  const Matrix biased = covariance * ((count - 1) / count);
  double fourth_powers = 0;
  for (std::int64_t i = 0; i < rows.count(); ++i) {
    double square = 0;
    for (std::size_t c = 0; c < gaussian.mean.size(); ++c) {
      const double far = static_cast<double>(rows.row(i)[c]) - gaussian.mean[c];
      square += far * far;
    }
    fourth_powers += square * square;
  }
  const double scale = biased.trace() / width;
  const double spread = (biased - scale * Matrix::Identity(rows.width, rows.width)).squaredNorm() / width;
  const double error = (fourth_powers / count - biased.squaredNorm()) / count / width;
  const double share = spread > 0 ? std::clamp(error / spread, 0.0, 1.0) : 0;
  const double mean = covariance.trace() / width;
  covariance *= 1 - share;
  covariance.diagonal().array() += share * mean;
  return gaussian;
}

double frechet_distance(const Gaussian& a, const Gaussian& b) {
  if (a.mean.size() != b.mean.size() || a.mean.empty())
    base::fail_usage("Gaussians of {} and {}; expected equal numbers", a.mean.size(),
                     base::counted(static_cast<std::int64_t>(b.mean.size()), "dimension"));
  // tr (Ca Cb)^(1/2) = tr (Ra Cb Ra)^(1/2) with Ra = Ca^(1/2), and both roots are of symmetric matrices. Rounding can
  // push an eigenvalue below 0.
  const Eigen::SelfAdjointEigenSolver<Matrix> of_a(covariance_of(a));
  const Matrix root =
      of_a.eigenvectors() * of_a.eigenvalues().cwiseMax(0).cwiseSqrt().asDiagonal() * of_a.eigenvectors().transpose();
  const Matrix product = root * covariance_of(b) * root;
  const Eigen::SelfAdjointEigenSolver<Matrix> of_product(product, Eigen::EigenvaluesOnly);
  const double cross = of_product.eigenvalues().cwiseMax(0).cwiseSqrt().sum();
  double means = 0;
  for (std::size_t c = 0; c < a.mean.size(); ++c) means += (a.mean[c] - b.mean[c]) * (a.mean[c] - b.mean[c]);
  return std::max(0.0, means + covariance_of(a).trace() + covariance_of(b).trace() - 2 * cross);
}

double frechet_distance_of_few(const Rows& a, const Rows& b) {
  constexpr std::int64_t kMostBlocks = 10;
  require_same_width(a, b);
  const std::int64_t block = a.count(), blocks = std::min(b.count() / block, kMostBlocks);
  if (blocks < 1) base::fail_usage("{} rows compared with only {}", block, b.count());
  const Gaussian of_a = fit_shrunk_gaussian(a);
  double sum = 0;
  for (std::int64_t i = 0; i < blocks; ++i)
    sum += frechet_distance(of_a, fit_shrunk_gaussian(b.slice(i * block, block)));
  return sum / static_cast<double>(blocks);
}

}  // namespace gan::metrics
