// Exponential and logarithm of floats in a form that compilers vectorise; the same bits on every machine.
//
// Thread safety: pure functions.
#pragma once

#include <bit>
#include <cstdint>

namespace espalier::trainer {

/// e^x within 4e-6 of it, relatively. Below -87 as at -87, above 80 as at 80.
inline float fast_exp(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 80.0f ? 80.0f : x;
  const float scaled = x * 1.44269504f;
  const auto whole = static_cast<std::int32_t>(scaled + (scaled < 0 ? -0.5f : 0.5f));
  const float f = scaled - static_cast<float>(whole);
  float p = 1.3333558e-3f;
  p = p * f + 9.6181291e-3f;
  p = p * f + 5.5504109e-2f;
  p = p * f + 2.4022651e-1f;
  p = p * f + 6.9314718e-1f;
  p = p * f + 1.0f;
  return p * std::bit_cast<float>((whole + 127) << 23);
}

/// The logarithm within about 0.001: good enough to start a search from. REQUIRES: x > 0, not subnormal.
inline float rough_log(float x) {
  const auto bits = std::bit_cast<std::int32_t>(x);
  const auto exponent = static_cast<float>((bits >> 23) - 127);
  const float m = std::bit_cast<float>((bits & 0x7fffff) | 0x3f800000);
  float p = -0.05657f;
  p = p * m + 0.44717f;
  p = p * m - 1.46994f;
  p = p * m + 2.82120f;
  p = p * m - 1.74179f;
  return (exponent + p) * 0.69314718f;
}

}  // namespace espalier::trainer
