#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace gan::io {

/// Constants of the zip format (APPNOTE.TXT, 4.3 and 4.5.3): signatures of records, sizes of the fixed parts of
/// records, flags.
namespace zip {
inline constexpr std::uint32_t kLocal = 0x04034b50, kDescriptor = 0x08074b50, kEntry = 0x02014b50, kEnd = 0x06054b50,
                               kEnd64 = 0x06064b50, kLocator64 = 0x07064b50;
inline constexpr std::uint64_t kLocalBytes = 30, kEntryBytes = 46, kEndBytes = 22, kEnd64Bytes = 56,
                               kLocator64Bytes = 20;
inline constexpr std::uint32_t kIn64 = 0xffffffff;  // in place of a value that is in a zip64 field
inline constexpr std::uint16_t kZip64 = 1;          // id of the extra field with 64-bit sizes
inline constexpr int kStored = 0, kDeflated = 8;
inline constexpr int kEncrypted = 1, kSizesBehind = 8, kUtf8 = 0x800;
}  // namespace zip

/// A zip archive, with or without zip64, whose members are stored or deflated. Several threads may read members at the
/// same time.
class ZipFile {
 public:
  struct Member {
    std::string name;  ///< "cat/0001.png"
    bool deflated = false;
    std::uint32_t crc = 0;  ///< checksum of the content
    std::uint64_t packed = 0, size = 0;
    std::uint64_t offset = 0;  ///< offset of the local header
  };

  /// Reads the list of members, leaving out those for whose names `wanted` is false. Throws a data error if the file is
  /// not a zip archive, is damaged, a part of one or smaller than its members, or if a member occurs twice, is
  /// encrypted, is compressed by another method, expands_too_much, or has a name that is not plain text.
  ZipFile(const std::string& path, const std::function<bool(std::string_view name)>& wanted);

  const std::string& path() const { return path_; }
  /// The members in the order of the archive.
  const std::vector<Member>& members() const { return members_; }
  /// Returns a function that reads a member sequentially and verifies its checksum when its last byte is read. Both
  /// throw a data error if the data is damaged or cut short.
  std::function<void(void* dst, std::size_t bytes)> open(const Member& member) const;
  /// The whole content of a member. Throws as open() does.
  std::string read(const Member& member) const;

 private:
  void read_list(const std::string& list, std::uint64_t entries,
                 const std::function<bool(std::string_view name)>& wanted);

  std::string path_;
  std::uint64_t bytes_ = 0;
  std::vector<Member> members_;
};

/// Writes a zip archive, member by member and in pieces. Members are stored, not compressed; equal members give equal
/// bytes. Throws as AtomicFile does.
class ZipWriter {
 public:
  explicit ZipWriter(const base::Destination& destination);

  /// Begins a member of `size` bytes, which are then written by write(). Throws a usage error if the name exists
  /// already or has more than 65,535 bytes.
  void begin(const std::string& name, std::uint64_t size);
  void write(const void* src, std::size_t bytes);
  /// Writes a whole member.
  void add(const std::string& name, std::string_view content);
  /// Writes the list of members and completes the file. begin(), add() and commit() throw a usage error unless the
  /// previous member has as many bytes as begin() was given.
  void commit();

  const std::string& name() const { return file_.name(); }

 private:
  struct Member {
    std::string name;
    std::uint32_t crc = 0;
    std::uint64_t size = 0, offset = 0;
    std::uint64_t expected = 0;  // size given to begin()
  };
  void end();
  void put(std::string_view bytes);

  base::AtomicFile file_;
  std::uint64_t at_ = 0;  // bytes written
  std::vector<Member> members_;
  std::set<std::string> names_;
  bool open_ = false;  // whether the last member is still being written
};

}  // namespace gan::io
