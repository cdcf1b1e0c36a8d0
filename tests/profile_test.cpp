// Measuring: what a profile records, what it says, and the commands that use it. No time is held against another.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "compiler/compile.h"
#include "ops/ops.h"
#include "passes/pass.h"
#include "program.h"

namespace gan::test {
namespace {

using namespace ops;
using nlohmann::json;
using runtime::Profile;

/// Two matmuls, a chain and a sum.
void build(Graph& g) {
  const Tensor x = g.input("x", {DType::f32, {8, 6}}), w = g.input("w", {DType::f32, {6, 4}});
  const Tensor h = relu(matmul(x, w));
  g.output("y", sum(square(h) * 0.5));
  g.output("z", matmul(h, w, false, true));
}

TEST(Profile, HasEveryKernelAndPass) {
  Graph g;
  build(g);
  runtime::State state;
  runtime::Arena arena;
  Profile profile;
  const runtime::Program program =
      compiler::compile(g, {.precision = {}, .disabled = {}, .profile = &profile}, state, arena);
  EXPECT_TRUE(profile.rows(Profile::Kind::kernel, false).empty()) << "compiling runs nothing";
  program.run();
  EXPECT_TRUE(profile.rows(Profile::Kind::kernel, false).empty()) << "nobody asked";
  for (int i = 0; i < 3; ++i) {
    const Profile::Timer timer(&profile, Profile::Kind::phase, "part");
    program.run(&profile);
  }

  std::map<std::pair<std::string, std::string>, Profile::Row> expected;
  double contractions = 0;
  for (const runtime::Kernel& kernel : program.kernels()) {
    Profile::Row& row = expected[{kernel.name, kernel.shape}];
    row.calls += 3;
    row.operations += 3 * kernel.operations;
    row.bytes += 3 * kernel.bytes;
    if (kernel.name.starts_with("matmul")) contractions += 3 * kernel.operations;
  }
  EXPECT_EQ(contractions, 3 * 2 * 2 * 8 * 6 * 4);
  EXPECT_EQ(profile.contraction_operations(), contractions);
  const std::string table = profile.table(3, {.operations = 1e9, .bytes = 1e9});
  const std::vector<Profile::Row> rows = profile.rows(Profile::Kind::kernel, true);
  EXPECT_EQ(rows.size(), expected.size());
  for (const Profile::Row& row : rows) {
    const Profile::Row& want = expected.at({row.name, row.shape});
    EXPECT_EQ(row.calls, want.calls) << row.name;
    EXPECT_EQ(row.operations, want.operations) << row.name;
    EXPECT_EQ(row.bytes, want.bytes) << row.name;
    EXPECT_GT(row.seconds, 0) << row.name;
    EXPECT_NE(table.find("  " + row.name + "  " + row.shape + "\n"), std::string::npos) << table;
  }
  EXPECT_EQ(profile.calls(Profile::Kind::phase, "part"), 3);
  EXPECT_NE(table.find("  part\n"), std::string::npos) << table;
  for (const passes::Pass& pass : passes::pass_table()) {
    EXPECT_EQ(profile.calls(Profile::Kind::pass, pass.name), pass.bf16_only ? 0 : 1) << pass.name;
    EXPECT_EQ(table.find("  " + std::string(pass.name) + "\n") != std::string::npos, !pass.bf16_only) << table;
  }
}

void run_kernels(Profile& profile, const std::vector<runtime::Kernel>& kernels) {
  for (std::size_t i = 0; i < kernels.size(); ++i) {
    const Profile::Clock::time_point start = Profile::Clock::now();
    kernels[i].run();
    profile.record(i, kernels[i], start, Profile::Clock::now());
  }
}

TEST(Profile, RowsSayHowNearTheBestTheyAre) {
  Profile profile;
  const auto nothing = [] {};
  run_kernels(profile, {{"matmul", 6e9, 1e9, nothing, "[a]", true}, {"add", 6e9, 1e9, nothing}});
  const runtime::Rates rates{.operations = 2e9, .bytes = 4e9};
  for (const Profile::Row& row : profile.rows(Profile::Kind::kernel, false, rates))
    EXPECT_DOUBLE_EQ(row.best_seconds, row.name == "matmul" ? 3 : 0.25) << row.name;
  for (const Profile::Row& row : profile.rows(Profile::Kind::kernel, false)) EXPECT_EQ(row.best_seconds, 0);
}

/// The events of a trace by category.
std::map<std::string, std::vector<json>> events_of(const std::string& text) {
  std::map<std::string, std::vector<json>> events;
  const json trace = json::parse(text);
  for (const json& event : trace.at("traceEvents")) {
    EXPECT_EQ(event.at("ph"), "X");
    EXPECT_GE(event.at("ts").get<double>(), 0);
    EXPECT_GE(event.at("dur").get<double>(), 0);
    EXPECT_TRUE(event.at("pid").is_number() && event.at("tid").is_number());
    events[event.at("cat")].push_back(event);
  }
  return events;
}

std::int64_t count(const std::vector<json>& events, const std::string& name) {
  return std::ranges::count_if(events, [&](const json& event) { return event.at("name") == name; });
}

TEST(Profile, TraceHasEveryEventInItsPlace) {
  Graph g;
  build(g);
  runtime::State state;
  runtime::Arena arena;
  Profile profile;
  const runtime::Program program =
      compiler::compile(g, {.precision = {}, .disabled = {}, .profile = &profile}, state, arena);
  for (int i = 0; i < 2; ++i) {
    const Profile::Timer timer(&profile, Profile::Kind::phase, "part");
    program.run(&profile);
  }
  const auto events = events_of(profile.trace());
  const std::vector<json>&kernels = events.at("kernel"), &phases = events.at("phase");
  ASSERT_EQ(kernels.size(), 2 * program.kernels().size());
  ASSERT_EQ(phases.size(), 2u);
  EXPECT_EQ(count(events.at("pass"), "cse"), 1);
  const auto begin = [](const json& event) { return event.at("ts").get<double>(); };
  const auto end = [](const json& event) { return event.at("ts").get<double>() + event.at("dur").get<double>(); };
  const double rounding = 1e-2;
  for (std::size_t i = 0; i < kernels.size(); ++i) {
    const runtime::Kernel& kernel = program.kernels()[i % program.kernels().size()];
    EXPECT_EQ(kernels[i].at("name"), kernel.name);
    EXPECT_EQ(kernels[i].at("args").at("shape"), kernel.shape);
    EXPECT_EQ(kernels[i].at("args").at("operations"), kernel.operations);
    const json& phase = phases[i / program.kernels().size()];
    EXPECT_GE(begin(kernels[i]) + rounding, begin(phase)) << kernel.name;
    EXPECT_LE(end(kernels[i]), end(phase) + rounding) << kernel.name;
    if (i > 0) {
      EXPECT_GE(begin(kernels[i]) + rounding, end(kernels[i - 1])) << kernel.name;
    }
  }
}

TEST(Profile, TraceStopsGrowing) {
  Profile profile;
  const std::vector<runtime::Kernel> kernels(1000, runtime::Kernel{"none", 0, 0, [] {}});
  for (int i = 0; i < 50; ++i) run_kernels(profile, kernels);
  EXPECT_EQ(events_of(profile.trace()).at("kernel").size(), Profile::kMaximumEvents);
  EXPECT_EQ(profile.calls(Profile::Kind::kernel, "none"), 50'000);
}

TEST(Profile, OfATrainingRunChangesNothingInIt) {
  const Folder folder;
  write_data(folder);
  const auto train = [&](const std::string& out, const Args& more) {
    Args args = {"--steps",        "20", "--set", "train.sample_every=10", "--set", "train.checkpoint_every=5", "--set",
                 "penalty.every=2"};
    args.insert(args.end(), more.begin(), more.end());
    return run(folder, train_args(folder, out, args));
  };
  ASSERT_EQ(train("plain", {}).code, 0);
  const Result result = train("timed", {"--profile", folder / "timed/trace.json"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(get(folder / "plain/model.safetensors"), get(folder / "timed/model.safetensors"));
  EXPECT_EQ(get(folder / "plain/samples/20.png"), get(folder / "timed/samples/20.png"));

  const auto events = events_of(get(folder / "timed/trace.json"));
  const std::vector<json>& phases = events.at("phase");
  EXPECT_EQ(count(phases, "batch"), 20);
  EXPECT_EQ(count(phases, "step"), 18);
  EXPECT_EQ(count(phases, "step with gradient norms"), 2) << "train.log_every is 10";
  EXPECT_EQ(count(phases, "log"), 2);
  EXPECT_EQ(count(phases, "checkpoint"), 4) << "the last one included";
  EXPECT_EQ(count(phases, "pictures"), 3) << "as often as they were due, and the last";
  EXPECT_EQ(count(phases, "compile"), 4) << "with and without penalties, logged and not";
  EXPECT_EQ(count(events.at("pass"), "dce"), 4);
  for (const auto& [category, of] : events) {
    for (const json& event : of) {
      const std::string name = event.at("name");
      ASSERT_NE(result.out.find(name), std::string::npos) << category << " " << name << "\n" << result.out;
    }
  }
  EXPECT_NE(result.out.find("\nfloor "), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("GFLOP/s"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("trace.json"), std::string::npos) << result.out;
}

json bench(const Folder& folder, const std::string& what, const Args& more) {
  Args args = {"bench", what, "vector", "--json", "--threads", "1", "--steps", "5", "--warmup", "1"};
  args.insert(args.end(), more.begin(), more.end());
  const Result result = run(folder, args);
  EXPECT_EQ(result.code, 0) << joined(args) << "\n" << result.err;
  EXPECT_EQ(result.err, "") << joined(args);
  EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 1) << result.out;
  return json::parse(result.out);
}

TEST(Bench, StepsAreThoseOfTheTrainer) {
  const Folder folder;
  const json always = bench(folder, "step", {"--batch", "16"});
  EXPECT_EQ(always.at("batch"), 16);
  EXPECT_EQ(always.at("steps"), 5);
  EXPECT_EQ(always.at("model"), "vector");
  EXPECT_EQ(always.at("threads"), 1);
  EXPECT_GT(always.at("median_ms").get<double>(), 0);
  EXPECT_GE(always.at("median_ms").get<double>(), always.at("min_ms").get<double>());
  const json never = bench(folder, "step", {"--batch", "16", "--set", "penalty.r1=0", "--set", "penalty.r2=0"});
  const json lazy = bench(folder, "step", {"--batch", "16", "--set", "penalty.every=4"});
  EXPECT_EQ(lazy.at("steps"), 8) << "whole rounds";
  const auto work = [](const json& of) { return of.at("contraction_mflop").get<double>(); };
  EXPECT_GT(work(always), work(never));
  EXPECT_NEAR(work(lazy), (work(always) + 3 * work(never)) / 4, 0.02);
  EXPECT_EQ(lazy.at("needed_mflop"), lazy.at("contraction_mflop"));
  const json resting = bench(folder, "step", {"--batch", "16", "--set", "train.d_steps=2"});
  EXPECT_EQ(resting.at("steps"), 6);
  EXPECT_LT(work(resting), work(always));
  EXPECT_LT(resting.at("optimizer_mbytes").get<double>(), always.at("optimizer_mbytes").get<double>());
  const json plain = bench(folder, "step", {"--batch", "16", "--disable", "all"});
  EXPECT_GT(plain.at("kernels").get<int>(), always.at("kernels").get<int>());
}

TEST(Bench, AnswersAndProfiles) {
  const Folder folder;
  const json sample = bench(folder, "sample", {"--batch", "3"});
  EXPECT_EQ(sample.at("mode"), "sample");
  EXPECT_EQ(sample.at("batch"), 3);
  EXPECT_GT(sample.at("images_per_s").get<double>(), 0);

  const Result profile =
      run(folder, {"bench", "step", "vector", "--batch", "16", "--steps", "7", "--trace", folder / "trace.json"});
  ASSERT_EQ(profile.code, 0) << profile.err;
  EXPECT_NE(profile.out.find("floor "), std::string::npos) << profile.out;
  EXPECT_NE(profile.out.find(" MB that its kernels read and write "), std::string::npos) << profile.out;
  EXPECT_NE(profile.out.find("matmul"), std::string::npos) << profile.out;
  const auto events = events_of(get(folder / "trace.json"));
  EXPECT_EQ(count(events.at("phase"), "step"), 7) << "warming up is not recorded";
  EXPECT_EQ(count(events.at("phase"), "batch"), 7);

  const Result floor = run(folder, {"bench", "floor", "--batch", "1", "--json"});
  ASSERT_EQ(floor.code, 0) << floor.err;
  for (const char* key :
       {"matmul_gflops_f32", "best_matmul_gflops_f32", "sweep_gbytes_per_s", "best_sweep_gbytes_per_s"})
    EXPECT_GT(json::parse(floor.out).at(key).get<double>(), 0) << key;
}

}  // namespace
}  // namespace gan::test
