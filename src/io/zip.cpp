#include "io/zip.h"

#include <zlib.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace gan::io {

namespace {

using namespace zip;

constexpr std::uint64_t kDate = 0x00210000;  // 1980-01-01, 0:00: equal members give equal bytes
constexpr std::uint64_t kVersion = 45;       // of the format: zip64

// A record under construction.
struct Record {
  std::string text;
  Record& add(std::uint64_t value, std::size_t bytes) {
    text.append(reinterpret_cast<const char*>(&value), bytes);
    return *this;
  }
};

// Whether a member needs 64-bit sizes.
bool is_large(std::uint64_t bytes) { return bytes >= kIn64; }

}  // namespace

ZipWriter::ZipWriter(const base::Destination& destination) : file_(destination, base::Durability::unsynced) {}

void ZipWriter::put(std::string_view bytes) {
  file_.write(bytes);
  at_ += bytes.size();
}

void ZipWriter::begin(const std::string& name, std::uint64_t size) {
  end();
  Member& member = members_.emplace_back();
  member.name = name;
  member.offset = at_;
  member.expected = size;
  if (name.size() > 0xffff) base::fail_usage("{}: the name of a member has more than 65,535 bytes", file_.name());
  for (std::size_t i = 0; i + 1 < members_.size(); ++i)
    if (members_[i].name == name) base::fail_usage("{}: \"{}\" is there twice", file_.name(), name);
  // Checksum and sizes stand behind the data, with 8 bytes each if there is a zip64 field here.
  const bool large = is_large(size);
  Record record;
  record.add(kLocal, 4).add(kVersion, 2).add(kSizesBehind | kUtf8, 2).add(kStored, 2).add(kDate, 4).add(0, 4);
  record.add(large ? kIn64 : 0, 4).add(large ? kIn64 : 0, 4).add(member.name.size(), 2).add(large ? 20 : 0, 2);
  record.text += member.name;
  if (large) record.add(kZip64, 2).add(16, 2).add(0, 8).add(0, 8);
  put(record.text);
  open_ = true;
}

void ZipWriter::write(const void* src, std::size_t bytes) {
  if (!open_) base::fail_run("{}: no member has begun", file_.name());
  Member& member = members_.back();
  member.crc = static_cast<std::uint32_t>(crc32_z(member.crc, static_cast<const Bytef*>(src), bytes));
  member.size += bytes;
  put({static_cast<const char*>(src), bytes});
}

void ZipWriter::end() {
  if (!open_) return;
  const Member& member = members_.back();
  if (member.size != member.expected)
    base::fail_usage("{}: {} of {}, expected {}", file_.name(),
                     base::counted(static_cast<std::int64_t>(member.size), "byte"), member.name, member.expected);
  const std::size_t bytes = is_large(member.size) ? 8 : 4;
  Record record;
  record.add(kDescriptor, 4).add(member.crc, 4).add(member.size, bytes).add(member.size, bytes);
  put(record.text);
  open_ = false;
}

void ZipWriter::add(const std::string& name, std::string_view content) {
  begin(name, content.size());
  write(content.data(), content.size());
}

void ZipWriter::commit() {
  end();
  const std::uint64_t list = at_;
  for (const Member& member : members_) {
    const bool large = is_large(member.size), far = is_large(member.offset);
    const std::uint64_t extra = (large ? 16 : 0) + (far ? 8 : 0);
    const std::uint64_t size = large ? kIn64 : member.size;
    Record record;
    record.add(kEntry, 4).add(kVersion, 2).add(kVersion, 2).add(kSizesBehind | kUtf8, 2).add(kStored, 2).add(kDate, 4);
    record.add(member.crc, 4).add(size, 4).add(size, 4).add(member.name.size(), 2).add(extra > 0 ? extra + 4 : 0, 2);
    record.add(0, 2).add(0, 2).add(0, 2).add(0, 4).add(far ? kIn64 : member.offset, 4);
    record.text += member.name;
    if (extra > 0) record.add(kZip64, 2).add(extra, 2);
    if (large) record.add(member.size, 8).add(member.size, 8);
    if (far) record.add(member.offset, 8);
    put(record.text);
  }
  const std::uint64_t end = at_, bytes = end - list, count = members_.size();
  Record record;
  if (is_large(end) || count >= 0xffff) {
    record.add(kEnd64, 4).add(kEnd64Bytes - 12, 8).add(kVersion, 2).add(kVersion, 2).add(0, 4).add(0, 4);
    record.add(count, 8).add(count, 8).add(bytes, 8).add(list, 8);
    record.add(kLocator64, 4).add(0, 4).add(end, 8).add(1, 4);
  }
  const std::uint64_t few = std::min<std::uint64_t>(count, 0xffff);
  record.add(kEnd, 4).add(0, 2).add(0, 2).add(few, 2).add(few, 2);
  record.add(std::min<std::uint64_t>(bytes, kIn64), 4).add(std::min<std::uint64_t>(list, kIn64), 4).add(0, 2);
  put(record.text);
  file_.commit();
}

}  // namespace gan::io
