#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/dataset.h"
#include "eval/reference.h"
#include "train/trainer.h"

namespace gan::eval {

/// How run_protocol runs a protocol.
struct ProtocolOptions {
  std::string out;           ///< folder for runs, pictures and tables
  std::int64_t seeds = 3;    ///< seeds 1, 2, ...: every trial is trained once with each
  std::int64_t steps = 0;    ///< of training, for a quick trial; 0: as in the protocol
  std::int64_t threads = 0;  ///< 0: one per processor
  std::string cache = "";    ///< folder of fetched data and classifiers; "": data::default_cache()
  Log log = nullptr;
  train::Callbacks callbacks = {};  ///< of every run
  /// The ranks among which runs are divided; all must reach the folder `out`. null: this process alone.
  runtime::Communicator* communicator = nullptr;
};

/// The mean and the standard deviation of a figure, as far as they are known.
struct Figure {
  std::optional<double> mean = std::nullopt;
  std::optional<double> deviation = std::nullopt;
};

struct ProtocolTable;

/// An experiment from the papers: what is trained, how it is judged, what the papers report.
struct Protocol {
  struct Column {
    std::string_view name;
    int digits = 1;  ///< decimals that are printed
  };
  struct PaperRow {
    std::string_view name;
    std::vector<Figure> figures;  ///< for the first columns; later ones are not in the paper
  };
  struct Trial {
    std::string name;
    std::string_view preset;
    std::vector<std::string> settings;  ///< as gan train --set takes them
  };

  std::string_view name;
  std::string_view brief;    ///< a few words for lists
  std::string_view summary;  ///< the data and how models are judged, a paragraph
  std::string_view source;   ///< the data set, as gan train --data takes it
  std::vector<Column> columns;
  std::vector<PaperRow> papers;
  std::string_view about_papers;  ///< from where in the papers their rows are
  std::vector<Trial> trials;      ///< the best last
  /// Computes the figures of a model, one for each column.
  std::vector<double> (*judge)(const train::Model& model, const data::Dataset& dataset, const ProtocolOptions& options);
  double range = 0;         ///< of pictures of points: they show the square [-range, range]^2
  std::string_view wanted;  ///< the condition `reached`, in words
  bool (*reached)(const ProtocolTable& table);
};

/// Every protocol.
std::span<const Protocol> protocols();

/// The protocol called `name`. Throws a usage error that names the nearest.
const Protocol& find_protocol(std::string_view name);

/// The configuration of a trial's run with this seed, on all threads. Throws a usage error if they contradict each
/// other.
train::Config config_of(const Protocol& protocol, const Protocol::Trial& trial, std::uint64_t seed);

/// The figures of a protocol's trials.
struct ProtocolTable {
  const Protocol* protocol = nullptr;
  std::int64_t steps = 0;  ///< ProtocolOptions::steps
  /// [trial][seed][column]
  std::vector<std::vector<std::vector<double>>> values;

  /// Mean and standard deviation (n - 1) over the seeds; no deviation of one seed.
  Figure figure(std::size_t trial, std::size_t column) const;
  /// The smallest value over the seeds.
  double least(std::size_t trial, std::size_t column) const;
};

/// Trains and judges every trial of a protocol. Runs are kept in out/NAME/TRIAL-SEED; existing ones are resumed. Writes
/// out/NAME.png, the samples of each trial's first seed, and out/NAME.md, the table. nullopt if a stop was requested.
/// Throws as train_run does, and a usage error for a run with other values or steps.
std::optional<ProtocolTable> run_protocol(const Protocol& protocol, const ProtocolOptions& options);

/// The table in Markdown, the papers' rows above ours, with the command that trains the last one.
std::string to_text(const ProtocolTable& table);

/// The same as JSON, with the value of each seed.
nlohmann::ordered_json to_json(const ProtocolTable& table);

}  // namespace gan::eval
