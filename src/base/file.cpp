#include "base/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
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

// Writes all bytes; returns 0, or errno if a write fails.
int write_all(int descriptor, const void* src, std::size_t bytes) {
  const char* next = static_cast<const char*>(src);
  while (bytes > 0) {
    const ssize_t put = ::write(descriptor, next, std::min(bytes, kMaxTransfer));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return errno;
    next += put;
    bytes -= static_cast<std::size_t>(put);
  }
  return 0;
}

bool is_same_file(const std::string& path, const struct stat& file) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && status.st_dev == file.st_dev && status.st_ino == file.st_ino;
}

}  // namespace

InputFile::InputFile(const std::string& path) : path_(path) {
  // Without O_NONBLOCK, opening a pipe without a writer would block before the check below can refuse it.
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

InputFile::InputFile(const std::string& name, std::span<const std::byte> contents)
    : path_(name), contents_(contents), size_(contents.size()) {}

InputFile::~InputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void InputFile::read(void* dst, std::size_t bytes) {
  if (descriptor_ < 0) {
    if (bytes > contents_.size())
      fail_data("{}: ends {} early", path_, counted(static_cast<std::int64_t>(bytes - contents_.size()), "byte"));
    std::copy_n(contents_.data(), bytes, static_cast<std::byte*>(dst));
    contents_ = contents_.subspan(bytes);
    return;
  }
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
  if (descriptor_ < 0) {
    contents_ = contents_.subspan(std::min<std::uint64_t>(bytes, contents_.size()));
    return;
  }
  if (::lseek(descriptor_, static_cast<off_t>(bytes), SEEK_CUR) < 0)
    fail_data("{}: cannot be read: {}", path_, reason(errno));
}

std::string read_file(const std::string& path) {
  InputFile file(path);
  std::string content(file.size(), '\0');
  file.read(content.data(), content.size());
  return content;
}

AtomicFile::AtomicFile(const Destination& destination, Durability durability)
    : path_(destination.name()), memory_(destination.memory()), durability_(durability) {
  if (memory_) return;
  const std::string& path = path_;
  // Opening /dev/stdout again would overwrite the start of a file that standard output is redirected to.
  if (is_standard_output(path)) {
    descriptor_ = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
    if (descriptor_ < 0) fail(errno);
    return;
  }
  std::error_code ignored;
  fs::path target = fs::canonical(path, ignored);
  if (ignored) target = path;

  struct stat status {};
  if (::stat(target.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    if (S_ISDIR(status.st_mode)) fail(EISDIR);
    // Renaming onto a device such as /dev/null would replace it.
    descriptor_ = ::open(target.c_str(), O_WRONLY | O_CLOEXEC);
    if (descriptor_ < 0) fail(errno);
    return;
  }
  const std::string folder = target.has_parent_path() ? target.parent_path().string() : ".";
  const int access = durability_ == Durability::synced ? O_RDONLY : O_PATH;  // only the former can be synced
  folder_ = ::open(folder.c_str(), access | O_DIRECTORY | O_CLOEXEC);
  if (folder_ < 0) fail(errno);
  name_ = target.filename().string();
  // The process number keeps two programs that write the same file apart.
  const std::string temporary = name_ + "." + std::to_string(::getpid()) + std::string(kTemporary);
  descriptor_ = ::openat(folder_, temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail(errno);
  temporary_ = temporary;
  ::flock(descriptor_, LOCK_EX | LOCK_NB);  // see is_leftover; not every file system has locks
}

AtomicFile::~AtomicFile() { discard(); }

void AtomicFile::write(const void* src, std::size_t bytes) {
  if (memory_)
    memory_->append(static_cast<const char*>(src), bytes);
  else if (const int error = write_all(descriptor_, src, bytes))
    fail(error);
}

void AtomicFile::commit() {
  if (memory_) return;
  const bool sync = folder_ >= 0 && durability_ == Durability::synced;  // devices and pipes have nothing to sync
  if (sync && ::fsync(descriptor_) != 0) fail(errno);
  const int closed = ::close(descriptor_);
  descriptor_ = -1;
  if (closed != 0) fail(errno);
  if (folder_ < 0) return;
  if (::renameat(folder_, temporary_.c_str(), folder_, name_.c_str()) != 0) fail(errno);
  temporary_.clear();
  // Some file systems cannot sync folders and report EINVAL, which is ignored.
  if (sync && ::fsync(folder_) != 0 && errno != EINVAL) fail(errno);
}

void AtomicFile::fail(int error) {
  discard();
  fail_data("{}: cannot be written: {}", path_, reason(error));
}

void AtomicFile::discard() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
  if (!temporary_.empty()) ::unlinkat(folder_, temporary_.c_str(), 0);
  temporary_.clear();
  if (folder_ >= 0) ::close(folder_);
  folder_ = -1;
}

void write_file(const Destination& destination, std::string_view bytes, Durability durability) {
  AtomicFile file(destination, durability);
  file.write(bytes);
  file.commit();
}

void append_to_file(const std::string& path, std::string_view bytes) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  int error = descriptor < 0 ? errno : write_all(descriptor, bytes.data(), bytes.size());
  if (descriptor >= 0 && ::close(descriptor) != 0 && error == 0) error = errno;
  if (error != 0) fail_data("{}: cannot be written: {}", path, reason(error));
}

bool is_standard_output(const std::string& path) {
  struct stat status {};
  return ::fstat(STDOUT_FILENO, &status) == 0 && is_same_file(path, status);
}

void require_room(const std::string& folder, std::uint64_t bytes) {
  std::error_code ignored;
  fs::path there = fs::absolute(folder, ignored);
  while (there.has_relative_path() && !fs::exists(there, ignored)) there = there.parent_path();
  struct statvfs disk {};
  if (::statvfs(there.c_str(), &disk) != 0 || disk.f_blocks == 0) return;  // some file systems do not report it
  const double free = static_cast<double>(disk.f_bavail) * static_cast<double>(disk.f_frsize);
  if (static_cast<double>(bytes) > free)
    fail_data("{}: the disk has {} left, {} are needed; free some, or choose a folder on another disk", folder,
              size_text(free), size_text(static_cast<double>(bytes)));
}

bool is_leftover(const std::string& path) {
  std::string_view name = path;
  if (!name.ends_with(kTemporary)) return false;
  name.remove_suffix(kTemporary.size());
  const std::size_t dot = name.find_last_not_of("0123456789");  // in front of the number of the process
  if (dot == std::string_view::npos || dot + 1 == name.size() || name[dot] != '.') return false;
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (descriptor < 0) return false;
  const bool held = ::flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(descriptor);
  return !held;
}

void remove_leftovers(const std::string& path) {
  const fs::path whole(path);
  const std::string start = whole.filename().string() + ".";
  const std::size_t length = start.size();
  std::error_code ignored;
  const fs::path folder = whole.has_parent_path() ? whole.parent_path() : fs::path(".");
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    // Names of other files may begin alike.
    if (name.starts_with(start) && name.find('.', length) == name.size() - kTemporary.size() &&
        is_leftover(entry.path().string()))
      fs::remove(entry.path(), ignored);
  }
}

FolderLock::FolderLock(const std::string& folder)
    : folder_(folder), descriptor_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (descriptor_ < 0) fail_data("{}: cannot be opened: {}", folder, reason(errno));
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  ::close(descriptor_);
  fail_usage("{}: the folder is in use by another process", folder);
}

FolderLock::~FolderLock() { ::close(descriptor_); }

std::string FolderLock::path() const {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0 || is_same_file(folder_, status)) return folder_;
  std::error_code error;
  const std::string now = fs::read_symlink("/proc/self/fd/" + std::to_string(descriptor_), error).string();
  return !error && is_same_file(now, status) ? now : folder_;
}

bool FolderLock::deleted() const {
  struct stat status {};
  return ::fstat(descriptor_, &status) != 0 ? errno == ESTALE : status.st_nlink == 0;
}

void create_folder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) fail_data("{}: the folder cannot be made: {}", path, error.message());
}

}  // namespace gan::base
