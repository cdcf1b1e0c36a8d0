#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace gan::base {

/// The text of an error of the JSON library, without its "[json.exception.type_error.302] " in front.
inline std::string reason_of(const nlohmann::json::exception& error) {
  const std::string text = error.what();
  const std::size_t end = text.find("] ");
  return text.starts_with('[') && end != std::string::npos ? text.substr(end + 2) : text;
}

}  // namespace gan::base
