#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/random.h"
#include "data/condition.h"

namespace gan::data {

/// How real samples are drawn for numeric conditions, which few samples have exactly (CcGAN, Ding et al. 2021, arXiv
/// 2011.07466). Widths are in units of a column's range, or of its period (NumberColumn::position).
struct VicinalOptions {
  std::string kind = "none";  ///< none, hard (uniform in the vicinity) or soft (weights decrease with distance)
  double sigma = 0;  ///< standard deviation of the noise on conditions; 0: 1.06 deviation N^(-1/5), as published
  double kappa = 0;  ///< half the width of a vicinity; 0: twice the largest gap between neighbours
};

/// Draws for each row of a batch a condition near that of a sample, and a real sample near that condition: every value
/// y becomes t = y + sigma e, e from N(0, 1). The vicinity of t holds the samples of equal categories with |y - t| <=
/// kappa in every numeric column; soft vicinities draw sample i with a probability proportional to
/// exp(-sum over columns of ((y_i - t) / kappa)^2), which is the published estimate with weights, and ignore weights
/// below 1e-3. Fakes are drawn for t itself, where the paper varies them within kappa, too.
class Vicinity {
 public:
  /// `rows` must outlive it. Throws a usage error without a numeric column.
  Vicinity(const ConditionSpec& spec, const ConditionRows& rows, const VicinalOptions& options);

  /// Draws a condition near that of sample `sample`, which row `row` of `y` holds, and writes it there. Returns the
  /// index of a real sample near the new condition. Depends only on `random` and on `place`, the row's index in the
  /// whole batch.
  std::uint32_t draw(std::uint32_t sample, const base::RandomStream& random, std::size_t place, std::size_t row,
                     ConditionRows& y) const;

  /// sigma and kappa of each numeric column, in positions.
  struct Width {
    double sigma = 0, kappa = 0;
  };
  std::span<const Width> widths() const { return widths_; }

 private:
  /// The samples of equal categories, in ascending order of the first numeric column's positions.
  struct Group {
    std::vector<std::uint32_t> samples;
    std::vector<std::vector<double>> positions;  // of each numeric column
  };
  /// Samples [begin, end) of a group.
  struct Run {
    std::size_t begin, end;
  };
  std::vector<Run> runs_near(const Group& group, double target) const;
  double weight(const Group& group, std::size_t sample, std::span<const double> target) const;
  std::optional<std::size_t> choose(const Group& group, std::span<const double> target,
                                    const base::RandomStream& random, std::uint64_t first) const;

  const ConditionRows& rows_;
  bool soft_;
  double reach_;                                    // half the width of a vicinity, in units of kappa
  std::vector<std::size_t> numeric_, categorical_;  // columns
  std::vector<NumberColumn> numbers_;               // of the numeric ones
  std::vector<Width> widths_;
  std::map<std::vector<std::int32_t>, Group> groups_;
};

}  // namespace gan::data
