#include "serve/process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>

#include "base/error.h"

namespace gan::serve {

namespace {

/// Whether a process has this folder open.
bool has_open(pid_t pid, const std::string& folder) {
  std::error_code none;
  for (std::filesystem::directory_iterator it("/proc/" + std::to_string(pid) + "/fd", none), end; !none && it != end;
       it.increment(none))
    if (std::error_code other; std::filesystem::equivalent(it->path(), folder, other)) return true;
  return false;
}

}  // namespace

Process::Process(const std::vector<std::string>& arguments, const std::string& output) { start(arguments, output, -1); }

Process::Process(const std::vector<std::string>& arguments, int& pipe) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) base::fail_run("a process cannot be started: {}", std::strerror(errno));
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  try {
    start(arguments, "", ends[1]);
  } catch (...) {
    ::close(ends[0]);
    ::close(ends[1]);
    throw;
  }
  ::close(ends[1]);
  pipe = ends[0];
}

void Process::start(const std::vector<std::string>& arguments, const std::string& output, int descriptor) {
  std::vector<char*> words = {const_cast<char*>("gan")};
  for (const std::string& argument : arguments) words.push_back(const_cast<char*>(argument.c_str()));
  words.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&files);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  if (descriptor < 0)
    posix_spawn_file_actions_addopen(&files, 1, output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0666);
  else
    posix_spawn_file_actions_adddup2(&files, descriptor, 1);
  posix_spawn_file_actions_adddup2(&files, 1, 2);
  posix_spawn_file_actions_addclosefrom_np(&files, 3);  // the child must not inherit connections of the server
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  const int error = posix_spawn(&pid_, "/proc/self/exe", &files, &attributes, words.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) {
    pid_ = 0;
    base::fail_run("a process cannot be started: {}", std::strerror(error));
  }
}

Process::Process(Process&& other) noexcept : pid_(std::exchange(other.pid_, 0)), code_(other.code_) {}

Process& Process::operator=(Process&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(code_, other.code_);
  return *this;
}

Process::~Process() { running(); }

bool Process::running() {
  if (pid_ == 0) return false;
  int status = 0;
  const pid_t ended = ::waitpid(pid_, &status, WNOHANG);
  if (ended == 0) return true;
  code_ = ended < 0 ? 1 : WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  pid_ = 0;
  return false;
}

void Process::interrupt() const {
  if (pid_ > 0) ::kill(pid_, SIGTERM);
}

void Process::kill() const {
  if (pid_ > 0) ::kill(pid_, SIGKILL);
}

pid_t holder_of(const std::string& folder) {
  struct stat status {};
  if (::stat(folder.c_str(), &status) != 0) return 0;
  // Lines such as "3: FLOCK  ADVISORY  WRITE 1234 fe:01:56789 0 EOF".
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    std::istringstream words(line);
    std::string number, kind, advisory, mode, file;
    pid_t pid = 0;
    words >> number >> kind >> advisory >> mode >> pid >> file;
    unsigned major = 0, minor = 0;
    unsigned long long inode = 0;
    if (kind != "FLOCK" || std::sscanf(file.c_str(), "%x:%x:%llu", &major, &minor, &inode) != 3) continue;
    if (inode != status.st_ino) continue;
    // On some file systems (btrfs) the device of a lock is not that of its file.
    const bool same_device = major == gnu_dev_major(status.st_dev) && minor == gnu_dev_minor(status.st_dev);
    if (!same_device && !has_open(pid, folder)) continue;
    std::ifstream name("/proc/" + std::to_string(pid) + "/comm");
    std::string command;
    std::getline(name, command);
    if (pid > 0 && command == "gan") return pid;
  }
  return 0;
}

}  // namespace gan::serve
