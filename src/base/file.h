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

/// How durable a written file is.
enum class Durability {
  synced,    ///< the new content is on the disk when commit() returns: for what hours were spent on
  unsynced,  ///< a power cut may lose it: for what can be made again; a sync takes milliseconds
};

/// Writes a file so that a crash, a full disk or an exception leaves the old one whole: the bytes go to a temporary
/// name in the same folder, and commit() renames it. The folder may be renamed meanwhile. Links are followed. A device,
/// a pipe and whatever standard output is connected to are written directly. Every function throws a data error that
/// names the file and the system's reason, and removes the temporary first.
class AtomicFile {
 public:
  explicit AtomicFile(const std::string& path, Durability durability = Durability::synced);
  /// Removes the temporary if commit() was not reached.
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* src, std::size_t bytes);
  void write(std::string_view bytes) { write(bytes.data(), bytes.size()); }
  /// Puts the file in place. To be called once, last.
  void commit();

 private:
  [[noreturn]] void fail(int error);
  void discard();

  std::string path_;  // as the caller said it, for messages
  Durability durability_;
  int folder_ = -1;        // of the file, with links followed; -1: written directly
  std::string name_;       // in the folder
  std::string temporary_;  // in the folder; empty: not made, or in place
  int descriptor_ = -1;
};

/// Replaces or makes a file with this content, by AtomicFile.
void write_file(const std::string& path, std::string_view bytes, Durability durability = Durability::synced);

/// Writes behind what a file holds; makes it if it is not there. Throws a data error with the system's reason.
void append_to_file(const std::string& path, std::string_view bytes);

/// Whether writing to the path, such as /dev/stdout, is writing to standard output.
bool is_standard_output(const std::string& path);

/// Throws a data error if the disk of a folder, which need not be there yet, has less room than this.
void require_room(const std::string& folder, std::uint64_t bytes);

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

  /// Where the folder is now: as it was given, unless it was renamed or moved since.
  std::string path() const;
  /// Whether the folder was deleted since, so that nothing can be written there.
  bool deleted() const;

 private:
  std::string folder_;
  int descriptor_ = -1;
};

/// Makes a folder and those above it; fine if it is there. Throws a data error with the system's reason.
void create_folder(const std::string& path);

}  // namespace gan::base
