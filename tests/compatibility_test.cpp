// Models and runs that older versions wrote (tests/data).
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "io/npy.h"
#include "io/safetensors.h"
#include "program.h"
#include "train/model_file.h"
#include "train/sampler.h"

namespace gan::test {
namespace {

namespace fs = std::filesystem;

const std::string kOld = GAN_DATA_DIR "/0.1.0/";

std::vector<float> draw(const train::Model& model, const data::ConditionRows& y, std::int64_t count) {
  train::Sampler sampler(model, "f32");
  std::vector<float> z(static_cast<std::size_t>(count * model.config.model.latent));
  std::vector<float> out(static_cast<std::size_t>(count * graph::element_count(model.sample_shape)));
  sampler.latents(/*seed=*/1, 0, z);
  sampler.sample(z, y, out);
  return out;
}

void expect_near(const std::vector<float>& values, const std::string& file, double tolerance) {
  const runtime::Array expected = io::read_npy_f32(file);
  ASSERT_EQ(values.size(), expected.f32().size());
  double largest = 0, spread = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(values[i]) - static_cast<double>(expected.f32()[i])));
    spread = std::max(spread, std::abs(static_cast<double>(values[i]) - static_cast<double>(values[0])));
  }
  EXPECT_LT(largest, tolerance) << file;
  EXPECT_GT(spread, 0.1) << "one value everywhere says little";
}

/// 70 rows of class 0, 70 of class 2.
data::ConditionRows low_and_high() {
  std::vector<std::int32_t> labels(140, 0);
  std::fill(labels.begin() + 70, labels.end(), 2);
  return labels;
}

TEST(Compatibility, ModelsOfVersion1DrawWhatTheyDrew) {
  const train::Model model = train::load_model(kOld + "run");
  EXPECT_EQ(model.condition, data::label_condition(3, {"low", "middle", "high"}));
  EXPECT_EQ(model.steps, 20);
  const std::vector<float> drawn = draw(model, low_and_high(), 140);
  expect_near(drawn, kOld + "samples.npy", 1e-5);
  const train::Model plain = train::load_model(kOld + "plain.safetensors");
  EXPECT_TRUE(plain.condition.empty());
  expect_near(draw(plain, {}, 120), kOld + "plain.npy", 1e-5);

  const TemporaryFolder folder;
  train::save_model(folder / "m.safetensors", model);
  EXPECT_EQ(io::read_safetensors(folder / "m.safetensors").metadata.at("version"), "3");
  const train::Model again = train::load_model(folder / "m.safetensors");
  EXPECT_EQ(again.condition, model.condition);
  EXPECT_EQ(draw(again, low_and_high(), 140), drawn) << "the same bytes";
}

TEST(Compatibility, RunsOfVersion1GoOn) {
  const TemporaryFolder folder;
  fs::copy(kOld + "run", folder / "run", fs::copy_options::recursive);
  const std::string data = kOld + "x.idx," + kOld + "y.idx";
  expect_done(folder, {"train", "--resume", "--out", folder / "run", "--data", data, "--steps", "40", "--threads", "1",
                       "--quiet"});
  const train::Model model = train::load_model(folder / "run");
  EXPECT_EQ(model.steps, 40);
  // Twenty steps of Adam make more of the last digits, which are the processor's.
  expect_near(draw(model, low_and_high(), 140), kOld + "samples40.npy", 2e-3);
}

TEST(CompatibilityBadInput, ValuesOfOldRunsThatWereEditedAreRefused) {
  const TemporaryFolder folder;
  fs::copy(kOld + "run", folder / "run", fs::copy_options::recursive);
  std::string config = get(folder / "run/config.toml");
  const std::size_t at = config.find("batch = 16");
  ASSERT_NE(at, std::string::npos);
  put(folder / "run/config.toml", config.replace(at, 10, "batch = 32"));
  expect_refused(folder,
                 {"train", "--resume", "--out", folder / "run", "--data", kOld + "x.idx," + kOld + "y.idx", "--steps",
                  "40", "--threads", "1"},
                 3, "made with train.batch = 16, but config.toml says 32");
}

TEST(CompatibilityBadInput, NewerModelsSayWhatTheyNeed) {
  const TemporaryFolder folder;
  io::Safetensors file = io::read_safetensors(kOld + "run/model.safetensors");
  file.metadata["version"] = "4";
  std::vector<io::NamedArray> tensors;
  for (const auto& [name, array] : file.tensors) tensors.push_back({name, &array});
  io::write_safetensors(folder / "m.safetensors", file.metadata, tensors);
  expect_refused(folder, {"sample", folder / "m.safetensors", "--out", folder / "x.npy"}, 3,
                 "model format \"4\", this program, gan.cpp " GAN_VERSION ", reads 1 to 3; it was written by ");
}

}  // namespace
}  // namespace gan::test
