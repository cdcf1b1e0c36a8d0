// The playground: the lines of `gan playground`, and the arrows beside finite differences.
#include "eval/playground.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "base/random.h"
#include "program.h"
#include "runtime/reference/reference.h"

namespace gan {
namespace {

using namespace test;
using nlohmann::json;

Args playground(const Args& more) {
  Args args = {"playground", "--threads", "2", "--steps", "5", "--every", "2"};
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

std::vector<json> lines_of(const std::string& out) {
  std::vector<json> lines;
  std::istringstream text(out);
  for (std::string line; std::getline(text, line);) lines.push_back(json::parse(line));
  return lines;
}

void expect_numbers(const json& rows, std::size_t count, std::size_t width) {
  ASSERT_EQ(rows.size(), count);
  for (const json& row : rows) {
    ASSERT_EQ(row.size(), width);
    for (const json& value : row) ASSERT_TRUE(value.is_number() && std::isfinite(value.get<double>())) << row;
  }
}

TEST(Playground, LinesHaveTheirSizesAndRanges) {
  const Folder folder;
  const Result result = run(folder, playground({"--data", "grid25"}));
  ASSERT_EQ(result.code, 0) << result.err;
  const std::vector<json> lines = lines_of(result.out);
  ASSERT_EQ(lines.size(), 5u) << "the data, and frames of steps 0, 2, 4 and 5";
  const json& head = lines[0];
  EXPECT_EQ(head["losses"], json({"bce", "least_squares"}));
  expect_numbers(head["real"], 500, 2);
  const double range = head["range"][1];
  EXPECT_EQ(head["range"][0], -range);
  for (const json& point : head["real"])
    for (const json& value : point) EXPECT_LT(std::abs(value.get<double>()), range);
  for (std::size_t i = 1; i < lines.size(); ++i) {
    EXPECT_EQ(lines[i]["step"], std::vector<int>({0, 2, 4, 5})[i - 1]);
    ASSERT_EQ(lines[i]["runs"].size(), 2u);
    for (const json& each : lines[i]["runs"]) {
      expect_numbers(each["points"], 200, 2);
      expect_numbers(each["arrows"], 60, 4);
      ASSERT_EQ(each["plane"].size(), head["grid"].get<std::size_t>() * head["grid"].get<std::size_t>());
      for (const json& value : each["plane"]) EXPECT_TRUE(value >= 0 && value <= 1) << value;
      for (const char* loss : {"loss_g", "loss_d"}) EXPECT_TRUE(std::isfinite(each[loss].get<double>()));
    }
  }
}

TEST(Playground, RunsOfASeedStartAlikeAndRepeatToTheByte) {
  const Folder folder;
  const Result first = run(folder, playground({}));
  EXPECT_EQ(first.out, run(folder, playground({})).out);
  EXPECT_NE(first.out, run(folder, playground({"--seed", "2"})).out);
  const std::vector<json> lines = lines_of(first.out);
  const auto points = [&](std::size_t line, std::size_t loss) { return lines.at(line)["runs"][loss]["points"]; };
  EXPECT_EQ(points(1, 0), points(1, 1));
  EXPECT_NE(points(4, 0), points(4, 1));
  EXPECT_EQ(lines_of(run(folder, playground({"--loss", "least_squares"})).out)[4]["runs"][0], lines[4]["runs"][1])
      << "a run does not depend on the others";
}

TEST(Playground, ArrowsAreDifferencesOfTheLoss) {
  constexpr std::int64_t kCells = 4, kPoints = 3;
  for (const std::string loss : {"bce", "least_squares", "relativistic"}) {
    graph::Graph graph;
    eval::build_playground_judge(graph, eval::playground_config({}, loss), kCells, kPoints);
    runtime::ReferenceValues inputs;
    const base::RandomStream random(5, 0);
    for (const auto& [name, id] : graph.inputs())
      for (std::int64_t i = 0; i < graph.node(id).type.elements(); ++i)
        inputs[name].push_back(0.3 * random.normal(static_cast<std::uint64_t>(id * 100'000 + i)));
    const runtime::ReferenceValues values = runtime::evaluate_reference(graph, inputs);
    ASSERT_EQ(values.at("arrows").size(), 2u * kPoints);
    for (std::size_t i = 0; i < 2 * kPoints; ++i) {
      constexpr double kStep = 1e-5;
      const auto loss_at = [&](double by) {
        runtime::ReferenceValues moved = inputs;
        moved["samples"][i] += by;
        return runtime::evaluate_reference(graph, moved).at("loss.g")[0];
      };
      const double difference = (loss_at(kStep) - loss_at(-kStep)) / (2 * kStep);
      EXPECT_NEAR(values.at("arrows")[i], -kPoints * difference, 1e-4 * (1 + std::abs(difference))) << loss << i;
    }
  }
}

TEST(Playground, ReadsPointsOfFiles) {
  const Folder folder;
  std::string text = "x,y\n";
  for (int i = 0; i < 40; ++i) text += std::to_string(100 + i % 7) + "," + std::to_string(0.01 * (i % 5)) + "\n";
  put(folder / "points.csv", text);
  const Result result = run(folder, playground({"--data", folder / "points.csv", "--loss", "hinge"}));
  ASSERT_EQ(result.code, 0) << result.err;
  const json head = lines_of(result.out)[0];
  expect_numbers(head["real"], 40, 2);
  EXPECT_LT(head["range"][1], 10) << "scaled as in training";
}

TEST(Playground, IsHiddenButExplained) {
  const Folder folder;
  for (const char* page : {"--help", "man"})
    EXPECT_EQ(run(folder, {page}).out.find("playground"), std::string::npos) << page;
  EXPECT_NE(run(folder, {"playground", "--help"}).out.find("minus\nthe gradient"), std::string::npos);
}

TEST(Playground, EndsQuietlyWhenNobodyReads) {
  const Folder folder;
  const Result result =
      shell(folder, "trap '' PIPE; \"$GAN\" playground --steps 100000 --every 1 --threads 1 2> err | head -n 1 > out");
  EXPECT_EQ(result.code, 0);
  EXPECT_NE(get(folder / "out").find("\"range\""), std::string::npos);
  EXPECT_EQ(without_threads_note(get(folder / "err")), "");
}

TEST(Playground, WrongUseBadInput) {
  const Folder folder;
  write_data(folder);
  put(folder / "three.csv", "a,b,c\n1,2,3\n2,3,4\n");
  expect_refused(folder, playground({"--data", "rign8"}), 2, "did you mean \"ring8\"?");
  expect_refused(folder, playground({"--loss", "bse"}), 2, "did you mean \"bce\"?");
  expect_refused(folder, playground({"--loss", "bce,"}), 2, "loss.name");
  expect_refused(folder, playground({"--data", folder / "three.csv"}), 3, "samples of shape [3], expected points");
  expect_refused(folder, playground({"--data", folder / "x.idx"}), 3, "samples of shape [1, 8, 8]");
  expect_refused(folder, playground({"--data", folder / "none.csv"}), 3, "none.csv: cannot be opened");
  expect_refused(folder, {"playground", "--every", "0"}, 2, "--every");
  expect_refused(folder, {"playground", "--speed", "3"}, 2, "unknown option \"--speed\"");
}

}  // namespace
}  // namespace gan
