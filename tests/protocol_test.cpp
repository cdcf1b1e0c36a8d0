// The papers' protocols: their table, and what a few steps of each print and keep.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "data/source.h"
#include "eval/protocol.h"
#include "eval_helpers.h"
#include "io/picture_file.h"
#include "program.h"

namespace gan {
namespace {

namespace fs = std::filesystem;
using namespace test;
using base::ErrorKind;
using eval::Protocol;

eval::ProtocolOptions quick(const Folder& folder) {
  return {.out = folder / "protocols", .seeds = 1, .steps = 2, .threads = 2};
}

TEST(Protocol, RowsOfTheTableAreWellFormed) {
  std::set<std::string_view> names;
  const std::vector<std::string> sources = data::source_names();
  for (const Protocol& protocol : eval::protocols()) {
    SCOPED_TRACE(protocol.name);
    EXPECT_TRUE(names.insert(protocol.name).second);
    EXPECT_EQ(&eval::find_protocol(protocol.name), &protocol);
    EXPECT_NE(std::ranges::find(sources, protocol.source), sources.end());
    for (const std::string_view text : {protocol.brief, protocol.summary, protocol.about_papers, protocol.wanted})
      EXPECT_FALSE(text.empty());
    ASSERT_FALSE(protocol.columns.empty());
    for (const Protocol::PaperRow& row : protocol.papers) EXPECT_LE(row.figures.size(), protocol.columns.size());
    ASSERT_FALSE(protocol.trials.empty());
    std::set<std::string> trials;
    for (const Protocol::Trial& trial : protocol.trials) {
      EXPECT_TRUE(trials.insert(trial.name).second) << trial.name;
      const train::Config config = eval::config_of(protocol, trial, 7);
      EXPECT_EQ(config.train.seed, 7);
      EXPECT_GT(config.train.steps, 0) << "steps, so that results do not depend on the machine";
    }
  }
  for (const char* name : {"ring8", "grid25", "stacked-mnist", "parzen", "circle", "lsgan-mixture"})
    EXPECT_TRUE(names.contains(name)) << name;
}

TEST(Protocol, WantedIsReachedByTheFiguresOfEverySeed) {
  eval::ProtocolTable table{&eval::find_protocol("ring8"), 0, {{{3, 40}, {4, 50}}, {{8, 98}, {8, 97}}}};
  EXPECT_TRUE(table.protocol->reached(table));
  EXPECT_EQ(table.figure(1, 1).mean, 97.5);
  EXPECT_NEAR(*table.figure(0, 0).deviation, std::sqrt(0.5), 1e-12);
  table.values[1][1] = {8, 96.9};
  EXPECT_FALSE(table.protocol->reached(table));
  table.values[1][1] = {7, 98};
  EXPECT_FALSE(table.protocol->reached(table));
  eval::ProtocolTable circle{&eval::find_protocol("circle"), 0, {{{0.02}}, {{0.03}}, {{0.03}}, {{0.01}}}};
  EXPECT_TRUE(circle.protocol->reached(circle));
  circle.values[3][0] = {0.011};
  EXPECT_FALSE(circle.protocol->reached(circle));
  eval::ProtocolTable mixture{&eval::find_protocol("lsgan-mixture"), 0, {8, {{8, 90}}}};
  EXPECT_FALSE(mixture.protocol->reached(mixture)) << "cross entropy loses none";
  mixture.values[2][0][0] = 1;
  EXPECT_TRUE(mixture.protocol->reached(mixture));
  mixture.values[5][0][0] = 7;
  EXPECT_FALSE(mixture.protocol->reached(mixture)) << "least squares loses one";
}

TEST(Protocol, PointsAtTheOriginAreJudgedAsGeometrySays) {
  const auto judge = [](const char* name) {
    const Protocol& protocol = eval::find_protocol(name);
    const train::Config config = eval::config_of(protocol, protocol.trials.back(), 1);
    const data::Dataset dataset = data::open_source(config.data.source, {});
    train::Model model;
    model.config = config;
    model.sample_shape = dataset.sample_shape;
    model.condition = train::condition_of(config, dataset.condition);
    model.units = dataset.units;
    give_zero_weights(model);
    return protocol.judge(model, dataset, {});
  };
  EXPECT_EQ(judge("ring8"), (std::vector<double>{0, 0}));
  const std::vector<double> grid = judge("grid25");  // a mode of the grid lies at the origin
  EXPECT_EQ(grid, (std::vector<double>{1, 100}));
  // A point at the centre of the circle and a Gaussian on it: squared distance of the means and twice the variance.
  const std::vector<double> circle = judge("circle");
  ASSERT_EQ(circle.size(), 4u);
  EXPECT_NEAR(circle[0], std::sqrt(1 + 2 * 0.02 * 0.02), 1e-4);
  EXPECT_EQ(circle[2], 0);
  EXPECT_EQ(circle[3], 0);
}

TEST(Protocol, AFewStepsOfEachGiveItsTableAndPicture) {
  const Folder folder;
  for (const char* name : {"ring8", "circle", "lsgan-mixture"}) {
    const Protocol& protocol = eval::find_protocol(name);
    const auto table = eval::run_protocol(protocol, quick(folder));
    ASSERT_TRUE(table);
    const std::string text = eval::to_text(*table), file = folder / ("protocols/" + std::string(name));
    EXPECT_EQ(get(file + ".md"), text);
    for (const Protocol::PaperRow& row : protocol.papers)
      EXPECT_LT(text.find("| " + std::string(row.name)), text.find("| here: " + protocol.trials[0].name)) << row.name;
    for (const Protocol::Trial& trial : protocol.trials)
      EXPECT_NE(text.find("| here: " + trial.name + " "), std::string::npos) << trial.name;
    EXPECT_NE(text.find("not reached"), std::string::npos);
    EXPECT_NE(text.find("2 steps in place of"), std::string::npos);
    for (const auto& trial : table->values) EXPECT_EQ(trial.at(0).size(), protocol.columns.size());
    const auto trials = static_cast<int>(protocol.trials.size());
    const io::DecodedPicture picture = io::read_picture_header(get(file + ".png"), name);
    EXPECT_EQ(picture.width, 4 + 260 * std::min(trials, 4)) << name;
    EXPECT_EQ(picture.height, 4 + 260 * ((trials + 3) / 4)) << name;
  }
}

TEST(Protocol, ASecondCallTrainsOnlyWhatIsMissing) {
  const Folder folder;
  const Protocol& protocol = eval::find_protocol("ring8");
  const auto first = eval::run_protocol(protocol, quick(folder));
  const fs::path metrics = folder / "protocols/ring8/cross-entropy-1/metrics.jsonl";
  const fs::file_time_type written = fs::last_write_time(metrics);
  eval::ProtocolOptions options = quick(folder);
  options.seeds = 2;
  const auto second = eval::run_protocol(protocol, options);
  EXPECT_EQ(fs::last_write_time(metrics), written);
  ASSERT_EQ(second->values[0].size(), 2u);
  EXPECT_EQ(second->values[0][0], first->values[0][0]);
  EXPECT_TRUE(fs::exists(folder / "protocols/ring8/cross-entropy-2/model.safetensors"));
  options.steps = 3;
  expect_error(ErrorKind::usage, "cross-entropy-1: train.steps was 2, now it is 3; choose another --out",
               [&] { eval::run_protocol(protocol, options); });
  options.callbacks.stop_requested = [] { return true; };
  options.out = folder / "stopped";
  EXPECT_FALSE(eval::run_protocol(protocol, options));
}

TEST(Protocol, CliPrintsTablesOrJson) {
  const Folder folder;
  Args args = {"bench", "protocol", "grid25", "--steps", "2", "--seeds", "2", "--threads", "2", "--out", folder / "a"};
  const Result text = run(folder, args);
  EXPECT_EQ(text.code, 0) << text.err;
  for (const char* part :
       {"| PacGAN2 ", "23.8", "| here: least squares", "mean ± deviation of 2 seeds", "gan train vector"})
    EXPECT_NE(text.out.find(part), std::string::npos) << part;
  args.emplace_back("--json");
  const Result result = run(folder, args);
  EXPECT_EQ(result.code, 0) << result.err;
  const nlohmann::json json = nlohmann::json::parse(result.out).at(0);
  EXPECT_EQ(json["protocol"], "grid25");
  EXPECT_EQ(json["papers"][0]["figures"]["modes of 25"]["mean"], 17.3);
  EXPECT_EQ(json["ours"][1]["seeds"].size(), 2u);
  EXPECT_FALSE(json["reached"]);
}

}  // namespace
}  // namespace gan
