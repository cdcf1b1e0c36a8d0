#include "io/zip.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "io/expansion.h"

namespace gan::io {

namespace {

using namespace zip;

constexpr std::uint64_t kDate = 0x00210000;  // 1980-01-01, 0:00, so that equal members give equal bytes
constexpr std::uint64_t kZipVersion = 45;    // of the format, with zip64

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

// The little-endian number of `bytes` bytes at `at`. The caller has checked the bounds.
std::uint64_t number_at(std::string_view text, std::uint64_t at, int bytes) {
  std::uint64_t value = 0;
  std::memcpy(&value, text.data() + at, static_cast<std::size_t>(bytes));
  return value;
}

// Reads `bytes` bytes of a file at `offset`.
std::string read_at(const std::string& path, std::uint64_t offset, std::uint64_t bytes) {
  base::InputFile file(path);
  if (offset > file.size() || bytes > file.size() - offset) base::fail_data("{}: the archive is damaged", path);
  file.skip(offset);
  std::string text(bytes, '\0');
  file.read(text.data(), text.size());
  return text;
}

// Replaces values that are kIn64 by those of the zip64 field, which holds only these, in the same order.
void take_zip64(std::string_view extra, std::initializer_list<std::uint64_t*> values) {
  while (extra.size() >= 4) {
    const std::uint64_t id = number_at(extra, 0, 2), size = number_at(extra, 2, 2);
    if (size > extra.size() - 4) return;
    std::string_view field = extra.substr(4, size);
    extra.remove_prefix(4 + size);
    if (id != kZip64) continue;
    for (std::uint64_t* value : values)
      if (*value == kIn64 && field.size() >= 8) {
        *value = number_at(field, 0, 8);
        field.remove_prefix(8);
      }
  }
}

// Reads the content of a member sequentially.
class MemberReader {
 public:
  MemberReader(const std::string& path, std::string name, std::uint64_t offset, std::uint64_t packed,
               std::uint64_t size, std::uint32_t crc, bool deflated)
      : file_(path), name_(std::move(name)), packed_left_(packed), left_(size), crc_(crc), deflated_(deflated) {
    file_.skip(offset);
    if (deflated && inflateInit2(&stream_, -MAX_WBITS) != Z_OK) base::fail_run("{}: no memory to decompress it", name_);
  }
  ~MemberReader() {
    if (deflated_) inflateEnd(&stream_);
  }
  MemberReader(const MemberReader&) = delete;
  MemberReader& operator=(const MemberReader&) = delete;

  void read(void* dst, std::size_t bytes) {
    if (bytes > left_)
      base::fail_data("{}: ends {} early", name_, base::counted(static_cast<std::int64_t>(bytes - left_), "byte"));
    deflated_ ? inflate_to(dst, bytes) : file_.read(dst, bytes);
    left_ -= bytes;
    found_ = crc32_z(found_, static_cast<const Bytef*>(dst), bytes);
    if (left_ == 0 && found_ != crc_) base::fail_data("{}: the checksum is wrong: the file is damaged", name_);
  }

 private:
  void inflate_to(void* dst, std::size_t bytes) {
    auto* next = static_cast<Bytef*>(dst);
    while (bytes > 0) {
      const auto wanted = static_cast<uInt>(std::min<std::size_t>(bytes, std::size_t{1} << 30));
      if (stream_.avail_in == 0 && packed_left_ > 0) {
        buffer_.resize(std::min<std::uint64_t>(packed_left_, std::size_t{1} << 17));
        file_.read(buffer_.data(), buffer_.size());
        packed_left_ -= buffer_.size();
        stream_.next_in = buffer_.data();
        stream_.avail_in = static_cast<uInt>(buffer_.size());
      }
      stream_.next_out = next;
      stream_.avail_out = wanted;
      const int result = inflate(&stream_, Z_NO_FLUSH);
      const std::size_t got = wanted - stream_.avail_out;
      next += got;
      bytes -= got;
      if (bytes > 0 && result != Z_OK)
        base::fail_data("{}: the compressed data is {}", name_,
                        result == Z_DATA_ERROR ? "damaged" : "shorter than announced");
    }
  }

  base::InputFile file_;
  std::string name_;
  std::uint64_t packed_left_, left_;
  std::uint32_t crc_;
  uLong found_ = crc32_z(0, nullptr, 0);
  bool deflated_;
  z_stream stream_{};
  std::vector<Bytef> buffer_;
};

}  // namespace

ZipFile::ZipFile(const std::string& path, const std::function<bool(std::string_view)>& wanted)
    : path_(path), bytes_(base::InputFile(path).size()) {
  const std::uint64_t tail_bytes = std::min<std::uint64_t>(bytes_, kEndBytes + 0xffff + kLocator64Bytes);
  const std::string tail = read_at(path, bytes_ - tail_bytes, tail_bytes);
  // After the end record there is only a comment, whose length the record holds.
  std::uint64_t end = tail.size() < kEndBytes ? std::string::npos : tail.size() - kEndBytes;
  while (end != std::string::npos &&
         (number_at(tail, end, 4) != kEnd || end + kEndBytes + number_at(tail, end + 20, 2) != tail.size()))
    end = end == 0 ? std::string::npos : end - 1;
  if (end == std::string::npos)
    base::fail_data("{}: not a {} file, or cut short: it has no end of a zip archive", path,
                    path.ends_with(".npz") ? ".npz" : ".zip");
  std::uint64_t entries = number_at(tail, end + 10, 2), list_bytes = number_at(tail, end + 12, 4),
                list = number_at(tail, end + 16, 4);
  if (end >= kLocator64Bytes && number_at(tail, end - kLocator64Bytes, 4) == kLocator64) {
    const std::string record = read_at(path, number_at(tail, end - kLocator64Bytes + 8, 8), kEnd64Bytes);
    if (number_at(record, 0, 4) != kEnd64) base::fail_data("{}: the archive is damaged", path);
    entries = number_at(record, 32, 8);
    list_bytes = number_at(record, 40, 8);
    list = number_at(record, 48, 8);
  } else if (number_at(tail, end + 4, 2) != 0) {
    base::fail_data("{}: a part of an archive, expected a whole one", path);
  }
  read_list(read_at(path, list, list_bytes), entries, wanted);
}

void ZipFile::read_list(const std::string& list, std::uint64_t entries,
                        const std::function<bool(std::string_view)>& wanted) {
  std::set<std::string_view> names;
  std::uint64_t at = 0, all_packed = 0;
  for (std::uint64_t i = 0; i < entries; ++i) {
    if (at > list.size() || list.size() - at < kEntryBytes || number_at(list, at, 4) != kEntry)
      base::fail_data("{}: the archive is damaged: its list is cut short", path_);
    const std::uint64_t flags = number_at(list, at + 8, 2), method = number_at(list, at + 10, 2),
                        name_bytes = number_at(list, at + 28, 2), extra_bytes = number_at(list, at + 30, 2),
                        comment_bytes = number_at(list, at + 32, 2);
    Member member{.name = {},
                  .deflated = method == kDeflated,
                  .crc = static_cast<std::uint32_t>(number_at(list, at + 16, 4)),
                  .packed = number_at(list, at + 20, 4),
                  .size = number_at(list, at + 24, 4),
                  .offset = number_at(list, at + 42, 4)};
    at += kEntryBytes;
    if (list.size() - at < name_bytes + extra_bytes + comment_bytes)
      base::fail_data("{}: the archive is damaged: its list is cut short", path_);
    const std::string_view name = std::string_view(list).substr(at, name_bytes);
    take_zip64(std::string_view(list).substr(at + name_bytes, extra_bytes),
               {&member.size, &member.packed, &member.offset});
    at += name_bytes + extra_bytes + comment_bytes;
    if (!wanted(name)) continue;
    if (!base::is_plain(name))
      base::fail_data("{}: the name of member {} is not UTF-8 or has control characters", path_, i + 1);
    if (!names.insert(name).second) base::fail_data("{}: \"{}\" is there twice", path_, name);
    if (flags & kEncrypted) base::fail_data("{}: {} is encrypted", path_, name);
    if (method != kStored && method != kDeflated)
      base::fail_data("{}: {} is compressed by method {}, expected stored or deflated", path_, name, method);
    if (!member.deflated && member.size != member.packed)
      base::fail_data("{}: {} is damaged: {} bytes are stored in {}", path_, name, member.size, member.packed);
    if (expands_too_much(member.packed, member.size))
      base::fail_data("{}: {} expands {} to {}, more than {} times; store it uncompressed", path_, name,
                      base::counted(static_cast<std::int64_t>(member.packed), "byte"), base::grouped(member.size),
                      kMostExpansion);
    if (member.packed > bytes_ || __builtin_add_overflow(all_packed, member.packed, &all_packed) || all_packed > bytes_)
      base::fail_data("{}: its members are larger than the file: damaged, or they overlap", path_);
    member.name = name;
    members_.push_back(std::move(member));
  }
}

std::function<void(void* dst, std::size_t bytes)> ZipFile::open(const Member& member) const {
  const std::string title = path_ + ": " + member.name;
  const std::string local = read_at(path_, member.offset, kLocalBytes);
  if (number_at(local, 0, 4) != kLocal) base::fail_data("{}: the archive is damaged: no member begins there", title);
  const std::uint64_t offset = member.offset + kLocalBytes + number_at(local, 26, 2) + number_at(local, 28, 2);
  if (offset > bytes_ || member.packed > bytes_ - offset) base::fail_data("{}: the data is cut short", title);
  const auto reader =
      std::make_shared<MemberReader>(path_, title, offset, member.packed, member.size, member.crc, member.deflated);
  return [reader](void* dst, std::size_t bytes) { reader->read(dst, bytes); };
}

std::string ZipFile::read(const Member& member) const {
  const auto read = open(member);
  std::string content(member.size, '\0');
  read(content.data(), content.size());
  return content;
}

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
  if (!names_.insert(name).second) base::fail_usage("{}: \"{}\" is there twice", file_.name(), name);
  // Checksum and sizes follow after the data; the sizes have 8 bytes each if this header has a zip64 field.
  const bool large = is_large(size);
  Record record;
  record.add(kLocal, 4).add(kZipVersion, 2).add(kSizesBehind | kUtf8, 2).add(kStored, 2).add(kDate, 4).add(0, 4);
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
    record.add(kEntry, 4)
        .add(kZipVersion, 2)
        .add(kZipVersion, 2)
        .add(kSizesBehind | kUtf8, 2)
        .add(kStored, 2)
        .add(kDate, 4);
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
    record.add(kEnd64, 4).add(kEnd64Bytes - 12, 8).add(kZipVersion, 2).add(kZipVersion, 2).add(0, 4).add(0, 4);
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
