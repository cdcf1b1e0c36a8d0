// Helpers that run the program, and a tiny data set for it.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "file_helpers.h"

namespace gan::test {

using Args = std::vector<std::string>;
using Folder = TemporaryFolder;
using Environment = std::map<std::string, std::string>;

/// A running program, gan by default, with its output in files of `folder`.
class Process {
 public:
  Process(const Folder& folder, const Args& args, const std::string& program = GAN_BINARY,
          const Environment& environment = {})
      : out_(folder / "stdout"), err_(folder / "stderr") {
    Args words = {program};
    words.insert(words.end(), args.begin(), args.end());
    std::vector<char*> pointers;
    for (std::string& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
      const int out = open(out_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
      const int err = open(err_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
      dup2(out, 1);
      dup2(err, 2);
      setenv("OMP_WAIT_POLICY", "passive", 0);  // spinning threads would slow down busy machines
      for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
      execvp(pointers[0], pointers.data());
      _exit(127);
    }
  }
  ~Process() {
    if (!reaped_) {
      signal(SIGKILL);
      wait();
    }
  }
  void signal(int number) const { kill(pid_, number); }
  bool running() {
    if (!reaped_ && waitpid(pid_, &status_, WNOHANG) == pid_) reaped_ = true;
    return !reaped_;
  }
  /// The exit code; 128 + the signal if one ended it.
  int wait() {
    if (!reaped_) waitpid(pid_, &status_, 0);
    reaped_ = true;
    return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
  }
  std::string out() const { return get(out_); }
  std::string err() const { return get(err_); }

 private:
  std::string out_, err_;
  pid_t pid_ = -1;
  int status_ = 0;
  bool reaped_ = false;
};

struct Result {
  int code;
  std::string out, err;
};

/// Standard error without the note on too few threads: tests use two threads, which a batch system may not allow.
inline std::string without_threads_note(const std::string& err) {
  std::istringstream lines(err);
  std::string rest;
  for (std::string line; std::getline(lines, line);)
    if (!line.starts_with("gan: note: --threads ")) rest += line + "\n";
  return rest;
}

inline Result run(const Folder& folder, const Args& args, const Environment& environment = {}) {
  Process process(folder, args, GAN_BINARY, environment);
  const int code = process.wait();
  return {code, process.out(), environment.empty() ? without_threads_note(process.err()) : process.err()};
}

/// Runs a line of a shell in the folder; $GAN is the program.
inline Result shell(const Folder& folder, const std::string& line) {
  Process process(folder, {"-c", "cd '" + folder.path() + "'; " + line}, "/bin/sh", {{"GAN", GAN_BINARY}});
  const int code = process.wait();
  return {code, process.out(), process.err()};
}

inline std::string joined(const Args& args) {
  std::string text = "gan";
  for (const std::string& arg : args) text += " " + arg;
  return text;
}

/// Runs the program and expects it to fail with this code and one line of error that contains `message`.
inline void expect_refused(const Folder& folder, const Args& args, int code, const std::string& message) {
  const Result result = run(folder, args);
  EXPECT_EQ(result.code, code) << joined(args) << "\n" << result.err;
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << joined(args) << "\n" << result.err;
  EXPECT_NE(result.err.find(message), std::string::npos) << joined(args) << "\n" << result.err;
}

inline void expect_done(const Folder& folder, const Args& args) {
  const Result result = run(folder, args);
  EXPECT_EQ(result.code, 0) << joined(args) << "\n" << result.err;
  EXPECT_EQ(result.err, "") << joined(args);
}

constexpr int kItems = 64, kSide = 8, kClasses = 3;

/// 64 images of 8 x 8 in 3 classes: class k has its rows 2k to 2k + 2 lit.
inline void write_data(const Folder& folder) {
  std::string images, labels;
  for (int i = 0; i < kItems; ++i) {
    const int label = i % kClasses;
    labels += static_cast<char>(label);
    for (int row = 0; row < kSide; ++row) {
      const bool lit = row >= 2 * label && row < 2 * label + 3;
      for (int column = 0; column < kSide; ++column) images += static_cast<char>(lit ? 200 + i % 50 : column);
    }
  }
  put(folder / "x.idx", idx({kItems, kSide, kSide}, images));
  put(folder / "y.idx", idx({kItems}, labels));
}

inline std::string source(const Folder& folder) { return folder / "x.idx" + "," + (folder / "y.idx"); }

/// The arguments of a training run of small networks into `out`, followed by `more`.
inline Args train_args(const Folder& folder, const std::string& out, const Args& more) {
  Args args = {"train", "--data", source(folder), "--out", folder / out, "--threads", "2", "--set"};
  for (const char* setting : {"train.batch=16", "train.log_every=10", "model.g.widths=[24,24]",
                              "model.d.widths=[24,16]", "model.latent=5", "model.embedding=4"}) {
    args.emplace_back(setting);
  }
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

}  // namespace gan::test
