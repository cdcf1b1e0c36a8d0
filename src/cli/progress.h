#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "train/trainer.h"

namespace gan::cli {

/// How a training run is shown.
enum class ProgressStyle { terminal, lines, json, quiet };

/// Shows a training run on standard output: on a terminal one line that is overwritten, else plain lines every few
/// seconds, or a JSON object for every report, or nothing but warnings, on standard error.
class ProgressPrinter {
 public:
  /// `samples`: the word for samples in rates, such as "images".
  ProgressPrinter(ProgressStyle style, const char* samples) : style_(style), samples_(samples) {}
  /// Ends the line of progress.
  ~ProgressPrinter();
  ProgressPrinter(const ProgressPrinter&) = delete;
  ProgressPrinter& operator=(const ProgressPrinter&) = delete;

  void report(const train::Progress& progress);
  /// Prints a line that is not overwritten; a quiet one only if it begins with "warning: ", on standard error.
  void note(const std::string& text);
  /// The last report; zeros before the first.
  const train::Progress& last() const { return last_; }
  /// Ends the line of progress, and prints the last report if it was not printed.
  void finish();

 private:
  std::string figures(const train::Progress& progress) const;
  std::string watched() const;
  void print_line(const train::Progress& progress);
  void print_bar(const train::Progress& progress);

  ProgressStyle style_;
  const char* samples_;
  train::Progress last_{};
  std::optional<train::Measurements> watch_;  // of the last check
  bool shown_ = true;                         // whether last_ was printed
  bool line_open_ = false;                    // whether a progress bar's line is not ended yet
  std::chrono::steady_clock::time_point next_line_{};
};

}  // namespace gan::cli
