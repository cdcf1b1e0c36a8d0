#pragma once

#include <cstdint>
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
  bool open_ = false;  // the last member
};

}  // namespace gan::io
