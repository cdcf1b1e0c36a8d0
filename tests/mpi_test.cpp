// Several processes under mpirun. Without MPI there is no module to test (CMakeLists.txt), and this file is empty.
#ifdef GAN_MPIRUN

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/file.h"
#include "base/text.h"
#include "io/safetensors.h"
#include "run_helpers.h"

namespace gan::test {
namespace {

/// What mpirun needs to start more ranks than there are processors, as any user.
const Environment kLauncher{{"OMPI_ALLOW_RUN_AS_ROOT", "1"},
                            {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
                            {"OMPI_MCA_rmaps_base_oversubscribe", "1"},
                            {"OMPI_MCA_hwloc_base_binding_policy", "none"},
                            {"PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe"},  // Open MPI 5
                            {"PRTE_MCA_hwloc_default_binding_policy", "none"},
                            {"OMPI_MCA_btl_vader_single_copy_mechanism", "none"},
                            {"ASAN_OPTIONS", "detect_leaks=0"}};  // Open MPI keeps memory to its end

Args joined(Args args, const Args& more) {
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

/// The arguments of mpirun for `ranks` processes of this gan command.
Args ranks_of(int ranks, const Args& args) { return joined({"-np", std::to_string(ranks), GAN_BINARY}, args); }

Result run_ranks(const Folder& folder, const Args& args) {
  Process process(folder, args, GAN_MPIRUN, kLauncher);
  const int code = process.wait();
  return {code, process.out(), process.err()};
}

/// Two ranks with a command each, chosen by a shell, since mpirun of Open MPI 5.0.7 crashes on several commands.
Result run_two(const Folder& folder, const Args& first, const Args& second) {
  const auto line = [](const Args& args) {
    std::string text = "exec";
    for (const std::string& arg : args) text += " " + base::shell_quoted(arg);
    return text;
  };
  base::write_file(folder / "two.sh",
                   "if [ \"$OMPI_COMM_WORLD_RANK\" = 0 ]; then " + line(first) + "; fi\n" + line(second) + "\n");
  Process process(folder, {"-np", "2", "/bin/sh", folder / "two.sh"}, GAN_MPIRUN, kLauncher);
  const int code = process.wait();
  return {code, process.out(), process.err()};
}

/// A run of one thread a rank, with all that joins ranks: batch norm, penalties, the average.
Args small_run(const Folder& folder, const std::string& out, const Args& more) {
  return joined({"train", "--data", source(folder), "--out", folder / out, "--threads", "1", "--set", "train.batch=24",
                 "train.log_every=4", "model.g.widths=[24,24]", "model.d.widths=[24,16]", "model.latent=5",
                 "model.embedding=4", "model.g.batch_norm=true", "train.checkpoint_every=4", "watchdog.every=0"},
                more);
}

void expect_same_tensors(const std::string& a, const std::string& b) {
  const io::Safetensors first = io::read_safetensors(a), second = io::read_safetensors(b);
  ASSERT_EQ(first.tensors.size(), second.tensors.size());
  ASSERT_GT(first.tensors.size(), 5u);
  for (const auto& [name, array] : first.tensors) {
    const runtime::Array& other = second.tensors.at(name);
    ASSERT_EQ(array.type(), other.type()) << name;
    EXPECT_EQ(std::memcmp(array.bytes(), other.bytes(), array.size_bytes()), 0) << name;
  }
}

/// The lines of a text that the program wrote, not the launcher.
std::vector<std::string> own_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);)
    if (line.starts_with("gan: ")) lines.push_back(line);
  return lines;
}

/// The process of a rank that trains into `out`; 0 if there is none.
pid_t process_of(int rank, const std::string& out) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const auto read = [&](const char* file) {
      std::ifstream stream(entry.path() / file);
      return std::string(std::istreambuf_iterator<char>(stream), {});
    };
    if (!read("comm").starts_with("gan")) continue;
    if (read("cmdline").find(out) == std::string::npos) continue;
    if (read("environ").find("OMPI_COMM_WORLD_RANK=" + std::to_string(rank) + '\0') != std::string::npos)
      return static_cast<pid_t>(std::stol(name));
  }
  return 0;
}

class Mpi : public testing::Test {
 protected:
  void SetUp() override { write_data(folder_); }
  Folder folder_;
};

TEST_F(Mpi, RanksTrainAsPartsDoToTheBit) {
  expect_done(folder_, small_run(folder_, "parts", {"train.parts=3", "--steps", "8"}));
  const Result result = run_ranks(folder_, ranks_of(3, small_run(folder_, "ranks", {"--steps", "8"})));
  ASSERT_EQ(result.code, 0) << result.err;
  expect_same_tensors(folder_ / "parts/checkpoint.safetensors", folder_ / "ranks/checkpoint.safetensors");
  expect_same_tensors(folder_ / "parts/model.safetensors", folder_ / "ranks/model.safetensors");
  EXPECT_EQ(get(folder_ / "parts/samples/8.png"), get(folder_ / "ranks/samples/8.png"));
  EXPECT_EQ(logged_steps(folder_ / "ranks/metrics.jsonl"), (std::vector<std::int64_t>{4, 8}));
  EXPECT_NE(result.out.find("3 ranks with 1 thread each, 8 rows of every batch"), std::string::npos) << result.out;
}

TEST_F(Mpi, AResumedRunGivesTheSameBits) {
  for (const char* out : {"whole", "halves"}) {
    const Result result = run_ranks(
        folder_, ranks_of(2, small_run(folder_, out, {"--steps", std::strcmp(out, "whole") == 0 ? "8" : "5"})));
    ASSERT_EQ(result.code, 0) << result.err;
  }
  std::filesystem::copy(folder_ / "halves", folder_ / "alone", std::filesystem::copy_options::recursive);
  Result result = run_ranks(folder_, ranks_of(2, {"train", "--resume", "--out", folder_ / "halves", "--steps", "8"}));
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out.find("results may differ"), std::string::npos) << result.out;
  expect_same_tensors(folder_ / "whole/checkpoint.safetensors", folder_ / "halves/checkpoint.safetensors");
  result = run(folder_, {"train", "--resume", "--out", folder_ / "alone", "--steps", "8"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.out.find("the run used 2 ranks of 1 part so far, now 1 rank of 1 part: results may differ"),
            std::string::npos)
      << result.out;
}

TEST_F(Mpi, RanksDrawTheSameBytes) {
  expect_done(folder_, small_run(folder_, "run", {"--steps", "4"}));
  for (const char* format : {"npy", "png", "npz"}) {
    for (const char* count : {"7", "1100"}) {
      const auto args = [&](const char* who) {
        return Args{"sample",    folder_ / "run",
                    "--count",   count,
                    "--out",     folder_ / (std::string(who) + "." + format),
                    "--threads", "1"};
      };
      expect_done(folder_, args("one"));
      const Result result = run_ranks(folder_, ranks_of(3, args("three")));
      ASSERT_EQ(result.code, 0) << result.err;
      EXPECT_EQ(get(folder_ / (std::string("one.") + format)), get(folder_ / (std::string("three.") + format)))
          << format << " " << count;
    }
  }
}

TEST_F(Mpi, RanksGoBackTogether) {
  const auto args = [&](const char* out, const Args& more) {
    const Args diverges{"model.g.batch_norm=false", "optim.name=sgd", "optim.lr=900", "loss.name=wasserstein"};
    return small_run(folder_, out, joined(joined(diverges, more), {"--steps", "100"}));
  };
  const Result parts = run(folder_, args("run", {"train.parts=2"}));
  std::filesystem::remove_all(folder_ / "run");
  const Result ranks = run_ranks(folder_, ranks_of(2, args("run", {})));
  EXPECT_EQ(parts.code, 4);
  EXPECT_EQ(ranks.code, 4);
  EXPECT_NE(parts.out.find("retry 3 of 3"), std::string::npos) << parts.out;
  EXPECT_NE(ranks.out.find("retry 3 of 3"), std::string::npos) << ranks.out;
  ASSERT_EQ(own_lines(ranks.err).size(), 1u) << ranks.err;
  EXPECT_EQ(own_lines(ranks.err), own_lines(parts.err));
}

TEST_F(Mpi, AStoppedRunIsSaved) {
  const std::string out = folder_ / "run";
  const Args more{"train.checkpoint_every=100000000", "--steps", "100000000"};
  Process process(folder_, ranks_of(2, small_run(folder_, "run", more)), GAN_MPIRUN, kLauncher);
  ASSERT_TRUE(wait_for([&] { return process.out().find("  step ") != std::string::npos || !process.running(); }));
  process.signal(SIGINT);
  process.wait();
  EXPECT_TRUE(own_lines(process.err()).empty()) << process.err();
  const Result resumed = run(folder_, {"train", "--resume", "--out", out, "--steps", "1"});
  EXPECT_EQ(resumed.code, 0) << resumed.err;
}

TEST_F(Mpi, ARankWithAModuleOfAnotherVersionIsNamed) {
  const std::filesystem::path built = std::filesystem::path(GAN_BINARY).parent_path(), other = folder_ / "other";
  std::filesystem::create_directory(other);
  std::filesystem::copy_file(built / "gan", other / "gan");
  std::string module = get((built / "libgan_mpi.so").string());
  const std::size_t at = module.find(std::string(GAN_VERSION) + '\0');
  ASSERT_NE(at, std::string::npos);
  module[at] = '9';
  put((other / "libgan_mpi.so").string(), module);
  const Args train = small_run(folder_, "run", {"--steps", "4"});
  const Result result = run_two(folder_, joined({GAN_BINARY}, train), joined({(other / "gan").string()}, train));
  EXPECT_NE(result.code, 0);
  ASSERT_EQ(own_lines(result.err).size(), 1u) << result.err;
  EXPECT_NE(own_lines(result.err)[0].find("rank 1: libgan_mpi.so is of version 9"), std::string::npos) << result.err;
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run/config.toml"));
}

TEST_F(Mpi, RanksShareAnEvaluation) {
  expect_done(folder_, small_run(folder_, "run", {"--steps", "20"}));
  const auto args = [&](const char* out) {
    return Args{"eval", folder_ / "run", "--cache", folder_ / "cache", "--json", "--out", folder_ / out, "--count",
                "5000", "--holdout",     "none",    "--threads",       "1"};
  };
  // The ranks come first, so that rank 0 trains the classifier.
  const Result two = run_ranks(folder_, ranks_of(2, args("two"))), one = run(folder_, args("one"));
  ASSERT_EQ(two.code, 0) << two.err;
  ASSERT_EQ(one.code, 0) << one.err;
  const auto scores = [](const Result& result) {
    nlohmann::json json = nlohmann::json::parse(result.out);
    EXPECT_TRUE(json.contains("seconds"));
    json.erase("seconds");
    return json;
  };
  EXPECT_EQ(scores(one), scores(two));
  for (const char* file : {"samples.png", "neighbours.png", "confusion.csv"})
    EXPECT_EQ(get(folder_ / "one" + "/" + file), get(folder_ / "two" + "/" + file)) << file;
  EXPECT_TRUE(own_lines(two.err).empty()) << two.err;
}

TEST_F(Mpi, RanksShareAProtocol) {
  const auto args = [&](const char* out) {
    return Args{"bench", "protocol",  "ring8", "--seeds", "2",     "--steps",
                "20",    "--threads", "1",     "--json",  "--out", folder_ / out};
  };
  const Result one = run(folder_, args("one")), two = run_ranks(folder_, ranks_of(2, args("two")));
  ASSERT_EQ(one.code, 0) << one.err;
  ASSERT_EQ(two.code, 0) << two.err;
  EXPECT_EQ(one.out, two.out);
  for (const char* file : {"ring8.md", "ring8.png"})
    EXPECT_EQ(get(folder_ / "one" + "/" + file), get(folder_ / "two" + "/" + file)) << file;
}

TEST_F(Mpi, AnEvaluationIsPrintedOnce) {
  expect_done(folder_,
              {"train", "--data", "ring8", "--out", folder_ / "run", "--steps", "2", "--quiet", "--threads", "1"});
  const Args args{"eval", folder_ / "run", "--data", "ring8", "--count", "200", "--threads", "1"};
  const Result one = run(folder_, args), two = run_ranks(folder_, ranks_of(2, args));
  ASSERT_EQ(one.code, 0) << one.err;
  ASSERT_EQ(two.code, 0) << two.err;
  const auto scores = [](const std::string& text) { return text.substr(0, text.find("\ntook ")); };
  EXPECT_EQ(scores(one.out), scores(two.out));
  EXPECT_EQ(two.out.find("took "), two.out.rfind("took "));
}

TEST_F(Mpi, RanksThatDifferStopWithOneLine) {
  const auto refused = [&](const Args& first, const Args& second, const std::string& message, const Args& before = {}) {
    const Result result = run_two(folder_, joined({GAN_BINARY}, first), joined(joined(before, {GAN_BINARY}), second));
    EXPECT_NE(result.code, 0);
    const std::vector<std::string> lines = own_lines(result.err);
    ASSERT_EQ(lines.size(), 1u) << result.err;
    EXPECT_NE(lines[0].find(message), std::string::npos) << lines[0];
    EXPECT_FALSE(std::filesystem::exists(folder_ / "run/config.toml"));
  };
  const Args good = small_run(folder_, "run", {"--steps", "4"});
  refused(good, joined(good, {"--seed", "5"}), "rank 1 has train.seed = 5, rank 0 has 1");
  refused(good, good, "rank 1 has the processor", {"env", "ONEDNN_MAX_CPU_ISA=SSE41"});
  Args other = good;
  for (std::string& arg : other)
    if (arg == source(folder_)) arg = folder_ / "z.idx," + (folder_ / "y.idx");
  refused(good, other, "rank 1: ");  // the file is not there
  std::string images = get(folder_ / "x.idx");
  images.back() ^= 1;
  put(folder_ / "z.idx", images);
  refused(good, other, "rank 1 has data with the sha256 ");
  const Args on_gpu = joined(good, {"--device", "cuda:1"});
  refused(on_gpu, on_gpu, "--device cuda:1: there are 2 processes on this machine");
  refused(joined(good, {"--batch", "25"}), joined(good, {"--batch", "25"}), "does not divide among 2 ranks");
}

/// Ends a rank while it trains and expects all to end, with one line that names it and a checkpoint that is whole.
void expect_end(const Folder& folder, int victim, int signal, double seconds, const std::string& message) {
  const std::string out = folder / "run";
  Process process(folder, ranks_of(3, small_run(folder, "run", {"--steps", "100000000"})), GAN_MPIRUN, kLauncher);
  ASSERT_TRUE(wait_for([&] { return std::filesystem::exists(out + "/checkpoint.safetensors") || !process.running(); }));
  ASSERT_TRUE(process.running()) << process.err();
  const pid_t rank = process_of(victim, out);
  ASSERT_GT(rank, 0);
  kill(rank, signal);
  const auto killed = std::chrono::steady_clock::now();
  EXPECT_NE(process.wait(), 0);
  EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - killed).count(), seconds);
  EXPECT_NE(process.err().find(message), std::string::npos) << process.err();
  EXPECT_LE(own_lines(process.err()).size(), 1u) << process.err();
  EXPECT_TRUE(wait_for([&] { return process_of(0, out) == 0 && process_of(1, out) == 0 && process_of(2, out) == 0; }));
  const Result resumed = run(folder, {"train", "--resume", "--out", out, "--steps", "1", "--threads", "1"});
  EXPECT_EQ(resumed.code, 0) << resumed.err;
}

TEST_F(Mpi, AKilledRankEndsAll) { expect_end(folder_, 1, SIGKILL, 30, "rank 1"); }

TEST_F(Mpi, KilledRankZeroEndsAll) { expect_end(folder_, 0, SIGKILL, 30, "rank 0"); }

TEST_F(Mpi, ARankThatHangsEndsAll) { expect_end(folder_, 2, SIGSTOP, 30, "has given no sign of life for 15 seconds"); }

TEST_F(Mpi, AProgramWithoutItsModuleSaysSo) {
  std::filesystem::copy(GAN_BINARY, folder_ / "gan");
  const Result result = run_ranks(folder_, joined({"-np", "2", folder_ / "gan"}, small_run(folder_, "run", {})));
  EXPECT_EQ(result.code, 2);
  const std::vector<std::string> lines = own_lines(result.err);
  ASSERT_EQ(lines.size(), 1u) << result.err;
  EXPECT_NE(lines[0].find("2 ranks were started, but libgan_mpi.so cannot be opened"), std::string::npos);
}

}  // namespace
}  // namespace gan::test

#endif  // GAN_MPIRUN
