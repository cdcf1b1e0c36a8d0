// Helpers for tests of training runs.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "program.h"

namespace gan::test {

/// The steps in metrics.jsonl, in its order; a line that is being written is left out.
inline std::vector<std::int64_t> logged_steps(const std::string& path) {
  std::vector<std::int64_t> steps;
  std::istringstream text(get(path));
  for (std::string line; std::getline(text, line);) {
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (!json.is_discarded()) steps.push_back(json.at("step").get<std::int64_t>());
  }
  return steps;
}

/// Waits until `done` or 60 seconds are over.
template <typename Done>
bool wait_for(const Done& done) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (std::chrono::steady_clock::now() < end) {
    if (done()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return false;
}

/// The arguments of the gan command at the end of a message, without quotes.
inline Args command_in(const std::string& text) {
  Args words;
  const std::size_t begin = text.rfind(": gan ");
  if (begin == std::string::npos) return words;
  bool quoted = false, open = false;
  for (const char c : text.substr(begin + 6, text.find('\n', begin) - begin - 6)) {
    if (c == '\'') {
      quoted = !quoted;
    } else if (c == ' ' && !quoted) {
      open = false;
    } else {
      if (!open) words.emplace_back();
      open = true;
      words.back() += c;
    }
  }
  return words;
}

}  // namespace gan::test
