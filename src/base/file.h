#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace gan::base {

/// A regular file opened for reading from front to back.
class InputFile {
 public:
  /// Throws a data error if the file is missing, unreadable or not a regular file (a folder, a device).
  explicit InputFile(const std::string& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::string& path() const { return path_; }
  /// Bytes in the file when it was opened.
  std::uint64_t size() const { return size_; }
  /// Reads exactly `bytes` bytes. Throws a data error if the file ends before that or cannot be read.
  void read(void* dst, std::size_t bytes);
  /// Goes on behind the next `bytes` bytes. Throws a data error if that cannot be done.
  void skip(std::uint64_t bytes);

 private:
  std::string path_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
};

/// The whole content of a regular file. Throws a data error as InputFile does.
std::string read_file(const std::string& path);

/// Writes a file so that a crash, a full disk or an exception leaves the old one whole: the bytes go to a temporary
/// name in the same folder, and commit() syncs and renames it. Links are followed. A device or a pipe is written
/// directly. Every function throws a data error that names the file and the system's reason, and removes the temporary
/// first.
class AtomicFile {
 public:
  explicit AtomicFile(const std::string& path);
  /// Removes the temporary if commit() was not reached.
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* src, std::size_t bytes);
  void write(std::string_view bytes) { write(bytes.data(), bytes.size()); }
  /// Puts the file in place, durably. To be called once, last.
  void commit();

 private:
  [[noreturn]] void fail(int error);
  void discard();

  std::string path_;       // as the caller said it, for messages
  std::string target_;     // with links followed
  std::string temporary_;  // empty: `target_` is a device or a pipe, written directly
  int descriptor_ = -1;
};

/// Replaces or makes a file with this content, by AtomicFile.
void write_file(const std::string& path, std::string_view bytes);

/// Removes what programs that were killed while they wrote this file by AtomicFile have left beside it. Nobody may be
/// writing it.
void remove_leftovers(const std::string& path);

/// Keeps a folder to this object: while it lives no other FolderLock of the folder can be made, here or in another
/// process. Nothing lies in the folder for it, and a killed process holds nothing.
class FolderLock {
 public:
  /// Throws a usage error if another one has the folder, a data error if it cannot be opened. File systems without
  /// locks are taken to be free.
  explicit FolderLock(const std::string& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_ = -1;
};

/// Makes a folder and those above it; fine if it is there. Throws a data error with the system's reason.
void create_folder(const std::string& path);

}  // namespace gan::base
