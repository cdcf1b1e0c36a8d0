#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gan::data {

/// Larger numbers are refused, because scaled values might not fit into f32.
inline constexpr double kLargestNumber = 1e30;

/// Scales numbers to a range that suits networks: (f(value) - offset) / scale, where f is log for kind log, else the
/// identity.
struct Scaling {
  std::string kind = "none";  ///< none, standard (mean 0, deviation 1), minmax (to [-1, 1]) or log (log, then standard)
  double offset = 0, scale = 1;

  bool operator==(const Scaling&) const = default;
  double apply(double value) const;
  double undo(double scaled) const;
};

/// The kinds of scaling that users may choose.
std::span<const std::string_view> scaling_kinds();

/// A column of numbers, as the condition or as an element of a vector.
struct NumberColumn {
  std::string name = {};
  std::string unit = {};            ///< such as "degrees"; may be empty
  double minimum = 0, maximum = 0;  ///< the range seen in the training data
  double deviation = 0;             ///< the standard deviation in the training data
  std::int64_t distinct = 0;        ///< number of different values in the training data
  Scaling scaling = {};
  double period = 0;         ///< 0: not periodic
  std::int64_t fourier = 0;  ///< number of additional frequencies, see features()

  bool operator==(const NumberColumn&) const = default;
  /// The number of features: (sin, cos) of 1, 2, 4, ... times the angle, 1 + fourier pairs, for a periodic column; else
  /// the scaled value and (sin, cos) of pi, 2 pi, 4 pi, ... times the position, `fourier` pairs (Tancik et al. 2020,
  /// arXiv 2006.10739).
  std::int64_t features() const;
  /// Writes the features of a value to dst [features()].
  void copy_features(double value, float* dst) const;
  /// Whether the value lies outside the range seen.
  bool outside(double value) const;
  /// Whether the value has features: finite, and above 0 if the scaling is log.
  bool accepts(double value) const;
  /// The position of a value in the range seen, from 0 at the lowest to 1 at the highest value, on a logarithmic scale
  /// if the scaling is log; for a periodic column the phase, in [0, 1).
  double position(double value) const;
  /// Interpolates between two values; `share` is 0 for the first and 1 for the second. Scaled values are interpolated
  /// linearly, periodic ones on the shorter way around.
  double between(double from, double to, double share) const;
  /// The value at a position of a column that is not periodic, clamped to the range of f32.
  double value_at(double position) const;
};

/// Makes a column for these values with a scaling of this kind; for "" log if the values are positive with a long right
/// tail (skewness above 2, and smaller for their logarithms), else standard. Throws a data error naming `place` if all
/// values are equal, one is not finite, or the kind is log and not all values are positive.
NumberColumn number_column(const std::string& name, std::span<const float> values, std::string_view kind,
                           const std::string& place);

}  // namespace gan::data
