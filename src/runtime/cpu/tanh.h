#pragma once

namespace gan::runtime::cpu {

/// tanh(x) = x P(x^2) / Q(x^2) for |x| <= kTanhLimit, where tanh rounds to 1 in f32. Minimax approximation with a
/// relative error of 6e-8, or 3e-7 when computed in f32. Coefficients from the highest power down, for Horner's rule
/// with fused multiply-adds.
inline constexpr float kTanhLimit = 9.0f;
inline constexpr float kTanhNumerator[] = {1.82558659e-11f, -1.27807127e-08f, 9.26752193e-06f,
                                           2.92077383e-03f, 1.29192400e-01f,  9.99999941e-01f};
inline constexpr float kTanhDenominator[] = {2.28101800e-04f, 2.37632190e-02f, 4.62525239e-01f, 1.0f};

}  // namespace gan::runtime::cpu
