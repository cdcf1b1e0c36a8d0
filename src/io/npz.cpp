#include "io/npz.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace gan::io {

namespace {

constexpr std::string_view kNpyEnding = ".npy";

}  // namespace

NpzFile::NpzFile(const std::string& path)
    : zip_(path, [](std::string_view name) { return name.ends_with(kNpyEnding); }) {
  for (const ZipFile::Member& member : zip_.members())
    names_.push_back(member.name.substr(0, member.name.size() - kNpyEnding.size()));
}

bool NpzFile::has(std::string_view name) const { return std::ranges::find(names_, name) != names_.end(); }

NpyInput NpzFile::open(const std::string& name) const {
  const auto found = std::ranges::find(names_, name);
  if (found == names_.end())
    base::fail_data("{}: has no array \"{}\"{}", path(), name, base::did_you_mean(name, names_));
  const ZipFile::Member& member = zip_.members()[static_cast<std::size_t>(found - names_.begin())];
  return {path() + ": " + name, member.size, zip_.open(member)};
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
  std::uint64_t bytes = 0;  // per element
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
