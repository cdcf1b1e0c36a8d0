// What training says before it begins, and when it does not work out; that the commands which it names go on.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "io/safetensors.h"
#include "program.h"
#include "run_helpers.h"
#include "train/trainer.h"

namespace gan {
namespace {

namespace fs = std::filesystem;
using namespace test;

/// A run whose rate is far too high, with more settings. Plain SGD on least squares runs away within some steps. It
/// ends at once; watchdog_test.cpp has those that go back.
Args diverging(const Folder& folder, const std::string& out, const Args& more) {
  Args settings = {"optim.name=sgd", "optim.lr=100", "train.steps=400", "train.on_nan=stop"};
  settings.insert(settings.end(), more.begin(), more.end());
  return train_args(folder, out, settings);
}

/// Follows the commands that a diverged run names, each with a tenth of the rate, until one trains to its end.
void follow(const Folder& folder, Result result) {
  for (int attempt = 0; attempt < 8 && result.code == 4; ++attempt) {
    const Args command = command_in(result.err);
    ASSERT_FALSE(command.empty()) << result.err;
    result = run(folder, command);
  }
  EXPECT_EQ(result.code, 0) << result.err;
}

TEST(CliDivergenceBadInput, WithNothingSavedTheFolderIsFree) {
  const Folder folder;
  write_data(folder);
  const Result result = run(folder, diverging(folder, "a", {}));
  ASSERT_EQ(result.code, 4) << result.out;
  EXPECT_NE(result.err.find("nothing was saved before; try a lower rate: gan train --config " + (folder / "a")),
            std::string::npos)
      << result.err;
  const Args command = command_in(result.err);
  ASSERT_NE(std::find(command.begin(), command.end(), folder / "a"), command.end()) << "the same folder";
  EXPECT_EQ(command.back(), "optim.lr=10");
  follow(folder, result);
  expect_done(folder, {"sample", folder / "a", "--out", folder / "x.npy"});
}

TEST(CliDivergenceBadInput, WhatWasSavedIsKeptAndGoesOnByInit) {
  const Folder folder;
  write_data(folder);
  // The rate rises, so that some steps can be saved.
  const Result result = run(folder, diverging(folder, "b", {"train.checkpoint_every=10", "optim.warmup=2000"}));
  ASSERT_EQ(result.code, 4) << result.out;
  const std::size_t at = result.err.find("the state saved at step ");
  ASSERT_NE(at, std::string::npos) << result.err;
  const std::string step = std::to_string(std::stoll(result.err.substr(at + 24)));
  const Result info = run(folder, {"info", folder / "b"});
  EXPECT_NE(info.out.find(" " + step + " step"), std::string::npos) << info.out;
  expect_done(folder, {"sample", folder / "b", "--out", folder / "x.npy"});

  const Args command = command_in(result.err);
  const auto has = [&](const Args& part) {
    return std::search(command.begin(), command.end(), part.begin(), part.end()) != command.end();
  };
  EXPECT_TRUE(has({"--init", folder / "b"})) << result.err;
  EXPECT_TRUE(has({"--out", folder / "b-2"})) << result.err;
  EXPECT_TRUE(has({"--set", "optim.lr=10"})) << result.err;
  // Resumed as it is, it says the same again.
  const Result resumed = run(folder, {"train", "--resume", "--out", folder / "b"});
  EXPECT_EQ(resumed.code, 4);
  EXPECT_EQ(resumed.err, result.err);
  follow(folder, result);
}

TEST(CliDivergenceBadInput, WhatWasSavedTooLateIsNotRecommended) {
  const Folder folder;
  write_data(folder);
  // The update of every step is saved, also that which the next one diverges by.
  const Result result = run(folder, diverging(folder, "a", {"train.checkpoint_every=1", "optim.warmup=200"}));
  ASSERT_EQ(result.code, 4) << result.out;
  EXPECT_NE(result.err.find(" had diverged, too; try a lower rate: gan train "), std::string::npos) << result.err;
  const Args command = command_in(result.err);
  EXPECT_EQ(std::find(command.begin(), command.end(), "--init"), command.end()) << result.err;
  follow(folder, result);
}

TEST(CliDivergenceBadInput, LossesThatAreFiniteAndAbsurd) {
  const Folder folder;
  write_data(folder);
  const Result result = run(folder, train_args(folder, "a",
                                               {"train.steps=3000", "loss.name=wasserstein", "penalty.r1=0",
                                                "penalty.r2=0", "penalty.every=1", "optim.lr=1000"}));
  EXPECT_EQ(result.code, 4) << result.out;
  EXPECT_EQ(result.err.find("nan"), std::string::npos) << result.err;
  EXPECT_EQ(result.err.find("inf"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("training diverged at step "), std::string::npos) << result.err;
}

TEST(CliDivergenceBadInput, AStateThatIsFiniteAndDeadIsNotSaved) {
  const Folder folder;
  write_data(folder);
  expect_done(folder, train_args(folder, "a", {"--steps", "10", "--quiet"}));
  const std::string path = folder / "a/checkpoint.safetensors";
  io::Safetensors file = io::read_safetensors(path);
  std::vector<io::NamedArray> tensors;
  for (auto& [name, array] : file.tensors) {
    if (name == "adam.v.generator.model.0.weight") array.f32()[3] = 6e36f;  // its root stops every update
    tensors.push_back({name, &array});
  }
  io::write_safetensors(path, file.metadata, tensors);
  const std::string model = get(folder / "a/model.safetensors"), checkpoint = get(path);
  expect_refused(folder, {"train", "--resume", "--out", folder / "a", "--steps", "12"}, 4,
                 "diverged at step 12: adam.v.generator.model.0.weight holds ");
  EXPECT_TRUE(get(folder / "a/model.safetensors") == model);
  EXPECT_TRUE(get(path) == checkpoint);
}

TEST(CliNewRun, AFolderInWhichNothingWasSavedIsFreeOnceNobodyTrainsThere) {
  const Folder folder;
  write_data(folder);
  const Args short_run = train_args(folder, "a", {"--steps", "10"});
  {
    Process killed(folder, train_args(folder, "a",
                                      {"train.time=5m", "train.sample_every=20", "train.checkpoint_every=1000000000"}));
    ASSERT_TRUE(wait_for([&] { return fs::exists(folder / "a/samples/40.png") || !killed.running(); }));
    expect_refused(folder, short_run, 2, "in use by another process");
    killed.signal(SIGKILL);
    killed.wait();
  }
  put(folder / "a/samples/mine.png", "not the run's");
  const Result result = run(folder, short_run);
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.out.find("holds a run of which nothing was saved: starting anew"), std::string::npos) << result.out;
  EXPECT_EQ(logged_steps(folder / "a/metrics.jsonl"), (std::vector<std::int64_t>{10}));
  EXPECT_FALSE(fs::exists(folder / "a/samples/40.png")) << "a picture of the run that is gone";
  EXPECT_TRUE(fs::exists(folder / "a/samples/10.png"));
  EXPECT_TRUE(fs::exists(folder / "a/samples/mine.png"));
  expect_refused(folder, short_run, 2, "holds another run");
}

TEST(CliNewRun, ABatchThatIsLargerThanTheData) {
  const Folder folder;
  std::string images, labels;
  for (int i = 0; i < 10; ++i) {
    images += std::string(kSide * kSide, static_cast<char>(20 * i));
    labels += static_cast<char>(i % 2);
  }
  put(folder / "x.idx", idx({10, kSide, kSide}, images));
  put(folder / "y.idx", idx({10}, labels));
  const auto train = [&](const std::string& out, const Args& more) {
    Args args = {"train", "--data", source(folder), "--out", folder / out, "--steps", "2", "--threads", "1"};
    args.insert(args.end(), more.begin(), more.end());
    return args;
  };
  const Result result = run(folder, train("a", {}));
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.out.find("the data has 10 samples, fewer than the preset's batch of 64: the batch is 10\n"),
            std::string::npos)
      << result.out;
  EXPECT_NE(get(folder / "a/config.toml").find("batch = 10 "), std::string::npos);
  expect_done(folder, {"train", "--resume", "--out", folder / "a", "--steps", "3", "--quiet"});
  EXPECT_NE(run(folder, train("b", {"--set", "model.pack=4"})).out.find("the batch is 8\n"), std::string::npos);
  expect_refused(folder, train("c", {"--set", "model.pack=16"}), 2, "holds no pack of 16; lower model.pack");
  // What was asked for is not changed, but said.
  const std::string remedy = "train.batch = 64 is larger than the data set of 10 samples; try --batch 10";
  put(folder / "my.toml", "[train]\nbatch = 64\n");
  expect_refused(folder, train("c", {"--batch", "64"}), 2, remedy);
  expect_refused(folder, train("c", {"--set", "train.batch=64"}), 2, remedy);
  expect_refused(folder, train("c", {"--config", folder / "my.toml", "lsgan-r1r2"}), 2, remedy);
  expect_done(folder, train("c", {"--batch", "10", "--quiet"}));
  // One sample has no variance.
  put(folder / "x.idx", idx({1, kSide, kSide}, std::string(kSide * kSide, 'x')));
  put(folder / "y.idx", idx({1}, std::string(1, '\0')));
  expect_refused(folder, train("d", {}), 2, "model.g.batch_norm=false");
  const Result one = run(folder, train("d", {"--set", "model.g.batch_norm=false"}));
  EXPECT_EQ(one.code, 0) << one.err;
  EXPECT_NE(one.out.find(": 1 sample [1, 8, 8] in 1 class\n"), std::string::npos) << one.out;
}

TEST(CliNewRun, EvaluationsBehindTheLastStepAreSaid) {
  const Folder folder;
  const auto train = [&](const std::string& out, const Args& more) {
    Args args = {"train", "--data", "ring8", "--out", folder / out, "--threads", "2", "--set", "train.batch=16"};
    args.insert(args.end(), more.begin(), more.end());
    return run(folder, args);
  };
  const Result late = train("a", {"--steps", "10", "--eval-every", "11"});
  EXPECT_EQ(late.code, 0) << late.err;
  EXPECT_NE(late.out.find("train.eval_every = 11, but the run has 10 steps: no model is judged\n"), std::string::npos)
      << late.out;
  const Result one = train("b", {"--steps", "1", "--eval-every", "2"});
  EXPECT_NE(one.out.find("the run has 1 step:"), std::string::npos) << one.out;
  const Result last = train("c", {"--steps", "10", "--eval-every", "10"});
  EXPECT_EQ(last.out.find("judged"), std::string::npos) << last.out;
  EXPECT_TRUE(fs::exists(folder / "c/best.safetensors"));
}

TEST(TrainerNotes, LargeSavesAreSaidAndSmallOnesAreNot) {
  EXPECT_EQ(train::describe_saves(999'999'999, 1000), "");
  EXPECT_EQ(train::describe_saves(5'600'000'000, 1000),
            "every save writes 5.6 GB, and there is one every 1,000 steps (train.checkpoint_every)");
  EXPECT_NE(train::describe_saves(1'000'000'000, 1).find("one every 1 step ("), std::string::npos);
}

}  // namespace
}  // namespace gan
