#include "base/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "base/error.h"
#include "base/text.h"

namespace gan::base {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMaxTransfer = std::size_t{1} << 30;  // read(2) and write(2) refuse more than 2 GB

constexpr std::string_view kTemporary = ".tmp";

std::string reason(int error) { return std::generic_category().message(error); }

// Makes a rename durable. Some file systems have no sync of folders and say EINVAL: nothing more can be done there.
int sync_folder(const std::string& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return errno;
  const int error = ::fsync(descriptor) == 0 || errno == EINVAL ? 0 : errno;
  ::close(descriptor);
  return error;
}

}  // namespace

InputFile::InputFile(const std::string& path) : path_(path) {
  // Without O_NONBLOCK, opening a pipe that nobody writes to would hang before its kind can be looked at.
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0) fail_data("{}: cannot be opened: {}", path, reason(errno));
  struct stat status {};
  const int error = ::fstat(descriptor_, &status) == 0 ? 0 : errno;
  if (error != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor_);
    if (error != 0) fail_data("{}: cannot be read: {}", path, reason(error));
    fail_data("{}: is a {}, expected a file", path, S_ISDIR(status.st_mode) ? "folder" : "device or pipe");
  }
  size_ = static_cast<std::uint64_t>(status.st_size);
}

InputFile::~InputFile() { ::close(descriptor_); }

void InputFile::read(void* dst, std::size_t bytes) {
  char* next = static_cast<char*>(dst);
  while (bytes > 0) {
    const ssize_t got = ::read(descriptor_, next, std::min(bytes, kMaxTransfer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_data("{}: cannot be read: {}", path_, reason(errno));
    if (got == 0) fail_data("{}: ends {} early", path_, counted(static_cast<std::int64_t>(bytes), "byte"));
    next += got;
    bytes -= static_cast<std::size_t>(got);
  }
}

void InputFile::skip(std::uint64_t bytes) {
  if (::lseek(descriptor_, static_cast<off_t>(bytes), SEEK_CUR) < 0)
    fail_data("{}: cannot be read: {}", path_, reason(errno));
}

std::string read_file(const std::string& path) {
  InputFile file(path);
  std::string content(file.size(), '\0');
  file.read(content.data(), content.size());
  return content;
}

AtomicFile::AtomicFile(const std::string& path) : path_(path), target_(path) {
  std::error_code ignored;
  const fs::path followed = fs::canonical(path, ignored);
  if (!ignored) target_ = followed.string();

  struct stat status {};
  if (::stat(target_.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    if (S_ISDIR(status.st_mode)) fail(EISDIR);
    // Renaming onto a device such as /dev/null would replace it.
    descriptor_ = ::open(target_.c_str(), O_WRONLY | O_CLOEXEC);
  } else {
    // The process number keeps two programs that write the same file apart.
    temporary_ = target_ + "." + std::to_string(::getpid()) + std::string(kTemporary);
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  }
  if (descriptor_ < 0) {
    const int error = errno;
    temporary_.clear();
    fail(error);
  }
}

AtomicFile::~AtomicFile() { discard(); }

void AtomicFile::write(const void* src, std::size_t bytes) {
  const char* next = static_cast<const char*>(src);
  while (bytes > 0) {
    const ssize_t put = ::write(descriptor_, next, std::min(bytes, kMaxTransfer));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) fail(errno);
    next += put;
    bytes -= static_cast<std::size_t>(put);
  }
}

void AtomicFile::commit() {
  const bool direct = temporary_.empty();
  if (::fsync(descriptor_) != 0 && !direct) fail(errno);  // devices and pipes have nothing to sync
  const int closed = ::close(descriptor_);
  descriptor_ = -1;
  if (closed != 0) fail(errno);
  if (direct) return;
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) fail(errno);
  temporary_.clear();
  const std::string folder = fs::path(target_).parent_path().string();
  if (const int error = sync_folder(folder.empty() ? "." : folder)) fail(error);
}

void AtomicFile::fail(int error) {
  discard();
  fail_data("{}: cannot be written: {}", path_, reason(error));
}

void AtomicFile::discard() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
  temporary_.clear();
}

void write_file(const std::string& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

void remove_leftovers(const std::string& path) {
  const fs::path whole(path);
  const std::string start = whole.filename().string() + ".";
  std::error_code ignored;
  const fs::path folder = whole.has_parent_path() ? whole.parent_path() : fs::path(".");
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(start) || !name.ends_with(kTemporary)) continue;
    const std::string_view process = std::string_view(name).substr(start.size());
    if (process.find_first_not_of("0123456789") == process.size() - kTemporary.size())
      fs::remove(entry.path(), ignored);
  }
}

FolderLock::FolderLock(const std::string& folder)
    : descriptor_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (descriptor_ < 0) fail_data("{}: cannot be opened: {}", folder, reason(errno));
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  ::close(descriptor_);
  fail_usage("{}: the folder is in use by another process", folder);
}

FolderLock::~FolderLock() { ::close(descriptor_); }

void create_folder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) fail_data("{}: the folder cannot be made: {}", path, error.message());
}

}  // namespace gan::base
