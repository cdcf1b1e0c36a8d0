#include "cli/progress.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace gan::cli {
namespace {

constexpr std::chrono::seconds kBetweenLines{5};
constexpr int kBarWidth = 20;

int terminal_width() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/// The share of the run that is done, in [0, 1].
double share_done(const train::Progress& progress) {
  if (progress.total_steps > 0) {
    return std::clamp(static_cast<double>(progress.step) / static_cast<double>(progress.total_steps), 0.0, 1.0);
  }
  const double all = progress.elapsed_seconds + progress.seconds_left;
  return all > 0 ? std::clamp(progress.elapsed_seconds / all, 0.0, 1.0) : 0.0;
}

/// Whether printing has failed (closed pipe, full disk). Training goes on, and the error is reported at its end.
bool cannot_print() { return std::ferror(stdout) != 0; }

}  // namespace

ProgressPrinter::~ProgressPrinter() { finish(); }

void ProgressPrinter::report(const train::Progress& progress) {
  last_ = progress;
  if (progress.watch) watch_ = progress.watch;
  if (cannot_print()) return;
  shown_ = false;
  switch (style_) {
    case ProgressStyle::quiet:
      break;
    case ProgressStyle::json: {
      nlohmann::ordered_json line = {
          {"step", progress.step},
          {"images_per_second", progress.images_per_second},
          {"loss_g", progress.loss_g},
          {"loss_d", progress.loss_d},
          {"d_real", progress.d_real},
          {"d_fake", progress.d_fake},
          {"grad_norm_g", progress.grad_norm_g},
          {"grad_norm_d", progress.grad_norm_d},
          {"elapsed_seconds", progress.elapsed_seconds},
          {"seconds_left", progress.seconds_left},
      };
      if (progress.watch)
        for (const auto& [name, value] : train::figures(*progress.watch)) line["watch." + name] = value;
      fmt::print("{}\n", line.dump());
      std::fflush(stdout);
      shown_ = true;
      break;
    }
    case ProgressStyle::lines:
      if (const auto now = std::chrono::steady_clock::now(); now >= next_line_) {
        next_line_ = now + kBetweenLines;
        print_line(progress);
      }
      break;
    case ProgressStyle::terminal:
      print_bar(progress);
      break;
  }
}

std::string ProgressPrinter::figures(const train::Progress& progress) const {
  std::string steps = base::grouped(static_cast<std::uint64_t>(std::max<std::int64_t>(progress.step, 0)));
  if (progress.total_steps > 0) steps += "/" + base::grouped(static_cast<std::uint64_t>(progress.total_steps));
  const double rate = std::isfinite(progress.images_per_second) ? std::max(progress.images_per_second, 0.0) : 0.0;
  return fmt::format("step {}  {} {}/s  G {:.4g}  D {:.4g}", steps, base::grouped(static_cast<std::uint64_t>(rate)),
                     samples_, progress.loss_g, progress.loss_d);
}

/// The figures of the watchdog's last check that say whether samples are what they should be.
std::string ProgressPrinter::watched() const {
  std::string text;
  if (watch_ && watch_->condition) text += fmt::format("  condition {:.2f}", *watch_->condition);
  if (watch_ && watch_->spread) text += fmt::format("  spread {:.2f}", *watch_->spread);
  return text;
}

void ProgressPrinter::print_line(const train::Progress& progress) {
  fmt::print("{:3.0f}%  {}  {} left{}\n", std::floor(100 * share_done(progress)), figures(progress),
             base::duration_text(progress.seconds_left), watched());
  std::fflush(stdout);
  shown_ = true;
}

void ProgressPrinter::print_bar(const train::Progress& progress) {
  const double share = share_done(progress);
  const int full = static_cast<int>(share * kBarWidth);
  std::string line = fmt::format("[{}{}] {:3.0f}%  {}  {} left{}", std::string(static_cast<std::size_t>(full), '='),
                                 std::string(static_cast<std::size_t>(kBarWidth - full), ' '), std::floor(100 * share),
                                 figures(progress), base::duration_text(progress.seconds_left), watched());
  // A line longer than the terminal would wrap, and the next one would not cover it.
  line = line.substr(0, static_cast<std::size_t>(std::max(terminal_width() - 1, 1)));
  fmt::print("\r{}\033[K", line);
  std::fflush(stdout);
  shown_ = true;
  line_open_ = true;
}

void ProgressPrinter::note(const std::string& text) {
  if (style_ == ProgressStyle::quiet) {
    if (text.starts_with("warning: ")) fmt::print(stderr, "gan: {}\n", text);
    return;
  }
  if (cannot_print()) return;
  if (style_ == ProgressStyle::json) {
    fmt::print("{}\n", nlohmann::ordered_json{{"note", text}}.dump());
  } else {
    fmt::print("{}{}\n", line_open_ ? "\r\033[K" : "", text);
    line_open_ = false;
  }
  std::fflush(stdout);
}

void ProgressPrinter::finish() {
  if (cannot_print()) return;
  if (!shown_ && style_ == ProgressStyle::lines && last_.step > 0) print_line(last_);
  if (line_open_) fmt::print("\n");
  std::fflush(stdout);
  line_open_ = false;
}

}  // namespace gan::cli
