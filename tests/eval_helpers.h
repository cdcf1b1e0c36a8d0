// Helpers for tests of evaluation: models whose weights are set by hand, and what scores say.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "eval/report.h"
#include "eval/scores.h"
#include "untrained_model.h"

namespace gan::test {

/// Makes every weight of both networks 0.
inline void give_zero_weights(train::Model& model) {
  graph::Graph graph;
  for (const nn::Variable& variable : network_variables(graph, model))
    model.weights[variable.name] = runtime::Array(graph::TensorType{graph::DType::f32, variable.shape});
}

/// The reason for which a score is missing; "" if none is given.
inline std::string reason(const eval::Scores& scores, const std::string& key) {
  for (const eval::Scores::Missing& missing : scores.missing)
    if (missing.score == key) return missing.reason;
  return "";
}

/// The scores as a program that reads JSON finds them; no number may have been NaN.
inline nlohmann::json read_json(const eval::Scores& scores) {
  const std::string text = eval::to_json(scores, "m").dump();
  EXPECT_EQ(text.find("null"), std::string::npos) << text;
  EXPECT_EQ(text.find("nan"), std::string::npos) << text;
  return nlohmann::json::parse(text);
}

}  // namespace gan::test
