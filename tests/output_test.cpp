// Where results go: standard output, folders of pictures, disks that are full, and how often the disk is waited for.
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "base/file.h"
#include "io/npy.h"
#include "io/png.h"
#include "program.h"
#include "run_helpers.h"

namespace {
std::atomic<int> syncs{0};
}

/// In this program, instead of the C library's.
extern "C" int fsync(int descriptor) {
  ++syncs;
  return static_cast<int>(syscall(SYS_fsync, descriptor));
}

namespace gan {
namespace {

namespace fs = std::filesystem;
using namespace test;
using base::ErrorKind;

int syncs_of(const std::function<void()>& write) {
  const int before = syncs;
  write();
  return syncs - before;
}

TEST(FileDurability, OnlyWhatCannotBeMadeAgainWaitsForTheDisk) {
  const TemporaryFolder folder;
  EXPECT_EQ(syncs_of([&] { base::write_file(folder / "a", "x"); }), 2) << "the file and its folder";
  EXPECT_EQ(syncs_of([&] { base::write_file(folder / "b", "x", base::Durability::unsynced); }), 0);
  EXPECT_EQ(syncs_of([&] { io::write_npy(folder / "c", {1}, std::vector<float>{1}); }), 0);
  EXPECT_EQ(syncs_of([&] { io::write_png(folder / "d", {1, 1, 1, {0}}); }), 0);
  EXPECT_EQ(get(folder / "b"), "x");
  EXPECT_EQ(folder.entries(), 4);
}

TEST(File, AFileFollowsItsFolder) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "a");
  {
    base::AtomicFile file(folder / "a/x");
    file.write("new");
    fs::rename(folder / "a", folder / "b");
    file.commit();
  }
  EXPECT_EQ(get(folder / "b/x"), "new");
  { base::AtomicFile left(folder / "b/y"); }
  EXPECT_EQ(std::distance(fs::directory_iterator(folder / "b"), {}), 1);
}

TEST(File, ALockKnowsWhereItsFolderIs) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "a");
  const base::FolderLock lock(folder / "a");
  EXPECT_EQ(lock.path(), folder / "a");
  fs::create_directory(folder / "deeper");
  fs::rename(folder / "a", folder / "deeper/b");
  fs::create_directory(folder / "a");  // another one
  EXPECT_EQ(lock.path(), folder / "deeper/b");
  EXPECT_FALSE(lock.deleted());
  expect_error(ErrorKind::usage, "in use", [&] { const base::FolderLock other(folder / "deeper/b"); });
  fs::remove(folder / "deeper/b");
  EXPECT_TRUE(lock.deleted());
}

TEST(FileBadInput, AppendingSaysWhyItCannot) {
  const TemporaryFolder folder;
  base::append_to_file(folder / "x", "a\n");
  base::append_to_file(folder / "x", "b\n");
  EXPECT_EQ(get(folder / "x"), "a\nb\n");
  expect_error(ErrorKind::data, "/dev/full: cannot be written: No space left on device",
               [] { base::append_to_file("/dev/full", "x"); });
  expect_error(ErrorKind::data, "none/x: cannot be written: No such file or directory",
               [&] { base::append_to_file(folder / "none/x", "x"); });
  expect_error(ErrorKind::data, "cannot be written: Is a directory", [&] { base::append_to_file(folder.path(), "x"); });
}

TEST(FileBadInput, ADiskWithoutRoomIsSaid) {
  const TemporaryFolder folder;
  for (const std::string& path : {folder.path(), folder / "not/there/yet"}) {
    base::require_room(path, 1);
    expect_error(ErrorKind::data, path + ": the disk has ", [&] { base::require_room(path, std::uint64_t{1} << 62); });
    expect_error(ErrorKind::data, " GB left, 4.61e+09 GB are needed",
                 [&] { base::require_room(path, std::uint64_t{1} << 62); });
  }
}

class CliOutput : public testing::Test {
 protected:
  void SetUp() override {
    write_data(folder_);
    expect_done(folder_, train_args(folder_, "run", {"--steps", "2", "--quiet"}));
    expect_done(folder_, {"sample", folder_ / "run", "--out", folder_ / "file.npy"});
    file_ = get(folder_ / "file.npy");
    ASSERT_GT(file_.size(), 1000u);
  }
  Folder folder_;
  std::string file_;
};

TEST_F(CliOutput, AnArrayGoesToStandardOutputAlone) {
  for (const char* out : {"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"}) {
    const std::string sample = std::string("$GAN sample run --out ") + out;
    const Result file = shell(folder_, sample + " > x.npy");
    EXPECT_EQ(file.code, 0) << file.err;
    EXPECT_EQ(file.out + file.err, "");
    EXPECT_TRUE(get(folder_ / "x.npy") == file_) << out;
    const Result pipe = shell(folder_, sample + " | cat > x.npy");
    EXPECT_EQ(pipe.err, "");
    EXPECT_TRUE(get(folder_ / "x.npy") == file_) << out;
    put(folder_ / "x.npy", "before");
    EXPECT_EQ(shell(folder_, sample + " >> x.npy").code, 0);
    EXPECT_TRUE(get(folder_ / "x.npy") == "before" + file_) << "what the file held stays: " << out;
  }
  EXPECT_FALSE(fs::exists(folder_ / "-"));
  const Result pipe = shell(folder_, "mkfifo p && { cat p > x.npy & } && $GAN sample run --out p; wait");
  EXPECT_EQ(pipe.code, 0) << pipe.err;
  EXPECT_TRUE(get(folder_ / "x.npy") == file_);
  const Result full = shell(folder_, "$GAN sample run --out - > /dev/full");
  EXPECT_EQ(full.code, 3);
  EXPECT_NE(full.err.find("cannot be written: No space left on device"), std::string::npos) << full.err;
}

TEST_F(CliOutput, OtherCommandsTakeOrRefuseTheDash) {
  EXPECT_EQ(shell(folder_, "$GAN report run --out -").out.substr(0, 15), "<!doctype html>");
  EXPECT_EQ(shell(folder_, "$GAN losses --curves -").out.substr(0, 5), "loss\t");
  for (const char* line : {"train --data ring8 --steps 1 --out -", "train --data ring8 --steps 1 --out r --profile -",
                           "eval run --data x.idx,y.idx --out -", "bench step vector --steps 1 --trace -"}) {
    const Result result = shell(folder_, std::string("$GAN ") + line);
    EXPECT_EQ(result.code, 2) << line;
    EXPECT_NE(result.err.find(" -: this cannot go to standard output"), std::string::npos) << result.err;
  }
  EXPECT_FALSE(fs::exists(folder_ / "-"));
}

TEST_F(CliOutput, TwoDashesEndTheOptions) {
  fs::copy_file(folder_ / "run/model.safetensors", folder_ / "-m.safetensors");
  for (const char* line : {"sample --out x.npy -- -m.safetensors", "sample --out x.npy -- run",
                           "sample run --out x.npy --", "info -- -m.safetensors", "presets -- vector", "losses --"}) {
    const Result result = shell(folder_, std::string("$GAN ") + line);
    EXPECT_EQ(result.code, 0) << line << "\n" << result.err;
    EXPECT_EQ(result.err, "") << line;
  }
  EXPECT_TRUE(get(folder_ / "x.npy") == file_);
  const Result surplus = shell(folder_, "$GAN sample run --out x.npy -- --seed");
  EXPECT_EQ(surplus.code, 2);
  EXPECT_NE(surplus.err.find("\"--seed\""), std::string::npos) << surplus.err;
}

TEST_F(CliOutput, FilesInOrderOfNameAreInOrderOfLabelAndIndex) {
  const Result first = run(folder_, {"sample", folder_ / "run", "--per-class", "11", "--out", folder_ / "d/"});
  EXPECT_EQ(first.out, "wrote " + (folder_ / "d/") + ": 33 samples\n");
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder_ / "d")) names.insert(entry.path().filename().string());
  std::vector<std::string> expected;
  for (const char* label : {"0", "1", "2"})
    for (const char* index : {"00", "01", "02", "03", "04", "05", "06", "07", "08", "09", "10"})
      expected.push_back(std::string(label) + "-" + index + ".png");
  expected.emplace_back("metadata.csv");
  EXPECT_EQ(std::vector<std::string>(names.begin(), names.end()), expected);
}

TEST_F(CliOutput, LabelsHaveZerosInFrontToo) {
  std::string labels;
  for (int i = 0; i < kItems; ++i) labels += static_cast<char>(i % 12);
  put(folder_ / "y.idx", idx({kItems}, labels));
  expect_done(folder_, train_args(folder_, "twelve", {"--steps", "1", "--quiet"}));
  expect_done(folder_, {"sample", folder_ / "twelve", "--labels", "2,11", "--count", "1", "--out", folder_ / "d/"});
  EXPECT_TRUE(fs::exists(folder_ / "d/02-0.png"));
  EXPECT_TRUE(fs::exists(folder_ / "d/11-0.png"));
}

TEST_F(CliOutput, AFullDiskLeavesNoHalfFileBadInput) {
  fs::create_directory(folder_ / "d");
  const Result array = shell(folder_, "ulimit -f 1; $GAN sample run --count 1000 --out d/x.npy");
  EXPECT_EQ(array.code, 3);
  EXPECT_NE(array.err.find("d/x.npy: cannot be written: File too large"), std::string::npos) << array.err;
  EXPECT_TRUE(fs::is_empty(folder_ / "d"));
}

TEST_F(CliOutput, CtrlCLeavesNoHalfPicture) {
  Process process(folder_, {"sample", folder_ / "run", "--count", "30000", "--out", folder_ / "d"});
  ASSERT_TRUE(wait_for([&] { return fs::exists(folder_ / "d/0-00500.png") || !process.running(); }));
  process.signal(SIGINT);
  EXPECT_EQ(process.wait(), 128 + SIGINT);
  const std::string end("IEND\xae\x42\x60\x82");
  int whole = 0;
  for (const auto& entry : fs::directory_iterator(folder_ / "d")) {
    if (entry.path().extension() != ".png") continue;
    EXPECT_TRUE(get(entry.path().string()).ends_with(end)) << entry.path();
    ++whole;
  }
  EXPECT_GT(whole, 500);
  EXPECT_LT(whole, 90000);
}

}  // namespace
}  // namespace gan
