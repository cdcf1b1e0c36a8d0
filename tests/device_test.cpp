// --device: what is known, and what is said where a GPU cannot be used.
#include "runtime/devices.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "program.h"
#include "thread_ranks.h"

namespace gan::test {
namespace {

using Json = nlohmann::json;

constexpr const char* kGpu = "a GPU (compute capability 9.0)";

/// Why no GPU can be used here; "" if one can.
std::string why_no_gpu() {
  try {
    runtime::describe_gpu();
  } catch (const base::Error& error) {
    return error.what();
  }
  return "";
}

TEST(Devices, KnowTheirTexts) {
  for (const char* known : {"auto", "cpu", "cuda", "cuda:0", "cuda:12"})
    EXPECT_TRUE(runtime::is_device(known)) << known;
  for (const char* other : {"", "gpu", "cuda:", "cuda:-1", "cuda:x", "cuda0", "CPU"})
    EXPECT_FALSE(runtime::is_device(other)) << other;
}

TEST(Devices, AutoIsTheProcessorWhereNothingIsKnownOfTheWork) {
  EXPECT_EQ(runtime::choose_device("auto", ""), nullptr);
  EXPECT_EQ(runtime::choose_device("cpu", ""), nullptr);
}

TEST(DevicesBadInput, AnUnknownDeviceIsAUsageError) {
  try {
    runtime::choose_device("gpu", "");
    FAIL() << "it is known";
  } catch (const base::Error& error) {
    EXPECT_EQ(error.kind(), base::ErrorKind::usage);
    EXPECT_NE(std::string(error.what()).find("device gpu: auto, cpu, cuda and cuda:N"), std::string::npos);
  }
}

TEST(DevicesBadInput, OneGpuForSeveralRanksIsAUsageError) {
  ThreadRanks(2).run([](runtime::Communicator& communicator) {
    try {
      runtime::choose_device("cuda:1", "", communicator);
      FAIL() << "it is given to both";
    } catch (const base::Error& error) {
      EXPECT_EQ(error.kind(), base::ErrorKind::usage);
      EXPECT_STREQ(error.what(),
                   "--device cuda:1: there are 2 processes on this machine; --device cuda gives each a GPU");
    }
  });
}

TEST(CliDevicesBadInput, WithoutAGpuOneLineNamesWhatIsMissing) {
  const std::string missing = why_no_gpu();
  if (missing.empty()) GTEST_SKIP() << "this machine has a GPU";
  const Folder folder;
  const std::vector<Args> commands = {
      {"train", "vector", "--data", "ring8", "--out", folder / "run", "--steps", "2", "--device", "cuda"},
      {"serve", "--root", folder.path(), "--port", "0", "--device", "cuda"},
      {"bench", "step", "vector", "--steps", "1", "--device", "cuda"},
      {"bench", "sample", "vector", "--steps", "1", "--device", "cuda"}};
  for (const Args& command : commands) {
    const Result result = run(folder, command);
    EXPECT_EQ(result.code, 4) << result.err;
    EXPECT_EQ(result.err, "gan: --device cuda: " + missing + "\n");
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "run")) << "nothing is written before";
  const Result unknown = run(folder, {"bench", "step", "vector", "--steps", "1", "--device", "gpu"});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_NE(unknown.err.find("device gpu: auto, cpu, cuda and cuda:N"), std::string::npos) << unknown.err;
  const Result processor = run(folder, {"bench", "step", "vector", "--steps", "1", "--warmup", "1", "--device", "cpu"});
  EXPECT_EQ(processor.code, 0) << processor.err;
}

/// The timings that `gan bench step vector` keeps, read from `file` in the cache folder of `environment`.
Json time_steps(const Folder& folder, const Environment& environment, const std::string& file) {
  const Result bench = run(folder, {"bench", "step", "vector", "--steps", "20", "--warmup", "1"}, environment);
  EXPECT_EQ(bench.code, 0) << bench.err;
  return Json::parse(base::read_file(file));
}

// Steps are timed on the processor; times of a GPU are made up here.
TEST(CliDevices, AutoChoosesByTimedSteps) {
  const Folder folder;
  const Environment environment{{"XDG_CACHE_HOME", folder / "cache"}};
  const std::string file = folder / "cache/gan/timings.json";
  const Json timed = time_steps(folder, environment, file);
  ASSERT_EQ(timed.size(), 1u) << timed;
  int runs = 0;
  const auto note_with = [&](const std::string& timings) {
    base::write_file(file, timings);
    const Result result = run(folder,
                              {"train", "vector", "--data", "ring8", "--out", folder / std::to_string(runs++),
                               "--steps", "1", "--set", "train.log_every=1"},
                              environment);
    EXPECT_EQ(result.code, 0) << result.err;
    const std::size_t found = result.out.find(": a step is estimated at ");
    return found == std::string::npos ? "" : result.out.substr(result.out.rfind('\n', found) + 1);
  };
  const auto with_gpu = [&](double times) {
    Json timings = timed;
    timings.push_back(timed[0]);
    timings[1]["gpu"] = kGpu;
    timings[1]["seconds"] = timed[0]["seconds"].get<double>() * times;
    return note_with(timings.dump());
  };
  EXPECT_EQ(note_with(timed.dump()), "") << "nothing was timed on a GPU";
  EXPECT_TRUE(with_gpu(2).starts_with("on the processor: "));
  const std::string missing = why_no_gpu(), faster = with_gpu(0.5);
  EXPECT_NE(
      faster.find(missing.empty() ? "timed; but that is not the first GPU" : "timed; but --device cuda: " + missing),
      std::string::npos)
      << faster;
  const auto changed = [&](const char* key, const Json& value) {
    Json timings = timed;
    timings.push_back(timed[0]);
    timings[1]["gpu"] = kGpu;
    timings[1]["seconds"] = 1e-9;
    timings[1][key] = value;
    return timings.dump();
  };
  for (const std::string& unusable :
       {changed("processor", "another"), changed("threads", 99), changed("precision", "f32"),
        changed("seconds", "fast"), std::string("[1, {\"gpu\": 2}, {"), std::string("{}"), std::string("[[[[")})
    EXPECT_EQ(note_with(unusable), "") << unusable;
}

TEST(CliDevices, EveryCommandChoosesByTimedSteps) {
  const Folder folder;
  const Environment environment{{"XDG_CACHE_HOME", folder / "cache"}};
  const std::string file = folder / "cache/gan/timings.json", model = folder / "run";
  Json timings = time_steps(folder, environment, file);
  ASSERT_EQ(timings.size(), 1u) << timings;
  const Result trained =
      run(folder, {"train", "vector", "--data", "ring8", "--out", model, "--steps", "2"}, environment);
  ASSERT_EQ(trained.code, 0) << trained.err;
  timings.push_back(timings[0]);
  timings[0]["seconds"] = 1e3;  // a second for a step and two to begin are less
  timings[1]["seconds"] = 1;
  timings[1]["gpu"] = kGpu;
  base::write_file(file, timings.dump());
  const auto note_of = [&](Args command, const Args& more) {
    command.insert(command.end(), more.begin(), more.end());
    const Result result = run(folder, command, environment);
    EXPECT_EQ(result.code, 0) << result.err;
    const std::size_t found = result.err.find("gan: note: on the processor: ");
    return found == std::string::npos ? "" : result.err.substr(found, result.err.find('\n', found) - found);
  };
  const Args step{"bench", "step", "vector", "--steps", "1", "--warmup", "1"},
      calls{"bench", "sample", "vector", "--steps", "1", "--batch", "200"},
      sample{"sample", model, "--count", "200", "--out", folder / "x.npy"},
      eval{"eval", model, "--data", "ring8", "--count", "200"};
  for (const auto& [command, work] :
       {std::pair(step, "a step"), {eval, "a step"}, {calls, "drawing"}, {sample, "drawing"}}) {
    const std::string note = note_of(command, {});
    EXPECT_NE(note.find(std::string(": ") + work + " is estimated at "), std::string::npos) << command[0] << note;
    EXPECT_NE(note.find("timed; but "), std::string::npos) << "the GPU is faster, but not here: " << note;
    EXPECT_EQ(note_of(command, {"--device", "cpu"}), "") << command[0];
  }
  EXPECT_EQ(note_of({"sample", model, "--count", "2", "--out", folder / "few.npy"}, {}), "") << "few are not estimated";
  EXPECT_EQ(note_of(sample, {"--precision", "int16"}), "") << "no GPU draws these";
  timings[1]["seconds"] = 2e3;
  base::write_file(file, timings.dump());
  const std::string slower = note_of(sample, {});
  EXPECT_NE(slower.find(": drawing is estimated at "), std::string::npos) << slower;
  EXPECT_EQ(slower.find("but"), std::string::npos) << "the processor is faster: " << slower;
}

TEST(CliDevices, InfoSaysWhichDeviceIsChosen) {
  const Folder folder;
  const Result result = run(folder, {"info"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.out.find("auto chooses the processor"), std::string::npos) << result.out;
  const std::string missing = why_no_gpu();
  EXPECT_NE(result.out.find(missing.empty() ? "--device cuda computes on" : missing), std::string::npos) << result.out;
}

}  // namespace
}  // namespace gan::test
