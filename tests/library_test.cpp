// The library for other programs: gan/gan.h, and gan/sampler.h over it.
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "file_helpers.h"
#include "gan/sampler.h"
#include "train/sampler.h"
#include "untrained_model.h"

namespace gan::test {
namespace {

/// A model file of a preset with random weights.
class SavedModel {
 public:
  explicit SavedModel(const char* preset, const data::ConditionSpec& condition = data::label_condition(10))
      : model(untrained_model(preset, 1, condition)), path(folder_ / "model.safetensors") {
    give_random_weights(model);
    train::save_model(path, model);
  }

 private:
  TemporaryFolder folder_;

 public:
  train::Model model;
  const std::string path;
};

data::ConditionSpec label_and_angle() {
  data::ConditionSpec spec = data::label_condition(3, {"cat", "dog", "bird"});
  spec.columns.push_back(
      {.name = "angle", .number = {.name = "angle", .unit = "degrees", .maximum = 350, .distinct = 36, .period = 360}});
  return spec;
}

std::string error_of(gan_status status, gan_status expected) {
  EXPECT_EQ(status, expected);
  return gan_error();
}

TEST(Library, DescribesAModel) {
  const SavedModel saved("lsgan-r1r2", label_and_angle());
  const Sampler sampler(saved.path);
  EXPECT_EQ(sampler.description().latent, saved.model.config.model.latent);
  EXPECT_EQ(sampler.description().dimensions, 3);
  EXPECT_EQ(sampler.description().elements, 784);
  EXPECT_EQ(sampler.description().low, -1);
  EXPECT_EQ(sampler.description().high, 1);
  ASSERT_EQ(sampler.columns().size(), 2u);
  EXPECT_EQ(sampler.columns()[0].name, "label");
  EXPECT_EQ(sampler.columns()[0].categories, (std::vector<std::string>{"cat", "dog", "bird"}));
  EXPECT_EQ(sampler.columns()[1].unit, "degrees");
  EXPECT_EQ(sampler.columns()[1].maximum, 350);
  EXPECT_EQ(sampler.columns()[1].period, 360);
  EXPECT_TRUE(sampler.columns()[1].categories.empty());
  EXPECT_TRUE(sampler.elements().empty());
  EXPECT_STREQ(gan_version(), GAN_VERSION);
}

TEST(Library, DrawsWhatTheSamplerDraws) {
  for (const char* preset : {"tutorial-lsgan", "lsgan-r1r2", "conv"}) {
    const SavedModel saved(preset, label_and_angle());
    train::Sampler expected_of(saved.model);
    const auto latent = static_cast<std::size_t>(saved.model.config.model.latent);
    std::vector<float> z(3 * latent), expected(3 * 784);
    data::ConditionRows rows(std::vector<std::int32_t>{2, 0, 1});
    rows.columns.emplace_back(std::vector<float>{10, 20, 350.5f});
    expected_of.latents(7, 5, z);
    expected_of.sample(z, rows, expected);
    const std::string bytes = base::read_file(saved.path);
    const Sampler from_file(saved.path), from_memory(bytes.data(), bytes.size());
    const auto expect_near = [&](const std::vector<float>& drawn) {
      ASSERT_EQ(drawn.size(), expected.size());
      for (std::size_t i = 0; i < drawn.size(); ++i) ASSERT_NEAR(drawn[i], expected[i], 1e-6) << preset;
    };
    Request request{.count = 3, .condition = {2, 10, 0, 20, 1, 350.5f}, .seed = 7, .first = 5};
    expect_near(from_file.sample(request));
    request.latents = z;
    request.seed = 0;
    expect_near(from_memory.sample(request));
  }
}

TEST(Library, OneRowOfTheConditionHoldsForAllSamples) {
  const SavedModel saved("lsgan-r1r2");
  const Sampler sampler(saved.path);
  const std::vector<float> together = sampler.sample({.count = 4, .condition = {7}});
  EXPECT_EQ(together, sampler.sample({.count = 4, .condition = {7, 7, 7, 7}}));
  for (std::int64_t i = 0; i < 4; ++i) {
    const std::vector<float> one = sampler.sample({.condition = {7}, .first = i});
    for (std::size_t k = 0; k < 784; ++k)
      ASSERT_NEAR(one[k], together[static_cast<std::size_t>(i) * 784 + k], 1e-5) << i;
  }
  EXPECT_TRUE(sampler.sample({.count = 0}).empty());
  EXPECT_THROW(sampler.sample({.count = 4, .condition = {7, 7}}), std::invalid_argument);
}

TEST(Library, SixteenBitsGiveTheSameBitsInAnyCall) {
  const SavedModel saved("lsgan-r1r2");
  const Sampler sampler(saved.path);
  const std::vector<float> exact = sampler.sample({.count = 40, .condition = {7}});
  const std::vector<float> together = sampler.sample({.count = 40, .condition = {7}, .precision = GAN_INT16});
  EXPECT_NE(together, exact);
  for (std::int64_t i = 0; i < 40; ++i) {
    const std::vector<float> one = sampler.sample({.condition = {7}, .first = i, .precision = GAN_INT16});
    for (std::size_t k = 0; k < 784; ++k) {
      ASSERT_EQ(one[k], together[static_cast<std::size_t>(i) * 784 + k]) << i;
      ASSERT_NEAR(one[k], exact[static_cast<std::size_t>(i) * 784 + k], 1e-3) << i;
    }
  }
}

TEST(Library, VectorsComeInTheirUnits) {
  train::Model model = untrained_model("vector", 1, {}, {}, {2});
  give_random_weights(model);
  model.units.columns = {
      {.name = "length", .unit = "mm", .minimum = 90, .maximum = 110, .deviation = 5, .scaling = {"standard", 100, 5}},
      {.name = "weight", .unit = "g", .minimum = 1, .maximum = 9, .deviation = 2, .scaling = {"log", 1, 2}}};
  const TemporaryFolder folder;
  train::save_model(folder / "m.safetensors", model);
  const Sampler sampler(folder / "m.safetensors");
  ASSERT_EQ(sampler.elements().size(), 2u);
  EXPECT_EQ(sampler.elements()[1].name, "weight");
  EXPECT_EQ(sampler.elements()[1].unit, "g");
  EXPECT_TRUE(sampler.columns().empty());
  train::Sampler expected_of(model);
  std::vector<float> z(static_cast<std::size_t>(model.config.model.latent)), expected(2);
  expected_of.latents(1, 0, z);
  expected_of.sample(z, {}, expected);
  const std::vector<float> drawn = sampler.sample({});
  EXPECT_NEAR(drawn[0], 100 + 5 * expected[0], 1e-3);
  EXPECT_NEAR(drawn[1], std::exp(1 + 2 * expected[1]), 1e-3);
}

TEST(LibraryBadInput, EveryMistakeHasItsStatusAndOneLine) {
  const SavedModel saved("lsgan-r1r2", label_and_angle());
  gan_model* model = nullptr;
  EXPECT_NE(error_of(gan_open("/nowhere/model", &model), GAN_BAD_DATA).find("/nowhere/model"), std::string::npos);
  EXPECT_EQ(model, nullptr);
  EXPECT_EQ(error_of(gan_open(nullptr, &model), GAN_WRONG_USE), "path is NULL");
  EXPECT_EQ(error_of(gan_open(saved.path.c_str(), nullptr), GAN_WRONG_USE), "model is NULL");
  const std::string bytes = base::read_file(saved.path);
  for (const std::size_t length : {std::size_t{0}, std::size_t{7}, std::size_t{100}, bytes.size() - 1})
    EXPECT_NE(error_of(gan_open_memory(bytes.data(), length, &model), GAN_BAD_DATA).find("the model in memory: "),
              std::string::npos)
        << length;
  ASSERT_EQ(gan_open(saved.path.c_str(), &model), GAN_OK);
  std::vector<float> out(2 * 784), condition = {2, 0, 1, 0};
  gan_request request = {};
  request.count = 2;
  const auto error = [&](gan_status expected) {
    return error_of(gan_sample(model, &request, out.data(), out.size()), expected);
  };
  EXPECT_EQ(error(GAN_WRONG_USE), "condition is NULL; the model is conditional");
  request.condition = condition.data();
  for (const float bad : {3.0f, -1.0f, 0.5f, NAN, 1e30f}) {
    condition[2] = bad;
    EXPECT_NE(error(GAN_WRONG_USE).find("sample 1: label is "), std::string::npos) << bad;
  }
  condition[2] = 1;
  condition[3] = INFINITY;
  EXPECT_NE(error(GAN_WRONG_USE).find("angle"), std::string::npos);
  condition[3] = 0;
  EXPECT_EQ(gan_sample(model, &request, out.data(), out.size()), GAN_OK);
  EXPECT_NE(error_of(gan_sample(model, &request, out.data(), out.size() - 1), GAN_WRONG_USE).find("room for 1567"),
            std::string::npos);
  request.count = -1;
  EXPECT_NE(error(GAN_WRONG_USE).find("count -1"), std::string::npos);
  request.count = 2;
  request.first = -1;
  EXPECT_NE(error(GAN_WRONG_USE).find("first -1"), std::string::npos);
  request.first = 0;
  request.truncation = 0.01;
  EXPECT_NE(error(GAN_WRONG_USE).find("truncation 0.01"), std::string::npos);
  request.truncation = 0;
  request.precision = 2;
  EXPECT_NE(error(GAN_WRONG_USE).find("precision 2"), std::string::npos);
  request.precision = GAN_F32;
  const std::vector<float> latents(2 * static_cast<std::size_t>(saved.model.config.model.latent), NAN);
  request.latents = latents.data();
  EXPECT_NE(error(GAN_WRONG_USE).find("latent 0 of sample 0"), std::string::npos);
  gan_column column;
  EXPECT_EQ(error_of(gan_describe_column(model, 2, &column), GAN_WRONG_USE), "column 2: the model has 2");
  EXPECT_NE(error_of(gan_describe_element(model, 0, &column), GAN_WRONG_USE).find("images"), std::string::npos);
  const char* name = nullptr;
  EXPECT_EQ(error_of(gan_category_name(model, 0, 3, &name), GAN_WRONG_USE), "category 3: the model has 3");
  EXPECT_EQ(gan_close(model), GAN_OK);
  EXPECT_EQ(gan_close(nullptr), GAN_OK);
}

TEST(Library, ManyThreadsDrawFromOneModel) {
  const SavedModel saved("lsgan-r1r2");
  const Sampler sampler(saved.path);
  const auto request = [](std::int64_t i) {
    return Request{.count = 1 + i % 3, .condition = {static_cast<float>(i % 10)}, .first = i};
  };
  std::vector<std::vector<float>> expected;
  for (std::int64_t i = 0; i < 30; ++i) expected.push_back(sampler.sample(request(i)));
  std::atomic<int> different = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      for (std::int64_t i = t; i < 60; ++i)
        if (sampler.sample(request(i % 30)) != expected[static_cast<std::size_t>(i % 30)]) ++different;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(different, 0);
}

// Sanitizers keep what is freed.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
/// The megabytes of memory that this process uses.
double resident() {
  std::ifstream file("/proc/self/statm");
  double size = 0, pages = 0;
  file >> size >> pages;
  return pages * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1e6;
}

TEST(Library, MemoryDoesNotGrow) {
  const SavedModel saved("tutorial-lsgan");
  const Sampler sampler(saved.path);
  std::vector<float> out(800 * 784);
  const auto draw_sizes = [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t count = first; count <= last; ++count)
      sampler.sample({.count = count, .condition = {1}}, out.data(), out.size());
  };
  const auto draw_in_threads = [&](int threads) {
    for (int i = 0; i < threads; ++i) std::thread([&] { sampler.sample({.condition = {1}}, out.data(), 784); }).join();
  };
  draw_sizes(1, 256);  // the largest that is computed at once; oneDNN keeps the code of its last 1,024 products
  draw_in_threads(100);
  const double before = resident();
  draw_in_threads(10'000);
  EXPECT_LT(resident() - before, 8) << "MB after 10,000 threads";
  draw_sizes(257, 800);
  // Eight programs are kept; tests that ran before in the process leave the heap in pieces.
  EXPECT_LT(resident() - before, 32) << "MB after 544 more counts; a program takes more than one";
}
#endif

}  // namespace
}  // namespace gan::test
