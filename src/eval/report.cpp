#include "eval/report.h"

#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>
#include <numeric>
#include <span>

#include "base/file.h"
#include "base/text.h"
#include "io/csv.h"
#include "io/png.h"

namespace gan::eval {

using Json = nlohmann::ordered_json;

namespace {

constexpr int kSamplesPerClass = 10, kMostClassesShown = 20;
constexpr std::int64_t kPairsShown = 40, kPairsPerRow = 5;
constexpr std::int64_t kNone = -1;
constexpr std::size_t kConfusions = 3;
constexpr std::size_t kNamedValues = 10;
constexpr std::size_t kShownColumns = 40;       // columns of vectors that the text shows
constexpr std::size_t kColumnsOfMatrices = 64;  // larger matrices of correlations are left out of JSON

std::string grouped(std::int64_t count) { return base::grouped(static_cast<std::uint64_t>(count)); }

std::string class_name(const Scores& scores, std::size_t k) {
  return scores.class_names.empty() ? std::to_string(k) : scores.class_names[k];
}

void line(std::string& text, std::string_view name, const std::string& value) {
  fmt::format_to(std::back_inserter(text), "{:<20}{}\n", name, value);
}

/// Adds the line of a score: its value, or the reason why it is missing; nothing if it was not requested.
void score_line(std::string& text, std::string_view name, const Scores& scores, std::string_view key,
                const std::string& value) {
  const auto missing = std::ranges::find(scores.missing, key, &Scores::Missing::score);
  if (!value.empty())
    line(text, name, value);
  else if (missing != scores.missing.end())
    line(text, name, fmt::format("-  ({})", missing->reason));
}

/// A score with this many decimals and a suffix; "" if it is absent.
std::string shown(const std::optional<double>& score, int decimals, std::string_view suffix = "") {
  return score ? fmt::format("{:.{}f}{}", *score, decimals, suffix) : "";
}

/// "12.3  not Inception FID", with a remark if it was computed from few rows.
std::string frechet_text(const Scores::Frechet& fd) {
  return fmt::format("{:.3f}  not Inception FID{}", fd.value,
                     fd.few > 0 ? fmt::format("; of {} rows at a time, with shrunk covariances: chance makes it larger",
                                              grouped(fd.few))
                                : "");
}

void put(Json& json, const std::optional<Scores::Frechet>& fd) {
  if (!fd) return;
  json["fd"] = fd->value;
  if (fd->few > 0) json["fd_few"] = fd->few;
}

/// The largest entries off the diagonal: "4 as 9 (17), 7 as 2 (9)".
std::string confusions_text(const Scores& scores) {
  struct Entry {
    std::int64_t samples;
    std::size_t label, predicted;
  };
  std::vector<Entry> entries;
  for (std::size_t label = 0; label < scores.confusion.size(); ++label)
    for (std::size_t predicted = 0; predicted < scores.confusion.size(); ++predicted)
      if (label != predicted && scores.confusion[label][predicted] > 0)
        entries.push_back({scores.confusion[label][predicted], label, predicted});
  std::ranges::stable_sort(entries, std::greater(), &Entry::samples);
  entries.resize(std::min(entries.size(), kConfusions));
  std::string text;
  for (const Entry& entry : entries)
    text += fmt::format("{}{} as {} ({})", text.empty() ? "" : ", ", class_name(scores, entry.label),
                        class_name(scores, entry.predicted), grouped(entry.samples));
  return text;
}

/// Images of a data set, in the training range; the index kNone gives a black image.
std::vector<float> images_of(const data::Dataset& dataset, const std::vector<std::int64_t>& indices) {
  const std::int64_t size = graph::element_count(dataset.sample_shape);
  std::vector<float> images(indices.size() * static_cast<std::size_t>(size), -1.0f);
  for (std::size_t i = 0; i < indices.size(); ++i)
    if (indices[i] != kNone) dataset.copy_sample(indices[i], images.data() + i * static_cast<std::size_t>(size));
  return images;
}

void write_pictures(const std::filesystem::path& folder, const Evaluation& evaluation, const Reference& reference) {
  const data::Dataset& samples = evaluation.samples;
  graph::Shape shape = samples.sample_shape;
  if (shape[0] != 1 && shape[0] != 3) return;
  shape.insert(shape.begin(), 0);
  // A row holds the first samples of a class; without classes there are ten rows of ten.
  const data::Dataset labelled = with_classes(samples);
  const int rows = labelled.classes() > 0 ? std::min(labelled.classes(), kMostClassesShown) : 10;
  std::vector<std::vector<std::int64_t>> of_row(static_cast<std::size_t>(rows));
  for (std::int64_t i = 0; i < samples.count(); ++i) {
    const std::int64_t row = labelled.classes() > 0 ? labelled.label(i) : i / kSamplesPerClass;
    if (row >= rows) continue;
    std::vector<std::int64_t>& mine = of_row[static_cast<std::size_t>(row)];
    if (mine.size() < kSamplesPerClass) mine.push_back(i);
  }
  std::vector<std::int64_t> chosen;
  for (std::vector<std::int64_t>& mine : of_row) {
    if (labelled.classes() > 0) mine.resize(kSamplesPerClass, kNone);
    chosen.insert(chosen.end(), mine.begin(), mine.end());
  }
  shape[0] = static_cast<std::int64_t>(chosen.size());
  io::write_grid((folder / "samples.png").string(), images_of(samples, chosen), shape, kSamplesPerClass);
  if (evaluation.nearest.index.empty()) return;
  const std::int64_t pairs = std::min(kPairsShown, static_cast<std::int64_t>(evaluation.nearest.index.size()));
  std::vector<float> images;
  for (std::int64_t i = 0; i < pairs; ++i) {
    const std::vector<float> sample = images_of(samples, {i});
    const std::vector<float> neighbour =
        images_of(reference.train, {evaluation.nearest.index[static_cast<std::size_t>(i)]});
    images.insert(images.end(), sample.begin(), sample.end());
    images.insert(images.end(), neighbour.begin(), neighbour.end());
  }
  shape[0] = 2 * pairs;
  io::write_grid((folder / "neighbours.png").string(), images, shape, 2 * kPairsPerRow);
}

/// CSV with the header "asked,0,1,..." and a line for each class: its samples by predicted class.
std::string confusion_csv(const Scores& scores) {
  std::vector<std::string> cells = {"asked"};
  for (std::size_t k = 0; k < scores.confusion.size(); ++k) cells.push_back(class_name(scores, k));
  std::string text = io::csv_row(cells);
  for (std::size_t k = 0; k < scores.confusion.size(); ++k) {
    cells = {class_name(scores, k)};
    for (const std::int64_t samples : scores.confusion[k]) cells.push_back(std::to_string(samples));
    text += io::csv_row(cells);
  }
  return text;
}

/// "test part of mnist, 10,000 samples".
std::string reference_text(const Scores& scores) {
  std::string text = fmt::format("{}, {}", scores.reference, base::counted(scores.reference_count, "sample"));
  if (scores.reference_distinct < scores.reference_count)
    text += fmt::format(", {} different", grouped(scores.reference_distinct));
  if (scores.reference_in_training > 0)
    text += fmt::format("; {} of them in the training part, too, and left out of the search for copies",
                        grouped(scores.reference_in_training));
  return text;
}

std::string kid_text(const metrics::Estimate& kid) {
  return fmt::format("{:.5f} +- {:.5f}  not Inception KID{}", kid.mean, kid.se,
                     kid.mean < 0 ? " (below 0 by chance, as an unbiased estimate of a small distance may be)" : "");
}

std::string spread_text(const metrics::Spread& spread) {
  return spread.between ? fmt::format("{:.3f} between labels, {:.3f} within", *spread.between, spread.within)
                        : fmt::format("{:.3f}", spread.within);
}

std::string how_drawn(const Scores& scores) {
  switch (scores.drawn) {
    case Scores::Drawn::evenly:
      return ", as many of each class";
    case Scores::Drawn::as_reference:
      return scores.per_class.empty() || !scores.numbers.empty() ? ", with the conditions of the reference"
                                                                 : ", in the class shares of the reference";
    case Scores::Drawn::elsewhere:
      return ", not drawn here";
    case Scores::Drawn::unconditionally:
      break;
  }
  return "";
}

/// "9.1 degrees  mean absolute error of samples; of the reference 6.2".
std::string number_text(const Scores::Number& number) {
  return fmt::format("{:.4g}{}  mean absolute error of samples; of the reference {:.4g}", number.error,
                     number.unit.empty() ? "" : " " + number.unit, number.own_error);
}

/// "12.3 on average over 19 windows, 20.1 at most, from 30 to 66".
std::string windows_text(const std::vector<Scores::Number::Window>& windows) {
  double sum = 0;
  std::int64_t few = 0;
  for (const auto& window : windows) {
    sum += window.fd.value;
    few = std::max(few, window.fd.few);
  }
  const auto worst = std::ranges::max_element(windows, {}, [](const auto& window) { return window.fd.value; });
  return fmt::format("{:.3f} on average over {}, {:.3f} at most, from {:.4g} to {:.4g}; not Inception FID{}",
                     sum / static_cast<double>(windows.size()),
                     base::counted(static_cast<std::int64_t>(windows.size()), "window"), worst->fd.value, worst->low,
                     worst->high, few > 0 ? "; of few rows, with shrunk covariances" : "");
}

/// "2 values that the training data lacks: 10, 20; error there 3.1".
std::string unseen_text(const Scores::Number& number) {
  std::vector<std::string> named;
  for (const double value : std::span(number.unseen).first(std::min(number.unseen.size(), kNamedValues)))
    named.push_back(fmt::format("{:.6g}", value));
  return fmt::format("{} that the training data lacks: {}{}{}",
                     base::counted(static_cast<std::int64_t>(number.unseen.size()), "value"), base::joined(named),
                     named.size() < number.unseen.size() ? ", ..." : "",
                     number.unseen_error ? fmt::format("; error there {:.4g}", *number.unseen_error) : "");
}

/// "no copies: 0.020 of samples lie within 17 grey levels of a training image, or of one shifted by a pixel; of
/// held-out images 0.030".
std::string copies_text(const Scores::Memorization& m, bool vectors) {
  const std::string held_out =
      m.held_out_copies ? fmt::format("; of held-out {} {:.3f}", vectors ? "rows" : "images", *m.held_out_copies)
                        : "; nothing is held out to compare with";
  const std::string within =
      vectors ? fmt::format("{:.3g} deviations of a training row", m.limit)
              : fmt::format("{:.0f} grey levels of a training image, or of one shifted by a pixel", 255 * m.limit);
  return fmt::format("{}: {:.3f} of samples lie within {}{}", m.copied() ? "copies" : "no copies", m.copies, within,
                     held_out);
}

/// A text table with a row for each column of vectors.
std::string column_table(const Scores& scores) {
  const std::size_t shown = std::min(scores.columns.size(), kShownColumns);
  std::size_t width = 6;
  for (std::size_t c = 0; c < shown; ++c) width = std::max(width, scores.columns[c].name.size());
  std::string text = fmt::format("{:<{}}  KS distance  {:>12}  {:>12}  {:>12}  {:>12}\n", "column", width, "data: mean",
                                 "std", "samples: mean", "std");
  for (const ColumnScore& column : std::span(scores.columns).first(shown))
    text += fmt::format("{:<{}}  {:>11.4f}  {:>12.5g}  {:>12.5g}  {:>13.5g}  {:>12.5g}\n", column.name, width,
                        column.distance, column.real_mean, column.real_deviation, column.mean, column.deviation);
  if (shown < scores.columns.size()) text += fmt::format("and {} more\n", scores.columns.size() - shown);
  return text;
}

std::string pairs_table(const Correlations& correlations) {
  std::string text;
  for (const auto& pair : correlations.difference.pairs)
    line(text, text.empty() ? "differ most" : "",
         fmt::format("{} and {}: {:.3f} in the data, {:.3f} in samples",
                     correlations.names[static_cast<std::size_t>(pair.i)],
                     correlations.names[static_cast<std::size_t>(pair.j)], pair.a, pair.b));
  return text;
}

Json to_json(const Correlations& correlations) {
  Json json{{"largest_difference", correlations.difference.largest}, {"mean_difference", correlations.difference.mean}};
  for (const auto& pair : correlations.difference.pairs)
    json["pairs"].push_back(
        {{"columns",
          {correlations.names[static_cast<std::size_t>(pair.i)], correlations.names[static_cast<std::size_t>(pair.j)]}},
         {"real", pair.a},
         {"samples", pair.b}});
  const std::size_t width = correlations.names.size();
  if (width > kColumnsOfMatrices) return json;
  json["columns"] = correlations.names;
  const auto rows = [&](const std::vector<double>& matrix) {
    Json table = Json::array();
    for (std::size_t i = 0; i < width; ++i)
      table.push_back(std::vector<double>(matrix.begin() + static_cast<std::ptrdiff_t>(i * width),
                                          matrix.begin() + static_cast<std::ptrdiff_t>((i + 1) * width)));
    return table;
  };
  json["real"] = rows(correlations.real);
  json["samples"] = rows(correlations.samples);
  return json;
}

Json to_json(const Scores::Memorization& m) {
  Json json{{"samples_median", m.samples_median}};
  if (m.held_out_median) json["held_out_median"] = *m.held_out_median;
  if (m.share_closer) json["share_closer"] = *m.share_closer;
  Json& copies = json["copies"];
  copies = {{"verdict", m.copied() ? "copies" : "no copies"}, {"share", m.copies}, {"limit", m.limit}};
  if (m.held_out_copies) copies["held_out_share"] = *m.held_out_copies;
  return json;
}

/// A text table with a row for each class and its scores, "-" for missing ones; if there are very many classes, only
/// for the least accurate.
std::string class_table(const Scores& scores) {
  constexpr std::size_t kMostShown = 100, kWorst = 20;
  const std::size_t classes = scores.per_class.size();
  std::vector<std::size_t> order(classes);
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (classes > kMostShown) {
    std::ranges::stable_sort(order, {}, [&](std::size_t k) { return scores.per_class[k].accuracy.value_or(2); });
    order.resize(kWorst);
  }
  std::size_t width = 5;
  for (const std::string& name : scores.class_names) width = std::max(width, name.size());
  std::string text = fmt::format("{:<{}}  accuracy{}\n", "class", width,
                                 scores.embedding ? "  Frechet distance (not Inception FID)" : "");
  for (const std::size_t k : order) {
    const auto& [accuracy, fd] = scores.per_class[k];
    text += fmt::format("{:<{}}  {:>8}", class_name(scores, k), width, accuracy ? shown(accuracy, 4) : "-");
    if (scores.embedding)
      text += fmt::format("  {:>16}{}", fd ? fmt::format("{:.2f}", fd->value) : "-",
                          fd && fd->few > 0 ? fmt::format("  of {} rows", fd->few) : "");
    text += '\n';
  }
  if (classes > order.size())
    text += fmt::format("the least accurate of {}; --json and eval.json have all\n",
                        base::counted(static_cast<std::int64_t>(classes), "class", "classes"));
  return text;
}

}  // namespace

Json to_json(const Scores& scores, const std::string& model) {
  Json json;
  json["model"] = model;
  json["steps"] = scores.steps;
  json["data"] = scores.data;
  json["data_hash"] = scores.data_hash;
  json["reference"] = {{"name", scores.reference}, {"count", scores.reference_count}};
  if (scores.reference_distinct < scores.reference_count) json["reference"]["distinct"] = scores.reference_distinct;
  if (scores.reference_in_training > 0) json["reference"]["in_training"] = scores.reference_in_training;
  json["samples"] = scores.samples;
  constexpr const char* kDrawn[] = {"unconditionally", "evenly", "as_reference", "elsewhere"};
  json["drawn"] = kDrawn[static_cast<std::size_t>(scores.drawn)];
  json["seed"] = scores.seed;
  if (scores.embedding) {
    json["embedding"]["hash"] = scores.embedding->hash;
    json["embedding"]["learned"] = scores.embedding->exemplars ? "without labels" : "from labels or numbers";
    if (scores.embedding->accuracy) json["embedding"]["accuracy"] = *scores.embedding->accuracy;
    json["embedding"]["width"] = scores.embedding->width;
  }
  if (scores.label_accuracy) json["label_accuracy"] = *scores.label_accuracy;
  if (scores.own_label_accuracy) json["own_label_accuracy"] = *scores.own_label_accuracy;
  for (std::size_t k = 0; k < scores.per_class.size(); ++k) {
    Json of_class{{"class", k}};
    if (!scores.class_names.empty()) of_class["name"] = scores.class_names[k];
    if (scores.per_class[k].accuracy) of_class["accuracy"] = *scores.per_class[k].accuracy;
    put(of_class, scores.per_class[k].fd);
    json["per_class"].push_back(of_class);
  }
  if (!scores.confusion.empty()) json["confusion"] = scores.confusion;
  for (const Scores::Number& number : scores.numbers) {
    Json of_number{{"name", number.name}};
    if (!number.unit.empty()) of_number["unit"] = number.unit;
    of_number["error"] = number.error;
    of_number["own_error"] = number.own_error;
    if (!number.unseen.empty()) of_number["unseen"]["values"] = number.unseen;
    if (number.unseen_error) of_number["unseen"]["error"] = *number.unseen_error;
    for (const auto& window : number.windows) {
      Json of_window{{"low", window.low}, {"high", window.high}};
      put(of_window, window.fd);
      of_number["windows"].push_back(of_window);
    }
    json["numbers"].push_back(of_number);
  }
  put(json, scores.fd);
  for (const Scores::CurvePoint& point : scores.fd_curve)
    json["fd_curve"].push_back({{"samples", point.samples}, {"fd", point.fd}});
  if (scores.kid) json["kid"] = {{"mean", scores.kid->mean}, {"se", scores.kid->se}};
  if (scores.prdc) {
    json["precision"] = scores.prdc->precision;
    json["recall"] = scores.prdc->recall;
    json["density"] = scores.prdc->density;
    json["coverage"] = scores.prdc->coverage;
  }
  if (scores.cas) json["cas"] = {{"accuracy", scores.cas->accuracy}, {"real_accuracy", scores.cas->real_accuracy}};
  const auto spread = [](const metrics::Spread& value) {
    Json object;
    if (value.between) object["between_labels"] = *value.between;
    object["within"] = value.within;
    return object;
  };
  if (scores.spread) json["spread"] = spread(*scores.spread);
  if (scores.real_spread) json["real_spread"] = spread(*scores.real_spread);
  if (scores.duplicates) json["duplicates"] = *scores.duplicates;
  if (scores.memorization) json["memorization"] = to_json(*scores.memorization);
  if (const auto& p = scores.parzen) json["parzen"] = {{"mean", p->mean}, {"se", p->se}, {"sigma", p->sigma}};
  if (const auto& m = scores.modes)
    json["modes"] = {
        {"found", m->found}, {"of", m->of}, {"high_quality", m->high_quality}, {"deviations", m->deviations}};
  if (!scores.columns.empty()) {
    json["ks"] = {{"mean", scores.mean_distance()}, {"by_chance", scores.chance_distance}};
    for (const ColumnScore& column : scores.columns) {
      Json of_column{{"name", column.name}};
      if (!column.unit.empty()) of_column["unit"] = column.unit;
      of_column["ks"] = column.distance;
      of_column["real"] = {{"mean", column.real_mean}, {"deviation", column.real_deviation}};
      of_column["samples"] = {{"mean", column.mean}, {"deviation", column.deviation}};
      json["columns"].push_back(of_column);
    }
  }
  if (scores.two_sample_auc) json["two_sample_auc"] = *scores.two_sample_auc;
  if (scores.correlations) json["correlations"] = to_json(*scores.correlations);
  if (const auto score = joint_score(scores)) json["score"] = *score;
  for (const Scores::Missing& missing : scores.missing) json["missing"][missing.score] = missing.reason;
  json["seconds"] = scores.seconds;
  if (!scores.notes.empty()) json["notes"] = scores.notes;
  return json;
}

std::string to_text(const Scores& scores, const std::string& model) {
  std::string text;
  line(text, "model", fmt::format("{}{}", model, scores.steps > 0 ? ", " + base::counted(scores.steps, "step") : ""));
  line(text, "reference", reference_text(scores));
  const bool by_class = !scores.per_class.empty();
  line(text, "samples",
       fmt::format("{}{}{}", grouped(scores.samples), how_drawn(scores),
                   scores.drawn == Scores::Drawn::elsewhere ? "" : fmt::format(", seed {}", scores.seed)));
  if (const auto& e = scores.embedding)
    line(text, "embedding",
         fmt::format("{}, {} features{}{}", e->hash.substr(0, 16), e->width,
                     e->exemplars ? " of a network that learned without labels to tell single images apart" : "",
                     e->accuracy ? fmt::format("; reads {:.2f}% of the reference right", 100 * *e->accuracy) : ""));
  text += "\n";
  const auto add = [&](std::string_view name, std::string_view key, const std::string& value) {
    score_line(text, name, scores, key, value);
  };
  add("label accuracy", "label_accuracy",
      shown(scores.label_accuracy, 4,
            scores.own_label_accuracy
                ? fmt::format("  read from the nearest real rows; of the reference {:.4f}", *scores.own_label_accuracy)
                : ""));
  if (const std::string confusions = confusions_text(scores); !confusions.empty())
    line(text, "most often misread", confusions);
  for (const Scores::Number& number : scores.numbers) {
    line(text, number.name, number_text(number));
    if (!number.unseen.empty()) line(text, "  unseen", unseen_text(number));
    if (!number.windows.empty()) line(text, "  FD in windows", windows_text(number.windows));
  }
  add("numbers", "numbers", "");
  if (const auto& m = scores.modes) {
    const bool circle = m->deviations != 3;
    line(text, circle ? "angles met" : "modes found", fmt::format("{} of {}", m->found, m->of));
    line(text, "high quality",
         fmt::format("{:.4f}  within {}", m->high_quality,
                     circle ? fmt::format("{} deviations of the centre of their angle", m->deviations)
                            : "three deviations of a mode"));
  }
  add("modes found", "modes", "");
  const bool vectors = !scores.columns.empty();
  if (vectors)
    line(text, "KS distance",
         fmt::format("{:.4f}  mean of the columns; equal distributions stay below {:.4f} in 19 of 20 columns",
                     scores.mean_distance(), scores.chance_distance));
  add("KS distance", "columns", "");
  if (scores.two_sample_auc)
    line(text, "two-sample AUC",
         fmt::format("{:.4f}  from 0.5 (nearest neighbours cannot tell samples from data) to 1",
                     *scores.two_sample_auc));
  if (const auto& c = scores.correlations) {
    line(text, "correlations",
         fmt::format("{:.4f} off on average, {:.4f} at most", c->difference.mean, c->difference.largest));
    text += pairs_table(*c);
  }
  add("correlations", "correlations", "");
  add("Frechet distance", "fd", scores.fd ? frechet_text(*scores.fd) : "");
  for (const Scores::CurvePoint& point : scores.fd_curve)
    line(text, fmt::format("  of {:>10}", grouped(point.samples)), fmt::format("{:.3f}  not Inception FID", point.fd));
  add("  of fewer samples", "fd_curve", "");
  add("KID", "kid", scores.kid ? kid_text(*scores.kid) : "");
  const auto& p = scores.prdc;
  add("precision", "precision", p ? fmt::format("{:.4f}", p->precision) : "");
  add("recall", "recall", p ? fmt::format("{:.4f}", p->recall) : "");
  add("density", "density", p ? fmt::format("{:.4f}", p->density) : "");
  add("coverage", "coverage", p ? fmt::format("{:.4f}", p->coverage) : "");
  add("spread", "spread", scores.spread ? spread_text(*scores.spread) : "");
  add("  of real images", "real_spread", scores.real_spread ? spread_text(*scores.real_spread) : "");
  add("duplicates", "duplicates",
      shown(scores.duplicates, 4,
            vectors ? "  within 0.001 deviations of another sample" : "  within 5 grey levels of another sample"));
  const auto& m = scores.memorization;
  add("nearest training", "memorization",
      m ? fmt::format("{:.4f}  median distance{}", m->samples_median,
                      m->held_out_median
                          ? fmt::format("; {:.4f} of held-out {}; a sample is the closer one in {:.2f} of pairs",
                                        *m->held_out_median, vectors ? "rows" : "images", *m->share_closer)
                          : "")
        : "");
  if (m) line(text, "  verdict", copies_text(*m, vectors));
  add("  of held-out", "memorization.held_out_median", "");
  const auto& parzen = scores.parzen;
  add("Parzen window", "parzen",
      parzen ? fmt::format("{:.1f} +- {:.1f}  nats, sigma {:.3f}", parzen->mean, parzen->se, parzen->sigma) : "");
  add("CAS", "cas",
      scores.cas ? fmt::format("{:.4f}  of a classifier trained on samples; {:.4f} on real images",
                               scores.cas->accuracy, scores.cas->real_accuracy)
                 : "");
  add("score", "score", shown(joint_score(scores), 4, "  joint, for choosing among models"));
  if (by_class) text += "\n" + class_table(scores);
  if (vectors) text += "\n" + column_table(scores);
  add("accuracy of classes", "per_class.accuracy", "");
  add("FD of classes", "per_class.fd", "");
  text += "\n";
  for (const std::string& note : scores.notes) line(text, "note", note);
  line(text, "took", fmt::format("{:.1f} s", scores.seconds));
  return text;
}

void write_report(const std::string& folder, const Evaluation& evaluation, const Reference& reference,
                  const std::string& model) {
  const std::filesystem::path path(folder);
  base::create_folder(folder);
  for (const char* name : {"eval.json", "confusion.csv", "samples.png", "neighbours.png"})
    base::remove_leftovers((path / name).string());
  base::write_file((path / "eval.json").string(),
                   to_json(evaluation.scores, model).dump(2, ' ', false, Json::error_handler_t::replace) + "\n",
                   base::Durability::unsynced);
  if (!evaluation.scores.confusion.empty())
    base::write_file((path / "confusion.csv").string(), confusion_csv(evaluation.scores), base::Durability::unsynced);
  if (evaluation.samples.is_image()) write_pictures(path, evaluation, reference);
}

}  // namespace gan::eval
