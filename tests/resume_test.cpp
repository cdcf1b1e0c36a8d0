// Runs that go on under other circumstances: other precision, data and folders that moved, files that were edited.
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "io/safetensors.h"
#include "program.h"
#include "run_helpers.h"
#include "runtime/backend.h"

namespace gan {
namespace {

namespace fs = std::filesystem;
using namespace test;

Args resume(const std::string& run, const Args& more) {
  Args args = {"train", "--resume", "--out", run};
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

/// Rewrites what a checkpoint says of its run.
template <typename Change>
void change_position(const std::string& path, const Change& change) {
  io::Safetensors file = io::read_safetensors(path);
  auto position = nlohmann::ordered_json::parse(file.metadata.at("position"));
  change(position);
  file.metadata["position"] = position.dump();
  std::vector<io::NamedArray> tensors;
  for (const auto& [name, array] : file.tensors) tensors.push_back({name, &array});
  io::write_safetensors(path, file.metadata, tensors);
}

void replace_in(const std::string& path, const std::string& before, const std::string& after) {
  std::string text = get(path);
  const std::size_t at = text.find(before);
  ASSERT_NE(at, std::string::npos) << before << " in\n" << text;
  put(path, text.replace(at, before.size(), after));
}

TEST(CliResume, ARunInBf16GoesOnWhereThereIsNone) {
  const Folder folder;
  write_data(folder);
  const std::string run = folder / "a", config = run + "/config.toml";
  expect_done(folder, train_args(folder, "a", {"--steps", "10", "--quiet", "--precision", "f32"}));
  // As a processor with bf16 leaves it.
  replace_in(config, "precision = \"f32\"", "precision = \"bf16\"");
  change_position(run + "/checkpoint.safetensors", [](auto& p) { p["config"]["train.precision"] = "bf16"; });
  const auto without_bf16 = [&](const Args& args) {
    Args words = {"ONEDNN_MAX_CPU_ISA=AVX2", GAN_BINARY};
    words.insert(words.end(), args.begin(), args.end());
    Process process(folder, words, "env");
    const int code = process.wait();
    return Result{code, process.out(), process.err()};
  };
  const Result refused = without_bf16(resume(run, {"--steps", "20"}));
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("does not multiply bf16; use f32"), std::string::npos) << refused.err;
  const Result resumed = without_bf16(resume(run, {"--steps", "20", "--precision", "f32"}));
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_NE(resumed.out.find("the run used precision bf16 so far, now f32: results may differ"), std::string::npos)
      << resumed.out;
  EXPECT_NE(get(config).find("precision = \"f32\""), std::string::npos);
  const Result later = without_bf16(resume(run, {"--steps", "30"}));
  EXPECT_EQ(later.code, 0) << later.err;
  EXPECT_EQ(later.out.find("so far"), std::string::npos) << "said once: " << later.out;
  EXPECT_EQ(logged_steps(run + "/metrics.jsonl"), (std::vector<std::int64_t>{10, 20, 30}));
}

TEST(CliResume, ARunInF32GoesOnInBf16WhereThatIs) {
  const Folder folder;
  write_data(folder);
  const std::string run = folder / "a";
  expect_done(folder, train_args(folder, "a", {"--steps", "10", "--quiet", "--precision", "f32"}));
  const Result result = test::run(folder, resume(run, {"--steps", "20", "--precision", "bf16"}));
  const bool possible = runtime::default_backend().has_bf16();
  EXPECT_EQ(result.code, possible ? 0 : 2) << result.err;
  EXPECT_EQ(result.out.find("so far, now bf16") != std::string::npos, possible) << result.out;
  EXPECT_EQ(get(run + "/config.toml").find("precision = \"bf16\"") != std::string::npos, possible);
}

TEST(CliResumeBadInput, DataWithACommaThatMovedIsNamedWhole) {
  const Folder folder;
  write_data(folder);
  const std::string place = folder / "here, there";
  fs::create_directory(place);
  fs::rename(folder / "x.idx", place + "/x.idx");
  fs::rename(folder / "y.idx", place + "/y.idx");
  expect_done(folder, {"train", "vector", "--data", place + "/x.idx," + place + "/y.idx", "--out", folder / "a",
                       "--batch", "16", "--steps", "2", "--quiet"});
  fs::rename(place, folder / "elsewhere");
  expect_refused(folder, resume(folder / "a", {"--steps", "4"}), 3, place + "/x.idx: the data of the run is missing");
}

TEST(CliResume, DataThatMovedIsKnownByItsContent) {
  const Folder folder;
  write_data(folder);
  const std::string run = folder / "a", config = run + "/config.toml";
  expect_done(folder, train_args(folder, "never-moved", {"--steps", "20", "--quiet"}));
  expect_done(folder, train_args(folder, "a", {"--steps", "10", "--quiet"}));
  fs::create_directory(folder / "new");
  fs::rename(folder / "x.idx", folder / "new/x.idx");
  fs::rename(folder / "y.idx", folder / "new/y.idx");
  expect_refused(folder, resume(run, {"--steps", "20"}), 3,
                 (folder / "x.idx") +
                     ": the data of the run is missing; give its new place: gan train --resume --out " + run +
                     " --data NEWPLACE");

  const std::string before = get(config), model = get(run + "/model.safetensors");
  expect_refused(folder, resume(run, {"--steps", "20", "--data", "ring8"}), 3,
                 "trained on other data than ring8 holds");
  std::string images = get(folder / "new/x.idx");
  images.back() ^= 1;
  put(folder / "other.idx", images);
  const std::string other = folder / "other.idx," + (folder / "new/y.idx");
  expect_refused(folder, resume(run, {"--steps", "20", "--data", other}), 3, "trained on other data");
  put(folder / "one.idx", idx({1, kSide, kSide}, std::string(kSide * kSide, 'x')));
  expect_refused(folder, resume(run, {"--steps", "20", "--data", folder / "one.idx"}), 3,
                 "is it the data that the run");
  expect_refused(folder, resume(run, {"--steps", "20", "--data", folder / "none"}), 3, "none");
  EXPECT_EQ(get(config), before);
  EXPECT_TRUE(get(run + "/model.safetensors") == model);

  const std::string moved = folder / "new/x.idx," + (folder / "new/y.idx");
  expect_done(folder, resume(run, {"--steps", "20", "--quiet", "--data", moved}));
  EXPECT_NE(get(config).find("source = \"" + moved + "\""), std::string::npos) << get(config);
  EXPECT_TRUE(get(run + "/model.safetensors") == get(folder / "never-moved/model.safetensors"));
  expect_done(folder, resume(run, {"--steps", "30", "--quiet"}));
}

TEST(CliResumeBadInput, ValuesOfConfigTomlThatWereEdited) {
  const Folder folder;
  write_data(folder);
  const std::string run = folder / "a", config = run + "/config.toml", file = run + "/checkpoint.safetensors";
  expect_done(folder, train_args(folder, "a", {"--steps", "10", "--quiet"}));
  const std::string saved = get(config);
  const struct {
    std::string before, after, message;
  } edits[] = {
      {"batch = 16 ", "batch = 8 ", "made with train.batch = 16, but config.toml says 8 now"},
      {"seed = 1 ", "seed = 2 ", "train.seed = 1"},
      {"ema = 0.999 ", "ema = 0.9 ", "train.ema = 0.999"},
      {"beta1 = 0.0", "beta1 = 0.5", "optim.beta1 = 0.0"},
  };
  for (const auto& [before, after, message] : edits) {
    replace_in(config, before, after);
    expect_refused(folder, resume(run, {"--steps", "20"}), 3, message);
    put(config, saved);
  }
  // What may be given anew may also be edited.
  replace_in(config, "log_every = 10", "log_every = 5");
  expect_done(folder, resume(run, {"--steps", "20", "--quiet"}));
  // Earlier versions did not write the values.
  change_position(file, [](auto& p) { ASSERT_EQ(p.erase("config"), 1u); });
  expect_done(folder, resume(run, {"--steps", "30", "--quiet"}));
  change_position(file, [](auto& p) { p["config"]["train.batch"] = -1; });
  expect_refused(folder, resume(run, {"--steps", "40"}), 3, "train.batch = -1");
}

TEST(CliFolder, ARunGoesOnInItsFolderWhenThatIsRenamed) {
  const Folder folder;
  Process process(folder, {"train", "--data", "ring8", "--out", folder / "a", "--time", "5m", "--threads", "2",
                           "--eval-every", "20", "--set", "train.batch=16", "train.log_every=10"});
  const auto lines = [&](const std::string& name) {
    return fs::exists(folder / name) ? logged_steps(folder / name).size() : 0;
  };
  ASSERT_TRUE(wait_for([&] { return lines("a/scores.jsonl") > 0 || !process.running(); })) << process.err();
  fs::rename(folder / "a", folder / "b c");
  const std::size_t before = lines("b c/scores.jsonl");
  ASSERT_TRUE(wait_for([&] { return lines("b c/scores.jsonl") > before + 1 || !process.running(); })) << process.err();
  process.signal(SIGTERM);
  EXPECT_EQ(process.wait(), 0) << process.err();
  EXPECT_FALSE(fs::exists(folder / "a"));
  EXPECT_NE(process.out().find("the folder of the run is now " + (folder / "b c")), std::string::npos) << process.out();
  const Args command = command_in(process.out());
  EXPECT_EQ(command, (Args{"train", "--resume", "--out", folder / "b c"})) << process.out();
  const std::vector<std::int64_t> steps = logged_steps(folder / "b c/metrics.jsonl");
  for (std::size_t i = 0; i < steps.size(); ++i) EXPECT_EQ(steps[i], static_cast<std::int64_t>(i + 1) * 10);
  // Everything up to the end is there.
  expect_done(folder, resume(folder / "b c", {"--quiet", "--steps", std::to_string(steps.back() + 10)}));
  EXPECT_EQ(logged_steps(folder / "b c/metrics.jsonl").back(), steps.back() + 10);
}

TEST(CliFolderBadInput, ADeletedFolderIsSaidAndTheStateSaved) {
  const Folder folder;
  write_data(folder);
  Process process(folder, train_args(folder, "a", {"--time", "5m"}));
  ASSERT_TRUE(wait_for([&] { return fs::exists(folder / "a/metrics.jsonl") || !process.running(); }));
  process.signal(SIGSTOP);  // so that nothing is written while it is deleted
  fs::remove_all(folder / "a");
  process.signal(SIGCONT);
  ASSERT_TRUE(wait_for([&] { return !process.running(); }));
  EXPECT_EQ(process.wait(), 3);
  const std::string err = process.err();
  ASSERT_NE(err.find((folder / "a") + ": the folder was deleted while the run trained in it; its state at step "),
            std::string::npos)
      << err;
  const std::string step = err.substr(err.find(" at step ") + 9);
  Args command = command_in(err);
  command.insert(command.end(), {"--quiet", "--steps", std::to_string(std::stoll(step) + 20)});
  expect_done(folder, command);
  EXPECT_FALSE(logged_steps(folder / "a/metrics.jsonl").empty());
}

TEST(CliFolderBadInput, ADeletedFolderWhosePlaceIsTakenIsLost) {
  const Folder folder;
  write_data(folder);
  Process process(folder, train_args(folder, "a", {"--time", "5m"}));
  ASSERT_TRUE(wait_for([&] { return fs::exists(folder / "a/metrics.jsonl") || !process.running(); }));
  process.signal(SIGSTOP);
  fs::remove_all(folder / "a");
  fs::create_directory(folder / "a");
  process.signal(SIGCONT);
  ASSERT_TRUE(wait_for([&] { return !process.running(); }));
  EXPECT_EQ(process.wait(), 3);
  EXPECT_NE(process.err().find("steps is lost: another folder is in its place"), std::string::npos) << process.err();
  EXPECT_TRUE(fs::is_empty(folder / "a"));
}

TEST(CliFolderBadInput, WhyALineCannotBeWrittenIsSaid) {
  for (const std::string name : {"metrics.jsonl", "scores.jsonl"}) {
    const Folder folder;
    const std::string file = folder / "a/" + name;
    Process process(folder, {"train", "--data", "ring8", "--out", folder / "a", "--time", "5m", "--threads", "2",
                             "--eval-every", "20", "--set", "train.batch=16", "train.log_every=10"});
    ASSERT_TRUE(wait_for([&] { return (fs::exists(file) && !get(file).empty()) || !process.running(); }));
    process.signal(SIGSTOP);
    fs::remove(file);
    fs::create_symlink("/dev/full", file);
    process.signal(SIGCONT);
    ASSERT_TRUE(wait_for([&] { return !process.running(); }));
    EXPECT_EQ(process.wait(), 3);
    EXPECT_NE(process.err().find(name + ": cannot be written: No space left on device\n"), std::string::npos)
        << process.err();
  }
}

}  // namespace
}  // namespace gan
