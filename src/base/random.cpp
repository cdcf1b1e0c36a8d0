#include "base/random.h"

#include <cmath>
#include <numbers>

namespace gan::base {

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 2> key, std::array<std::uint32_t, 4> counter) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t left = std::uint64_t{0xD2511F53} * counter[0];
    const std::uint64_t right = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<std::uint32_t>(right >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(right),
               static_cast<std::uint32_t>(left >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(left)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

namespace {
constexpr float kTwoToMinus24 = 1.0f / 16777216.0f;
float uniform_of(std::uint32_t bits) { return static_cast<float>(bits >> 8) * kTwoToMinus24; }
}  // namespace

float RandomStream::uniform(std::uint64_t index) const { return uniform_of(bits(index)); }

std::array<float, 4> RandomStream::uniforms(std::uint64_t number) const {
  const std::array<std::uint32_t, 4> words = block(number);
  return {uniform_of(words[0]), uniform_of(words[1]), uniform_of(words[2]), uniform_of(words[3])};
}

std::array<float, 4> RandomStream::normals(std::uint64_t number) const {
  const std::array<std::uint32_t, 4> words = block(number);
  std::array<float, 4> values{};
  for (std::size_t pair = 0; pair < 4; pair += 2) {
    // 1 - u is in (0, 1], so the logarithm is finite.
    const float radius = std::sqrt(-2.0f * std::log(1.0f - uniform_of(words[pair])));
    const float angle = 2.0f * std::numbers::pi_v<float> * uniform_of(words[pair + 1]);
    values[pair] = radius * std::cos(angle);
    values[pair + 1] = radius * std::sin(angle);
  }
  return values;
}

float RandomStream::normal(std::uint64_t index) const { return normals(index / 4)[index % 4]; }

std::uint64_t RandomStream::below(std::uint64_t bound, std::uint64_t index) const {
  const std::uint64_t word = (std::uint64_t{bits(2 * index)} << 32) | bits(2 * index + 1);
  return static_cast<std::uint64_t>((static_cast<unsigned __int128>(word) * bound) >> 64);
}

std::uint32_t stream_of(std::string_view name) {
  std::uint32_t hash = 2166136261u;
  for (char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return hash;
}

}  // namespace gan::base
