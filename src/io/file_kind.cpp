#include "io/file_kind.h"

#include <algorithm>
#include <cctype>

#include "base/text.h"

namespace gan::io {

namespace {

struct Magic {
  std::string_view bytes;
  FileKind kind;
  std::size_t offset = 0;
};

constexpr std::string_view kPicture = "give the folder in which it lies", kUnpack = "unpack it and give what was in it",
                           kSheet = "save its sheet as CSV",
                           kArrays = "save its arrays by numpy.savez('FILE.npz', x=IMAGES, y=LABELS)";

constexpr Magic kMagics[] = {
    {"PK\x03\x04", {"a zip archive", "call it FILE.zip if pictures are in it; a workbook can be saved as CSV"}},
    {"\x89PNG", {"a PNG picture", kPicture}},
    {"\xff\xd8\xff", {"a JPEG picture", kPicture}},
    {"GIF8", {"a GIF picture", "pictures are read as PNG, JPEG or WebP"}},
    {"WEBP", {"a WebP picture", kPicture}, 8},
    {"\x93NUMPY", {"a .npy file", "call it FILE.npy"}},
    {"\x89HDF", {"an HDF5 file", kArrays}},
    {"MATLAB", {"a MATLAB file", kArrays}},
    {"PAR1", {"a Parquet file", "save it by pandas: read_parquet('FILE').to_csv('FILE.csv', index=False)"}},
    {"SQLite format 3", {"an SQLite database", "export a table as CSV"}},
    {"\xd0\xcf\x11\xe0", {"a file of an office program", kSheet}},
    {"GGUF", {"a GGUF file", "it holds weights, not data"}},
    {"ustar", {"a tar archive", kUnpack}, 257},
    {"BZh", {"compressed by bzip2", kUnpack}},
    {"\xfd"
     "7zXZ",
     {"compressed by xz", kUnpack}},
    {"\x28\xb5\x2f\xfd", {"compressed by zstd", kUnpack}},
    {"7z\xbc\xaf", {"a 7z archive", kUnpack}},
    {"Rar!", {"a RAR archive", kUnpack}},
    {"%PDF", {"a PDF document", "save its pictures as PNG"}},
};

/// Whether bytes are UTF-8 text without control characters. The last character may be incomplete.
bool is_text(std::string_view begin) {
  const auto is_control = [](unsigned char c) { return std::iscntrl(c) && !std::isspace(c); };
  if (begin.empty() || std::ranges::any_of(begin, is_control)) return false;
  for (std::size_t cut = 0; cut < std::min<std::size_t>(begin.size(), 4); ++cut)
    if (base::is_utf8(begin.substr(0, begin.size() - cut))) return true;
  return false;
}

}  // namespace

FileKind file_kind(std::string_view begin) {
  for (const Magic& magic : kMagics)
    if (begin.size() > magic.offset && begin.substr(magic.offset).starts_with(magic.bytes)) return magic.kind;
  if (begin.size() > 1 && begin[0] == '\x80' && begin[1] >= 2 && begin[1] <= 5) return {"a pickle of Python", kArrays};
  if (!is_text(begin)) return {};
  if (begin[0] == '{' || begin[0] == '[') return {"JSON", "save it as CSV, or beside pictures as metadata.jsonl"};
  return {"text", "call it FILE.csv or FILE.tsv if it is a table"};
}

}  // namespace gan::io
