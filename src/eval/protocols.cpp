#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <utility>
#include <vector>

#include "base/error.h"
#include "eval/classifier.h"
#include "eval/draw.h"
#include "eval/judge.h"
#include "eval/protocol.h"
#include "metrics/frechet.h"
#include "metrics/modes.h"

// The table of protocols. What the papers fix (data, numbers of samples, thresholds, for some also networks and
// optimizer) is kept; the rest is ours.
namespace gan::eval {

namespace {

constexpr std::uint64_t kSeedOfLatents = 1;                    // of the samples that are judged
constexpr std::int64_t kPointsJudged = 2'500;                  // PacGAN, section 4.1
constexpr std::int64_t kPictures = 26'000;                     // PacGAN, section 4.2
constexpr std::int64_t kAnglesOfCircle = 360, kOfAngle = 100;  // CcGAN's code

using Settings = std::vector<std::string>;

Settings joined(const std::vector<Settings>& parts) {
  Settings all;
  for (const Settings& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

/// The number of modes found, and the percentage of samples within three standard deviations of a mode.
std::vector<double> judge_points(const train::Model& model, const data::Dataset& dataset, const ProtocolOptions&) {
  const data::Dataset samples = draw(model, kPointsJudged, {}, kSeedOfLatents);
  const metrics::ModeCount count =
      metrics::count_modes({samples.points, 2}, {dataset.modes, 2}, static_cast<double>(dataset.mode_deviation));
  return {static_cast<double>(count.found), 100 * count.high_quality};
}

/// For angles between those of the data: root mean square of the Wasserstein distances, mean error of the angle in
/// degrees, percentage of samples within four standard deviations of their centre, percentage of angles with such a
/// sample.
std::vector<double> judge_circle(const train::Model& model, const data::Dataset& dataset, const ProtocolOptions&) {
  std::vector<float> degrees;
  for (std::int64_t i = 0; i < kAnglesOfCircle * kOfAngle; ++i)
    degrees.push_back(static_cast<float>(i / kOfAngle) + 0.5f);
  data::ConditionRows angles;
  angles.columns.emplace_back(std::move(degrees));
  const data::Dataset samples = draw(model, kAnglesOfCircle * kOfAngle, angles, kSeedOfLatents);
  const auto deviation = static_cast<double>(dataset.mode_deviation);
  const std::vector<double> covariance = {deviation * deviation, 0, 0, deviation * deviation};
  double squares = 0, turned = 0;
  std::int64_t met = 0, good = 0;
  for (std::size_t k = 0; k < static_cast<std::size_t>(kAnglesOfCircle); ++k) {
    const double angle = (static_cast<double>(k) + 0.5) * std::numbers::pi / 180, x = std::cos(angle),
                 y = std::sin(angle);
    const std::span<const float> points = std::span(samples.points).subspan(2 * k * kOfAngle, 2 * kOfAngle);
    squares += metrics::frechet_distance(metrics::fit_gaussian({points, 2}), {kOfAngle, {x, y}, covariance});
    std::int64_t near = 0;
    for (std::size_t i = 0; i < points.size(); i += 2) {
      const auto px = static_cast<double>(points[i]), py = static_cast<double>(points[i + 1]);
      near += std::hypot(px - x, py - y) <= 4 * deviation;
      turned += std::abs(std::remainder(std::atan2(py, px) - angle, 2 * std::numbers::pi));
    }
    good += near;
    met += near > 0;
  }
  constexpr double kAllAngles = kAnglesOfCircle, kAllSamples = kAllAngles * kOfAngle;
  return {std::sqrt(squares / kAllAngles), turned / kAllSamples * 180 / std::numbers::pi,
          100 * static_cast<double>(good) / kAllSamples, 100 * static_cast<double>(met) / kAllAngles};
}

/// The number of modes with a sample, and the Kullback-Leibler divergence of their shares, by a classifier of MNIST
/// that is applied to each colour channel.
std::vector<double> judge_stacks(const train::Model& model, const data::Dataset&, const ProtocolOptions& options) {
  const data::Dataset samples = draw(model, kPictures, {}, kSeedOfLatents);
  const Classifier classifier =
      cached_classifier(open_reference("mnist", {.cache = options.cache}), options.cache, options.log);
  const std::int64_t area = samples.sample_shape[1] * samples.sample_shape[2], channels = samples.sample_shape[0];
  data::Dataset digits;
  digits.source = digits.name = "samples";
  digits.sample_shape = {1, samples.sample_shape[1], samples.sample_shape[2]};
  digits.items = samples.count() * channels;
  const std::shared_ptr<std::uint8_t[]> pixels(new std::uint8_t[static_cast<std::size_t>(digits.items * area)]);
  for (std::int64_t i = 0; i < digits.items; ++i)
    for (std::int64_t p = 0; p < area; ++p)
      pixels[i * area + p] = samples.pixels[(i / channels * area + p) * channels + i % channels];
  digits.pixels = pixels;
  const std::vector<std::int32_t> read = Embedder(classifier).embed(digits).classes;
  std::vector<std::int32_t> modes;
  for (std::size_t i = 0; i < read.size(); i += 3) modes.push_back(100 * read[i] + 10 * read[i + 1] + read[i + 2]);
  const metrics::ModeShares shares = metrics::share_modes(modes, 1000);
  return {static_cast<double>(shares.found), shares.divergence};
}

/// The log-likelihood of MNIST's test images, and its standard error.
std::vector<double> judge_parzen(const train::Model& model, const data::Dataset&, const ProtocolOptions& options) {
  Reference reference = open_reference("mnist", {.cache = options.cache});
  fit_reference(reference, model);
  const Scores scores =
      Judge(std::move(reference)).evaluate(model, {.count = 10'000, .even_shares = true, .pixels = false}).scores;
  return {scores.parzen->mean, scores.parzen->se};
}

/// Whether the first two figures of the last trial reach these values for every seed.
template <int modes, int quality>
bool reaches(const ProtocolTable& table) {
  const std::size_t ours = table.values.size() - 1;
  return table.least(ours, 0) >= modes && table.least(ours, 1) >= quality;
}

// ---- what is trained ----

/// For ring8 and grid25 G is deep, with batch norm, tanh and two latents. Its hidden units saturate, so that few
/// samples lie between the modes (with LeakyReLU there are three times as many, even after twice the steps).
const Settings kModes = {"data.unconditional=true",
                         "model.latent=2",
                         "model.g.widths=[128, 128, 128, 128]",
                         "model.g.activation=tanh",
                         "model.g.batch_norm=true",
                         "optim.lr=2e-3",
                         "optim.schedule=linear",
                         "optim.schedule_start=8000",
                         "optim.schedule_steps=4000",
                         "optim.schedule_final=0.02",
                         "train.steps=12000"};
/// grid25 trains longer: it has three times as many modes, and more samples lie between neighbouring ones.
const Settings kGrid = {"train.batch=256", "train.steps=20000", "optim.schedule=budget"};
const Settings kCrossEntropy = {"loss.name=bce", "penalty.r1=0", "penalty.r2=0", "penalty.every=1"};
const Settings kLeastSquares = {"loss.name=least_squares", "penalty.r1=0.1", "penalty.r2=0.1", "penalty.every=4"};

/// The circle with the batch size and steps of CcGAN's code, and then its networks and learning rates.
const Settings kCircle = {"model.latent=2", "train.batch=128", "train.steps=6000"};
const Settings kCcGan = {"model.g.widths=[100, 100, 100, 100, 100, 100]",
                         "model.g.activation=relu",
                         "model.g.batch_norm=true",
                         "model.d.widths=[100, 100, 100, 100, 100]",
                         "model.d.activation=relu",
                         "loss.name=bce",
                         "penalty.r1=0",
                         "penalty.r2=0",
                         "optim.lr=5e-5",
                         "optim.beta1=0.5",
                         "optim.beta2=0.999",
                         "train.ema=0"};
/// D learns much faster than G, and penalties are weak in view of the standard deviation of 0.02; otherwise all samples
/// of an angle are one point.
const Settings kCircleOurs = {"model.g.widths=[100, 100, 100]",
                              "model.d.widths=[100, 100, 100]",
                              "penalty.r1=1e-6",
                              "penalty.r2=1e-6",
                              "optim.g.lr=1e-4",
                              "optim.d.lr=5e-3",
                              "optim.schedule=linear",
                              "optim.schedule_start=2000",
                              "optim.schedule_steps=4000",
                              "optim.schedule_final=0.02"};

/// The networks and optimizers of LSGAN's experiment. RMSProp is Adam without momentum, with a decay of 0.9.
const Settings kMixture = {"data.unconditional=true",
                           "model.latent=256",
                           "model.g.widths=[128, 128]",
                           "model.d.widths=[128, 128]",
                           "model.g.activation=tanh",
                           "model.d.activation=tanh",
                           "penalty.r1=0",
                           "penalty.r2=0",
                           "optim.d.lr=1e-4",
                           "optim.g.lr=1e-3",
                           "train.batch=512",
                           "train.steps=35000",
                           "train.ema=0"};
const Settings kAdam = {"optim.beta1=0.5", "optim.beta2=0.999"}, kRmsProp = {"optim.beta1=0", "optim.beta2=0.9"};
const Settings kBatchNorm = {"model.g.batch_norm=true"};

const Settings kStacks = {"data.unconditional=true", "train.steps=12000"};

/// The mixture's trials: both losses, with each optimizer, without and with batch norm in G.
std::vector<Protocol::Trial> mixture_trials() {
  std::vector<Protocol::Trial> trials;
  for (const bool least_squares : {false, true})
    for (const bool rms_prop : {false, true})
      for (const bool batch_norm : {false, true})
        trials.push_back({fmt::format("{}, {}{}", least_squares ? "least squares" : "cross entropy",
                                      rms_prop ? "RMSProp" : "Adam", batch_norm ? ", batch norm" : ""),
                          "vector",
                          joined({kMixture,
                                  rms_prop ? kRmsProp : kAdam,
                                  batch_norm ? kBatchNorm : Settings(),
                                  {least_squares ? "loss.name=least_squares" : "loss.name=bce"}})});
  return trials;
}

}  // namespace

std::span<const Protocol> protocols() {
  static const std::vector<Protocol> table = {
      {.name = "ring8",
       .brief = "8 Gaussians on a circle (PacGAN)",
       .summary = "8 Gaussians of deviation 0.01 on the unit circle; 2,500 samples. High quality: within three "
                  "deviations of a mode.",
       .source = "ring8",
       .columns = {{"modes of 8"}, {"high quality, %"}},
       .papers = {{"GAN", {{6.3}, {98.2}}}, {"PacGAN2", {{7.9}, {95.6}}}, {"PacGAN4", {{7.8}, {95.9}}}},
       .about_papers = "The papers' rows: PacGAN (arXiv 1712.04086), means of 10 trials.",
       .trials = {{"cross entropy", "vector", joined({kModes, kCrossEntropy})},
                  {"least squares, R1 + R2", "vector", joined({kModes, kLeastSquares})}},
       .judge = judge_points,
       .range = 1.5,
       .wanted = "8 modes and 97% in every seed",
       .reached = reaches<8, 97>},
      {.name = "grid25",
       .brief = "25 Gaussians on a grid (PacGAN)",
       .summary = "25 Gaussians of deviation 0.05, x and y from -4 to 4 in steps of 2; 2,500 samples. High quality: "
                  "within three deviations of a mode.",
       .source = "grid25",
       .columns = {{"modes of 25"}, {"high quality, %"}},
       .papers = {{"GAN", {{17.3}, {94.8}}}, {"PacGAN2", {{23.8}, {91.3}}}, {"PacGAN4", {{24.8}, {93.6}}}},
       .about_papers = "The papers' rows: PacGAN (arXiv 1712.04086), means of 10 trials.",
       .trials = {{"cross entropy", "vector", joined({kModes, kGrid, kCrossEntropy})},
                  {"least squares, R1 + R2", "vector", joined({kModes, kGrid, kLeastSquares})}},
       .judge = judge_points,
       .range = 5,
       .wanted = "25 modes and 95% in every seed",
       .reached = reaches<25, 95>},
      {.name = "stacked-mnist",
       .brief = "three digits as the colours of a picture, 1,000 modes (PacGAN)",
       .summary = "Three random digits of MNIST as the red, green and blue of 128,000 pictures, unlabelled; 26,000 "
                  "samples, each colour read by a classifier of MNIST. KL: divergence of the modes' shares from equal "
                  "ones, nats.",
       .source = "stacked-mnist",
       .columns = {{"modes of 1,000"}, {"KL", 3}},
       .papers = {{"DCGAN", {{99.0}, {3.40}}},
                  {"VEEGAN", {{150}}},
                  {"Unrolled GAN", {{48.7}}},
                  {"PacDCGAN2", {{1000, 0}, {0.06}}}},
       .about_papers = "The papers' rows: PacGAN (arXiv 1712.04086).",
       .trials = {{"least squares, R1 + R2, packs of 2", "lsgan-r1r2", joined({kStacks, {"model.pack=2"}})},
                  {"cross entropy", "lsgan-r1r2", joined({kStacks, kCrossEntropy})}},
       .judge = judge_stacks,
       .wanted = "990 modes by cross entropy in every seed",
       .reached = [](const ProtocolTable& table) { return table.least(1, 0) >= 990; }},
      {.name = "parzen",
       .brief = "the likelihood of MNIST's test images by Parzen windows (GAN, cGAN)",
       .summary =
           "MNIST, given the digit; 10,000 samples, 1,000 of each digit, pixels in [0, 1]; the width of the window "
           "is the one of ten from 0.1 to 1 under which 1,000 validation images are likeliest. The score rewards "
           "blur: it is here to compare with old tables only.",
       .source = "mnist",
       .columns = {{"log-likelihood, nats"}, {"standard error over test images"}},
       .papers = {{"DBN", {{138}, {2}}},
                  {"stacked CAE", {{121}, {1.6}}},
                  {"deep GSN", {{214}, {1.1}}},
                  {"adversarial nets", {{225}, {2}}},
                  {"conditional adversarial nets", {{132}, {1.8}}}},
       .about_papers = "The papers' rows: conditional GAN (arXiv 1411.1784).",
       .trials = {{"the conditional GAN paper's networks", "cgan-paper", {}},
                  {"least squares, R1 + R2", "lsgan-r1r2", {"train.steps=5000"}}},
       .judge = judge_parzen,
       .wanted = "above 225 by least squares in every seed",
       .reached = [](const ProtocolTable& table) { return table.least(1, 0) > 225; }},
      {.name = "circle",
       .brief = "120 Gaussians on a circle, given their angle (CcGAN)",
       .summary =
           "10 points at each of 120 angles of the unit circle, of deviation 0.02, given the angle as (sin, cos); "
           "100 samples at each of 360 angles between those of the data. W2: 2-Wasserstein distance of the "
           "samples of an angle, as a Gaussian, from the true Gaussian, root mean square. High quality: within "
           "four deviations of the centre; an angle is met that has such a sample.",
       .source = "circle",
       .columns = {{"W2", 4}, {"error of the angle, degrees", 2}, {"high quality, %"}, {"angles met, %"}},
       .papers = {{"cGAN, concatenation (steering angles)", {{}, {42.8}}}, {"CcGAN (steering angles)", {{}, {18.4}}}},
       .about_papers =
           "The papers' rows: CcGAN's code (arXiv 2011.07466), for pictures with steering angles; networks and "
           "rates of the first three trials are those of its code for this data.",
       .trials = {{"cross entropy, concatenation", "vector", joined({kCircle, kCcGan})},
                  {"the same, hard vicinities", "vector", joined({kCircle, kCcGan, {"train.vicinal=hard"}})},
                  {"the same, soft vicinities", "vector", joined({kCircle, kCcGan, {"train.vicinal=soft"}})},
                  {"least squares, R1 + R2", "vector", joined({kCircle, kCircleOurs})}},
       .judge = judge_circle,
       .range = 1.5,
       .wanted = "half the W2 of concatenation",
       .reached = [](const ProtocolTable& table) { return 2 * *table.figure(3, 0).mean <= *table.figure(0, 0).mean; }},
      {.name = "lsgan-mixture",
       .brief = "8 Gaussians, least squares beside cross entropy (LSGAN)",
       .summary = "8 Gaussians of deviation 0.01 on the unit circle; both networks of two layers of 128 with tanh, 256 "
                  "latents, batches of 512, rates 1e-3 (G) and 1e-4 (D), 35,000 steps; 2,500 samples, high quality "
                  "within three deviations of a mode.",
       .source = "ring8",
       .columns = {{"modes of 8"}, {"high quality, %"}},
       .papers = {},
       .about_papers =
           "The paper (Mao et al. 2017, arXiv 1611.04076) has pictures, no numbers: least squares keeps all "
           "modes where cross entropy loses most. Its code draws one of the modes twice as often, ours does "
           "not. RMSProp is Adam without momentum, with a decay of 0.9, so with Adam's correction of the first steps.",
       .trials = mixture_trials(),
       .judge = judge_points,
       .range = 1.5,
       .wanted = "8 modes by least squares in every seed and trial, where cross entropy loses some",
       .reached = [](const ProtocolTable& table) {
         double lost = 0;
         for (std::size_t t = 0; t < 4; ++t) lost += 8 - table.least(t, 0);
         for (std::size_t t = 4; t < 8; ++t)
           if (table.least(t, 0) < 8) return false;
         return lost > 0;
       }}};
  return table;
}

}  // namespace gan::eval
