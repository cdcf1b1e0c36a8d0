#include "eval/protocol.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "eval/draw.h"
#include "io/png.h"
#include "train/preset.h"
#include "train/run_data.h"

namespace gan::eval {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

constexpr std::uint64_t kSeedOfPictures = 1;
constexpr std::int64_t kPointsShown = 2000, kImagesShown = 100, kImagesPerRow = 10, kPicturesPerRow = 4;

/// Samples of a model, points or images, as one picture.
io::Picture picture_of(const train::Model& model, const Protocol& protocol) {
  const bool images = model.sample_shape.size() == 3;
  const std::int64_t count = images ? kImagesShown : kPointsShown, classes = data::values_period(model.condition);
  std::vector<std::uint32_t> row_of;  // the condition of each sample; images have one class per row of the picture
  for (std::int64_t i = 0; i < count; ++i)
    row_of.push_back(static_cast<std::uint32_t>((images ? i / kImagesPerRow : i) % classes));
  const data::Dataset samples =
      draw(model, count, data::values_in_turn(model.condition, classes).select(row_of), kSeedOfPictures);
  graph::Shape shape = model.sample_shape;
  shape.insert(shape.begin(), count);
  if (!images) return io::make_scatter(samples.points, shape, 256, static_cast<float>(protocol.range));
  std::vector<float> values(static_cast<std::size_t>(graph::element_count(shape)));
  const std::int64_t size = graph::element_count(model.sample_shape);
  for (std::int64_t i = 0; i < count; ++i) samples.copy_sample(i, values.data() + i * size);
  return io::make_grid(values, shape, static_cast<int>(kImagesPerRow));
}

/// Pictures of one size side by side.
void write_side_by_side(const std::string& path, const std::vector<io::Picture>& pictures) {
  const io::Picture& first = pictures.front();
  const auto count = static_cast<std::int64_t>(pictures.size());
  io::Grid grid(count, {first.channels, first.height, first.width}, std::min(count, kPicturesPerRow), /*pad=*/4);
  for (const io::Picture& picture : pictures) {
    std::vector<float> values;
    for (const std::uint8_t byte : picture.bytes) values.push_back(static_cast<float>(byte) / 127.5f - 1);
    grid.draw(values);
  }
  io::write_png(path, grid.picture());
}

data::Dataset open_data(const train::Config& config, const ProtocolOptions& options) {
  data::SourceOptions source = train::source_options(config, options.cache);
  source.labels = !config.data.unconditional;
  return data::open_source(config.data.source, source);
}

std::string file_name(std::string_view text) {
  std::string name;
  for (const char c : text)
    if (std::isalnum(static_cast<unsigned char>(c)) != 0)
      name += c;
    else if (!name.empty() && name.back() != '-')
      name += '-';
  return name;
}

/// Trains the run in `folder`, resuming it if it exists; nullopt if a stop was requested.
std::optional<train::Model> train_model(train::Config config, const data::Dataset& dataset, const std::string& folder,
                                        const ProtocolOptions& options) {
  const std::string saved = folder + "/config.toml";
  const bool resume = fs::exists(saved);
  if (resume) {
    const train::Config before = train::read_run_config(saved);
    config.train.precision = before.train.precision;  // to what `auto` was resolved
    for (const std::string& key : train::differing_keys(before, config))
      if (key != "train.threads")
        base::fail_usage("{}: {} was {}, now it is {}; choose another --out, or remove that folder", folder, key,
                         train::value_of(before, key), train::value_of(config, key));
  }
  const train::RunOptions run{.directory = folder, .resume = resume, .init_model = ""};
  if (train::train_run(config, dataset, run, options.callbacks) == train::Outcome::stopped) return std::nullopt;
  return train::load_model(folder);
}

std::string to_text(const Figure& figure, int digits) {
  if (!figure.mean) return "";
  std::string text = fmt::format("{:.{}f}", *figure.mean, digits);
  if (figure.deviation) text += fmt::format(" ± {:.{}f}", *figure.deviation, digits);
  return text;
}

/// The number of characters of a UTF-8 text.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xc0) != 0x80; }));
}

/// A table in Markdown whose columns are aligned as plain text, too.
std::string markdown(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths(rows[0].size());
  for (const auto& row : rows)
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], width_of(row[c]));
  std::string text;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    for (std::size_t c = 0; c < rows[r].size(); ++c)
      text += "| " + rows[r][c] + std::string(widths[c] - width_of(rows[r][c]), ' ') + " ";
    text += "|\n";
    if (r > 0) continue;
    for (const std::size_t width : widths) text += "|" + std::string(width + 2, '-');
    text += "|\n";
  }
  return text;
}

/// The command that trains a trial's run.
std::string command_of(const Protocol& protocol, const Protocol::Trial& trial) {
  std::string text = fmt::format("gan train {} --data {}", trial.preset, protocol.source);
  for (const std::string& setting : trial.settings) text += " --set " + base::shell_quoted(setting);
  return text;
}

}  // namespace

const Protocol& find_protocol(std::string_view name) {
  std::vector<std::string> names;
  for (const Protocol& protocol : protocols()) {
    if (protocol.name == name) return protocol;
    names.emplace_back(protocol.name);
  }
  base::fail_usage("no protocol is called \"{}\"{}", name, base::did_you_mean(std::string(name), names));
}

train::Config config_of(const Protocol& protocol, const Protocol::Trial& trial, std::uint64_t seed) {
  train::Config config = train::load_preset(trial.preset);
  train::apply_settings(config, trial.settings);
  config.data.source = protocol.source;
  config.train.seed = static_cast<std::int64_t>(seed);
  config.train.sample_every = 0;
  train::validate(config);
  return config;
}

Figure ProtocolTable::figure(std::size_t trial, std::size_t column) const {
  const auto& seeds = values[trial];
  const auto count = static_cast<double>(seeds.size());
  double sum = 0, squares = 0;
  for (const auto& row : seeds) sum += row[column];
  const double mean = sum / count;
  for (const auto& row : seeds) squares += (row[column] - mean) * (row[column] - mean);
  if (seeds.size() < 2) return {mean};
  return {mean, std::sqrt(squares / (count - 1))};
}

double ProtocolTable::least(std::size_t trial, std::size_t column) const {
  double least = values[trial][0][column];
  for (const auto& row : values[trial]) least = std::min(least, row[column]);
  return least;
}

std::optional<ProtocolTable> run_protocol(const Protocol& protocol, const ProtocolOptions& options) {
  runtime::Communicator& ranks = options.communicator ? *options.communicator : runtime::one_rank();
  ProtocolTable table{&protocol, options.steps, {}};
  table.values.resize(protocol.trials.size());
  std::vector<io::Picture> pictures;
  std::vector<double> own;  // the figures of the runs that this rank trains
  base::create_folder(options.out);
  const auto folder_of = [&](const Protocol::Trial& trial, std::int64_t seed) {
    return fmt::format("{}/{}/{}-{}", options.out, protocol.name, file_name(trial.name), seed);
  };
  std::int64_t number = 0;
  for (std::int64_t seed = 1; seed <= options.seeds; ++seed)
    for (std::size_t t = 0; t < protocol.trials.size(); ++t) {
      if (number++ % ranks.ranks() != ranks.rank()) continue;
      const Protocol::Trial& trial = protocol.trials[t];
      train::Config config = config_of(protocol, trial, static_cast<std::uint64_t>(seed));
      config.train.threads = options.threads;
      if (options.steps > 0) config.train.steps = options.steps;
      if (options.log) options.log(fmt::format("{}: {}, seed {}", protocol.name, trial.name, seed));
      const data::Dataset dataset = open_data(config, options);
      const auto model = train_model(config, dataset, folder_of(trial, seed), options);
      if (!model) return std::nullopt;
      const std::vector<double> figures = protocol.judge(*model, dataset, options);
      own.insert(own.end(), figures.begin(), figures.end());
    }
  const std::vector<std::string> all =
      ranks.gather({reinterpret_cast<const char*>(own.data()), own.size() * sizeof(double)});
  if (ranks.rank() > 0) return table;
  for (std::size_t i = 0; i < static_cast<std::size_t>(number); ++i) {
    std::vector<double>& figures = table.values[i % protocol.trials.size()].emplace_back(protocol.columns.size());
    const std::size_t bytes = figures.size() * sizeof(double);
    std::memcpy(figures.data(), all[i % all.size()].data() + i / all.size() * bytes, bytes);
  }
  for (const Protocol::Trial& trial : protocol.trials)
    pictures.push_back(picture_of(train::load_model(folder_of(trial, 1)), protocol));
  write_side_by_side(fmt::format("{}/{}.png", options.out, protocol.name), pictures);
  base::write_file(fmt::format("{}/{}.md", options.out, protocol.name), to_text(table));
  return table;
}

std::string to_text(const ProtocolTable& table) {
  const Protocol& protocol = *table.protocol;
  const std::size_t seeds = table.values[0].size();
  std::vector<std::vector<std::string>> rows = {{""}};
  for (const Protocol::Column& column : protocol.columns) rows[0].emplace_back(column.name);
  const auto add = [&](std::string_view name, const auto& figure_of) {
    std::vector<std::string>& row = rows.emplace_back(1, std::string(name));
    for (std::size_t c = 0; c < protocol.columns.size(); ++c)
      row.push_back(to_text(figure_of(c), protocol.columns[c].digits));
  };
  for (const Protocol::PaperRow& paper : protocol.papers)
    add(paper.name, [&](std::size_t c) { return c < paper.figures.size() ? paper.figures[c] : Figure(); });
  for (std::size_t t = 0; t < protocol.trials.size(); ++t)
    add(fmt::format("here: {}", protocol.trials[t].name), [&](std::size_t c) { return table.figure(t, c); });
  std::string text = fmt::format(
      "{}\n\n{}\nOurs: {}{}. {}\n", protocol.summary, markdown(rows),
      seeds > 1 ? fmt::format("mean ± deviation of {} seeds", seeds) : "one seed",
      table.steps > 0 ? fmt::format(", {} steps in place of the protocol's", table.steps) : "", protocol.about_papers);
  text += fmt::format("Wanted: {}: {}.\n\n", protocol.wanted, protocol.reached(table) ? "reached" : "not reached");
  const Protocol::Trial& best = protocol.trials.back();
  return text + fmt::format("```sh\n{} --out RUN   # {}\n```\n", command_of(protocol, best), best.name);
}

Json to_json(const ProtocolTable& table) {
  const Protocol& protocol = *table.protocol;
  const auto figures = [&](const auto& figure_of) {
    Json json = Json::object();
    for (std::size_t c = 0; c < protocol.columns.size(); ++c) {
      const Figure figure = figure_of(c);
      if (!figure.mean) continue;
      Json& entry = json[std::string(protocol.columns[c].name)] = {{"mean", *figure.mean}};
      if (figure.deviation) entry["deviation"] = *figure.deviation;
    }
    return json;
  };
  Json papers = Json::array(), ours = Json::array();
  for (const Protocol::PaperRow& paper : protocol.papers)
    papers.push_back({{"name", paper.name}, {"figures", figures([&](std::size_t c) {
                                               return c < paper.figures.size() ? paper.figures[c] : Figure();
                                             })}});
  for (std::size_t t = 0; t < protocol.trials.size(); ++t)
    ours.push_back({{"name", protocol.trials[t].name},
                    {"command", command_of(protocol, protocol.trials[t])},
                    {"figures", figures([&](std::size_t c) { return table.figure(t, c); })},
                    {"seeds", table.values[t]}});
  Json json{{"protocol", protocol.name}, {"papers", papers}, {"ours", ours}, {"wanted", protocol.wanted}};
  json["reached"] = protocol.reached(table);
  if (table.steps > 0) json["steps"] = table.steps;
  return json;
}

}  // namespace gan::eval
