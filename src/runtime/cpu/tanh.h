#pragma once

namespace gan::runtime::cpu {

/// tanh(x) as x P(x^2) / Q(x^2) for |x| up to kTanhLimit, where f32 reaches 1: the least largest relative error, 6e-8
/// by itself, 3e-7 with the rounding of f32. From the highest power down; each step is one fused multiply-add.
inline constexpr float kTanhLimit = 9.0f;
inline constexpr float kTanhNumerator[] = {1.82558659e-11f, -1.27807127e-08f, 9.26752193e-06f,
                                           2.92077383e-03f, 1.29192400e-01f,  9.99999941e-01f};
inline constexpr float kTanhDenominator[] = {2.28101800e-04f, 2.37632190e-02f, 4.62525239e-01f, 1.0f};

}  // namespace gan::runtime::cpu
