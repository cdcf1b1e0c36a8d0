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

/// Records of the zip format (APPNOTE.TXT, 4.3 and 4.5.3): signatures, bytes of the fixed part with it, flags.
namespace zip {
inline constexpr std::uint32_t kLocal = 0x04034b50, kDescriptor = 0x08074b50, kEntry = 0x02014b50, kEnd = 0x06054b50,
                               kEnd64 = 0x06064b50, kLocator64 = 0x07064b50;
inline constexpr std::uint64_t kLocalBytes = 30, kEntryBytes = 46, kEndBytes = 22, kEnd64Bytes = 56,
                               kLocator64Bytes = 20;
inline constexpr std::uint32_t kIn64 = 0xffffffff;  // the value is in a zip64 field
inline constexpr std::uint16_t kZip64 = 1;          // the extra field of 64-bit sizes
inline constexpr int kStored = 0, kDeflated = 8;
inline constexpr int kEncrypted = 1, kSizesBehind = 8, kUtf8 = 0x800;
}  // namespace zip

/// A zip archive, with or without zip64, whose members are stored or deflated. Threads may read members at once.
class ZipFile {
 public:
  struct Member {
    std::string name;  ///< "cat/0001.png"
    bool deflated = false;
    std::uint32_t crc = 0;  ///< of the content
    std::uint64_t packed = 0, size = 0;
    std::uint64_t offset = 0;  ///< of the local header
  };

  /// Reads the archive's list; members whose names are not wanted are left out. Throws a data error if the file is not
  /// a zip archive, damaged or a part of one, or smaller than its members; or a member is there twice, encrypted,
  /// compressed in another way, expands more than 200 times to more than 256 MB, or has a name that is not plain text.
  ZipFile(const std::string& path, const std::function<bool(std::string_view name)>& wanted);

  const std::string& path() const { return path_; }
  /// In the order of the archive.
  const std::vector<Member>& members() const { return members_; }
  /// What reads a member from front to back. Its checksum is compared when its last byte has been read. Throws a data
  /// error, as what is returned does, if the data is damaged or cut short.
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

/// Writes a zip archive, member after member and piece by piece. Members are stored, not compressed; equal members give
/// equal bytes. Errors are those of AtomicFile and usage errors.
class ZipWriter {
 public:
  explicit ZipWriter(const base::Destination& destination);

  /// Begins a member of `size` bytes, which follow by write(). Throws a usage error if the name is there already or has
  /// more than 65,535 bytes.
  void begin(const std::string& name, std::uint64_t size);
  void write(const void* src, std::size_t bytes);
  /// Writes a whole member.
  void add(const std::string& name, std::string_view content);
  /// Writes the archive's list and puts the file in place. begin(), add() and commit() throw a usage error unless the
  /// member before has as many bytes as were announced.
  void commit();

  const std::string& name() const { return file_.name(); }

 private:
  struct Member {
    std::string name;
    std::uint32_t crc = 0;
    std::uint64_t size = 0, offset = 0;
    std::uint64_t expected = 0;  // bytes
  };
  void end();
  void put(std::string_view bytes);

  base::AtomicFile file_;
  std::uint64_t at_ = 0;  // bytes written
  std::vector<Member> members_;
  std::set<std::string> names_;
  bool open_ = false;  // the last member
};

}  // namespace gan::io
