#include "eval/run_scores.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace gan::eval {

namespace {

constexpr std::int64_t kImagesScored = 5000;
constexpr const char *kBestFile = "best.safetensors", *kScoresFile = "scores.jsonl";

nlohmann::ordered_json line_of(const Scores& scores, double elapsed_seconds) {
  nlohmann::ordered_json line{{"step", scores.steps}, {"elapsed_seconds", std::round(elapsed_seconds * 1000) / 1000}};
  if (scores.embedding) line["embedding"] = scores.embedding->hash.substr(0, 16);
  if (scores.label_accuracy) line["label_accuracy"] = *scores.label_accuracy;
  if (scores.fd) line["fd"] = scores.fd->value;
  if (scores.fd && scores.fd->few > 0) line["fd_few"] = scores.fd->few;
  if (scores.kid) line["kid"] = scores.kid->mean;
  if (const auto& prdc = scores.prdc) {
    line["precision"] = prdc->precision;
    line["recall"] = prdc->recall;
    line["density"] = prdc->density;
    line["coverage"] = prdc->coverage;
  }
  if (const auto& modes = scores.modes) {
    line["modes_found"] = modes->found;
    line["high_quality"] = modes->high_quality;
  }
  for (const Scores::Number& number : scores.numbers) line["numbers"][number.name] = number.error;
  if (!scores.columns.empty()) line["ks"] = scores.mean_distance();
  if (const auto score = joint_score(scores)) line["score"] = *score;
  for (const Scores::Missing& missing : scores.missing) line["missing"][missing.score] = missing.reason;
  return line;
}

/// "step 500: label accuracy 0.912, Frechet distance 35.1, coverage 0.85, score 0.880 (best so far)".
std::string text_of(const Scores& scores, bool best) {
  std::string text = fmt::format("step {}:", base::grouped(static_cast<std::uint64_t>(scores.steps)));
  if (scores.label_accuracy) text += fmt::format(" label accuracy {:.3f},", *scores.label_accuracy);
  for (const Scores::Number& number : scores.numbers)
    text += fmt::format(" {} {:.3g} off ({:.3g} in the data),", number.name, number.error, number.own_error);
  if (!scores.columns.empty()) text += fmt::format(" KS distance {:.3f},", scores.mean_distance());
  if (scores.fd) text += fmt::format(" Frechet distance {:.1f} (not Inception FID),", scores.fd->value);
  if (scores.prdc) text += fmt::format(" coverage {:.3f},", scores.prdc->coverage);
  if (scores.modes)
    text += fmt::format(" {} of {} modes, high quality {:.3f},", scores.modes->found, scores.modes->of,
                        scores.modes->high_quality);
  if (const auto score = joint_score(scores))
    text += fmt::format(" score {:.3f}{}", *score, best ? " (best so far)" : "");
  else
    text += " no score";
  return text;
}

}  // namespace

RunScores::RunScores(Judge judge) : judge_(std::move(judge)) {}

std::optional<RunScores::Best> RunScores::best_of(const std::filesystem::path& folder) {
  if (!std::filesystem::exists(folder / kBestFile) || !std::filesystem::exists(folder / kScoresFile))
    return std::nullopt;
  Best best;
  std::istringstream lines(base::read_file((folder / kScoresFile).string()));
  for (std::string line; std::getline(lines, line);) {
    const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    const auto number = [&](const char* key) {
      return json.is_object() && json.contains(key) && json[key].is_number();
    };
    if (!number("score") || !number("step")) continue;
    best.add(json["step"].get<std::int64_t>(), json["score"].get<double>());
  }
  if (best.score < 0) return std::nullopt;
  return best;
}

bool RunScores::Best::add(std::int64_t at, double next) {
  ++since;
  if (next <= score) return false;
  *this = {at, next, 0};
  return true;
}

std::string RunScores::why_no_score() const { return judge_.why_no_score(kImagesScored); }

std::string RunScores::warning() const {
  const std::string why = why_no_score();
  return why.empty() ? "" : "no best model will be kept, for there is no joint score to choose by: " + why;
}

std::string RunScores::evaluate(const train::Model& model, double elapsed_seconds,
                                const std::function<std::filesystem::path()>& directory) {
  Options options;
  if (model.sample_shape.size() == 3) options.count = kImagesScored;
  options.pixels = options.parzen = false;
  const Scores scores = judge_.evaluate(model, options).scores;
  const std::optional<double> score = joint_score(scores);
  if (!known_) best_ = best_of(directory()).value_or(Best());
  known_ = true;
  const bool best = score && best_.add(scores.steps, *score);
  if (best) train::save_model((directory() / kBestFile).string(), model);
  line_ = line_of(scores, elapsed_seconds).dump();
  base::append_to_file((directory() / kScoresFile).string(), line_ + "\n");
  return text_of(scores, best);
}

}  // namespace gan::eval
