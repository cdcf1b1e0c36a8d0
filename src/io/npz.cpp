#include "io/npz.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "base/text.h"
#include "io/expansion.h"
#include "io/zip.h"

namespace gan::io {

namespace {

using namespace zip;

// The little-endian number of `bytes` bytes at `at`, which the caller has checked to be inside.
std::uint64_t number_at(std::string_view text, std::uint64_t at, int bytes) {
  std::uint64_t value = 0;
  std::memcpy(&value, text.data() + at, static_cast<std::size_t>(bytes));
  return value;
}

// Reads `bytes` bytes at `offset`.
std::string read_at(const std::string& path, std::uint64_t offset, std::uint64_t bytes) {
  base::InputFile file(path);
  if (offset > file.size() || bytes > file.size() - offset) base::fail_data("{}: the archive is damaged", path);
  file.skip(offset);
  std::string text(bytes, '\0');
  file.read(text.data(), text.size());
  return text;
}

// Takes zip64's value for those that are kIn64, in the order in which the extra field has them.
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

// The content of a member, read from front to back.
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
    if (bytes > left_) base::fail_data("{}: ends {} early", name_, bytes - left_);
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

NpzFile::NpzFile(const std::string& path) : path_(path) {
  const std::uint64_t file_bytes = base::InputFile(path).size();
  const std::uint64_t tail_bytes = std::min<std::uint64_t>(file_bytes, kEndBytes + 0xffff + kLocator64Bytes);
  const std::string tail = read_at(path, file_bytes - tail_bytes, tail_bytes);
  // The end record is followed by a comment of the announced length.
  std::uint64_t end = tail.size() < kEndBytes ? std::string::npos : tail.size() - kEndBytes;
  while (end != std::string::npos &&
         (number_at(tail, end, 4) != kEnd || end + kEndBytes + number_at(tail, end + 20, 2) != tail.size()))
    end = end == 0 ? std::string::npos : end - 1;
  if (end == std::string::npos)
    base::fail_data("{}: not a .npz file, or cut short: it has no end of a zip archive", path);
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
  read_list(read_at(path, list, list_bytes), entries, file_bytes);
}

void NpzFile::read_list(const std::string& list, std::uint64_t entries, std::uint64_t file_bytes) {
  constexpr std::uint64_t kMostEntries = 10'000;
  if (entries > kMostEntries)
    base::fail_data("{}: {} members, at most {} are read", path_, base::grouped(entries), base::grouped(kMostEntries));
  std::uint64_t at = 0, all_packed = 0;
  for (std::uint64_t i = 0; i < entries; ++i) {
    if (at > list.size() || list.size() - at < kEntryBytes || number_at(list, at, 4) != kEntry)
      base::fail_data("{}: the archive is damaged: its list is cut short", path_);
    const std::uint64_t flags = number_at(list, at + 8, 2), method = number_at(list, at + 10, 2),
                        name_bytes = number_at(list, at + 28, 2), extra_bytes = number_at(list, at + 30, 2),
                        comment_bytes = number_at(list, at + 32, 2);
    Member member{method == kDeflated, static_cast<std::uint32_t>(number_at(list, at + 16, 4)),
                  number_at(list, at + 20, 4), number_at(list, at + 24, 4), number_at(list, at + 42, 4)};
    at += kEntryBytes;
    if (list.size() - at < name_bytes + extra_bytes + comment_bytes)
      base::fail_data("{}: the archive is damaged: its list is cut short", path_);
    std::string name = list.substr(at, name_bytes);
    take_zip64(std::string_view(list).substr(at + name_bytes, extra_bytes),
               {&member.size, &member.packed, &member.offset});
    at += name_bytes + extra_bytes + comment_bytes;
    if (!name.ends_with(".npy")) continue;
    name.resize(name.size() - 4);
    if (!base::is_plain(name))
      base::fail_data("{}: the name of array {} is not UTF-8 or has control characters", path_, i + 1);
    if (has(name)) base::fail_data("{}: the array \"{}\" is there twice", path_, name);
    if (flags & kEncrypted) base::fail_data("{}: {} is encrypted", path_, name);
    if (method != kStored && method != kDeflated)
      base::fail_data("{}: {} is compressed by method {}, expected stored or deflated: use numpy.savez", path_, name,
                      method);
    if (!member.deflated && member.size != member.packed)
      base::fail_data("{}: {} is damaged: {} bytes are stored in {}", path_, name, member.size, member.packed);
    if (expands_too_much(member.packed, member.size))
      base::fail_data("{}: {} expands {} to {}, more than {} times; save it with numpy.savez", path_, name,
                      base::counted(static_cast<std::int64_t>(member.packed), "byte"), base::grouped(member.size),
                      kMostExpansion);
    if (member.packed > file_bytes || __builtin_add_overflow(all_packed, member.packed, &all_packed) ||
        all_packed > file_bytes)
      base::fail_data("{}: its arrays are larger than the file: damaged, or members overlap", path_);
    names_.push_back(std::move(name));
    members_.push_back(member);
  }
}

bool NpzFile::has(std::string_view name) const { return std::ranges::find(names_, name) != names_.end(); }

NpyInput NpzFile::open(const std::string& name) const {
  const auto found = std::ranges::find(names_, name);
  if (found == names_.end())
    base::fail_data("{}: has no array \"{}\"{}", path_, name, base::did_you_mean(name, names_));
  const Member& member = members_[static_cast<std::size_t>(found - names_.begin())];
  const std::string title = path_ + ": " + name;
  const std::string local = read_at(path_, member.offset, kLocalBytes);
  if (number_at(local, 0, 4) != kLocal) base::fail_data("{}: the archive is damaged: no array begins there", title);
  const std::uint64_t offset = member.offset + kLocalBytes + number_at(local, 26, 2) + number_at(local, 28, 2);
  const std::uint64_t file_bytes = base::InputFile(path_).size();
  if (offset > file_bytes || member.packed > file_bytes - offset) base::fail_data("{}: the data is cut short", title);
  const auto reader =
      std::make_shared<MemberReader>(path_, title, offset, member.packed, member.size, member.crc, member.deflated);
  return {title, member.size, [reader](void* dst, std::size_t bytes) { reader->read(dst, bytes); }};
}

std::u32string code_points(std::string_view text) {
  std::u32string codes;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80 || byte >= 0xc0)  // the first byte of a code point
      codes += static_cast<char32_t>(byte < 0x80 ? byte : byte < 0xe0 ? byte & 31 : byte < 0xf0 ? byte & 15 : byte & 7);
    else if (!codes.empty())
      codes.back() = codes.back() << 6 | (byte & 63);
  }
  return codes;
}

NpzWriter::NpzWriter(const base::Destination& destination) : zip_(destination) {}

void NpzWriter::begin(const std::string& name, std::string_view descr, const graph::Shape& shape) {
  const std::string header = npy_header(descr, shape);
  std::uint64_t bytes = 0;  // of an element
  for (const char c : descr.substr(2)) bytes = 10 * bytes + static_cast<std::uint64_t>(c - '0');
  if (descr[1] == 'U') bytes *= 4;
  zip_.begin(name + ".npy", bytes * static_cast<std::uint64_t>(graph::element_count(shape)) + header.size());
  zip_.write(header.data(), header.size());
}

void NpzWriter::add(const std::string& name, std::span<const float> values) {
  begin(name, "<f4", {static_cast<std::int64_t>(values.size())});
  write(values);
}

void NpzWriter::add(const std::string& name, std::span<const std::int32_t> values) {
  begin(name, "<i4", {static_cast<std::int64_t>(values.size())});
  write(values);
}

void NpzWriter::add(const std::string& name, std::span<const std::string> values) {
  std::size_t longest = 1;
  for (const std::string& value : values) longest = std::max(longest, code_points(value).size());
  begin(name, fmt::format("<U{}", longest), {static_cast<std::int64_t>(values.size())});
  for (const std::string& value : values) {
    std::u32string codes = code_points(value);
    codes.resize(longest);
    write(codes.data(), 4 * longest);
  }
}

}  // namespace gan::io
