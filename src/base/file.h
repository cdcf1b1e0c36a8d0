#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace gan::base {

/// A regular file opened for reading from front to back, or the contents of one in memory.
class InputFile {
 public:
  /// Throws a data error if the file is missing, unreadable or not a regular file (a folder, a device).
  explicit InputFile(const std::string& path);
  /// Reads from memory of the caller; `name` stands for the path in messages.
  InputFile(const std::string& name, std::span<const std::byte> contents);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::string& path() const { return path_; }
  /// Bytes in the file when it was opened.
  std::uint64_t size() const { return size_; }
  /// Reads exactly `bytes` bytes. Throws a data error if the file ends before that or cannot be read.
  void read(void* dst, std::size_t bytes);
  /// Skips the next `bytes` bytes. Throws a data error if that fails.
  void skip(std::uint64_t bytes);

 private:
  std::string path_;
  int descriptor_ = -1;                  // -1: contents_ is read instead
  std::span<const std::byte> contents_;  // what is left of them
  std::uint64_t size_ = 0;
};

/// The whole content of a regular file. Throws a data error as InputFile does.
std::string read_file(const std::string& path);

/// How durable a written file is.
enum class Durability {
  synced,    ///< the new content is on the disk when commit() returns: for results of hours of work
  unsynced,  ///< a power cut may lose it: for files that can be made again, which saves milliseconds
};

/// Where a file is written: a path, or a text in memory, to which it is appended.
class Destination {
 public:
  Destination(std::string path) : name_(std::move(path)) {}
  Destination(const char* path) : name_(path) {}
  /// `name` stands for the path in messages.
  Destination(std::string name, std::string& memory) : name_(std::move(name)), memory_(&memory) {}

  const std::string& name() const { return name_; }
  std::string* memory() const { return memory_; }

 private:
  std::string name_;
  std::string* memory_ = nullptr;
};

/// Writes a file so that a crash, a full disk or an exception leaves the old one whole: the bytes go to a temporary
/// name in the same folder, and commit() renames it. The folder may be renamed meanwhile. Symbolic links are followed.
/// A device, a pipe and the target of standard output are written directly. On failure, every function removes the
/// temporary file and throws a data error with the file's name and the system's reason.
class AtomicFile {
 public:
  explicit AtomicFile(const Destination& destination, Durability durability = Durability::synced);
  /// Removes the temporary file unless commit() has renamed it.
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* src, std::size_t bytes);
  void write(std::string_view bytes) { write(bytes.data(), bytes.size()); }
  /// Puts the file in place. Call it once, last.
  void commit();
  const std::string& name() const { return path_; }

 private:
  [[noreturn]] void fail(int error);
  void discard();

  std::string path_;  // the caller's path, for messages
  std::string* memory_ = nullptr;
  Durability durability_;
  int folder_ = -1;        // descriptor of the target's folder; -1 if the file is written directly
  std::string name_;       // in the folder
  std::string temporary_;  // in the folder; empty if not created yet or already renamed
  int descriptor_ = -1;
};

/// Creates or replaces a file with this content through AtomicFile.
void write_file(const Destination& destination, std::string_view bytes, Durability durability = Durability::synced);

/// Appends to a file, or creates it. Throws a data error with the system's reason.
void append_to_file(const std::string& path, std::string_view bytes);

/// Whether the path, such as /dev/stdout, leads to standard output.
bool is_standard_output(const std::string& path);

/// Throws a data error if the disk of a folder, which need not exist yet, has fewer than `bytes` bytes free.
void require_room(const std::string& folder, std::uint64_t bytes);

/// Whether a file is a temporary one, by its name, that no AtomicFile holds: a killed program left it. On file systems
/// without locks no file counts as held.
bool is_leftover(const std::string& path);

/// Removes the temporary files that killed programs left beside this file.
void remove_leftovers(const std::string& path);

/// Locks a folder: while the object lives, no other FolderLock of the folder can be made, in this or another process.
/// The lock needs no file in the folder and ends with the process.
class FolderLock {
 public:
  /// Throws a usage error if the folder is locked, a data error if it cannot be opened. On file systems without locks a
  /// folder always counts as free.
  explicit FolderLock(const std::string& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

  /// The folder's present path, which differs from the given one if the folder was renamed or moved.
  std::string path() const;
  /// Whether the folder has been deleted since it was locked.
  bool deleted() const;

 private:
  std::string folder_;
  int descriptor_ = -1;
};

/// Creates a folder and its parents; does nothing if it exists. Throws a data error with the system's reason.
void create_folder(const std::string& path);

}  // namespace gan::base
