#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/random.h"
#include "eval/judge.h"
#include "eval_helpers.h"
#include "file_helpers.h"
#include "metrics/prdc.h"

// Scores of samples whose answers are known: copies, few pictures many times, other class shares, small data.
namespace gan::test {
namespace {

using data::Dataset;
using eval::Judge;
using eval::Reference;
using eval::Scores;

constexpr std::int64_t kSide = 12;

/// A blurred spot: its place, size and brightness.
struct Spot {
  double y, x, radius, light;
};

/// Images [1, 12, 12] of two spots each at random places; with `classes` the first spot's radius says which.
Dataset spots(std::int64_t count, std::uint64_t seed, int classes = 0) {
  const base::RandomStream random(seed, 1);
  std::uint64_t drawn = 0;
  const auto number = [&](double low, double high) {
    return low + (high - low) * static_cast<double>(random.uniform(drawn++));
  };
  Dataset images;
  images.source = images.name = "spots";
  images.sample_shape = {1, kSide, kSide};
  images.hash = std::to_string(seed);
  images.items = count;
  const std::shared_ptr<std::uint8_t[]> pixels(new std::uint8_t[static_cast<std::size_t>(count * kSide * kSide)]);
  std::vector<std::int32_t> labels;
  for (std::int64_t i = 0; i < count; ++i) {
    labels.push_back(classes > 0 ? static_cast<std::int32_t>(i % classes) : 0);
    const double radius = classes > 0 ? 1 + labels.back() : number(1, 3);
    const Spot both[] = {{number(2, 9), number(2, 9), radius, number(150, 250)},
                         {number(2, 9), number(2, 9), number(0.8, 1.2), number(50, 150)}};
    for (std::int64_t p = 0; p < kSide * kSide; ++p) {
      double value = 0;
      for (const Spot& spot : both) {
        const double y = static_cast<double>(p / kSide) - spot.y, x = static_cast<double>(p % kSide) - spot.x;
        value += spot.light * std::exp(-(y * y + x * x) / (2 * spot.radius * spot.radius));
      }
      pixels[i * kSide * kSide + p] = static_cast<std::uint8_t>(std::min(value, 255.0));
    }
  }
  images.pixels = pixels;
  if (classes == 0) return images;
  images.condition = data::label_condition(classes);
  images.rows = std::move(labels);
  return images;
}

Dataset first(const Dataset& images, std::int64_t from, std::int64_t count, std::int64_t period) {
  std::vector<std::uint32_t> indices;
  for (std::int64_t i = 0; i < count; ++i) indices.push_back(static_cast<std::uint32_t>(from + i % period));
  return data::subset(images, indices);
}

/// The images moved down and to the right, zeros where nothing moved to.
Dataset shifted(const Dataset& images, std::int64_t down, std::int64_t right) {
  Dataset moved = images;
  const std::int64_t bytes = images.count() * kSide * kSide;
  const std::shared_ptr<std::uint8_t[]> pixels(new std::uint8_t[static_cast<std::size_t>(bytes)]);
  const auto is_inside = [](std::int64_t place) { return place >= 0 && place < kSide; };
  for (std::int64_t i = 0; i < bytes; ++i) {
    const bool inside = is_inside(i / kSide % kSide - down) && is_inside(i % kSide - right);
    pixels[i] = inside ? images.pixels[i - down * kSide - right] : 0;
  }
  moved.pixels = pixels;
  return moved;
}

/// 600 images to train by and 640 held out, compared in features that were learned without labels, once for all tests.
const Judge& spot_judge() {
  static const Judge judge = [] {
    const Dataset all = spots(1240, 1);
    Reference reference{.train = first(all, 0, 600, 600), .held_out = first(all, 600, 640, 640), .name = "spots"};
    eval::Classifier exemplars = eval::train_exemplars(reference.train, 0, nullptr);
    return Judge(std::move(reference), {.embedding = std::move(exemplars)});
  }();
  return judge;
}

Scores scores_of(const Dataset& samples) { return spot_judge().judge(samples, {}).scores; }

TEST(EvalKnown, ImagesWithoutLabelsGetEveryScoreButThoseOfLabels) {
  const Scores good = scores_of(spots(640, 2));
  EXPECT_TRUE(good.fd && good.kid && good.prdc && good.duplicates && good.memorization && eval::joint_score(good));
  EXPECT_TRUE(good.embedding.value().exemplars && !good.embedding->accuracy && !good.label_accuracy);
  EXPECT_GT(good.prdc->precision, 0.7);
  EXPECT_GT(good.prdc->recall, 0.7);
  Dataset flat = spots(640, 2);
  flat.pixels = std::shared_ptr<std::uint8_t[]>(new std::uint8_t[640 * kSide * kSide]());
  const Scores bad = scores_of(flat);
  EXPECT_GT(bad.fd->value, 20 * good.fd->value);
  EXPECT_LT(bad.prdc->precision + bad.prdc->recall, 0.05);
  const std::string text = eval::to_text(good, "m");
  EXPECT_NE(text.find("learned without labels"), std::string::npos) << text;
  EXPECT_NE(text.find("not Inception FID"), std::string::npos) << text;
  EXPECT_EQ(read_json(good).at("embedding").at("learned"), "without labels");
}

TEST(EvalKnown, TenPicturesManyTimesAreRightButNotVaried) {
  const Dataset others = spots(640, 3);
  const Scores ten = scores_of(first(others, 0, 640, 10));
  const Scores all = scores_of(others);
  EXPECT_GT(ten.prdc.value().precision, 0.7);
  EXPECT_LT(ten.prdc->recall, 0.05);
  EXPECT_EQ(ten.duplicates.value(), 1);
  // The mirror: varied samples against ten pictures.
  const eval::Classifier exemplars = eval::train_exemplars(spots(100, 4), 0, nullptr);
  eval::Embedder embedder(exemplars);
  const std::vector<float> varied = embedder.embed(others).features,
                           few = embedder.embed(first(spots(640, 5), 0, 640, 10)).features;
  const metrics::Prdc mirror = metrics::prdc({few, eval::kFeatures}, {varied, eval::kFeatures});
  EXPECT_LT(mirror.precision, 0.05);
  EXPECT_GT(mirror.recall, 0.6);
}

TEST(EvalKnown, CopiesAreFoundEvenIfShifted) {
  const Reference& reference = spot_judge().reference();
  const Scores copies = scores_of(reference.train), moved = scores_of(shifted(reference.train, 0, 1)),
               unseen = scores_of(reference.held_out), others = scores_of(spots(640, 6));
  EXPECT_TRUE(copies.memorization.value().copied());
  EXPECT_EQ(copies.memorization->copies, 1);
  EXPECT_GT(moved.memorization.value().copies, 0.95);
  for (const auto& [down, right] : {std::pair{0, -1}, {1, 0}, {-1, 0}, {1, 1}, {-1, 1}}) {
    const Scores other = scores_of(shifted(reference.train, down, right));
    EXPECT_TRUE(other.memorization.value().copied()) << down << " " << right << " " << other.memorization->copies;
  }
  EXPECT_GT(moved.memorization->samples_median, 3 * eval::kDuplicateDistance);  // unshifted they are far away
  EXPECT_LT(unseen.memorization.value().copies, 0.1);
  EXPECT_EQ(unseen.memorization->copies, unseen.memorization->held_out_copies);
  EXPECT_FALSE(others.memorization.value().copied()) << others.memorization->copies;
  EXPECT_EQ(read_json(moved).at("memorization").at("copies").at("verdict"), "copies");
  EXPECT_NE(eval::to_text(others, "m").find("no copies: "), std::string::npos);
}

/// 600 of 6,000 images that have three classes in turn: `tenths` of ten are of class 0, the others half and half.
std::vector<std::uint32_t> with_share(std::int64_t tenths) {
  std::vector<std::uint32_t> chosen;
  std::int64_t of_class[3] = {};
  const std::int64_t most[3] = {60 * tenths, 300 - 30 * tenths, 300 - 30 * tenths};
  for (std::uint32_t i = 0; i < 6000; ++i)
    if (of_class[i % 3]++ < most[i % 3]) chosen.push_back(i);
  return chosen;
}

TEST(EvalKnown, SharesOfClassesDoNotChangeScores) {
  // Samples of one source against references in which class 0 has 40, 50 and 90% of the images.
  const Dataset all = spots(6000, 7, 3), drawn = spots(6000, 8, 3);
  const Dataset train = data::subset(all, with_share(4));
  const TemporaryFolder folder;
  eval::save_classifier(folder / "c", eval::train_classifier(train, 0, nullptr));
  const auto scores = [&](std::int64_t of_reference, std::int64_t of_samples) {
    Judge judge(Reference{.train = train, .held_out = data::subset(all, with_share(of_reference)), .name = "spots"},
                {.embedding = eval::load_classifier(folder / "c")});
    return judge.judge(data::subset(drawn, with_share(of_samples)), {}).scores;
  };
  const Scores same = scores(4, 4);
  for (const std::int64_t tenths : {5, 9}) {
    SCOPED_TRACE(tenths);
    const Scores uneven = scores(tenths, tenths);
    // Of few images of a class FD is larger by chance, yet small beside that of samples with other shares.
    EXPECT_LT(uneven.fd.value().value, 3 * same.fd.value().value);
    EXPECT_LT(uneven.fd->value, (tenths == 9 ? 0.1 : 0.7) * scores(tenths, 4).fd.value().value);
    EXPECT_NEAR(uneven.kid.value().mean, same.kid.value().mean, 3 * (uneven.kid->se + same.kid->se));
    EXPECT_NEAR(uneven.prdc.value().precision, same.prdc.value().precision, 0.05);
    EXPECT_NEAR(uneven.prdc->recall, same.prdc->recall, 0.05);
    EXPECT_NEAR(uneven.prdc->coverage, same.prdc->coverage, 0.05);
  }
}

// Both parts have more pictures than there are exemplars.
TEST(EvalKnown, EmbeddingsOfOtherHeldOutSharesAreOthers) {
  const Dataset all = spots(700, 13);
  const TemporaryFolder cache;
  const auto hash = [&](std::int64_t held_out) {
    Reference reference{.train = first(all, held_out, 700 - held_out, 700), .held_out = first(all, 0, held_out, 700)};
    eval::Networks networks = eval::cached_networks(reference, cache.path(), nullptr);
    return Judge(std::move(reference), std::move(networks)).judge(spots(60, 14), {}).scores.embedding.value().hash;
  };
  const std::string of_tenth = hash(70);
  EXPECT_NE(hash(350), of_tenth);
  EXPECT_EQ(hash(70), of_tenth);
}

TEST(EvalKnown, CopiesOfOnePictureAreNoReference) {
  const Dataset all = spots(20, 15);
  Judge judge(Reference{.train = first(all, 0, 9, 1), .held_out = first(all, 0, 1, 1), .name = "spots"});
  EXPECT_EQ(judge.judge(spots(20, 16), {}).scores.notes.at(0),
            "the data is 10 copies of one sample: nothing can be compared with it");
}

TEST(EvalKnown, SmallDataGetsWhatScoresItCan) {
  for (const std::int64_t count : {100, 500, 1300}) {
    const Dataset all = spots(count, 9, 2);
    const std::int64_t held_out = count / 10;
    Reference reference{.train = first(all, held_out, count - held_out, count - held_out),
                        .held_out = first(all, 0, held_out, held_out),
                        .name = "spots",
                        .advice = "--holdout 0.5"};
    eval::Classifier classifier = eval::train_classifier(reference.train, 0, nullptr);
    Judge judge(std::move(reference), {.embedding = std::move(classifier)});
    const Scores scores = judge.judge(spots(count, 10, 2), {}).scores;
    SCOPED_TRACE(count);
    EXPECT_EQ(scores.fd.value().few, held_out > eval::kFeatures ? 0 : held_out);
    EXPECT_TRUE(scores.label_accuracy && scores.memorization && scores.duplicates && scores.parzen);
    EXPECT_EQ(scores.kid.has_value(), held_out >= 20);
    EXPECT_EQ(scores.prdc.has_value(), held_out >= 50);
    EXPECT_EQ(reason(scores, "kid"), held_out < 20 ? "reference has 10 images, needs 20" : "");
    const std::string text = eval::to_text(scores, "m");
    EXPECT_EQ(text.find("nan"), std::string::npos) << text;
    EXPECT_EQ(text.find("--holdout 0.5 compares with more") != std::string::npos, held_out < 50) << text;
    EXPECT_EQ(text.find("shrunk covariances") != std::string::npos, held_out <= eval::kFeatures) << text;
    read_json(scores);
  }
}

TEST(EvalKnown, TheWholeDataAsReferenceSaysSo) {
  Dataset all = spots(100, 11);
  eval::Classifier exemplars = eval::train_exemplars(all, 0, nullptr);
  Judge judge(Reference{.train = all, .held_out = all, .name = "all samples of spots", .whole = true},
              {.embedding = std::move(exemplars)});
  const Scores copies = judge.judge(all, {}).scores, others = judge.judge(spots(100, 12), {}).scores;
  EXPECT_EQ(copies.fd.value().few, 100);
  EXPECT_NEAR(copies.fd->value, 0, 1e-6);
  EXPECT_TRUE(copies.memorization.value().copied() && !others.memorization.value().copied());
  EXPECT_NE(eval::to_text(others, "m").find("nothing is held out to compare with"), std::string::npos);
}

}  // namespace
}  // namespace gan::test
