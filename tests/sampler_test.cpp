// What a sampler draws: the same picture for a latent and a label, whatever is drawn around it.
#include "train/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "untrained_model.h"

namespace gan::test {
namespace {

/// Latents and labels of `count` samples of a seed, and the pictures that a sampler makes of them.
struct Drawn {
  Drawn(const train::Model& model, std::uint64_t seed, std::int64_t count)
      : latent(model.config.model.latent), size(graph::element_count(model.sample_shape)) {
    z.resize(static_cast<std::size_t>(count * latent));
    for (std::int64_t i = 0; i < count; ++i)
      labels.push_back(static_cast<std::int32_t>((i + 3) % model.condition.classes()));
    pictures.resize(static_cast<std::size_t>(count * size));
    train::Sampler(model).latents(seed, 0, z);
  }
  /// Draws pictures [first, first + count) in one call.
  void draw(train::Sampler& sampler, std::int64_t first, std::int64_t count) {
    const auto part = [&](auto& values, std::int64_t width) {
      return std::span(values).subspan(static_cast<std::size_t>(first * width),
                                       static_cast<std::size_t>(count * width));
    };
    const auto rows = part(labels, 1);
    sampler.sample(part(z, latent), std::vector<std::int32_t>(rows.begin(), rows.end()), part(pictures, size));
  }

  std::int64_t latent, size;
  std::vector<float> z, pictures;
  std::vector<std::int32_t> labels;
};

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double largest = 0;
  for (std::size_t i = 0; i < b.size(); ++i)
    largest = std::max(largest, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  return largest;
}

/// Mean distance of pixels from 0: what differs by little must not do so because everything is small.
double mean_size(const std::vector<float>& values) {
  double sum = 0;
  for (const float value : values) sum += std::abs(static_cast<double>(value));
  return sum / static_cast<double>(values.size());
}

constexpr float kAsTrained = 2;  // times the weights at the start: pixels come near -1 and 1, as those of real models

TEST(Sampler, APictureIsTheSameWhateverIsDrawnAroundIt) {
  for (const char* preset : {"lsgan-r1r2", "tutorial-bce-repaired", "cgan-paper", "conv"}) {
    const train::Model model = untrained_model(preset, kAsTrained);
    train::Sampler exact(model, "f32"), automatic(model);
    for (const std::uint64_t seed : {1, 2, 3}) {
      Drawn expected(model, seed, 513);
      expected.draw(exact, 0, 513);
      // Pixels near 0, -1 or 1 would hide a difference.
      EXPECT_GT(mean_size(expected.pictures), 0.1) << preset;
      EXPECT_LT(mean_size(expected.pictures), 0.9) << preset;
      for (const std::int64_t count : {1, 2, 3, 64, 257, 513}) {
        Drawn drawn(model, seed, 513);
        // Single pictures are drawn at every 31st position, others one after the other.
        const std::int64_t step = count == 1 ? 31 : count;
        for (std::int64_t first = 0; first < 513; first += step)
          drawn.draw(automatic, first, std::min(count, 513 - first));
        for (std::int64_t i = 0; i < 513; ++i) {
          if (count == 1 && i % step != 0) continue;
          const auto picture = [&](const std::vector<float>& all) {
            return std::vector<float>(all.begin() + i * drawn.size, all.begin() + (i + 1) * drawn.size);
          };
          ASSERT_LT(largest_difference(picture(drawn.pictures), picture(expected.pictures)), 1e-5)
              << preset << ", seed " << seed << ", picture " << i << " of " << count << " at a time";
        }
      }
    }
  }
}

TEST(Sampler, SixteenBitsAreTakenOnRequestAlone) {
  const train::Model model = untrained_model("lsgan-r1r2", kAsTrained);
  train::Sampler exact(model, "f32"), rounded(model, "bf16");
  Drawn expected(model, 1, 8), single(model, 1, 8), together(model, 1, 8);
  expected.draw(exact, 0, 8);
  for (std::int64_t i = 0; i < 8; ++i) single.draw(rounded, i, 1);
  together.draw(rounded, 0, 8);
  EXPECT_LT(largest_difference(single.pictures, expected.pictures), 1e-2);
  EXPECT_GT(largest_difference(single.pictures, expected.pictures), 1e-6);
  EXPECT_LT(largest_difference(together.pictures, expected.pictures), 0.2);
  EXPECT_THROW(train::Sampler(model, "fp8"), base::Error);
}

TEST(Sampler, SixteenBitsGiveTheSameBitsInAnyBatchOnAnyThreads) {
  for (const char* preset : {"tutorial-lsgan", "lsgan-r1r2", "tutorial-bce-repaired", "cgan-paper", "lsgan-characters"})
    for (const bool outlier : {false, true}) {
      const train::Model model = untrained_model(preset, kAsTrained);
      if (outlier)  // some layers lose too much by 16 bits and stay as they are
        for (const auto& [name, array] : model.weights)
          if (name.ends_with("weight") && array.type().shape.size() == 2)
            for (std::int64_t row = 0; row < array.type().shape[0]; row += 2)
              array.f32()[static_cast<std::size_t>(row * array.type().shape[1])] = 9;
      train::Sampler exact(model, "f32");
      Drawn expected(model, 1, 300), single(model, 1, 300);
      expected.draw(exact, 0, 300);
      {
        const base::ScopedThreads one(1);
        train::Sampler sampler(model, "int16");
        for (std::int64_t i = 0; i < 300; i += 13) single.draw(sampler, i, 1);
      }
      for (const std::int64_t count : {2, 3, 64, 300}) {
        const base::ScopedThreads team(count == 64 ? 1 : 3);
        train::Sampler sampler(model, "int16");
        Drawn drawn(model, 1, 300);
        for (std::int64_t first = 0; first < 300; first += count)
          drawn.draw(sampler, first, std::min(count, 300 - first));
        EXPECT_LT(largest_difference(drawn.pictures, expected.pictures), outlier ? 0.1 : 1e-2) << preset;
        EXPECT_NE(drawn.pictures, expected.pictures) << preset;
        for (std::int64_t i = 0; i < 300 * drawn.size; ++i)
          if (i / drawn.size % 13 == 0) {
            ASSERT_EQ(drawn.pictures[static_cast<std::size_t>(i)], single.pictures[static_cast<std::size_t>(i)])
                << preset << ", element " << i << " of " << count << " at a time";
          }
      }
    }
}

TEST(Sampler, OutlivesTheModelItWasMadeFrom) {
  const train::Model model = untrained_model("lsgan-r1r2");
  train::Sampler of_variable(model);
  train::Sampler of_temporary(untrained_model("lsgan-r1r2"));
  Drawn expected(model, 1, 3), drawn(model, 1, 3);
  expected.draw(of_variable, 0, 3);
  drawn.draw(of_temporary, 0, 3);
  EXPECT_EQ(drawn.pictures, expected.pictures);
}

TEST(Sampler, KeepsProgramsOfTheSizesUsedLast) {
  const train::Model model = untrained_model("lsgan-r1r2");
  train::Sampler sampler(model);
  Drawn drawn(model, 1, 40);
  for (std::int64_t count = 1; count <= 40; ++count) {
    drawn.draw(sampler, 0, count);
    EXPECT_EQ(sampler.programs(),
              std::min<std::size_t>(static_cast<std::size_t>(count), train::Sampler::kProgramsKept));
  }
  Drawn again(model, 1, 40);
  again.draw(sampler, 0, 40);
  EXPECT_EQ(again.pictures, drawn.pictures);
}

TEST(SamplerBadInput, LatentsThatAreNotFinite) {
  const train::Model model = untrained_model("lsgan-r1r2");
  train::Sampler sampler(model);
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Drawn drawn(model, 1, 3);
    drawn.z[static_cast<std::size_t>(drawn.latent) + 2] = bad;
    try {
      drawn.draw(sampler, 0, 3);
      ADD_FAILURE() << bad << " was taken";
    } catch (const base::Error& error) {
      EXPECT_NE(std::string(error.what()).find("latent 2 of sample 1"), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace gan::test
