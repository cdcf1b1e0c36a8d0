#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/sha256.h"
#include "data/source.h"
#include "eval/draw.h"
#include "eval/run_scores.h"
#include "eval_helpers.h"
#include "file_helpers.h"
#include "io/safetensors.h"

// Evaluation on data and models small enough to know the answers: images of 8 x 8 whose class k has its rows 2k and
// 2k + 1 lit, and generators whose weights are set by hand.
namespace gan::test {
namespace {

using base::ErrorKind;
using eval::Classifier;
using eval::Judge;
using eval::Reference;
using eval::Scores;

constexpr int kClasses = 3, kSide = 8;

/// Writes `stem`-images-idx3-ubyte and labels: lit rows of 200, all with noise of 0 to 40.
void write_images(const TemporaryFolder& folder, const std::string& stem, std::uint32_t count, std::uint64_t seed,
                  int classes = kClasses) {
  const base::RandomStream random(seed, 1);
  std::string images, labels;
  for (std::uint32_t i = 0; i < count; ++i) {
    const int label = static_cast<int>(i) % classes;
    labels += static_cast<char>(label);
    for (int pixel = 0; pixel < kSide * kSide; ++pixel) {
      const int noise = static_cast<int>(40 * random.uniform(i * kSide * kSide + static_cast<std::uint64_t>(pixel)));
      images += static_cast<char>((pixel / kSide / 2 == label ? 200 : 0) + noise);
    }
  }
  put(folder / (stem + "-images-idx3-ubyte"), idx({count, kSide, kSide}, images));
  put(folder / (stem + "-labels-idx1-ubyte"), idx({count}, labels));
}

/// A folder of data with a test part large enough for every score.
class ImageFolder : public TemporaryFolder {
 public:
  ImageFolder() {
    write_images(*this, "train", 600, 1);
    write_images(*this, "t10k", 450, 2);
  }
};

/// A model of one hidden layer, ReLU: weights are 0 but those that `set` sets.
template <typename Set>
train::Model make_model(const graph::Shape& shape, int classes, std::int64_t latent, std::int64_t embedding,
                        const Set& set) {
  train::Model model;
  model.config.model.latent = latent;
  model.config.model.embedding = embedding;
  model.config.model.g.widths = {2 * latent + embedding};
  model.config.model.d.widths = {4};
  model.sample_shape = shape;
  model.condition = data::label_condition(classes);
  model.data_name = "made by hand";
  model.steps = 7;
  give_zero_weights(model);
  // The hidden layer holds z, -z and the embedding, cut off below 0.
  const std::span<float> hidden = model.weights.at("generator.model.0.weight").f32();
  const auto inputs = static_cast<std::size_t>(latent + (classes > 0 ? embedding : 0));
  for (std::size_t i = 0; i < static_cast<std::size_t>(latent); ++i) {
    hidden[2 * i * inputs + i] = 1;
    hidden[(2 * i + 1) * inputs + i] = -1;
  }
  for (std::size_t i = static_cast<std::size_t>(latent); i < inputs; ++i)
    hidden[(i + static_cast<std::size_t>(latent)) * inputs + i] = 1;
  set(model.weights);
  return model;
}

/// Draws class (label + `turn`) % kClasses: its rows lit, every pixel moved a little by the latent if `varied`.
train::Model image_model(int turn, bool varied, bool conditional = true) {
  constexpr std::size_t kLatent = 16, kHidden = 2 * kLatent + kClasses;
  return make_model({1, kSide, kSide}, conditional ? kClasses : 0, kLatent, kClasses, [&](runtime::State& weights) {
    if (conditional)
      for (std::size_t k = 0; k < kClasses; ++k)
        weights.at("generator.embedding.weight").f32()[k * kClasses + (k + static_cast<std::size_t>(turn)) % kClasses] =
            1;
    const std::span<float> out = weights.at("generator.model.2.weight").f32();
    for (std::size_t pixel = 0; pixel < kSide * kSide; ++pixel) {
      weights.at("generator.model.2.bias").f32()[pixel] = -1.3f;  // tanh of it is -0.86, about 18 of 255
      for (std::size_t k = 0; k < kClasses && conditional; ++k)
        if (pixel / kSide / 2 == k) out[pixel * kHidden + 2 * kLatent + k] = 2.2f;
      if (varied) out[pixel * kHidden + 2 * (pixel % kLatent) + pixel / kLatent % 2] = 0.6f;
    }
  });
}

/// Draws the modes of ring8 itself; class `lost`, if any, far from all.
train::Model ring_model(int lost = -1) {
  const data::Dataset ring = data::open_source("ring8");
  return make_model({2}, 8, 1, 4, [&](runtime::State& weights) {
    for (std::size_t k = 0; k < 8; ++k) {
      const float x = ring.modes[2 * k], y = ring.modes[2 * k + 1];
      const float scale = static_cast<int>(k) == lost ? 5 : 1;
      const float parts[] = {std::max(x, 0.0f), std::max(-x, 0.0f), std::max(y, 0.0f), std::max(-y, 0.0f)};
      for (std::size_t i = 0; i < 4; ++i) weights.at("generator.embedding.weight").f32()[4 * k + i] = scale * parts[i];
    }
    const std::span<float> out = weights.at("generator.model.2.weight").f32();  // [2, 6], z and -z unused
    out[2] = 1, out[3] = -1, out[6 + 4] = 1, out[6 + 5] = -1;
  });
}

Judge ring_judge() { return Judge(eval::open_reference("ring8", {})); }

double accuracy(const Classifier& classifier, const data::Dataset& data) {
  const std::vector<std::int32_t> read = eval::Embedder(classifier).embed(data).classes;
  double right = 0;
  for (std::int64_t i = 0; i < data.count(); ++i) right += read[static_cast<std::size_t>(i)] == data.label(i);
  return right / static_cast<double>(data.count());
}

// ---- reference ----

TEST(EvalReference, IsTheTestPartWhereThereIsOne) {
  const ImageFolder folder;
  const Reference reference = eval::open_reference(folder.path(), {});
  EXPECT_EQ(reference.train.count(), 600);
  EXPECT_EQ(reference.held_out.count(), 450);
  EXPECT_EQ(reference.name, "test part of " + folder.path());
  EXPECT_TRUE(data::has_test_part("grid25"));
  EXPECT_FALSE(data::has_test_part("mnist-test"));
}

TEST(EvalReference, IsElseATenthThatTheRestLacks) {
  const TemporaryFolder folder;
  std::string images(95, '\0'), labels(95, '\0');
  for (std::size_t i = 0; i < images.size(); ++i)
    images[i] = static_cast<char>(i), labels[i] = static_cast<char>(i % 5);
  const std::string source =
      put(folder / "x.idx", idx({95, 1, 1}, images)) + "," + put(folder / "y.idx", idx({95}, labels));
  const Reference a = eval::open_reference(source, {}), b = eval::open_reference(source, {});
  ASSERT_EQ(a.train.count(), 86);
  ASSERT_EQ(a.held_out.count(), 9);
  EXPECT_EQ(a.name, "held-out tenth of " + source);
  std::vector<int> seen(95);
  for (const data::Dataset* part : {&a.train, &a.held_out})
    for (std::int64_t i = 0; i < part->count(); ++i) {
      ++seen[part->pixels[static_cast<std::size_t>(i)]];
      EXPECT_EQ(part->label(i), part->pixels[static_cast<std::size_t>(i)] % 5);
    }
  EXPECT_EQ(std::ranges::count(seen, 1), 95);
  EXPECT_TRUE(std::equal(a.held_out.pixels.get(), a.held_out.pixels.get() + 9, b.held_out.pixels.get()));
}

// ---- classifier ----

TEST(EvalClassifier, LearnsIsKeptAndIsMadeAnewIfItsFileIsBroken_BadInput) {
  const ImageFolder folder;
  const Reference reference = eval::open_reference(folder.path(), {});
  std::vector<std::string> lines;
  const eval::Log log = [&](const std::string& line) { lines.push_back(line); };
  const Classifier trained = eval::cached_classifier(reference, folder / "cache", log);
  EXPECT_GE(accuracy(trained, reference.held_out), 0.98);
  ASSERT_FALSE(lines.empty());
  EXPECT_NE(lines.front().find("training a classifier"), std::string::npos) << lines.front();

  lines.clear();
  const Classifier kept = eval::cached_classifier(reference, folder / "cache", log);
  EXPECT_EQ(lines, std::vector<std::string>());
  EXPECT_EQ(runtime::hash_of(kept.weights), runtime::hash_of(trained.weights));

  const std::string path = std::filesystem::directory_iterator(folder / "cache/classifiers")->path().string();
  put(path, get(path).substr(0, 1000));
  const Classifier again = eval::cached_classifier(reference, folder / "cache", log);
  ASSERT_FALSE(lines.empty());
  EXPECT_NE(lines.front().find("training it again"), std::string::npos) << lines.front();
  EXPECT_EQ(runtime::hash_of(again.weights), runtime::hash_of(trained.weights));  // equal data, equal weights
  EXPECT_NO_THROW(eval::load_classifier(path));
}

TEST(EvalClassifier, TrainsOnSmallDataForLess) {
  const auto schedule = [](std::int64_t images, std::int64_t side = 28) {
    data::Dataset dataset;
    dataset.sample_shape = {1, side, side};
    dataset.items = images;
    return eval::classifier_schedule(dataset);
  };
  const auto seen = [&](std::int64_t images, std::int64_t side = 28) {
    return schedule(images, side).steps * schedule(images, side).batch;
  };
  EXPECT_EQ(schedule(60'000).steps, 3 * 468);  // three epochs of batches of 128
  EXPECT_EQ(schedule(54'000).steps, 3 * 421);
  for (const std::int64_t images : {60'000, 12'000, 1'920}) EXPECT_EQ(schedule(images).batch, 128) << images;
  EXPECT_EQ(schedule(12'000).steps, 300);
  data::Dataset many;
  many.sample_shape = {1, 28, 28};
  many.items = 20'000;
  many.condition = data::label_condition(1000);
  EXPECT_EQ(eval::classifier_schedule(many).steps, 6000) << "of many classes";
  EXPECT_EQ(schedule(1'920).steps, 300);
  for (const std::int64_t side : {8, 28, 256})
    for (const std::int64_t images : {60, 180, 500, 1'000, 1'900}) {
      EXPECT_LE(seen(images, side), 30 * images) << images;
      EXPECT_GE(seen(images, side), std::min(20 * images, 300 * schedule(images, side).batch)) << images;
    }
  for (const std::int64_t images : {1, 2, 9}) EXPECT_EQ(schedule(images).batch, images);
}

TEST(EvalClassifier, FilesOfSmallDataThatTookMoreStepsAreLeftAlone) {
  // A file under the key of hash and number of images is taken for data of 300 steps or more alone.
  for (const std::uint32_t images : {1'920u, 600u}) {
    const TemporaryFolder folder;
    write_images(folder, "train", images, 1);
    write_images(folder, "t10k", 10, 2);
    const Reference reference = eval::open_reference(folder.path(), {});
    Classifier other =
        eval::train_classifier(data::subset(reference.train, std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5}), 0, nullptr);
    const std::string key = base::sha256(reference.train.hash + " " + std::to_string(images)).substr(0, 16);
    std::filesystem::create_directory(folder / "classifiers");
    eval::save_classifier(folder / "classifiers/" + key + ".safetensors", other);
    const Classifier found = eval::cached_classifier(reference, folder.path(), nullptr);
    EXPECT_EQ(runtime::hash_of(found.weights) == runtime::hash_of(other.weights), images == 1'920) << images;
    EXPECT_GE(accuracy(found, reference.held_out), images == 600 ? 0.98 : 0);
  }
}

TEST(EvalClassifier, TakesImagesOfAnyShapeAndBatchesOfAnySize) {
  // Two classes by colour, 3 x 3 x 7 values; 260 images are not a multiple of a batch.
  data::Dataset images;
  images.sample_shape = {3, 3, 7};
  images.condition = data::label_condition(2);
  std::vector<std::int32_t> labels;
  images.items = 260;
  const std::shared_ptr<std::uint8_t[]> pixels(new std::uint8_t[260 * 63]());
  images.pixels = pixels;
  for (int i = 0; i < 260; ++i) {
    labels.push_back(i % 2);
    for (int pixel = 0; pixel < 21; ++pixel) pixels[i * 63 + 3 * pixel + i % 2] = 255;
  }
  images.rows = std::move(labels);
  const Classifier classifier = eval::train_classifier(images, 0, nullptr);
  EXPECT_EQ(accuracy(classifier, images), 1);
  const eval::Embedded embedded = eval::Embedder(classifier).embed(images);
  ASSERT_EQ(embedded.features.size(), static_cast<std::size_t>(260 * eval::kFeatures));
  // The last, in a batch of its own size, is as the second.
  for (std::size_t c = 0; c < static_cast<std::size_t>(eval::kFeatures); ++c)
    ASSERT_FLOAT_EQ(embedded.features[259 * 128 + c], embedded.features[128 + c]);
}

TEST(EvalClassifier, BadInput) {
  const TemporaryFolder folder;
  write_images(folder, "train", 20, 1, 1);
  const std::string x = folder / "train-images-idx3-ubyte", y = folder / "train-labels-idx1-ubyte";
  const auto expect_refused = [&](const std::string& source, const std::string& message) {
    const Reference reference = eval::open_reference(source, {});
    expect_error(ErrorKind::usage, message, [&] { eval::cached_classifier(reference, folder.path(), nullptr); });
  };
  expect_refused(x, "no labels");
  expect_refused(x + "," + y, "one class");
  write_images(folder, "train", 20, 1, 2);
  Reference lacking = eval::open_reference(x + "," + y, {});
  lacking.train.condition = data::label_condition(3, {"low", "high", "never"});
  expect_error(ErrorKind::usage, "class 2 (never) has no images",
               [&] { eval::cached_classifier(lacking, folder.path(), nullptr); });
  expect_refused("ring8", "it is for images");
  write_images(folder, "train", 9, 1, 2);
  expect_error(ErrorKind::data, "9 samples; a tenth", [&] { eval::open_reference(x, {}); });

  expect_error(ErrorKind::data, "missing", [&] { eval::load_classifier(folder / "missing"); });
  const std::string other = folder / "other.safetensors";
  io::write_safetensors(other, {{"format", "gan.cpp model"}}, {});
  expect_error(ErrorKind::data, "not a classifier", [&] { eval::load_classifier(other); });
  const auto write = [&](const std::string& description) {
    io::write_safetensors(other, {{"format", "gan.cpp classifier"}, {"version", "1"}, {"classifier", description}}, {});
  };
  write("{}");
  expect_error(ErrorKind::data, "cannot be read", [&] { eval::load_classifier(other); });
  const std::string data = R"("data": {"name": "x", "sha256": ""}})";
  for (const std::string shape : {"[1, 8]", "[1, 0, 8]", "[1, 8, 100000]", "[1000, 1000, 1000]"}) {
    write(R"({"sample_shape": )" + shape + R"(, "classes": 2, )" + data);
    expect_error(ErrorKind::data, "a classifier of images", [&] { eval::load_classifier(other); });
  }
  write(R"({"sample_shape": [1, 8, 8], "classes": 2, )" + data);
  expect_error(ErrorKind::data, "is missing", [&] { eval::load_classifier(other); });
}

// ---- scores ----

TEST(Eval, TellsGoodModelsFromWrongAndCollapsedOnes) {
  const ImageFolder folder;
  Reference reference = eval::open_reference(folder.path(), {});
  Classifier classifier = eval::train_classifier(reference.train, 0, nullptr);
  const std::string hash = runtime::hash_of(classifier.weights);
  Judge judge(std::move(reference), {.embedding = std::move(classifier)});
  eval::Options options;
  options.count = 600;
  options.fd_curve = true;

  const Scores good = judge.evaluate(image_model(0, true), options).scores;
  EXPECT_GE(good.label_accuracy.value(), 0.98);
  EXPECT_EQ(good.embedding.value().hash, hash);
  EXPECT_GE(good.embedding.value().accuracy.value(), 0.98);
  EXPECT_EQ(good.duplicates.value(), 0);
  ASSERT_EQ(good.per_class.size(), 3u);
  ASSERT_EQ(good.fd_curve.size(), 3u);  // an eighth of 600 is fewer than the features
  EXPECT_EQ(good.fd_curve[0].samples, 150);
  EXPECT_EQ(good.fd_curve[2].fd, good.fd.value().value);
  EXPECT_EQ(good.reference_count, 450);
  EXPECT_TRUE(good.parzen && good.memorization && good.kid && good.prdc && !good.cas && !good.modes);

  const Scores wrong = judge.evaluate(image_model(1, true), options).scores;
  EXPECT_LE(wrong.label_accuracy.value(), 0.02);
  EXPECT_GE(wrong.confusion[2][0], 195);                               // asked for 2, drawn 0
  EXPECT_NEAR(wrong.fd->value, good.fd->value, 0.2 * good.fd->value);  // as a whole the samples are as before
  EXPECT_GT(wrong.per_class[1].fd->value, 5 * good.per_class[1].fd->value);
  EXPECT_LT(eval::joint_score(wrong).value(), 0.1);

  options.fd_curve = options.pixels = options.parzen = false;
  const Scores collapsed = judge.evaluate(image_model(0, false, false), options).scores;  // one image, without labels
  EXPECT_FALSE(collapsed.label_accuracy);
  EXPECT_TRUE(collapsed.per_class.empty());
  EXPECT_EQ(collapsed.missing.at(0).reason, "the model is unconditional");
  EXPECT_FALSE(collapsed.duplicates);
  EXPECT_EQ(collapsed.fd_curve.size(), 0u);
  EXPECT_LT(collapsed.prdc.value().coverage, 0.05);
  EXPECT_GT(collapsed.fd->value, good.fd->value);

  options.pixels = options.cas = true;
  const Scores few = judge.evaluate(image_model(0, false), options).scores;  // three images
  EXPECT_EQ(few.duplicates.value(), 1);
  EXPECT_EQ(few.confusion[0][0] + few.confusion[1][1] + few.confusion[2][2], 600);
  EXPECT_GT(few.cas.value().accuracy, 0.9);  // of rows so unlike, one image each is enough
  EXPECT_EQ(few.cas.value().real_accuracy, good.embedding->accuracy);
}

TEST(Eval, MemorizationTellsCopiesFromOtherImages) {
  // A training set that is what the model draws; the held-out images have other noise.
  const ImageFolder folder;
  const train::Model model = image_model(0, true);
  const data::ConditionRows labels = data::values_in_turn(model.condition, 200);
  Reference reference = eval::open_reference(folder.path(), {});
  reference.train = eval::draw(model, 200, labels, 1);
  Classifier classifier = eval::train_classifier(reference.train, 0, nullptr);
  Judge judge(std::move(reference), {.embedding = std::move(classifier)});
  eval::Options options;
  options.count = 200;
  options.even_shares = true;
  options.parzen = false;
  const eval::Evaluation copies = judge.evaluate(model, options);
  EXPECT_EQ(copies.scores.memorization.value().samples_median, 0);
  EXPECT_EQ(copies.scores.memorization.value().share_closer, 1);
  EXPECT_EQ(copies.nearest.index[17], 17);
  const Scores grey = judge.evaluate(image_model(0, false, false), options).scores;  // no row is lit
  EXPECT_GT(grey.memorization.value().samples_median, 0.3);  // a quarter of the pixels is 0.8 off
  EXPECT_LT(grey.memorization.value().samples_median, 0.5);
  EXPECT_EQ(grey.memorization.value().share_closer, 0);
  EXPECT_EQ(grey.memorization.value().held_out_median, copies.scores.memorization.value().held_out_median);
}

TEST(Eval, CountsModesOfPointsAndReadsLabelsByThem) {
  Judge judge = ring_judge();
  const Scores good = judge.evaluate(ring_model(), {}).scores;
  EXPECT_EQ(good.samples, 2500);
  EXPECT_EQ(good.modes.value().found, 8);
  EXPECT_EQ(good.modes.value().of, 8);
  EXPECT_EQ(good.modes.value().high_quality, 1);
  EXPECT_EQ(good.label_accuracy.value(), 1);
  EXPECT_FALSE(good.fd || good.prdc || good.embedding);
  EXPECT_EQ(eval::joint_score(good), 1);
  eval::Options options;
  options.count = 80;
  const Scores seven = judge.evaluate(ring_model(3), options).scores;
  EXPECT_EQ(seven.modes.value().found, 7);
  EXPECT_DOUBLE_EQ(seven.modes.value().high_quality, 7.0 / 8);
}

TEST(Eval, JointScoreIsTheHarmonicMean) {
  Scores scores;
  EXPECT_FALSE(eval::joint_score(scores));
  scores.label_accuracy = 1;  // alone it says nothing of variety
  EXPECT_FALSE(eval::joint_score(scores));
  scores.label_accuracy.reset();
  scores.prdc = metrics::Prdc{.coverage = 0.5};
  EXPECT_DOUBLE_EQ(eval::joint_score(scores).value(), 0.5);
  scores.label_accuracy = 1;
  EXPECT_DOUBLE_EQ(eval::joint_score(scores).value(), 2 / (1 / 0.5 + 1));
  scores.label_accuracy = 0;
  EXPECT_EQ(eval::joint_score(scores), 0);
}

TEST(Eval, DrawsWhatPicturesHold) {
  const data::Dataset drawn = eval::draw(image_model(0, true), 5, std::vector<std::int32_t>{2, 1, 0, 2, 1}, 3);
  const data::Dataset first = eval::draw(image_model(0, true), 1, std::vector<std::int32_t>{2}, 3);
  EXPECT_EQ(drawn.count(), 5);
  EXPECT_EQ(drawn.rows.columns[0], data::ColumnValues(std::vector<std::int32_t>{2, 1, 0, 2, 1}));
  EXPECT_GT(drawn.pixels[5 * 8], 150);  // rows 4 and 5 of class 2
  EXPECT_LT(drawn.pixels[0], 100);
  EXPECT_TRUE(std::equal(first.pixels.get(), first.pixels.get() + 64, drawn.pixels.get()));
  // Channels last, as data sets are.
  const train::Model colour = make_model({3, 1, 2}, 0, 1, 1, [](runtime::State& weights) {
    const std::span<float> bias = weights.at("generator.model.2.bias").f32();
    for (std::size_t i = 0; i < 6; ++i) bias[i] = i < 2 ? 9 : i < 4 ? 0 : -9;
  });
  const data::Dataset pixels = eval::draw(colour, 1, {}, 1);
  EXPECT_EQ(std::vector<std::uint8_t>(pixels.pixels.get(), pixels.pixels.get() + 6),
            (std::vector<std::uint8_t>{255, 128, 0, 255, 128, 0}));
}

TEST(Eval, OfVeryManyClassesTheTableHasTheWorst) {
  eval::Scores scores;
  for (int k = 0; k < 101; ++k) {
    scores.class_names.push_back("class" + std::to_string(k));
    scores.per_class.push_back({.accuracy = k == 50 ? 0.25 : 0.5, .fd = std::nullopt});
  }
  scores.per_class[3].accuracy.reset();
  const std::string text = eval::to_text(scores, "m");
  EXPECT_NE(text.find("class50     0.2500\nclass0      0.5000\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("class3 "), std::string::npos) << text;
  EXPECT_EQ(text.find("class100"), std::string::npos) << text;
  EXPECT_NE(text.find("the least accurate of 101 classes"), std::string::npos) << text;
  scores.per_class.pop_back();
  EXPECT_NE(eval::to_text(scores, "m").find("class99"), std::string::npos);
}

TEST(Eval, BadInput) {
  const ImageFolder folder;
  const auto reference = [&] { return eval::open_reference(folder.path(), {}); };
  const auto refuse = [&](const train::Model& model, const std::string& message) {
    expect_error(ErrorKind::usage, message, [&] { eval::require_fit(model, reference()); });
  };
  EXPECT_NO_THROW(eval::require_fit(image_model(0, true), reference()));
  refuse(ring_model(), "draws samples of [2]");
  const auto nothing = [](runtime::State&) {};
  EXPECT_NO_THROW(eval::require_fit(make_model({1, 8, 8}, 4, 2, 2, nothing), reference()));
  expect_error(ErrorKind::data, "label \"2\" is none of 0 to 1", [&] {
    eval::require_fit(make_model({1, 8, 8}, 2, 2, 2, nothing), reference());
  });
  refuse(make_model({3, 8, 8}, 3, 2, 2, nothing), "draws samples of [3, 8, 8]");
  const Reference unlabelled = eval::open_reference(folder / "train-images-idx3-ubyte", {});
  expect_error(ErrorKind::usage, "takes labels", [&] { eval::require_fit(image_model(0, true), unlabelled); });

  const train::Model broken = make_model({2}, 8, 1, 4, [](runtime::State& weights) {
    std::ranges::fill(weights.at("generator.model.2.bias").f32(), std::numeric_limits<float>::infinity());
  });
  expect_error(ErrorKind::run, "diverged", [&] { ring_judge().evaluate(broken, {}); });

  eval::save_classifier(folder / "c", eval::train_classifier(reference().train, 0, nullptr));
  const auto classifier = [&] { return eval::load_classifier(folder / "c"); };
  const TemporaryFolder other;
  write_images(other, "train", 600, 1, 2);
  write_images(other, "t10k", 20, 1, 2);
  expect_error(ErrorKind::usage, "2 classes; the embedding's classifier has 3",
               [&] { Judge(eval::open_reference(other.path(), {}), {.embedding = classifier()}); });
  put(folder / "t10k-images-idx3-ubyte", idx({450, 4, 16}, std::string(450 * 64, '\1')));
  expect_error(ErrorKind::data, "the test part has samples", reference);
  put(folder / "train-images-idx3-ubyte", idx({600, 4, 16}, std::string(600 * 64, '\1')));
  expect_error(ErrorKind::usage, "classifier is for [1, 8, 8]",
               [&] { Judge(reference(), {.embedding = classifier()}); });
}

/// A reference of as many images as a test asks for, and a classifier trained on them.
class FewImages {
 public:
  FewImages() {
    eval::save_classifier(folder_ / "c", eval::train_classifier(eval::open_reference(folder_.path(), {}).train, 0, {}));
  }
  Scores evaluate(std::uint32_t reference, std::int64_t samples) const {
    write_images(folder_, "t10k", reference, 2);
    eval::Options options;
    options.count = samples;
    options.fd_curve = true;
    return Judge(eval::open_reference(folder_.path(), {}), {.embedding = eval::load_classifier(folder_ / "c")})
        .evaluate(image_model(0, true), options)
        .scores;
  }

 private:
  ImageFolder folder_;
};

TEST(Eval, ScoresThatRowsAreTooFewForAreMissingAndSayWhy) {
  const FewImages images;
  const auto evaluate = [&](std::uint32_t reference, std::int64_t samples) {
    return images.evaluate(reference, samples);
  };
  const struct {
    std::vector<std::string> keys;  // scores of one kind
    std::int64_t needed;
  } kinds[] = {
      {{"fd_curve"}, 129}, {{"kid"}, 20}, {{"precision", "recall", "density", "coverage"}, 50}, {{"fd", "parzen"}, 10}};
  for (const auto& [keys, needed] : kinds)
    for (const std::int64_t missing : {0, 1}) {
      const std::string few = std::to_string(needed - missing);
      const Scores by_reference = evaluate(static_cast<std::uint32_t>(needed - missing), 600);
      const Scores by_samples = evaluate(450, needed - missing);
      const auto json_r = read_json(by_reference), json_s = read_json(by_samples);
      for (const std::string& key : keys) {
        SCOPED_TRACE(key + " of " + few);
        EXPECT_EQ(reason(by_reference, key),
                  missing ? "reference has " + few + " images, needs " + std::to_string(needed) : "");
        EXPECT_EQ(reason(by_samples, key), missing ? few + " samples, needs " + std::to_string(needed) : "");
        for (const auto& json : {json_r, json_s}) {
          EXPECT_EQ(json.contains(key), missing == 0);
          EXPECT_EQ(json.contains("missing") && json.at("missing").contains(key), missing == 1);
        }
      }
      // The joint score goes with coverage: label accuracy alone would be 1.
      EXPECT_EQ(json_r.contains("score"), json_r.contains("coverage")) << few;
      EXPECT_EQ(json_s.contains("score"), json_s.contains("coverage")) << few;
      EXPECT_GE(json_s.at("label_accuracy"), 0.9) << few;
    }
}

TEST(Eval, NearlyNoImagesLeaveNearlyNoScores) {
  const FewImages images;
  const Scores least = images.evaluate(1, 1);
  EXPECT_EQ(reason(least, "coverage"), "reference has 1 image, 1 sample, needs 50");
  EXPECT_EQ(reason(least, "score"), "needs coverage");
  EXPECT_EQ(reason(least, "duplicates"), "1 sample, needs 10");
  EXPECT_EQ(reason(least, "spread"), "1 sample, needs 30");  // three labels
  EXPECT_EQ(reason(least, "real_spread"), "reference has 1 image, needs 30");
  EXPECT_EQ(reason(least, "per_class.accuracy"), "no sample of 2 of 3 classes");
  EXPECT_FALSE(read_json(least).at("per_class").at(1).contains("accuracy"));
  const std::string text = eval::to_text(least, "m");
  for (const char* part : {"\ncoverage            -  (reference has 1 image, 1 sample, needs 50)\n",
                           "\nscore               -  (needs coverage)\n", "\n1             -"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;

  const Scores few_of_class = images.evaluate(450, 9);
  EXPECT_EQ(reason(few_of_class, "per_class.fd"),
            "3 of 3 classes have fewer than 10 samples or images in the reference");
  EXPECT_EQ(reason(images.evaluate(450, 3 * 20), "per_class.fd"), "");
}

TEST(Eval, ModesNeedTenSamplesEach) {
  eval::Options options;
  options.count = 79;
  const Scores few = ring_judge().evaluate(ring_model(), options).scores;
  EXPECT_FALSE(few.modes || eval::joint_score(few));
  EXPECT_EQ(reason(few, "modes"), "79 samples, needs 80");
  EXPECT_EQ(few.label_accuracy, 1);
  EXPECT_TRUE(read_json(few).at("missing").contains("score"));
}

TEST(Eval, EqualImagesOfTheReferenceCountOnce) {
  const ImageFolder folder;
  Classifier classifier = eval::train_classifier(eval::open_reference(folder.path(), {}).train, 0, nullptr);
  eval::save_classifier(folder / "c", classifier);
  const auto judge = [&](std::uint32_t different) {  // the same images again and again, 600 in all
    Reference reference = eval::open_reference(folder.path(), {});
    std::vector<std::uint32_t> indices;
    for (std::uint32_t i = 0; i < 600; ++i) indices.push_back(i % different);
    reference.held_out = data::subset(reference.held_out, indices);
    return Judge(std::move(reference), {.embedding = eval::load_classifier(folder / "c")})
        .evaluate(image_model(0, true), {})
        .scores;
  };
  const Scores one = judge(1);
  for (const char* key : {"fd", "kid", "coverage"})
    EXPECT_NE(reason(one, key).find("reference has 600 images, 1 different, needs "), std::string::npos) << key;
  EXPECT_EQ(one.notes.at(0), "the reference is 600 copies of one sample: nothing can be compared with it");
  read_json(one);
  // Balls around equal rows are empty; without their repeats the images can be covered.
  const Scores some = judge(60);
  EXPECT_GT(some.prdc.value().coverage, 0.2);
  EXPECT_EQ(some.fd.value().few, 60);
}

TEST(Eval, CoverageOfFewImagesIsThatOfAsManySamples) {
  // Naeem et al. 2020: of equal distributions and equal numbers 1 - 2^-k is expected. Many more samples than images
  // give 1, however the samples are spread.
  const ImageFolder folder;
  eval::save_classifier(folder / "c",
                        eval::train_classifier(eval::open_reference(folder.path(), {}).train, 0, nullptr));
  const train::Model model = image_model(0, true);
  const data::ConditionRows labels = data::values_in_turn(model.condition, 60);
  double coverage = 0;
  constexpr int kReferences = 10;
  for (std::uint64_t seed = 2; seed < 2 + kReferences; ++seed) {
    Reference reference = eval::open_reference(folder.path(), {});
    reference.held_out = eval::draw(model, 60, labels, seed);
    eval::Options options;
    options.count = 1200;
    options.pixels = options.parzen = false;
    coverage += Judge(std::move(reference), {.embedding = eval::load_classifier(folder / "c")})
                    .evaluate(model, options)
                    .scores.prdc.value()
                    .coverage;
  }
  EXPECT_NEAR(coverage / kReferences, 1 - 1.0 / 32, 0.025);
}

TEST(Eval, CopiesAreFoundWhereTheDataRepeatsItself) {
  // The training part is what the model draws, and so are 100 of the held-out images.
  const ImageFolder folder;
  const train::Model model = image_model(0, true);
  const data::ConditionRows labels = data::values_in_turn(model.condition, 200);
  eval::save_classifier(folder / "c",
                        eval::train_classifier(eval::open_reference(folder.path(), {}).train, 0, nullptr));
  const auto evaluate = [&](std::uint32_t others) {
    Reference reference = eval::open_reference(folder.path(), {});
    reference.train = eval::draw(model, 200, labels, 1);
    std::vector<std::uint32_t> copied, new_ones;
    for (std::uint32_t i = 0; i < 100; ++i) copied.push_back(i);
    for (std::uint32_t i = 0; i < others; ++i) new_ones.push_back(i);
    data::Dataset held_out = data::subset(reference.train, copied);
    const data::Dataset more = data::subset(reference.held_out, new_ones);
    auto pixels = std::make_unique<std::uint8_t[]>((100 + others) * 64);
    std::copy_n(more.pixels.get(), others * 64, std::copy_n(held_out.pixels.get(), 100 * 64, pixels.get()));
    held_out.pixels = std::move(pixels);
    held_out.rows.append(more.rows);
    held_out.items = 100 + others;
    reference.held_out = std::move(held_out);
    eval::Options options;
    options.count = 200;
    options.even_shares = true;
    options.parzen = false;
    return Judge(std::move(reference), {.embedding = eval::load_classifier(folder / "c")})
        .evaluate(model, options)
        .scores;
  };
  const Scores some = evaluate(30);
  EXPECT_EQ(some.memorization.value().share_closer, 1);
  EXPECT_GT(some.memorization.value().held_out_median, 0);
  EXPECT_EQ(some.reference_in_training, 100);
  EXPECT_EQ(read_json(some).at("reference").at("in_training"), 100);
  EXPECT_NE(eval::to_text(some, "m").find("100 of them in the training part, too"), std::string::npos);

  const Scores all = evaluate(0);
  EXPECT_EQ(all.memorization.value().copies, 1);
  EXPECT_TRUE(all.memorization->copied() && !all.memorization->held_out_median && !all.memorization->share_closer);
  read_json(all);
  EXPECT_EQ(reason(all, "memorization.held_out_median"), "every image of the reference is in the training part too");
  EXPECT_TRUE(all.duplicates && all.spread);
  EXPECT_EQ(reason(evaluate(9), "memorization.held_out_median"),
            "reference has 9 different images that the training part lacks, needs 10");
}

TEST(Eval, PixelsAreJudgedWithoutAClassifier) {
  const ImageFolder folder;
  write_images(folder, "train", 600, 1, 1);  // one class
  write_images(folder, "t10k", 450, 2, 1);
  const auto nothing = [](runtime::State&) {};
  const train::Model labelled = make_model({1, kSide, kSide}, 1, 2, 2, nothing),
                     unlabelled = make_model({1, kSide, kSide}, 0, 2, 2, nothing);
  const auto evaluate = [&](Reference reference, const train::Model& model, std::optional<Classifier> classifier) {
    eval::Options options;
    options.count = 100;
    options.cas = true;
    return Judge(std::move(reference), {.embedding = std::move(classifier)}).evaluate(model, options).scores;
  };
  const Scores one = evaluate(eval::open_reference(folder.path(), {}), labelled, std::nullopt);
  EXPECT_EQ(one.duplicates.value(), 1);  // it draws one grey image
  EXPECT_TRUE(one.memorization && one.spread && one.real_spread && one.parzen);
  EXPECT_FALSE(one.spread->between || one.real_spread->between);  // 0 would read as if the model ignored its labels
  const Scores none = evaluate(eval::open_reference(folder / "train-images-idx3-ubyte", {}), unlabelled, std::nullopt);
  EXPECT_TRUE(none.memorization && none.spread && none.duplicates);
  for (const char* key : {"fd", "kid", "precision", "recall", "density", "coverage"}) {
    EXPECT_NE(reason(one, key).find("needs a classifier: one class"), std::string::npos) << key;
    EXPECT_NE(reason(none, key).find("needs a classifier: no labels"), std::string::npos) << key;
  }
  EXPECT_NE(reason(one, "label_accuracy").find("one class"), std::string::npos);
  EXPECT_EQ(reason(none, "label_accuracy"), "the model is unconditional");
  EXPECT_NE(reason(one, "cas"), "");
  read_json(one);
  read_json(none);

  // A classifier of other classes knows features, but no labels of these.
  const ImageFolder other;
  const Scores by_other = evaluate(eval::open_reference(folder.path(), {}), labelled,
                                   eval::train_classifier(eval::open_reference(other.path(), {}).train, 0, nullptr));
  EXPECT_TRUE(by_other.kid && by_other.prdc && !by_other.label_accuracy && by_other.per_class.empty());
  EXPECT_FALSE(by_other.embedding.value().accuracy);
  EXPECT_NE(reason(by_other, "label_accuracy").find("one class"), std::string::npos);
  read_json(by_other);
}

// ---- reports ----

TEST(EvalReport, WritesJsonPicturesAndConfusions) {
  const ImageFolder folder;
  put(folder / "classes.txt", "low\nmiddle, \"mid\"\nhigh\n");
  Reference reference = eval::open_reference(folder.path(), {});
  Classifier classifier = eval::train_classifier(reference.train, 0, nullptr);
  Judge judge(std::move(reference), {.embedding = std::move(classifier)});
  train::Model model = image_model(0, true);
  model.condition = judge.reference().train.condition;
  eval::Options options;
  options.count = 450;
  options.fd_curve = true;
  const eval::Evaluation evaluation = judge.evaluate(model, options);
  eval::write_report(folder / "out", evaluation, judge.reference(), "runs/a");
  for (const char* name : {"samples.png", "neighbours.png"})
    EXPECT_EQ(get(folder / "out/" + name).substr(1, 3), "PNG") << name;

  const auto json = nlohmann::json::parse(get(folder / "out/eval.json"));
  EXPECT_EQ(json.at("model"), "runs/a");
  EXPECT_EQ(json.at("steps"), 7);
  EXPECT_EQ(json.at("reference").at("count"), 450);
  EXPECT_EQ(json.at("embedding").at("width"), 128);
  EXPECT_EQ(json.at("per_class").at(1).at("class"), 1);
  EXPECT_EQ(json.at("per_class").at(2).at("name"), "high");
  EXPECT_TRUE(json.at("per_class").at(2).contains("accuracy") && json.at("per_class").at(2).contains("fd"));
  EXPECT_EQ(json.at("confusion").at(2).size(), 3u);
  EXPECT_EQ(json.at("fd_curve").at(0).at("samples"), 225);
  for (const char* key : {"data", "data_hash", "samples", "seed", "label_accuracy", "fd", "precision", "recall",
                          "density", "coverage", "duplicates", "score", "seconds"})
    EXPECT_TRUE(json.contains(key)) << key;
  EXPECT_TRUE(json.at("kid").contains("mean") && json.at("kid").contains("se"));
  EXPECT_TRUE(json.at("memorization").contains("share_closer") && json.at("parzen").contains("sigma"));
  EXPECT_FALSE(json.contains("cas") || json.contains("modes"));

  const std::string confusion = get(folder / "out/confusion.csv");
  EXPECT_EQ(confusion.substr(0, confusion.find('\n')), R"(asked,low,"middle, ""mid""",high)");
  EXPECT_EQ(std::ranges::count(confusion, '\n'), 4);
  const std::string text = eval::to_text(evaluation.scores, "runs/a");
  for (const char* part : {"runs/a, 7 steps", "450 samples", "128 features", "label accuracy", "\nhigh "})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
}

TEST(EvalReport, ExplainsAKidBelowZero) {
  Scores scores;
  scores.kid = metrics::Estimate{-0.0001, 0.0002};
  EXPECT_NE(eval::to_text(scores, "m").find("-0.00010 +- 0.00020  not Inception KID (below 0 by chance"),
            std::string::npos);
  scores.kid = metrics::Estimate{0.0001, 0.0002};
  EXPECT_EQ(eval::to_text(scores, "m").find("by chance"), std::string::npos);
}

TEST(EvalRunScores, NamesNoBestModelWithoutAJointScore) {
  const ImageFolder folder;
  write_images(folder, "t10k", 49, 2);
  Reference reference = eval::open_reference(folder.path(), {});
  Classifier classifier = eval::train_classifier(reference.train, 0, nullptr);
  const TemporaryFolder run;
  eval::RunScores scores(Judge(std::move(reference), {.embedding = std::move(classifier)}));
  const auto folder_of_run = [&] { return std::filesystem::path(run.path()); };
  EXPECT_NE(scores.warning().find("no best model will be kept"), std::string::npos) << scores.warning();
  EXPECT_NE(scores.warning().find("reference has 49 images, needs 50"), std::string::npos) << scores.warning();
  const std::string line = scores.evaluate(image_model(0, true), 1, folder_of_run);
  EXPECT_EQ(line.find("best"), std::string::npos) << line;
  EXPECT_NE(line.find("label accuracy"), std::string::npos) << line;
  EXPECT_FALSE(std::filesystem::exists(run / "best.safetensors"));
  const auto json = nlohmann::json::parse(get(run / "scores.jsonl"));
  EXPECT_FALSE(json.contains("score") || json.contains("coverage"));
  EXPECT_EQ(json.at("missing").at("coverage"), "reference has 49 images, needs 50");
  EXPECT_EQ(eval::RunScores(ring_judge()).warning(), "");
}

TEST(EvalRunScores, KeepsTheBestModelOverResumedRuns) {
  const TemporaryFolder folder;
  const auto here = [&] { return std::filesystem::path(folder.path()); };
  const auto steps_of_best = [&] { return train::load_model(folder / "best.safetensors").steps; };
  train::Model good = ring_model(), bad = ring_model(3);
  {
    eval::RunScores scores(ring_judge());
    bad.steps = 10;
    EXPECT_NE(scores.evaluate(bad, 1, here).find("best so far"), std::string::npos);
    EXPECT_EQ(steps_of_best(), 10);
    good.steps = 20;
    EXPECT_NE(scores.evaluate(good, 2, here).find("best so far"), std::string::npos);
    bad.steps = 30;
    EXPECT_EQ(scores.evaluate(bad, 3, here).find("best so far"), std::string::npos);
    EXPECT_EQ(steps_of_best(), 20);
  }
  eval::RunScores resumed(ring_judge());
  bad.steps = 40;
  resumed.evaluate(bad, 4, here);
  EXPECT_EQ(steps_of_best(), 20);
  std::istringstream lines(get(folder / "scores.jsonl"));
  std::vector<int> steps;
  for (std::string line; std::getline(lines, line);) {
    const auto json = nlohmann::json::parse(line);
    steps.push_back(json.at("step").get<int>());
    EXPECT_EQ(json.at("elapsed_seconds"), static_cast<double>(steps.size()));
    EXPECT_TRUE(json.contains("score") && json.contains("label_accuracy") && json.contains("high_quality"));
  }
  EXPECT_EQ(steps, (std::vector<int>{10, 20, 30, 40}));
  // Without the best model itself the next one is the best.
  std::filesystem::remove(folder / "best.safetensors");
  eval::RunScores(ring_judge()).evaluate(bad, 5, here);
  EXPECT_EQ(steps_of_best(), 40);
}

}  // namespace
}  // namespace gan::test
