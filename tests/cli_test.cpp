// Runs the program as people and scripts do, on a tiny data set, and looks at what it prints, writes and returns.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "io/npy.h"
#include "losses/loss.h"
#include "program.h"
#include "run_helpers.h"
#include "train/config.h"
#include "train/model_file.h"

namespace gan {
namespace {

namespace fs = std::filesystem;
using namespace test;

std::string read(const fs::path& path) { return test::get(path.string()); }
void write(const std::string& path, const std::string& bytes) { test::put(path, bytes); }

TEST(Cli, HelpIsWorthReading) {
  const Folder folder;
  for (const Args& args :
       {Args{"--help"}, Args{"train", "--help"}, Args{"sample", "--help"}, Args{"info", "--help"},
        Args{"graph", "--help"}, Args{"presets", "--help"}, Args{"data", "--help"}, Args{"report", "--help"},
        Args{"eval", "--help"}, Args{"losses", "--help"}, Args{"bench", "--help"}, Args{"export", "--help"},
        Args{"import", "--help"}, Args{"runs", "--help"}, Args{"doctor", "--help"}}) {
    const Result result = run(folder, args);
    EXPECT_EQ(result.code, 0) << joined(args);
    EXPECT_EQ(result.err, "") << joined(args);
    EXPECT_NE(result.out.find("Example"), std::string::npos) << joined(args);
  }
  const std::string help = run(folder, {"--help"}).out;
  for (const char* command : {"train", "sample", "info", "presets", "data", "graph", "report", "eval", "losses",
                              "bench", "export", "import", "runs", "doctor"}) {
    EXPECT_NE(help.find(std::string("\n  ") + command + " "), std::string::npos) << command;
  }
  EXPECT_EQ(run(folder, {"--version"}).out, "gan " GAN_VERSION "\n");
}

// One long table.
TEST(Cli, WrongUseBadInput) {
  const Folder folder;
  write_data(folder);
  fs::copy_file(folder / "x.idx", folder / "\xff.idx");
  std::string deep = "a";
  for (int i = 0; i < 100000; ++i) deep += ".a";
  write(folder / "deep.toml", deep + " = 1\n");
  const struct {
    Args args;
    std::string message;
  } wrong[] = {
      {{"trian"}, "did you mean \"train\"?"},
      {{"--versoin"}, "did you mean \"--version\"?"},
      {{"train", "--stepz", "5"}, "unknown option \"--stepz\"; did you mean \"--steps\"?"},
      {{"train", "--stepz=5", "--out", "x"}, "did you mean \"--steps\"?"},
      {{"sample", "--cuont", "5"}, "did you mean \"--count\"?"},
      {{"train", "a", "b", "--out", folder / "r"}, "unexpected argument \"b\""},
      {{"train", "--data", source(folder)}, "--out is required"},
      {{"train", "--out", folder / "r"}, "--data"},
      {{"train", "tutorial-bse", "--data", source(folder), "--out", folder / "r"}, "did you mean \"tutorial-bce\"?"},
      {{"train", "--data", "mnits", "--out", folder / "r"}, "did you mean \"mnist\"?"},
      {train_args(folder, "r", {"--steps", "0"}), "--steps 0"},
      {train_args(folder, "r", {"--steps", "-1"}), "train.steps = -1"},
      {train_args(folder, "r", {"--steps", "many"}), "train.steps = \"many\""},
      {train_args(folder, "r", {"--time", "0s"}), "--time 0s"},
      {train_args(folder, "r", {"--steps", "1", "--epochs", "1"}), "train.steps and train.epochs"},
      {train_args(folder, "r", {"--steps", "1", "--set", "optim.lrr=1"}), "did you mean \"optim.lr\"?"},
      {train_args(folder, "r", {"--steps", "1", "--set", "optim.lr"}), "key=value"},
      {train_args(folder, "r", {"--steps", "1", "--precision", "fp8"}), "train.precision"},
      {train_args(folder, "r", {"--steps", "1", "--batch", "0"}), "train.batch = 0"},
      {train_args(folder, "r", {"--steps", "1", "--batch", "65"}), "65"},
      {train_args(folder, "r", {"--steps", "1", "--quiet", "--json"}), "--quiet and --json"},
      {train_args(folder, "r", {"--steps", "1", "--resume", "--init", "m"}), "--init"},
      {{"presets", "tutorial-bse"}, "did you mean \"tutorial-bce\"?"},
      {{"graph", "tutorial-bse"}, "did you mean \"tutorial-bce\"?"},
      {{"graph", "tutorial-bce", "--after", "fuse-epilog"}, "did you mean \"fuse-epilogue\"?"},
      {{"data", "fetch", "mnits"}, "did you mean \"mnist\"?"},
      {{"data", "fetc"}, "did you mean \"fetch\"?"},
      {{"data"}, "data"},
      {{"info", "mnits"}, "did you mean \"mnist\"?"},
      {{"sample", "m", "--out", "x.jpg"}, "FILE.png, FILE.npy, FILE.npz, FILE.csv, FILE.zip or a folder"},
      {{"sample", "m", "--out", "x.png", "--count", "0"}, "--count"},
      {{"sample", "m", "--out", "x.png", "--label", "1", "--per-class", "2"}, "excludes"},
      {{"sample", "m", "--out", "x.png", "--count", "1e3"}, "1e3 is not a whole number"},
      {{"sample", "m", "--out", "x.png", "--count", "0x10"}, "0x10 is not a whole number"},
      {{"sample", "m", "--out", "x.png", "--seed", "9223372036854775808"}, "too large"},
      {{"train", "--data", folder / "x.idx" + ",", "--out", folder / "r"}, "beside the comma"},
      {train_args(folder, "r", {"--config", folder / "deep.toml"}), "deep.toml: a key of more than 1000 parts"},
      {{"sample", "m", "--out", "x.png", "--label", ""}, "--label: the value is empty"},
      {{"sample", "", "--out", "x.png"}, "MODEL: the value is empty"},
      {{"train", "--data", folder / "\xff.idx", "--out", folder / "r", "--steps", "1"}, "not UTF-8"},
      {{"bench"}, "step, floor, sample or protocol"},
      {{"bench", "protocol", "ring9"}, "no protocol is called \"ring9\"; did you mean \"ring8\"?"},
      {{"bench", "protocol", "ring8", "--seeds", "0"}, "--seeds"},
      {{"bench", "stpe"}, "did you mean \"step\"?"},
      {{"bench", "step", "tutorial-bse"}, "did you mean \"tutorial-bce\"?"},
      {{"bench", "sample", "tutorial-bse"}, "did you mean \"tutorial-bce\"?"},
      {{"bench", "step", "--btach", "1"}, "did you mean \"--batch\"?"},
      {{"bench", "step", "--batch", "0"}, "--batch"},
      {{"bench", "step", "--batch", "many"}, "--batch"},
      {{"bench", "step", "--steps", "0"}, "--steps"},
      {{"bench", "step", "--steps", "-1"}, "--steps"},
      {{"bench", "step", "--threads", "1.5"}, "--threads"},
      {{"bench", "step", "--precision", "fp8"}, "--precision"},
      {{"bench", "step", "--precision", "int16"}, "--precision"},
      {{"bench", "step", "--set", "optim.lrr=1"}, "did you mean \"optim.lr\"?"},
      {{"bench", "step", "--disable", "fuse"}, "fuse"},
      {{"bench", "step", "--json", "--profile"}, "excludes"},
      {{"bench", "floor", "--batch", "x"}, "--batch"},
      {{"bench", "floor", "vector"}, "unexpected argument \"vector\""},
  };
  for (const auto& [args, message] : wrong) expect_refused(folder, args, 2, message);
  EXPECT_FALSE(fs::exists(folder / "r")) << "a refused run leaves nothing";
}

TEST(Cli, BadFilesBadInput) {
  const Folder folder;
  write_data(folder);
  write(folder / "file", "x");
  write(folder / "empty.idx", idx({0, kSide, kSide}, ""));
  write(folder / "short.idx", idx({kItems, kSide, kSide}, "x"));
  write(folder / "bad.toml", "[train]\nbatch = 1\nbatsh = 2\n");
  write(folder / "broken.safetensors", "12345678");
  const auto train = [&](const std::string& data) { return Args{"train", "--data", data, "--out", folder / "r"}; };
  expect_refused(folder, train(folder / "none.idx" + "," + (folder / "y.idx")), 3, "none.idx");
  expect_refused(folder, train(folder / "empty.idx" + "," + (folder / "y.idx")), 3, "empty.idx");
  expect_refused(folder, train(folder / "short.idx" + "," + (folder / "y.idx")), 3, "short.idx");
  expect_refused(folder, train_args(folder, "file/run", {"--steps", "1"}), 3, "file");
  expect_refused(folder, train_args(folder, "none", {"--steps", "9", "--resume"}), 3, "config.toml");
  expect_refused(folder, train_args(folder, "r", {"--config", folder / "none.toml"}), 3, "none.toml");
  expect_refused(folder, train_args(folder, "r", {"--config", folder / "bad.toml"}), 2, "bad.toml:3: unknown key");
  expect_refused(folder, train_args(folder, "r", {"--steps", "1", "--init", folder / "none.safetensors"}), 3, "none");
  expect_refused(folder, {"sample", folder / "none", "--out", folder / "x.png"}, 3, "none");
  expect_refused(folder, {"sample", folder / "broken.safetensors", "--out", folder / "x.png"}, 3, "broken.safetensors");
  expect_refused(folder, {"info", folder / "broken.safetensors"}, 3, "broken.safetensors");
  expect_refused(folder, {"bench", "sample", folder / "broken.safetensors"}, 3, "broken.safetensors");
  expect_refused(folder, {"bench", "step", "vector", "--trace", folder / "none/x.json"}, 3, "none/x.json");
  const Args profile = train_args(folder, "r", {"--steps", "1", "--profile", folder / "none/x.json"});
  expect_refused(folder, profile, 3, "none/x.json");
  EXPECT_FALSE(fs::exists(folder / "r")) << "refused before it began";
}

TEST(Cli, PresetsAreListedPrintedAndTrained) {
  const Folder folder;
  write_data(folder);
  const std::string list = run(folder, {"presets"}).out;
  EXPECT_NE(list.find("tutorial-lsgan-repaired "), std::string::npos) << list;
  const Result result = run(folder, {"presets", "tutorial-lsgan"});
  EXPECT_EQ(result.code, 0);
  train::Config config;
  train::apply_toml(config, result.out, "stdout");
  EXPECT_TRUE(config.loss.sigmoid);
  // What is printed is a configuration file; its preset counts, not the default one.
  write(folder / "my.toml", result.out);
  expect_done(folder, train_args(folder, "run", {"--config", folder / "my.toml", "--steps", "1"}));
  train::Config trained;
  train::apply_toml(trained, read(folder / "run/config.toml"), "config.toml");
  EXPECT_EQ(trained.preset, "tutorial-lsgan");
  EXPECT_EQ(trained.penalty.weight("r1"), 0);
  EXPECT_EQ(trained.train.steps, 1);
  EXPECT_EQ(trained.train.batch, 16);
}

/// A model of small networks, trained once for the tests of what can be done with one.
class CliModel : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new Folder;
    write_data(folder());
    write(folder() / "classes.txt", "top\ntrouser\nbottom\n");
    trained_ =
        new Result(run(folder(), train_args(folder(), "run", {"--steps", "30", "--set", "train.sample_every=20"})));
    std::vector<float> z;
    for (int i = 0; i < 6 * 5; ++i) z.push_back(0.1F * static_cast<float>(i % 7));
    io::write_npy(folder() / "z.npy", {6, 5}, z);
    // A .npy of int64 by hand: labels 0, 0, 1, 1, 2, 2.
    std::string header = "{'descr': '<i8', 'fortran_order': False, 'shape': (6,), }";
    header += std::string(64 - 10 - header.size() % 64 - 1 + (header.size() % 64 > 53 ? 64 : 0), ' ') + '\n';
    std::string npy = std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(header.size()) + '\0' + header;
    for (const char label : {'\0', '\0', '\1', '\1', '\2', '\2'}) npy += label + std::string(7, '\0');
    write(folder() / "y.npy", npy);
  }
  static void TearDownTestSuite() {
    delete trained_;
    delete folder_;
  }
  void SetUp() override { ASSERT_EQ(trained_->code, 0) << trained_->err; }

  static const Folder& folder() { return *folder_; }
  static const Result& trained() { return *trained_; }
  static std::string model() { return folder() / "run"; }
  static Args sample(const Args& more) {
    Args args = {"sample", model()};
    args.insert(args.end(), more.begin(), more.end());
    return args;
  }

 private:
  static Folder* folder_;
  static Result* trained_;
};
Folder* CliModel::folder_ = nullptr;
Result* CliModel::trained_ = nullptr;

TEST_F(CliModel, TrainingLeavesItsFiles) {
  EXPECT_EQ(trained().err, "");
  EXPECT_NE(trained().out.find("step 30/30"), std::string::npos) << "plain lines, the last one too: " << trained().out;
  EXPECT_EQ(trained().out.find('\r'), std::string::npos) << "no bar outside a terminal";
  for (const char* name : {"config.toml", "metrics.jsonl", "model.safetensors", "checkpoint.safetensors"}) {
    EXPECT_TRUE(fs::exists(model() + "/" + name)) << name;
  }
  EXPECT_TRUE(fs::exists(model() + "/samples/20.png"));
  const std::string command = read(model() + "/command.txt");
  EXPECT_TRUE(command.starts_with(std::string(GAN_BINARY) + " train --data ")) << command;
  EXPECT_NE(command.find(" 'model.g.widths=[24,24]' "), std::string::npos) << "as a shell reads it: " << command;
  EXPECT_EQ(logged_steps(model() + "/metrics.jsonl"), (std::vector<std::int64_t>{10, 20, 30}));
  expect_refused(folder(), train_args(folder(), "run", {"--steps", "30"}), 2, "another run");
  const Result result = run(folder(), train_args(folder(), "short", {"--steps", "7"}));
  EXPECT_NE(result.out.find("step 7/7"), std::string::npos) << result.out;
  EXPECT_EQ(logged_steps(folder() / "short/metrics.jsonl"), (std::vector<std::int64_t>{7})) << "the last step, too";
}

TEST(Cli, DoctorSaysWhatIsMissing) {
  const Folder folder;
  const Result result = run(folder, {"doctor", "--cache", folder / "cache"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  for (const char* topic :
       {"processor", "instructions", "threads", "precision", "libraries", "memory", "fonts", "device"})
    EXPECT_NE(result.out.find(std::string(topic) + " "), std::string::npos) << topic << "\n" << result.out;
  EXPECT_NE(result.out.find("--  mnist         not fetched\n"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("-> gan data fetch mnist\n"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("ok  cache         " + (folder / "cache") + ": 0 sets of decoded"), std::string::npos)
      << result.out;
  const std::string relative = fs::relative(folder / "relative");
  EXPECT_NE(run(folder, {"doctor", "--cache", relative}).out.find("ok  cache         " + relative + ": "),
            std::string::npos);
  put(folder / "file", "");
  const std::string bad = folder / "file/cache";
  EXPECT_NE(run(folder, {"doctor", "--cache", bad}).out.find("--  cache         " + bad + " cannot be written\n"),
            std::string::npos);
}

TEST_F(CliModel, VariablesSetOptions) {
  const Args draw = {"sample", model(), "--out", folder() / "v.npy"};
  const Environment count = {{"GAN_SAMPLE_COUNT", "3"}, {"GAN_SAMPLE_SAME_LATENTS", "true"}};
  EXPECT_NE(run(folder(), draw, count).out.find(": 9 samples"), std::string::npos);
  EXPECT_NE(
      run(folder(), {"sample", model(), "--out", folder() / "v.npy", "--count", "2"}, count).out.find(": 6 samples"),
      std::string::npos)
      << "options come first";
  const Result misspelt = run(folder(), draw, {{"GAN_SAMPLE_CUONT", "3"}});
  EXPECT_EQ(misspelt.code, 2);
  EXPECT_EQ(misspelt.err,
            "gan: the variable GAN_SAMPLE_CUONT sets no option of gan sample; did you mean \"GAN_SAMPLE_COUNT\"?\n");
  EXPECT_EQ(run(folder(), draw, {{"GAN_TRAIN_CUONT", "3"}}).code, 0) << "of another subcommand";
  const Result bad = run(folder(), draw, {{"GAN_SAMPLE_COUNT", "many"}});
  EXPECT_EQ(bad.code, 2);
  EXPECT_NE(bad.err.find("--count"), std::string::npos) << bad.err;
  EXPECT_EQ(run(folder(), {"sample", "--help"}).out.find("GAN_SAMPLE"), std::string::npos);
  const Args time = {"bench", "sample", "vector", "--warmup", "1", "--json"};
  const auto steps = [&](const char* variable) {
    return nlohmann::json::parse(run(folder(), time, {{variable, "7"}}).out).at("steps");
  };
  EXPECT_EQ(steps("GAN_BENCH_SAMPLE_STEPS"), 7);
  EXPECT_EQ(steps("GAN_BENCH_STEP_STEPS"), 100) << "of another part of the same subcommand";
}

TEST_F(CliModel, RunsAreListed) {
  const Folder other;
  fs::create_directory(folder() / "broken");
  put(folder() / "broken/config.toml", "nonsense =");
  const Result table = run(folder(), {"runs", folder().path()});
  EXPECT_EQ(table.code, 0) << table.err;
  EXPECT_TRUE(table.out.starts_with("run ")) << table.out;
  EXPECT_NE(table.out.find("broken/config.toml:1: "), std::string::npos) << table.out;
  const auto json = nlohmann::json::parse(run(folder(), {"runs", folder().path(), "--sort", "steps", "--json"}).out);
  EXPECT_EQ(json.at(0).at("run"), "run") << "the most steps";
  EXPECT_EQ(json.at(0).at("steps"), 30);
  EXPECT_TRUE(json.at(0).at("best").is_null()) << "nothing was judged";
  EXPECT_TRUE(json.back().at("steps").is_null()) << "missing values are last";
  fs::remove_all(folder() / "broken");
  EXPECT_EQ(run(other, {"runs", other.path()}).out, "no runs in " + other.path() + "\n");
  expect_refused(other, {"runs", other / "none"}, 3, "no such folder");
}

TEST_F(CliModel, SamplesDependOnLabelAndSeed) {
  const auto shape_of = [&](const std::string& path) { return io::read_npy_f32(path).type().shape; };
  expect_done(folder(), sample({"--out", folder() / "all.npy"}));
  EXPECT_EQ(shape_of(folder() / "all.npy"), (graph::Shape{24, 1, kSide, kSide})) << "eight of each class";
  expect_done(folder(), sample({"--label", "trouser", "--count", "2", "--out", folder() / "a.npy"}));
  expect_done(folder(), sample({"--labels", "1", "--count", "2", "--out", folder() / "b.npy"}));
  EXPECT_EQ(read(folder() / "a.npy"), read(folder() / "b.npy")) << "same model, labels and seed";
  expect_done(folder(), sample({"--label", "1", "--count", "2", "--seed", "2", "--out", folder() / "b.npy"}));
  EXPECT_NE(read(folder() / "a.npy"), read(folder() / "b.npy")) << "another seed";
  const runtime::Array all = io::read_npy_f32(folder() / "all.npy");
  for (const float value : all.f32()) ASSERT_TRUE(value >= -1 && value <= 1);
}

TEST_F(CliModel, TheSameLatentsAndLabelsInThreeWays) {
  const std::string z = folder() / "z.npy", y = folder() / "y.npy";
  expect_done(folder(), sample({"--per-class", "2", "--noise", z, "--out", folder() / "p.npy"}));
  expect_done(folder(), sample({"--noise", z, "--out", folder() / "q.npy"}));
  expect_done(folder(), sample({"--labels-file", y, "--noise", z, "--out", folder() / "r.npy"}));
  EXPECT_EQ(read(folder() / "p.npy"), read(folder() / "q.npy"));
  EXPECT_EQ(read(folder() / "p.npy"), read(folder() / "r.npy"));
}

TEST_F(CliModel, PicturesAndNames) {
  expect_done(folder(), sample({"--per-class", "2", "--out", folder() / "grid.png"}));
  EXPECT_EQ(read(folder() / "grid.png").substr(1, 3), "PNG");
  expect_done(folder(), sample({"--labels", "0,2", "--count", "2", "--out", folder() / "pictures/"}));
  for (const char* name : {"top-0.png", "top-1.png", "bottom-0.png", "bottom-1.png", "metadata.csv"}) {
    EXPECT_TRUE(fs::exists(folder() / "pictures/" + name)) << name;
  }
  expect_done(folder(), {"info", model()});
  expect_done(folder(), {"info", source(folder())});
  EXPECT_NE(run(folder(), {"info", model()}).out.find("trouser"), std::string::npos);
}

using CliModelBadInput = CliModel;

TEST_F(CliModelBadInput, WrongQuestionsToAGoodModel) {
  io::write_npy(folder() / "z3.npy", {3, 4}, std::vector<float>(12, 0.0F));
  io::write_npy(folder() / "nan.npy", {1, 5}, std::vector<float>{0, 0, NAN, 0, 0});
  const struct {
    Args more;
    int code;
    std::string message;
  } wrong[] = {
      {{"--label", "3"}, 2, "3"},
      {{"--label", "-1"}, 2, "-1"},
      {{"--label", "trousers"}, 2, "trouser"},
      {{"--labels", "0,,1"}, 2, "label"},
      {{"--labels-file", folder() / "z.npy"}, 3, "z.npy"},
      {{"--noise", folder() / "y.npy"}, 3, "y.npy"},
      {{"--noise", folder() / "z3.npy"}, 3, "expected [N, 5]"},
      {{"--noise", folder() / "nan.npy", "--label", "1"}, 3, "nan"},
      {{"--noise", folder() / "z.npy", "--per-class", "3"}, 2, "6 rows"},
      {{"--noise", folder() / "z.npy", "--labels", "0,1,2,0"}, 2, "6 rows"},
      {{"--noise", folder() / "none.npy"}, 3, "none.npy"},
  };
  for (const auto& [more, code, message] : wrong) {
    Args args = sample({"--out", folder() / "w.npy"});
    args.insert(args.end(), more.begin(), more.end());
    expect_refused(folder(), args, code, message);
  }
  EXPECT_FALSE(fs::exists(folder() / "w.npy"));
  expect_refused(folder(), sample({"--out", folder() / "none/x.npy"}), 3, "none/x.npy");
  fs::create_symlink("/dev/full", folder() / "full.npy");
  expect_refused(folder(), sample({"--out", folder() / "full.npy"}), 3, "full.npy");
}

TEST(Cli, ModelFilesCutShortBadInput) {
  const Folder folder;
  write_data(folder);
  expect_done(folder, train_args(folder, "run", {"--steps", "2", "--quiet"}));
  const std::string bytes = read(folder / "run/model.safetensors");
  ASSERT_GT(bytes.size(), 100U);
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{7}, std::size_t{8}, std::size_t{90}, bytes.size() / 2, bytes.size() - 1}) {
    write(folder / "cut.safetensors", bytes.substr(0, size));
    expect_refused(folder, {"sample", folder / "cut.safetensors", "--out", folder / "x.png"}, 3, "cut.safetensors");
  }
  write(folder / "long.safetensors", bytes + "x");
  expect_refused(folder, {"sample", folder / "long.safetensors", "--out", folder / "x.png"}, 3, "long.safetensors");
}

TEST(Cli, UnconditionalTakesNoLabels) {
  const Folder folder;
  write_data(folder);
  expect_done(folder, train_args(folder, "run", {"--steps", "3", "--unconditional", "--quiet"}));
  expect_refused(folder, {"sample", folder / "run", "--label", "1", "--out", folder / "x.npy"}, 2, "unconditional");
  expect_done(folder, {"sample", folder / "run", "--count", "3", "--out", folder / "x.npy"});
  EXPECT_EQ(io::read_npy_f32(folder / "x.npy").type().shape, (graph::Shape{3, 1, kSide, kSide}));
  // Data without labels needs no flag.
  expect_done(folder, {"train", "--data", folder / "x.idx", "--out", folder / "lone", "--steps", "1", "--quiet"});
  EXPECT_NE(read(folder / "lone/config.toml").find("unconditional = true"), std::string::npos);
}

TEST(Cli, VectorDataPicksItsPreset) {
  const Folder folder;
  expect_done(folder, {"train", "--data", "ring8", "--out", folder / "run", "--steps", "5", "--quiet"});
  EXPECT_NE(read(folder / "run/config.toml").find("preset = \"vector\""), std::string::npos);
  expect_done(folder, {"sample", folder / "run", "--label", "3", "--out", folder / "x.npy"});
  EXPECT_EQ(io::read_npy_f32(folder / "x.npy").type().shape, (graph::Shape{8, 2}));
  expect_done(folder, {"sample", folder / "run", "--out", folder / "x.png"});
  expect_refused(folder, {"sample", folder / "run", "--out", folder / "x/"}, 2, "FILE.npy");
}

TEST(Cli, JsonAndQuiet) {
  const Folder folder;
  write_data(folder);
  const Result json = run(folder, train_args(folder, "a", {"--steps", "20", "--json"}));
  ASSERT_EQ(json.code, 0) << json.err;
  std::vector<std::int64_t> steps;
  std::istringstream text(json.out);
  for (std::string line; std::getline(text, line);) {
    const auto object = nlohmann::json::parse(line, nullptr, false);
    ASSERT_TRUE(object.is_object()) << line;
    if (object.contains("step")) steps.push_back(object["step"].get<std::int64_t>());
  }
  EXPECT_EQ(steps, (std::vector<std::int64_t>{10, 20}));
  const Result quiet = run(folder, train_args(folder, "b", {"--steps", "20", "--quiet"}));
  EXPECT_EQ(quiet.code, 0);
  EXPECT_EQ(quiet.out + quiet.err, "");
  EXPECT_EQ(read(folder / "a/model.safetensors"), read(folder / "b/model.safetensors")) << "same seed, same bytes";
  expect_done(folder, train_args(folder, "c", {"--steps", "20", "--quiet", "--seed", "2"}));
  EXPECT_NE(read(folder / "a/model.safetensors"), read(folder / "c/model.safetensors")) << "another seed";
}

TEST(Cli, ProcessesAreCalledGanAndEndWhenAsked) {
  const Folder folder;
  write_data(folder);
  // Without these variables the program restarts itself.
  const Result result =
      shell(folder, "env -u OMP_WAIT_POLICY -u GOMP_SPINCOUNT $GAN train --data '" + source(folder) +
                        "' --out r --steps 100000000 --batch 16 > /dev/null & p=$!; "
                        "i=0; until [ -e r/metrics.jsonl ] || [ $i = 600 ]; do sleep 0.1; i=$((i + 1)); done; "
                        "cat /proc/$p/comm; kill -TERM $p; wait $p; echo $?");
  EXPECT_EQ(result.out, "gan\n0\n") << result.err;
}

TEST(Cli, ResumeAfterAKillEqualsARunThatNeverStopped) {
  const Folder folder;
  write_data(folder);
  {
    Process killed(folder, train_args(folder, "a", {"--steps", "1000000", "--set", "train.checkpoint_every=100"}));
    ASSERT_TRUE(wait_for([&] { return fs::exists(folder / "a/checkpoint.safetensors") || !killed.running(); }));
    killed.signal(SIGKILL);
    ASSERT_EQ(killed.wait(), 128 + SIGKILL) << killed.err();
  }
  const std::vector<std::int64_t> before = logged_steps(folder / "a/metrics.jsonl");
  const std::string steps = std::to_string((before.empty() ? 0 : before.back()) + 250);
  expect_refused(folder, {"train", "--resume", "--out", folder / "a", "--set", "optim.lr=1"}, 2, "optim.g.lr");
  expect_refused(folder, {"train", "--resume", "--out", folder / "a", "--data", "ring8"}, 3, "other data");
  expect_refused(folder, {"train", "--resume", "--out", folder / "a", "--batch", "8"}, 2, "train.batch");
  expect_done(folder, {"train", "--resume", "--out", folder / "a", "--steps", steps, "--quiet"});
  const std::string commands = read(folder / "a/command.txt");
  EXPECT_EQ(std::count(commands.begin(), commands.end(), '\n'), 2) << commands;
  EXPECT_NE(commands.find("\n" GAN_BINARY " train --resume "), std::string::npos) << commands;
  expect_done(folder, train_args(folder, "b", {"--steps", steps, "--quiet"}));
  EXPECT_TRUE(read(folder / "a/model.safetensors") == read(folder / "b/model.safetensors"));
  // Lines behind the last checkpoint were written again, not twice.
  EXPECT_EQ(logged_steps(folder / "a/metrics.jsonl"), logged_steps(folder / "b/metrics.jsonl"));
}

TEST(Cli, IntervalsAndBudgetsDoNotChangeTheResult) {
  const Folder folder;
  write_data(folder);
  expect_done(folder, train_args(folder, "a", {"--steps", "40", "--quiet"}));
  expect_done(folder, train_args(folder, "b",
                                 {"--epochs", "10", "--quiet", "--set", "train.log_every=7", "train.checkpoint_every=9",
                                  "train.sample_every=5"}));
  EXPECT_TRUE(read(folder / "a/model.safetensors") == read(folder / "b/model.safetensors"));
}

TEST(Cli, SigtermAndAClosedTerminalSaveAndSayHowToGoOn) {
  for (const int signal : {SIGTERM, SIGHUP}) {
    const Folder folder;
    write_data(folder);
    Process process(folder, train_args(folder, "a", {"--time", "5m"}));
    ASSERT_TRUE(wait_for([&] { return !logged_steps(folder / "a/metrics.jsonl").empty() || !process.running(); }));
    process.signal(signal);
    ASSERT_TRUE(wait_for([&] { return !process.running(); })) << "it must not wait for the end of its time";
    EXPECT_EQ(process.wait(), 0) << process.err();
    EXPECT_NE(process.out().find("gan train --resume --out " + (folder / "a")), std::string::npos) << process.out();
    expect_done(folder, {"sample", folder / "a", "--out", folder / "x.npy"});
    const std::string steps = std::to_string(logged_steps(folder / "a/metrics.jsonl").back() + 100);
    expect_done(folder, {"train", "--resume", "--out", folder / "a", "--steps", steps, "--quiet"});
    EXPECT_EQ(std::to_string(logged_steps(folder / "a/metrics.jsonl").back()), steps);
  }
}

TEST(Cli, WhatIsNotFiniteIsNotDrawnBadInput) {
  const Folder folder;
  write_data(folder);
  expect_done(folder, train_args(folder, "a", {"--steps", "2", "--quiet"}));
  train::Model model = train::load_model(folder / "a");
  for (float& weight : model.weights.at("generator.model.0.weight").f32()) weight = 3e38f;
  train::save_model(folder / "large.safetensors", model);
  expect_refused(folder, {"sample", folder / "large.safetensors", "--out", folder / "x.npy"}, 4, "of the model holds");
  EXPECT_FALSE(fs::exists(folder / "x.npy"));
}

TEST(Cli, AFileThatMayNotGrowBadInput) {
  const Folder folder;
  write_data(folder);
  Args words = {"-c", "ulimit -f 1; exec \"$@\"", "sh", GAN_BINARY};
  const Args args = train_args(folder, "a", {"--steps", "2", "--quiet"});
  words.insert(words.end(), args.begin(), args.end());
  Process process(folder, words, "/bin/sh");
  EXPECT_EQ(process.wait(), 3);
  EXPECT_NE(process.err().find("File too large"), std::string::npos) << process.err();
}

TEST(Cli, OneTrainingInAFolderAtATime) {
  const Folder folder;
  write_data(folder);
  Process first(folder, train_args(folder, "a", {"train.checkpoint_every=10", "--time", "5m"}));
  ASSERT_TRUE(wait_for([&] { return fs::exists(folder / "a/model.safetensors") || !first.running(); }));
  expect_refused(folder, train_args(folder, "a", {"--steps", "1"}), 2, "holds another run");
  expect_refused(folder, {"train", "--resume", "--out", folder / "a"}, 2, "in use by another process");
  first.signal(SIGKILL);
  first.wait();
  write(folder / "a/checkpoint.safetensors.123.tmp", "left by a killed one");
  write(folder / "a/checkpoint.safetensors.mine.tmp", "");
  fs::create_directories(folder / "a/samples");
  write(folder / "a/samples/7.png.123.tmp", "left by a killed one");
  expect_done(folder, {"train", "--resume", "--out", folder / "a", "--steps", "1"});
  EXPECT_FALSE(fs::exists(folder / "a/checkpoint.safetensors.123.tmp"));
  EXPECT_TRUE(fs::exists(folder / "a/checkpoint.safetensors.mine.tmp"));
  EXPECT_FALSE(fs::exists(folder / "a/samples/7.png.123.tmp"));
}

TEST(Cli, ResumeWithoutItsCheckpointBadInput) {
  const Folder folder;
  write_data(folder);
  expect_done(folder, train_args(folder, "a", {"--steps", "20", "--quiet"}));
  fs::remove(folder / "a/checkpoint.safetensors");
  const std::string model = read(folder / "a/model.safetensors"), metrics = read(folder / "a/metrics.jsonl");
  expect_refused(folder, {"train", "--resume", "--out", folder / "a", "--steps", "30"}, 3, "checkpoint.safetensors");
  EXPECT_TRUE(read(folder / "a/model.safetensors") == model);
  EXPECT_EQ(read(folder / "a/metrics.jsonl"), metrics);
}

TEST(Cli, ResumeBelowWhatIsTrainedChangesNothing) {
  const Folder folder;
  write_data(folder);
  expect_done(folder, train_args(folder, "a", {"--steps", "20", "--quiet"}));
  const std::string config = read(folder / "a/config.toml"), model = read(folder / "a/model.safetensors");
  const Result result = run(folder, {"train", "--resume", "--out", folder / "a", "--steps", "10"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.out.find("nothing to do: the run has 20 steps"), std::string::npos) << result.out;
  EXPECT_EQ(read(folder / "a/config.toml"), config);
  EXPECT_TRUE(read(folder / "a/model.safetensors") == model);
}

TEST(Cli, ResumeNeedsTheRunsValuesAndClassNamesBadInput) {
  const Folder folder;
  write_data(folder);
  const Args resume = {"train", "--resume", "--out", folder / "a", "--steps", "30", "--quiet"};
  expect_done(folder, train_args(folder, "a", {"--steps", "10", "--quiet"}));
  write(folder / "classes.txt", "a\nb\nc\n");
  expect_done(folder, resume);  // names that are new
  write(folder / "classes.txt", "c\nb\na\n");
  expect_refused(folder, resume, 3, "the run's classes are a, b, c");
  write(folder / "classes.txt", "a\nb\n\x1b[31mc\n");
  expect_refused(folder, resume, 3, "classes.txt: line 3 is not UTF-8 or has control characters");
  write(folder / "classes.txt",
        "\xef\xbb\xbf"
        "a\nb\nc\n");
  expect_done(folder, resume);
  for (const char* damaged : {"", "train = [", "[train]\nbatch = -1\n"}) {
    write(folder / "a/config.toml", damaged);
    expect_refused(folder, resume, 3, "config.toml");
    expect_refused(folder, {"report", folder / "a"}, 3, "config.toml");
  }
}

TEST(Cli, NetworksThatCannotFitBadInput) {
  const Folder folder;
  write_data(folder);
  std::string widths = "model.g.widths=[65536";
  for (int i = 0; i < 30; ++i) widths += ",65536";  // 2 TB with moments and averages
  expect_refused(folder, train_args(folder, "a", {"--steps", "1", "--set", widths + "]"}), 4, "try smaller networks");
}

TEST(Cli, ResidualNetworksThatCannotBeBadInput) {
  const Folder folder;
  write_data(folder);
  const auto refused = [&](const std::string& setting, const std::string& message) {
    Args args = train_args(folder, "a", {"--steps", "1", "--set", setting});
    args.insert(args.begin() + 1, "residual");
    expect_refused(folder, args, 2, message);
  };
  refused("model.g.widths=[20,12]", "20 is no multiple of 8");
  refused("model.d.widths=[8,8,8,8,8]", "multiples of 16");
  refused("model.g.widths=[]", "widths");
}

TEST(Cli, PacksAreTrainedSavedAndResumed) {
  for (const std::string preset : {"lsgan-r1r2", "conv", "residual", "cgan-paper"}) {
    const Folder folder;
    write_data(folder);
    Args args = train_args(folder, "a", {"--steps", "2", "--quiet", "--set", "model.pack=4"});
    args.insert(args.begin() + 1, preset);
    if (preset == "cgan-paper") args.insert(args.end(), {"model.g.widths=[8,8,8]", "model.d.widths=[8,8,8]"});
    if (preset == "residual") args.emplace_back("model.d.condition=embedding");  // packs have no projection
    expect_done(folder, args);
    expect_done(folder, {"info", folder / "a"});
    expect_done(folder, {"sample", folder / "a", "--out", folder / "x.npy"});
    expect_done(folder, {"train", "--resume", "--out", folder / "a", "--steps", "3", "--quiet"});
  }
}

TEST(Cli, WhatCannotBePrintedIsAnErrorBadInput) {
  const Folder folder;
  for (const Args& args : {Args{"losses"}, Args{"presets", "vector"}, Args{"info", "ring8"}}) {
    Args words = {"-c", "exec \"$@\" > /dev/full", "sh", GAN_BINARY};
    words.insert(words.end(), args.begin(), args.end());
    Process process(folder, words, "/bin/sh");
    EXPECT_EQ(process.wait(), 3) << joined(args);
    EXPECT_NE(process.err().find("cannot"), std::string::npos) << process.err();
  }
}

TEST(Cli, TrainingGoesOnWhenNobodyReadsIt) {
  for (const std::string output : {"| head -n 1", "> /dev/full"}) {
    const Folder folder;
    write_data(folder);
    const std::string run = "{ \"$@\"; echo $? > " + (folder / "code") + "; } " + output;
    Args words = {"-c", run, "sh", GAN_BINARY};
    const Args args = train_args(folder, "a", {"--steps", "300", "--json", "--set", "train.log_every=1"});
    words.insert(words.end(), args.begin(), args.end());
    Process(folder, words, "/bin/sh").wait();
    EXPECT_EQ(read(folder / "code"), "3\n") << "what could not be printed is said at the end";
    EXPECT_EQ(logged_steps(folder / "a/metrics.jsonl").back(), 300);
    expect_done(folder, {"sample", folder / "a", "--out", folder / "x.npy"});
  }
}

TEST(Cli, InitStartsFromAnothersWeights) {
  const Folder folder;
  write_data(folder);
  expect_done(folder, train_args(folder, "a", {"--steps", "20", "--quiet"}));
  // A learning rate of 0 shows the weights that the run began with.
  const Args frozen = {"--steps", "1", "--quiet", "--set", "optim.lr=0"};
  Args fine = frozen;
  fine.insert(fine.end(), {"--init", folder / "a"});
  expect_done(folder, train_args(folder, "b", fine));
  expect_done(folder, train_args(folder, "c", frozen));
  for (const char* run : {"a", "b", "c"}) {
    expect_done(folder, {"sample", folder / run, "--precision", "f32", "--out", folder / run + ".npy"});
  }
  EXPECT_NE(read(folder / "b.npy"), read(folder / "c.npy"));
  Args wider = fine;
  wider.insert(wider.end(), {"--set", "model.g.widths=[8,8]"});
  expect_refused(folder, train_args(folder, "d", wider), 2, "start from its own preset");
}

TEST(Cli, EvalJudgesAModel) {
  const Folder folder;
  write_data(folder);
  expect_done(folder, train_args(folder, "run", {"--steps", "20", "--quiet"}));
  const auto eval = [&](const Args& more) {
    Args args = {"eval", folder / "run", "--count", "150", "--threads", "2", "--cache", folder / "cache"};
    args.insert(args.end(), more.begin(), more.end());
    return args;
  };
  const Result first = run(folder, eval({"--data", source(folder), "--out", folder / "scores"}));
  EXPECT_EQ(first.code, 0) << first.err;
  EXPECT_EQ(first.err, "");
  for (const char* part :
       {"training a classifier", "label accuracy", "held-out tenth of",
        "\nFrechet distance    -  (reference has 6 images, needs 10)\n", "\nscore               -  (needs coverage)\n"})
    EXPECT_NE(first.out.find(part), std::string::npos) << part << "\n" << first.out;
  for (const char* name : {"eval.json", "samples.png", "neighbours.png", "confusion.csv"})
    EXPECT_TRUE(fs::exists(folder / "scores/" + name)) << name;

  const Result second = run(folder, eval({"--json"}));
  ASSERT_EQ(second.code, 0) << second.err;
  EXPECT_EQ(second.err, "drawing 150 samples, comparing them with 6 real ones\n") << "the classifier is there";
  auto json = nlohmann::json::parse(second.out), written = nlohmann::json::parse(read(folder / "scores/eval.json"));
  EXPECT_EQ(json.at("samples"), 150);
  EXPECT_EQ(json.at("steps"), 20);
  json.erase("seconds");
  written.erase("seconds");
  EXPECT_EQ(json, written) << "without --data it takes the run's";

  const std::string classifier = fs::directory_iterator(folder / "cache/classifiers")->path().string();
  expect_done(folder, eval({"--embedding", classifier}));
  expect_refused(folder, eval({"--embedding", folder / "none"}), 3, "none");
  expect_refused(folder, eval({"--embedding", folder / "run/model.safetensors"}), 3, "not a classifier");
  expect_refused(folder, {"eval", folder / "run", "--data", "ring8"}, 2, "draws samples of [1, 8, 8]");
  expect_refused(folder, {"eval", folder / "run", "--data", folder / "x.idx"}, 2, "the model takes labels");
  expect_refused(folder, {"eval", classifier, "--data", source(folder)}, 3, "not a model");
  std::filesystem::copy(folder / "run/model.safetensors", folder / "alone.safetensors");
  expect_refused(folder, {"eval", folder / "alone.safetensors"}, 2, "--data");
  expect_refused(folder, {"eval", "--samples", source(folder)}, 2, "--data");
}

TEST(Cli, EvalComparesWithWhatIsAskedFor) {
  const Folder folder;
  write_data(folder);
  expect_done(folder, train_args(folder, "run", {"--steps", "5", "--quiet"}));
  const auto eval = [&](const Args& more) {
    Args args = {"eval", "--data", source(folder), "--threads", "2", "--cache", folder / "cache"};
    args.insert(args.end(), more.begin(), more.end());
    return args;
  };
  const auto scores = [&](Args more) {
    more.push_back("--json");
    const Result result = run(folder, eval(more));
    EXPECT_EQ(result.code, 0) << result.err;
    return nlohmann::json::parse(result.out);
  };
  const auto half = scores({folder / "run", "--holdout", "0.5"}), all = scores({folder / "run", "--holdout", "none"});
  EXPECT_EQ(half.at("reference").at("count"), kItems / 2);
  EXPECT_EQ(all.at("reference").at("count"), kItems);
  EXPECT_EQ(half.at("drawn"), "as_reference");
  EXPECT_EQ(scores({folder / "run", "--shares", "even"}).at("drawn"), "evenly");
  // Samples from elsewhere: the data itself.
  const auto copies = scores({"--samples", source(folder)});
  EXPECT_EQ(copies.at("drawn"), "elsewhere");
  EXPECT_EQ(copies.at("memorization").at("copies").at("verdict"), "copies") << copies;
  expect_refused(folder, eval({}), 2, "give a model, or --samples");
  expect_refused(folder, eval({folder / "run", "--samples", source(folder)}), 2, "excludes");
  expect_refused(folder, eval({"--samples", source(folder), "--cas"}), 2, "needs a model");
  expect_refused(folder, eval({"--samples", "ring8"}), 2, "has samples [2]");
  for (const char* share : {"0", "1", "-1", "nan", "some", "0.5x"})
    expect_refused(folder, eval({folder / "run", "--holdout", share}), 2, "expected a share in (0, 1), or none");
  expect_refused(folder, {"eval", folder / "run", "--data", "ring8", "--holdout", "0.2"}, 2, "has a test part");
}

TEST(Cli, EvalGivesTheScoresThatItCan) {
  const Folder folder;
  write_data(folder);
  expect_done(folder, train_args(folder, "run", {"--steps", "5", "--quiet"}));
  const Args eval = {"eval", folder / "run", "--data", source(folder), "--cache", folder / "cache"};
  const auto scores = [&](const Args& args, const Args& more) {
    Args all = args;
    all.insert(all.end(), {"--json", "--threads", "2"});
    all.insert(all.end(), more.begin(), more.end());
    const Result result = run(folder, all);
    EXPECT_EQ(result.code, 0) << result.err;
    return nlohmann::json::parse(result.out);
  };
  for (const char* count : {"1", "9", "128"}) {
    const auto json = scores(eval, {"--count", count});
    EXPECT_TRUE(json.contains("label_accuracy")) << json;
    EXPECT_TRUE(json.at("missing").contains("fd")) << json;
    EXPECT_FALSE(json.contains("score")) << json;
  }
  // Without labels, and with one.
  put(folder / "one.idx", idx({kItems}, std::string(kItems, '\0')));
  const std::string sources[] = {folder / "x.idx", folder / "x.idx" + "," + folder / "one.idx"};
  for (const std::string& data : sources) {
    Args train = train_args(folder, data == sources[0] ? "unlabelled" : "one", {"--steps", "5", "--quiet"});
    std::replace(train.begin(), train.end(), source(folder), data);
    expect_done(folder, train);
    const Args judge = {"eval", train[4], "--data", data, "--cache", folder / "none"};
    const auto json = scores(judge, {"--out", train[4] + "/eval"});
    EXPECT_TRUE(json.contains("duplicates") && json.contains("spread")) << json;
    EXPECT_NE(json.at("missing").at("coverage").get<std::string>().find("has 6 images, needs 50"), std::string::npos);
    EXPECT_EQ(json.at("embedding").at("learned"), "without labels");
    EXPECT_TRUE(fs::exists(train[4] + "/eval/neighbours.png"));
    expect_done(folder, {"report", train[4]});
    EXPECT_NE(read(train[4] + "/report.html").find("has 6 images, needs 50"), std::string::npos);
  }
}

TEST(Cli, EvalEveryWritesNoBestModelWithoutAScore) {
  const Folder folder;
  write_data(folder);  // six held-out images
  const Result result =
      run(folder, train_args(folder, "run", {"--steps", "20", "--eval-every", "10", "--cache", folder / "cache"}));
  ASSERT_EQ(result.code, 0) << result.err;
  const std::string once = "no best model will be kept";
  const std::size_t said = result.out.find(once);
  ASSERT_NE(said, std::string::npos) << result.out;
  EXPECT_EQ(result.out.find(once, said + 1), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("step 20: label accuracy"), std::string::npos) << result.out;
  EXPECT_FALSE(fs::exists(folder / "run/best.safetensors"));
  EXPECT_EQ(logged_steps(folder / "run/scores.jsonl"), (std::vector<std::int64_t>{10, 20}));
  std::istringstream lines(read(folder / "run/scores.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const auto json = nlohmann::json::parse(line);
    EXPECT_FALSE(json.contains("score")) << line;
    EXPECT_EQ(json.at("missing").at("score"), "needs coverage") << line;
  }
}

TEST(Cli, DataWithCommasInItsPathIsFoundAgain) {
  const Folder folder;
  write_data(folder);
  const std::string data = folder / "small, old";
  fs::create_directory(data);
  for (const char* name : {"x.idx", "y.idx"}) fs::copy_file(folder / name, data + "/" + name);
  fs::copy_file(folder / "x.idx", data + "/train-images-idx3-ubyte");
  fs::copy_file(folder / "y.idx", data + "/train-labels-idx1-ubyte");
  const fs::path here = fs::current_path();
  for (const std::string& source : {std::string("small, old/x.idx,small, old/y.idx"), std::string("small, old")}) {
    const std::string out = folder / (source == "small, old" ? "folder" : "pair");
    fs::current_path(folder.path());  // the path is relative
    const Result first =
        run(folder, {"train", "--data", source, "--out", out, "--steps", "5", "--batch", "16", "--threads", "2"});
    fs::current_path(here);
    ASSERT_EQ(first.code, 0) << first.err;
    EXPECT_NE(first.out.find("64 samples [1, 8, 8] in 3 classes"), std::string::npos) << first.out;
    expect_done(folder, {"train", "--resume", "--out", out, "--steps", "10"});
  }
}

TEST(Cli, ValuesThatHintAtAnExportMistakeAreNoted) {
  const Folder folder;
  write_data(folder);
  std::string bits;
  for (int i = 0; i < kItems * kSide * kSide; ++i) bits += static_cast<char>(i % 3 == 0);
  put(folder / "bits.idx", idx({kItems, kSide, kSide}, bits));
  EXPECT_NE(run(folder, {"info", folder / "bits.idx"}).out.find("every byte is 0 or 1"), std::string::npos);
  EXPECT_EQ(run(folder, {"info", folder / "x.idx"}).out.find("note"), std::string::npos);
  const auto train = [&](const std::string& name) {
    return run(folder, {"train", "--data", folder / name, "--out", folder / ("run-" + name), "--steps", "1", "--batch",
                        "16", "--threads", "2"})
        .out;
  };
  EXPECT_NE(train("bits.idx").find("note: every byte is 0 or 1"), std::string::npos);
  EXPECT_EQ(train("x.idx").find("note: "), std::string::npos);
}

TEST(Cli, CountsOfOneAreInTheSingular) {
  const Folder folder;
  put(folder / "x.idx", idx({1, 1, 2}, std::string("\0\xff", 2)));
  put(folder / "y.idx", idx({1}, std::string(1, '\0')));
  const std::string info = run(folder, {"info", source(folder)}).out;
  EXPECT_NE(info.find("1 image [1, 1, 2]\n"), std::string::npos) << info;
  EXPECT_NE(info.find("1 (label 0)\n"), std::string::npos) << info;
  const Result train = run(folder, {"train", "--data", source(folder), "--out", folder / "run", "--steps", "1",
                                    "--batch", "1", "--set", "model.g.batch_norm=false"});
  ASSERT_EQ(train.code, 0) << train.err;
  EXPECT_NE(train.out.find(": 1 sample [1, 1, 2] in 1 class\n"), std::string::npos) << train.out;
  EXPECT_NE(run(folder, {"info", folder / "run"}).out.find(" 1 step\n"), std::string::npos);
}

TEST(Cli, EvalEveryKeepsTheBestModelAndItsScores) {
  const Folder folder;
  const auto train = [&](const std::string& steps, const Args& more) {
    Args args = {"train", "--out", folder / "run", "--steps", steps, "--threads", "2"};
    args.insert(args.end(), more.begin(), more.end());
    return run(folder, args);
  };
  const Result first = train("20", {"--data", "ring8", "--eval-every", "10", "--set", "train.batch=16"});
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_NE(first.out.find("step 20:"), std::string::npos) << first.out;
  EXPECT_TRUE(fs::exists(folder / "run/best.safetensors"));
  // A line of a step that is taken again, as a crash leaves it, and one that was cut short.
  write(folder / "run/scores.jsonl", read(folder / "run/scores.jsonl") + "{\"step\": 30, \"score\": 2}\n{\"st");
  const Result second = train("40", {"--resume"});
  ASSERT_EQ(second.code, 0) << second.err;
  EXPECT_EQ(logged_steps(folder / "run/scores.jsonl"), (std::vector<std::int64_t>{10, 20, 30, 40}));
  double best = -1;
  std::int64_t step_of_best = 0;
  std::istringstream lines(read(folder / "run/scores.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const auto json = nlohmann::json::parse(line);
    EXPECT_LE(json.at("score"), 1);
    if (json.at("score").get<double>() <= best) continue;
    best = json.at("score").get<double>();
    step_of_best = json.at("step").get<std::int64_t>();
  }
  const Result info = run(folder, {"info", folder / "run/best.safetensors"});
  EXPECT_NE(info.out.find(" " + std::to_string(step_of_best) + " steps"), std::string::npos) << info.out;
  // Without labels images are compared by a network that needs none; where that cannot be, it is said at once.
  write_data(folder);
  put(folder / "equal.idx", idx({kItems, kSide, kSide}, std::string(kItems * kSide * kSide, '\7')));
  const auto unlabelled = [&](const std::string& images) {
    Args args = train_args(folder, images + "-run", {"--steps", "5", "--eval-every", "5", "--unconditional"});
    std::replace(args.begin(), args.end(), source(folder), folder / images);
    return args;
  };
  expect_done(folder, unlabelled("x.idx"));
  EXPECT_EQ(logged_steps(folder / "x.idx-run/scores.jsonl"), (std::vector<std::int64_t>{5}));
  expect_refused(folder, unlabelled("equal.idx"), 2, "--eval-every needs a network: too few different images");
}

TEST(Cli, GraphIsPrinted) {
  const Folder folder;
  const Result result = run(folder, {"graph", "tutorial-lsgan", "--batch", "8"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.out.find("matmul"), std::string::npos);
  const Result after = run(folder, {"graph", "tutorial-lsgan", "--batch", "8", "--after", "dce"});
  EXPECT_EQ(after.code, 0) << after.err;
  EXPECT_LT(after.out.size(), result.out.size()) << "dead nodes are gone";
}

TEST(Cli, LossesAreListedAndTabulated) {
  const Folder folder;
  const std::string list = run(folder, {"losses"}).out;
  for (const losses::Loss* loss : losses::loss_table()) EXPECT_NE(list.find(loss->summary), std::string::npos) << list;
  for (const losses::Penalty* penalty : losses::penalty_table())
    EXPECT_NE(list.find("penalty." + std::string(penalty->name) + " "), std::string::npos) << list;
  expect_refused(folder, {"losses", "--curves", folder / "none/x.tsv"}, 3, "none");

  ASSERT_EQ(run(folder, {"losses", "--curves", folder / "x.tsv"}).code, 0);
  std::istringstream text(read(folder / "x.tsv"));
  std::string line;
  std::getline(text, line);
  EXPECT_EQ(line, "loss\tsettings\toutput\tg\tg_slope\td_real\td_real_slope\td_fake\td_fake_slope");
  std::map<std::string, std::vector<std::vector<double>>> curves;  // by "LOSS SETTINGS": rows of output, g, ...
  while (std::getline(text, line)) {
    const std::size_t loss = line.find('\t'), settings = line.find('\t', loss + 1);
    std::istringstream numbers(line.substr(settings));
    std::vector<double> row(7);
    for (double& number : row) numbers >> number;
    ASSERT_TRUE(numbers) << line;
    std::string name = line.substr(0, settings);
    name[loss] = ' ';
    curves[name].push_back(row);
  }
  for (const losses::Loss* loss : losses::loss_table())
    EXPECT_TRUE(curves.contains(std::string(loss->name) + " ")) << loss->name;
  for (const auto& [name, rows] : curves) {
    ASSERT_EQ(rows.size(), 121u) << name;
    EXPECT_EQ(rows.front()[0], -6);
    EXPECT_EQ(rows.back()[0], 6);
    // Slopes are those of the values, away from the kinks of hinge at -1 and 1.
    for (std::size_t i = 1; i + 1 < rows.size(); ++i) {
      if (name == "hinge " && std::abs(std::abs(rows[i][0]) - 1) < 0.05) continue;
      for (const std::size_t value : {1u, 3u, 5u})
        EXPECT_NEAR(rows[i][value + 1], (rows[i + 1][value] - rows[i - 1][value]) / 0.2, 2e-3)
            << name << " at " << rows[i][0] << ", column " << value;
    }
  }
  // What the settings are for: far on the wrong side the slope vanishes with the one and not with the other.
  const auto slope_of_g = [&](const std::string& name) { return curves.at(name).front()[2]; };
  EXPECT_NEAR(slope_of_g("bce "), -1, 0.01);
  EXPECT_NEAR(slope_of_g("bce loss.saturating=true"), 0, 0.01);
  EXPECT_DOUBLE_EQ(slope_of_g("least_squares "), -7);
  EXPECT_DOUBLE_EQ(slope_of_g("least_squares loss.coding=pearson"), -6);
  EXPECT_NEAR(slope_of_g("least_squares loss.sigmoid=true"), 0, 0.01);
  EXPECT_GT(slope_of_g("least_squares loss.coding=pearson loss.sigmoid=true"), 0) << "G is drawn to where fakes are";
}

}  // namespace
}  // namespace gan
