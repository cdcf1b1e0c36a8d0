#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "train/trainer.h"

namespace gan::cli {

/// Writes an event file for TensorBoard: records of Event messages (tensorflow/core/util/event.proto), each with its
/// length and masked CRC-32C checksums (tensorflow/core/lib/io/record_writer.h).
class EventFile {
 public:
  /// Makes the folder if it is missing, and a file events.out.tfevents.TIME.gan in it. Throws a data error if that
  /// fails.
  explicit EventFile(const std::filesystem::path& folder);

  void add_scalar(std::int64_t step, std::string_view tag, double value);
  /// `png`: the bytes of a PNG file.
  void add_picture(std::int64_t step, std::string_view tag, std::string_view png, std::int64_t height,
                   std::int64_t width);
  void add_text(std::int64_t step, std::string_view tag, std::string_view text);

 private:
  void add_event(std::int64_t step, int field, std::string_view message);

  std::string path_;
  std::ofstream file_;
};

/// Writes losses and rates, the watchdog's measurements, scores, the pictures of samples and the run's values for `gan
/// train --tensorboard`, to the folder tensorboard/ of the run. If the file cannot be written, `note` says so once and
/// training goes on.
class TensorBoard {
 public:
  TensorBoard(std::filesystem::path run, std::function<void(const std::string&)> note)
      : run_(std::move(run)), note_(std::move(note)) {}

  void add(const train::Progress& progress);
  /// Scores while training: a line of scores.jsonl.
  void add_scores(const std::string& line);
  /// A PNG file that the trainer has written.
  void add_picture(std::int64_t step, const std::string& path);

 private:
  template <typename Write>
  void write(const Write& write);

  std::filesystem::path run_;
  std::function<void(const std::string&)> note_;
  std::optional<EventFile> file_;
  bool failed_ = false;
};

/// The CRC-32C (Castagnoli) of bytes.
std::uint32_t crc32c(std::string_view bytes);

}  // namespace gan::cli
