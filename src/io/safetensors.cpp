#include "io/safetensors.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "io/file_kind.h"

namespace gan::io {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

namespace {

using nlohmann::json;

constexpr std::uint64_t kMaxHeader = 100'000'000;  // bytes; the format's own limit
constexpr const char* kMetadataKey = "__metadata__";

std::string_view format_name(graph::DType dtype) {
  switch (dtype) {
    case graph::DType::f32:
      return "F32";
    case graph::DType::bf16:
      return "BF16";
    case graph::DType::i32:
      return "I32";
  }
  return "?";
}

std::optional<graph::DType> dtype_of(std::string_view name) {
  for (graph::DType dtype : {graph::DType::f32, graph::DType::bf16, graph::DType::i32})
    if (format_name(dtype) == name) return dtype;
  return std::nullopt;
}

// The end of a message about a file of another format, by its first bytes: its kind with a colon in front; "" if it is
// not known.
std::string foreign_format(std::string_view path, std::string_view begin) {
  if (begin.starts_with("PK\x03\x04"))
    return fmt::format(
        ": a zip archive, as .pt files of PyTorch are; to convert one: python3 -c \"import torch; from "
        "safetensors.torch "
        "import save_file; save_file(torch.load('{0}', map_location='cpu'), '{0}.safetensors')\"",
        path);
  if (begin.size() > 2 && begin[0] == 8 && begin[1] > 0 && begin[1] < 32 && begin[2] == 18) return ": an ONNX file";
  const std::string_view name = file_kind(begin).name;
  return name.empty() ? "" : fmt::format(": {}", name);
}

// The description of a tensor in the header; offsets are relative to the end of the header.
struct Entry {
  std::string name;
  graph::TensorType type;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

json parse_header(const std::string& path, const std::string& text) {
  // The parser silently keeps the last of two equal keys, so this callback finds duplicates at every depth.
  std::vector<std::set<std::string>> keys;
  std::string duplicate;
  const auto callback = [&](int, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key && !keys.back().insert(parsed.get_ref<const std::string&>()).second)
      duplicate = parsed.get<std::string>();
    return true;
  };
  json header;
  try {
    header = json::parse(text, callback);
  } catch (const json::parse_error& error) {
    base::fail_data("{}: not a safetensors file: its header is not JSON (near byte {} of {})", path, error.byte,
                    text.size());
  } catch (const json::exception&) {  // such as a number out of range
    base::fail_data("{}: not a safetensors file: its header holds a number out of range", path);
  }
  if (!header.is_object()) base::fail_data("{}: not a safetensors file: its header is not a JSON object", path);
  if (text.front() != '{') base::fail_data("{}: not a safetensors file: its header does not begin with {{", path);
  if (!duplicate.empty()) base::fail_data("{}: \"{}\" is in the header twice", path, duplicate);
  return header;
}

// Parses and checks the description of one tensor.
Entry parse_entry(const std::string& path, const std::string& name, const json& value, std::uint64_t data_bytes) {
  if (!value.is_object()) base::fail_data("{}: tensor \"{}\": its description is not a JSON object", path, name);
  const auto member = [&](const char* key) -> const json& {
    const auto found = value.find(key);
    if (found == value.end()) base::fail_data("{}: tensor \"{}\" has no {}", path, name, key);
    return *found;
  };
  Entry entry{.name = name, .type = {}};

  const json& dtype = member("dtype");
  const std::optional<graph::DType> known =
      dtype.is_string() ? dtype_of(dtype.get_ref<const std::string&>()) : std::nullopt;
  if (!known) base::fail_data("{}: tensor \"{}\" has dtype {}, expected F32, BF16 or I32", path, name, dtype.dump());
  entry.type.dtype = *known;

  const json& shape = member("shape");
  if (!shape.is_array()) base::fail_data("{}: tensor \"{}\": its shape is not a list", path, name);
  std::uint64_t needed = graph::size_of(*known);
  for (const json& length : shape) {
    if (!length.is_number_unsigned() || length.get<std::uint64_t>() > INT64_MAX)
      base::fail_data("{}: tensor \"{}\": its shape has the length {}, expected a whole number of 0 or more", path,
                      name, length.dump());
    entry.type.shape.push_back(length.get<std::int64_t>());
    if (__builtin_mul_overflow(needed, length.get<std::uint64_t>(), &needed))
      base::fail_data("{}: tensor \"{}\": its shape {} is too large", path, name, shape.dump());
  }

  const json& offsets = member("data_offsets");
  if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
      !offsets[1].is_number_unsigned())
    base::fail_data("{}: tensor \"{}\": data_offsets are {}, expected [begin, end]", path, name, offsets.dump());
  entry.begin = offsets[0].get<std::uint64_t>();
  entry.end = offsets[1].get<std::uint64_t>();
  if (entry.begin > entry.end || entry.end > data_bytes)
    base::fail_data("{}: tensor \"{}\" has data_offsets {}, but the file holds {} bytes of data; is it cut short?",
                    path, name, offsets.dump(), data_bytes);
  if (entry.end - entry.begin != needed)
    base::fail_data("{}: tensor \"{}\" of {} needs {} bytes, its data_offsets {} span {}", path, name,
                    graph::to_string(entry.type), needed, offsets.dump(), entry.end - entry.begin);
  return entry;
}

// Sorts the tensors by offset and checks that they fill the data without gaps or overlaps.
void check_layout(const std::string& path, std::vector<Entry>& entries, std::uint64_t data_bytes) {
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  std::uint64_t expected = 0;
  const Entry* previous = nullptr;
  for (const Entry& entry : entries) {
    if (entry.begin < expected)
      base::fail_data("{}: tensors \"{}\" and \"{}\" overlap", path, previous->name, entry.name);
    if (entry.begin > expected)
      base::fail_data("{}: {} bytes before tensor \"{}\" belong to no tensor", path, entry.begin - expected,
                      entry.name);
    expected = entry.end;
    previous = &entry;
  }
  if (expected != data_bytes)
    base::fail_data("{}: {} bytes after the last tensor belong to no tensor", path, data_bytes - expected);
}

}  // namespace

void write_safetensors(const std::string& path, const std::map<std::string, std::string>& metadata,
                       std::span<const NamedArray> tensors) {
  // Large elements come first, as in the format's own library, so that every tensor is aligned to its element.
  std::vector<const NamedArray*> order;
  for (const NamedArray& tensor : tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const NamedArray* a, const NamedArray* b) {
    const std::size_t size_a = graph::size_of(a->array->type().dtype), size_b = graph::size_of(b->array->type().dtype);
    return size_a != size_b ? size_a > size_b : a->name < b->name;
  });

  json header = json::object();
  if (!metadata.empty()) header[kMetadataKey] = metadata;
  std::size_t offset = 0;
  for (const NamedArray* tensor : order) {
    if (tensor->name == kMetadataKey || header.contains(tensor->name))
      base::fail_usage("{}: a second tensor \"{}\" cannot be written", path, tensor->name);
    const graph::TensorType& type = tensor->array->type();
    header[tensor->name] = {
        {"dtype", format_name(type.dtype)}, {"shape", type.shape}, {"data_offsets", {offset, offset + type.bytes()}}};
    offset += type.bytes();
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const json::type_error&) {
    base::fail_usage("{}: a tensor's name or a metadata value is not UTF-8", path);
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the data begins at a multiple of 8
  const std::uint64_t header_bytes = text.size();

  base::AtomicFile file(path);
  file.write(&header_bytes, sizeof header_bytes);
  file.write(text);
  for (const NamedArray* tensor : order) file.write(tensor->array->bytes(), tensor->array->size_bytes());
  file.commit();
}

namespace {

/// A checked header.
struct Header {
  std::map<std::string, std::string> metadata;
  std::vector<Entry> entries;  // in order of the data
};

Header read_header(base::InputFile& file) {
  const std::string& path = file.path();
  std::uint64_t header_bytes = 0;
  if (file.size() < sizeof header_bytes)
    base::fail_data("{}: not a safetensors file: {} bytes, expected 8 or more", path, file.size());
  file.read(&header_bytes, sizeof header_bytes);
  const std::uint64_t rest = file.size() - sizeof header_bytes;
  const std::string foreign = foreign_format(path, {reinterpret_cast<const char*>(&header_bytes), sizeof header_bytes});
  if ((header_bytes > kMaxHeader || header_bytes > rest) && !foreign.empty())
    base::fail_data("{}: not a safetensors file{}", path, foreign);
  if (header_bytes > kMaxHeader || header_bytes > rest)
    base::fail_data(
        "{}: not a whole safetensors file: it announces a header of {} bytes, {} follow (at most {} allowed)", path,
        base::grouped(header_bytes), base::grouped(rest), base::grouped(kMaxHeader));
  std::string text(header_bytes, '\0');
  file.read(text.data(), text.size());
  const std::uint64_t data_bytes = rest - header_bytes;
  const json header = parse_header(path, text);

  Header out;
  for (const auto& [name, value] : header.items()) {
    if (name != kMetadataKey) {
      out.entries.push_back(parse_entry(path, name, value, data_bytes));
      continue;
    }
    if (!value.is_object()) base::fail_data("{}: {} is not a JSON object", path, kMetadataKey);
    for (const auto& [key, entry] : value.items()) {
      if (!entry.is_string()) base::fail_data("{}: metadata \"{}\" is not a string", path, key);
      out.metadata[key] = entry.get<std::string>();
    }
  }
  check_layout(path, out.entries, data_bytes);
  return out;
}

}  // namespace

Safetensors read_safetensors(const std::string& path, std::string_view leave_out) {
  base::InputFile file(path);
  return read_safetensors(file, leave_out);
}

std::map<std::string, std::string> read_metadata(const std::string& path) {
  base::InputFile file(path);
  return read_header(file).metadata;
}

Safetensors read_safetensors(base::InputFile& file, std::string_view leave_out) {
  const Header header = read_header(file);
  const std::vector<Entry>& entries = header.entries;
  Safetensors out{header.metadata, {}};
  const auto left_out = [&](const Entry& entry) { return !leave_out.empty() && entry.name.starts_with(leave_out); };
  std::vector<graph::TensorType> types;
  for (const Entry& entry : entries)
    if (!left_out(entry)) types.push_back(entry.type);
  std::vector<runtime::Array> arrays = runtime::allocate_together(types);
  auto next = arrays.begin();
  for (const Entry& entry : entries) {
    if (left_out(entry)) {
      file.skip(entry.type.bytes());
      continue;
    }
    file.read(next->bytes(), next->size_bytes());
    out.tensors.emplace(entry.name, std::move(*next++));
  }
  return out;
}

void require_finite(const std::string& name, const runtime::Array& array) {
  const auto refuse = [&](std::size_t index, float value) {
    base::fail_data("tensor \"{}\" holds {} at element {}, expected finite numbers", name, value, index);
  };
  if (array.type().dtype == graph::DType::f32) {
    const std::span<const float> values = array.f32();
    // A loop without branches is vectorized; the element is then located by a second loop.
    constexpr std::uint32_t kExponentBits = 0x7F800000u;
    std::uint32_t bad = 0;
    for (const float value : values)
      bad |= (std::bit_cast<std::uint32_t>(value) & kExponentBits) == kExponentBits ? 1 : 0;
    if (bad == 0) return;
    for (std::size_t i = 0; i < values.size(); ++i)
      if (!std::isfinite(values[i])) refuse(i, values[i]);
  } else if (array.type().dtype == graph::DType::bf16) {
    const std::span<const std::uint16_t> values = array.bf16();
    for (std::size_t i = 0; i < values.size(); ++i) {
      const float value = std::bit_cast<float>(std::uint32_t{values[i]} << 16);
      if (!std::isfinite(value)) refuse(i, value);
    }
  }
}

}  // namespace gan::io
