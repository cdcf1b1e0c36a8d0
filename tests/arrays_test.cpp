#include <gtest/gtest.h>
#include <zlib.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "data/source.h"
#include "file_helpers.h"
#include "io/npy.h"
#include "io/npz.h"

namespace gan {
namespace {

using base::ErrorKind;
using data::Dataset;
using data::open_source;
using data::Split;
using test::counting;
using test::deflated;
using test::expect_error;
using test::idx;
using test::put;
using test::TemporaryFolder;

template <typename T>
std::string raw(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

std::string reversed(const std::string& bytes, std::size_t size) {
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += size) {
    const std::string element = bytes.substr(i, size);
    out.append(element.rbegin(), element.rend());
  }
  return out;
}

std::string npy(const std::string& descr, const std::string& shape, const std::string& data, bool fortran = false) {
  const std::string header =
      "{'descr': '" + descr + "', 'fortran_order': " + (fortran ? "True" : "False") + ", 'shape': (" + shape + "), }\n";
  return std::string("\x93NUMPY\1\0", 8) + static_cast<char>(header.size() & 0xff) +
         static_cast<char>(header.size() >> 8) + header + data;
}

std::string little(std::uint64_t value, std::size_t bytes) { return {reinterpret_cast<const char*>(&value), bytes}; }

// A member of a zip archive, which may lie.
struct Member {
  std::string name, content;
  bool compressed = false;
  std::uint64_t flags = 0, method = 0, size = 0;  // 0: the true one
  bool zip64 = false, bad_crc = false;
  std::string packed = "";  // "": the content, compressed or not
};

std::string zip(const std::vector<Member>& members, bool zip64_end = false) {
  std::string out, list;
  for (const Member& m : members) {
    const std::uint64_t offset = out.size(), method = m.method != 0 ? m.method : m.compressed ? 8 : 0;
    const std::string packed = !m.packed.empty() ? m.packed : m.compressed ? deflated(m.content) : m.content;
    const std::uint64_t size = m.size != 0 ? m.size : m.content.size(), crc_flip = m.bad_crc;
    const std::uint64_t crc = crc32_z(0, reinterpret_cast<const Bytef*>(m.content.data()), m.content.size()) ^ crc_flip;
    out += "PK\3\4" + little(20, 2) + little(m.flags, 2) + little(method, 2) + little(0, 4) + little(crc, 4) +
           little(packed.size(), 4) + little(size, 4) + little(m.name.size(), 2) + little(0, 2) + m.name + packed;
    const std::string extra =
        m.zip64 ? little(1, 2) + little(24, 2) + little(size, 8) + little(packed.size(), 8) + little(offset, 8) : "";
    const auto field = [&](std::uint64_t value) { return little(m.zip64 ? 0xffffffff : value, 4); };
    list += "PK\1\2" + little(20, 2) + little(20, 2) + little(m.flags, 2) + little(method, 2) + little(0, 4) +
            little(crc, 4) + field(packed.size()) + field(size) + little(m.name.size(), 2) + little(extra.size(), 2) +
            little(0, 6) + little(0, 4) + field(offset) + m.name + extra;
  }
  std::string end;
  if (zip64_end)
    end = "PK\6\6" + little(44, 8) + little(45, 2) + little(45, 2) + little(0, 8) + little(members.size(), 8) +
          little(members.size(), 8) + little(list.size(), 8) + little(out.size(), 8) + "PK\6\7" + little(0, 4) +
          little(out.size() + list.size(), 8) + little(1, 4);
  const auto field = [&](std::uint64_t value, std::size_t bytes) {
    return little(zip64_end ? ~std::uint64_t{0} : value, bytes);
  };
  end += "PK\5\6" + little(0, 4) + field(members.size(), 2) + field(members.size(), 2) + field(list.size(), 4) +
         field(out.size(), 4) + little(0, 2);
  return out + list + end;
}

std::vector<int> bytes_of(const Dataset& dataset) {
  const auto size = static_cast<std::size_t>(dataset.count() * graph::element_count(dataset.sample_shape));
  return {dataset.pixels.get(), dataset.pixels.get() + size};
}

std::vector<int> labels_of(const Dataset& dataset) { return {dataset.labels().begin(), dataset.labels().end()}; }

// ---- io/npy: any type ----

TEST(NpyInput, EveryType) {
  TemporaryFolder folder;
  const auto read = [&](const std::string& descr, const std::string& data) {
    io::NpyInput input(put(folder / "x.npy", npy(descr, "3,", data)));
    std::vector<double> values(3);
    input.read(values);
    return values;
  };
  const std::vector<double> whole = {0, 1, 100};
  EXPECT_EQ(read("|b1", raw<std::uint8_t>({0, 1, 1})), (std::vector<double>{0, 1, 1}));
  EXPECT_EQ(read("|u1", raw<std::uint8_t>({0, 1, 200})), (std::vector<double>{0, 1, 200}));
  EXPECT_EQ(read("|i1", raw<std::int8_t>({0, 1, -100})), (std::vector<double>{0, 1, -100}));
  const std::pair<std::string, std::string> types[] = {{"u2", raw<std::uint16_t>({0, 1, 100})},
                                                       {"i2", raw<std::int16_t>({0, 1, 100})},
                                                       {"u4", raw<std::uint32_t>({0, 1, 100})},
                                                       {"i4", raw<std::int32_t>({0, 1, 100})},
                                                       {"u8", raw<std::uint64_t>({0, 1, 100})},
                                                       {"i8", raw<std::int64_t>({0, 1, 100})},
                                                       {"f4", raw<float>({0, 1, 100})},
                                                       {"f8", raw<double>({0, 1, 100})},
                                                       {"f2", raw<std::uint16_t>({0, 0x3c00, 0x5640})}};
  for (const auto& [type, data] : types) {
    EXPECT_EQ(read("<" + type, data), whole) << type;
    EXPECT_EQ(read(">" + type, reversed(data, static_cast<std::size_t>(type[1] - '0'))), whole) << type;
  }
  const std::vector<double> halves = read("<f2", raw<std::uint16_t>({0x0001, 0xc000, 0x7c00}));
  EXPECT_EQ(halves[0], std::ldexp(1.0, -24));
  EXPECT_EQ(halves[1], -2);
  EXPECT_TRUE(std::isinf(halves[2]));
}

TEST(NpyInput, Text) {
  TemporaryFolder folder;
  io::NpyInput wide(put(folder / "x", npy("<U2", "2,", raw<char32_t>({U'a', 0, U'\u00e9', U'\U0001f600'}))));
  EXPECT_TRUE(wide.is_text());
  EXPECT_EQ(wide.read_text(2), (std::vector<std::string>{"a", "\xc3\xa9\xf0\x9f\x98\x80"}));
  io::NpyInput big(put(folder / "x", npy(">U1", "1,", reversed(raw<char32_t>({U'\u4e2d'}), 4))));
  EXPECT_EQ(big.read_text(1), (std::vector<std::string>{"\xe4\xb8\xad"}));
  io::NpyInput bytes(put(folder / "x", npy("|S3", "2,", std::string("ab\0cde", 6))));
  EXPECT_EQ(bytes.read_text(2), (std::vector<std::string>{"ab", "cde"}));
}

TEST(NpyInputBadInput, Files) {
  TemporaryFolder folder;
  const std::pair<std::string, const char*> cases[] = {
      {npy("|O", "1,", "x"), "Python objects (a pickle), which are not read"},
      {npy("<f4", "1, 1", "1234", true), "Fortran order, expected C order: save numpy.ascontiguousarray"},
      {npy("<c8", "1,", "12345678"), "type \"<c8\", expected booleans, integers, floats or strings"},
      {npy("<f16", "1,", "1234567812345678"), "type \"<f16\""},
      {npy("<M8", "1,", "12345678"), "type \"<M8\""},
      {npy("<U0", "1,", ""), "type \"<U0\""},
      {npy("<f4", "2,", "1234"), "needs 8 bytes of data, the file holds 4"},
      {npy("<f4", "9223372036854775807, 2", "1234"), "is too large"},
      {npy("<U99999999", "9223372036854775807", "1234"), "type \"<U99999999\""},
  };
  for (const auto& [content, message] : cases)
    expect_error(ErrorKind::data, message, [&] { io::NpyInput(put(folder / "x.npy", content)); });
  io::NpyInput text(put(folder / "x", npy("<U1", "1,", raw<std::uint32_t>({0x110000}))));
  expect_error(ErrorKind::data, "item 0 is not Unicode text", [&] { text.read_text(1); });
}

// ---- io/npz ----

TEST(Npz, StoredDeflatedAndZip64) {
  TemporaryFolder folder;
  const std::string x = npy("<f4", "2,", raw<float>({1.5f, -2})), y = npy("|u1", "3,", "\1\2\3");
  for (const bool compressed : {false, true})
    for (const bool zip64 : {false, true}) {
      const std::string path =
          put(folder / "a.npz", zip({{.name = "x.npy", .content = x, .compressed = compressed, .zip64 = zip64},
                                     {.name = "note.txt", .content = "hello"},
                                     {.name = "y.npy", .content = y, .compressed = compressed, .zip64 = zip64}},
                                    zip64));
      const io::NpzFile file(path);
      EXPECT_EQ(file.names(), (std::vector<std::string>{"x", "y"}));
      std::vector<double> values(2);
      file.open("x").read(values);
      EXPECT_EQ(values, (std::vector<double>{1.5, -2}));
      std::vector<std::uint8_t> bytes(3);
      file.open("y").read(std::span(bytes));
      EXPECT_EQ(bytes, (std::vector<std::uint8_t>{1, 2, 3}));
    }
}

TEST(Npz, WrittenArraysAreReadBack) {
  TemporaryFolder folder;
  io::NpzWriter writer(folder / "a.npz");
  writer.begin("images", "|u1", {3, 2});
  for (const char* piece : {"ab", "cdef"}) writer.write(piece, std::string(piece).size());
  writer.add("angle", std::vector<float>{0.5f, 1, 2});
  writer.add("label", std::vector<std::int32_t>{-1, 7, 0});
  writer.add("kind", std::vector<std::string>{"a", "caf\xc3\xa9", ""});
  EXPECT_FALSE(std::filesystem::exists(folder / "a.npz"));
  writer.commit();
  const io::NpzFile file(folder / "a.npz");
  EXPECT_EQ(file.names(), (std::vector<std::string>{"images", "angle", "label", "kind"}));
  io::NpyInput images = file.open("images");
  EXPECT_EQ(images.shape(), (graph::Shape{3, 2}));
  std::vector<std::uint8_t> bytes(6);
  images.read(std::span(bytes));
  EXPECT_EQ(std::string(bytes.begin(), bytes.end()), "abcdef");
  std::vector<double> values(3);
  file.open("angle").read(values);
  EXPECT_EQ(values, (std::vector<double>{0.5, 1, 2}));
  file.open("label").read(values);
  EXPECT_EQ(values, (std::vector<double>{-1, 7, 0}));
  EXPECT_EQ(file.open("kind").read_text(3), (std::vector<std::string>{"a", "caf\xc3\xa9", ""}));
}

TEST(NpzBadInput, WritingRefuses) {
  TemporaryFolder folder;
  {
    io::NpzWriter writer(folder / "a.npz");
    writer.begin("x", "<f4", {2});
    writer.write(std::span<const float>(std::vector<float>{1}));
    expect_error(ErrorKind::usage, "of x.npy, expected", [&] { writer.commit(); });
    expect_error(ErrorKind::usage, "of x.npy, expected", [&] { writer.begin("y", "<f4", {2}); });
  }
  {
    io::NpzWriter writer(folder / "a.npz");
    writer.add("x", std::vector<float>{1});
    expect_error(ErrorKind::usage, "\"x.npy\" is there twice", [&] { writer.add("x", std::vector<float>{1}); });
  }
  EXPECT_EQ(folder.entries(), 0);
  expect_error(ErrorKind::data, "cannot be written", [&] { io::NpzWriter(folder / "no/a.npz"); });
}

TEST(NpzBadInput, Archives) {
  TemporaryFolder folder;
  const std::string x = npy("<f4", "2,", raw<float>({1.5f, -2}));
  const std::string zeros = npy("|u1", "300000000,", "");
  const auto read = [&](const std::string& content) {
    const io::NpzFile file(put(folder / "a.npz", content));
    io::NpyInput input = file.open("x");
    std::vector<double> values(static_cast<std::size_t>(input.elements()));
    input.read(values);
  };
  const std::pair<std::string, const char*> cases[] = {
      {"", "not a .npz file"},
      {"text that is no archive, but long enough to be one", "not a .npz file, or cut short"},
      {zip({}), "has no array \"x\""},
      {zip({{.name = "y.npy", .content = x}}), "has no array \"x\"; did you mean \"y\"?"},
      {zip({{.name = "x.npy", .content = x, .flags = 1}}), "is encrypted"},
      {zip({{.name = "x.npy", .content = x, .method = 12}}), "method 12, expected stored or deflated"},
      {zip({{.name = "x.npy", .content = x, .bad_crc = true}}), "the checksum is wrong"},
      {zip({{.name = "x.npy", .content = x, .compressed = true, .bad_crc = true}}), "the checksum is wrong"},
      {zip({{.name = "x.npy", .content = x}, {.name = "x.npy", .content = x}}), "\"x.npy\" is there twice"},
      {zip({{.name = "x\n.npy", .content = x}}), "control characters"},
      {zip({{.name = "x.npy", .content = x, .size = 1000}}), "1000 bytes are stored in"},
      {zip({{.name = "x.npy", .content = x, .compressed = true, .size = 1000}}), "needs 8 bytes of data"},
      {zip({{.name = "x.npy",
             .content = npy("<f4", "200,", ""),
             .compressed = true,
             .size = npy("<f4", "200,", "").size() + 800}}),
       "the compressed data is shorter than announced"},
      {zip({{.name = "x.npy", .content = zeros, .compressed = true, .size = zeros.size() + 300'000'000}}),
       "more than 200 times; store it uncompressed"},
      {zip({{.name = "x.npy", .content = x, .compressed = true, .size = std::uint64_t{1} << 62, .zip64 = true}}),
       "more than 200 times"},
      {zip({{.name = "x.npy", .content = x, .compressed = true, .packed = "\xff\xff\xff\xff"}}), "data is damaged"},
      {zip({{.name = "x.npy", .content = npy("|O", "1,", "pickle")}}),
       "a.npz: x: the array has type \"|O\": Python objects"},
      {zip({{.name = "x.npy", .content = npy("<f4", "1, 1", "1234", true)}}), "Fortran order"},
      {zip({{.name = "x.npy", .content = "not an array"}}), "not a .npy file"},
  };
  for (const auto& [content, message] : cases) {
    SCOPED_TRACE(message);
    expect_error(ErrorKind::data, message, [&] { read(content); });
  }
}

TEST(NpzBadInput, CutOrChangedAtEveryByte) {
  TemporaryFolder folder;
  const std::string x = npy("<f4", "2,", raw<float>({1.5f, -2}));
  for (const bool zip64 : {false, true}) {
    const std::string whole = zip({{.name = "x.npy", .content = x, .compressed = zip64, .zip64 = zip64}}, zip64);
    const auto read = [&](const std::string& content) {
      const io::NpzFile file(put(folder / "a.npz", content));
      std::vector<double> values(2);
      io::NpyInput input = file.open("x");
      if (input.elements() == 2) input.read(values);
    };
    for (std::size_t length = 0; length < whole.size(); ++length)
      expect_error(ErrorKind::data, "a.npz", [&] { read(whole.substr(0, length)); });
    for (std::size_t at = 0; at < whole.size(); ++at)
      for (const int flip : {1, 0x80, 0xff}) {
        std::string changed = whole;
        changed[at] = static_cast<char>(changed[at] ^ flip);
        try {
          read(changed);  // some bytes do not matter
        } catch (const base::Error& error) {
          EXPECT_EQ(error.kind(), ErrorKind::data) << error.what();
        }
      }
  }
}

// ---- arrays as sources ----

TEST(Arrays, ImagesOfEveryLayout) {
  TemporaryFolder folder;
  const auto open = [&](const char* shape, std::size_t bytes) {
    return open_source(put(folder / "x.npy", npy("|u1", shape, counting(bytes))));
  };
  const Dataset grey = open("2, 3, 5", 30);
  EXPECT_EQ(grey.name, "arrays");
  EXPECT_EQ(grey.sample_shape, (graph::Shape{1, 3, 5}));
  EXPECT_EQ(grey.count(), 2);
  EXPECT_TRUE(grey.units.bytes());
  EXPECT_TRUE(grey.condition.empty());
  EXPECT_EQ(bytes_of(grey)[29], 29);
  const Dataset last = open("2, 5, 6, 3", 180);
  EXPECT_EQ(last.sample_shape, (graph::Shape{3, 5, 6}));
  EXPECT_EQ(bytes_of(last)[179], 179);
  const Dataset first = open("2, 3, 5, 6", 180);
  EXPECT_EQ(first.sample_shape, (graph::Shape{3, 5, 6}));
  std::vector<float> image(90);
  first.copy_sample(1, image.data());  // [C, H, W], as it was stored
  for (std::size_t i = 0; i < 90; ++i) EXPECT_EQ(image[i], static_cast<float>(90 + i) / 127.5f - 1.0f);
  EXPECT_TRUE(first.notes.empty());
  const Dataset either = open("2, 3, 5, 2", 60);
  EXPECT_EQ(either.sample_shape, (graph::Shape{2, 3, 5}));
  ASSERT_EQ(either.notes.size(), 1u);
  EXPECT_EQ(either.notes[0].find("the shape [2, 3, 5, 2] is read as [N, H, W, C]"), 0u);
}

TEST(Arrays, ImagesOfOtherTypesAreScaledByAStatedRule) {
  TemporaryFolder folder;
  const auto check = [&](const std::string& descr, const std::string& data, double low, double high,
                         const std::vector<int>& bytes) {
    SCOPED_TRACE(descr);
    const Dataset dataset = open_source(put(folder / "x.npy", npy(descr, "2, 1, 2", data)));
    EXPECT_EQ(dataset.units.low, low);
    EXPECT_EQ(dataset.units.high, high);
    EXPECT_EQ(bytes_of(dataset), bytes);
    EXPECT_EQ(dataset.notes.size(), 1u);
  };
  check("<f4", raw<float>({0, 0.5f, 0.25f, 0.75f}), 0, 1, {0, 128, 64, 191});
  check("<f8", raw<double>({-1, 1, 0, 0.5}), -1, 1, {0, 255, 128, 191});
  check("<f4", raw<float>({-3, 1, 0, 7}), -3, 7, {0, 102, 77, 255});
  check("<f4", raw<float>({0, 255, 3, 100}), 0, 255, {0, 255, 3, 100});
  check("<i8", raw<std::int64_t>({1, 254, 3, 100}), 0, 255, {1, 254, 3, 100});
  check("<u2", raw<std::uint16_t>({0, 65535, 257, 32896}), 0, 65535, {0, 255, 1, 128});
  check("<i2", raw<std::int16_t>({-100, 100, 0, 50}), -100, 100, {0, 255, 128, 191});
  check("|b1", raw<std::uint8_t>({0, 1, 1, 0}), 0, 1, {0, 255, 255, 0});
  check("<f8", raw<double>({-1e30, 1e30, 0, 1e30}), -1e30, 1e30, {0, 255, 128, 255});
}

TEST(Arrays, MoreImagesThanAPiece) {
  TemporaryFolder folder;
  std::vector<float> values(3 * 250 * 250);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 256);
  const Dataset dataset = open_source(put(folder / "x.npy", npy("<f4", "3, 250, 250", raw(values))));
  const std::vector<int> bytes = bytes_of(dataset);
  for (std::size_t i = 0; i < values.size(); ++i) ASSERT_EQ(bytes[i], i % 256);
}

TEST(Arrays, ImagesAreTransposedOnRequest) {
  TemporaryFolder folder;
  const std::string path = put(folder / "x.npy", npy("|u1", "1, 2, 3", counting(6)));
  const Dataset dataset = open_source(path, {.read = {.transpose = true}});
  EXPECT_EQ(dataset.sample_shape, (graph::Shape{1, 3, 2}));
  EXPECT_EQ(bytes_of(dataset), (std::vector<int>{0, 3, 1, 4, 2, 5}));
}

TEST(Arrays, Vectors) {
  TemporaryFolder folder;
  const std::string path = put(folder / "x.npy", npy("<f8", "3, 2", raw<double>({1, 10, 2, 20, 3, 60})));
  const Dataset dataset = open_source(path);
  EXPECT_EQ(dataset.sample_shape, graph::Shape{2});
  EXPECT_EQ(dataset.units.columns[1].name, "x1");
  EXPECT_NEAR(dataset.points[0], -1 / std::sqrt(2.0 / 3), 1e-6);
  EXPECT_NEAR(dataset.units.columns[1].scaling.undo(dataset.points[5]), 60, 1e-4);
  const Dataset one = open_source(path, {.read = {.target = "x1", .scaling = "x1:minmax"}});
  EXPECT_EQ(one.points, (std::vector<float>{-1, -0.6f, 1}));
  EXPECT_EQ(open_source(put(folder / "x.npy", npy("<f4", "2,", raw<float>({1, 2})))).sample_shape, graph::Shape{1});
}

TEST(Arrays, LabelsByASecondPath) {
  TemporaryFolder folder;
  const std::string x = put(folder / "x.npy", npy("|u1", "4, 1, 1", "abcd"));
  const auto open = [&](const std::string& labels, const data::ReadOptions& read = {}) {
    return open_source(x + "," + put(folder / "y.npy", labels), {.read = read});
  };
  const Dataset labels = open(npy("<i8", "4,", raw<std::int64_t>({7, -3, 200, 7})));
  EXPECT_EQ(labels.condition.class_names(), (std::vector<std::string>{"-3", "7", "200"}));
  EXPECT_EQ(labels_of(labels), (std::vector<int>{1, 0, 2, 1}));
  EXPECT_EQ(open(npy("|u1", "4, 1", std::string("\0\1\0\1", 4))).condition.columns[0].name, "label");
  const Dataset words =
      open(npy("<U3", "4,", raw<char32_t>({U'c', U'a', U't', U'a', 0, 0, U'c', U'a', U't', U'b', 0, 0})));
  EXPECT_EQ(words.condition.class_names(), (std::vector<std::string>{"a", "b", "cat"}));
  const Dataset value = open(npy("<f4", "4,", raw<float>({0.5f, 1, 2, 3})), {.condition = "value"});
  EXPECT_TRUE(value.condition.columns[0].is_numeric());
  EXPECT_EQ(std::get<std::vector<float>>(value.rows.columns[0]), (std::vector<float>{0.5f, 1, 2, 3}));
  const Dataset several =
      open(npy("<i4", "4, 2", raw<std::int32_t>({0, 5, 1, 9, 1, 5, 0, 7})), {.condition = "label1,label0"});
  EXPECT_EQ(several.condition.columns[0].names, (std::vector<std::string>{"5", "7", "9"}));
  EXPECT_EQ(several.condition.columns[1].categories, 2);
  const Dataset angle =
      open(npy("<i4", "4,", raw<std::int32_t>({0, 90, 180, 270})), {.condition = "label", .periodic = "label:360"});
  EXPECT_EQ(angle.condition.columns[0].number.period, 360);
  put(folder / "classes.txt", "one\ntwo\n");
  EXPECT_EQ(open(npy("|u1", "4,", std::string("\0\1\0\1", 4))).condition.class_names(),
            (std::vector<std::string>{"one", "two"}));
}

TEST(Arrays, ColumnsOfATableBeside) {
  TemporaryFolder folder;
  const std::string spec = put(folder / "x.npy", npy("|u1", "3, 1, 1", counting(3))) + "," + folder / "y.csv";
  put(folder / "y.csv", "label,age,id\ncat,1.5,a\ndog,2.5,\ncat,4,c\n");
  const data::Dataset labelled = data::open_source(spec);
  EXPECT_EQ(labelled.condition.class_names(), (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(std::vector<std::int32_t>(labelled.labels().begin(), labelled.labels().end()),
            (std::vector<std::int32_t>{0, 1, 0}));
  data::SourceOptions options;
  options.read.condition = "age";
  const data::Dataset aged = data::open_source(spec, options);
  EXPECT_EQ(std::get<std::vector<float>>(aged.rows.columns.at(0)), (std::vector<float>{1.5f, 2.5f, 4}));
  options.read.condition = "id";
  expect_error(ErrorKind::data, "y.csv: line 3, column id: the value is missing",
               [&] { data::open_source(spec, options); });
  options.read.condition = "ages";
  expect_error(ErrorKind::usage, "did you mean \"age\"", [&] { data::open_source(spec, options); });
  put(folder / "y.csv", "label\ncat\n");
  expect_error(ErrorKind::data, "y.csv: 1 row below the header for 3 images", [&] { data::open_source(spec); });
  options.labels = false;
  options.read.condition = "";
  EXPECT_EQ(data::open_source(spec, options).items, 3);
}

TEST(Arrays, NpzNamesSayWhatIsWhat) {
  TemporaryFolder folder;
  const std::string images = npy("|u1", "4, 1, 1", "abcd"), y = npy("|u1", "4,", std::string("\0\1\1\0", 4));
  for (const char* name : {"x", "images", "data", "samples", "arr_0"})
    EXPECT_EQ(open_source(put(folder / "a.npz", zip({{.name = "labels.npy", .content = y, .compressed = true},
                                                     {.name = std::string(name) + ".npy", .content = images}})))
                  .classes(),
              2)
        << name;
  const std::string path =
      put(folder / "a.npz", zip({{.name = "images.npy", .content = images},
                                 {.name = "angle.npy", .content = npy("<f4", "4,", raw<float>({0, 1, 2, 5}))},
                                 {.name = "kind.npy", .content = npy("|i1", "4,", "\3\3\4\5")},
                                 {.name = "other.npy", .content = npy("|u1", "2,", "ab")},
                                 {.name = "objects.npy", .content = npy("|O", "4,", "pickle")}}));
  const Dataset dataset = open_source(path, {.read = {.condition = "kind,angle"}});
  EXPECT_EQ(dataset.condition.columns[0].names, (std::vector<std::string>{"3", "4", "5"}));
  EXPECT_EQ(dataset.condition.columns[1].number.maximum, 5);
  const Dataset plain = open_source(path);
  EXPECT_TRUE(plain.condition.empty());
  EXPECT_NE(plain.notes[0].find("other: 2 values for 4 images"), std::string::npos);
  EXPECT_NE(plain.notes[1].find("objects: the array has type \"|O\""), std::string::npos);
  EXPECT_EQ(dataset.notes.size(), 2u);
  expect_error(ErrorKind::data, "Python objects", [&] { open_source(path, {.read = {.condition = "objects"}}); });
  expect_error(ErrorKind::usage, "no column \"angel\"; did you mean \"angle\"?",
               [&] { open_source(path, {.read = {.condition = "angel"}}); });
}

TEST(Arrays, NpzKeepsAskedForNames) {
  TemporaryFolder folder;
  const auto file = [&](const std::vector<std::string>& names) {
    std::vector<Member> members = {{.name = "x.npy", .content = npy("|u1", "2, 1, 1", "ab")}};
    for (const std::string& name : names)
      members.push_back({.name = name + ".npy", .content = npy("|u1", "2,", std::string("\0\1", 2))});
    return put(folder / "a.npz", zip(members));
  };
  EXPECT_EQ(open_source(file({"class"})).condition.columns[0].name, "label");
  EXPECT_EQ(open_source(file({"class"}), {.read = {.condition = "class"}}).condition.columns[0].name, "class");
  const Dataset both = open_source(file({"class", "label"}), {.read = {.condition = "class,label"}});
  EXPECT_EQ(both.condition.columns[1].name, "label");
  EXPECT_EQ(open_source(file({"class", "label"})).condition.columns[0].name, "label");
}

TEST(Arrays, NpzWithATestPart) {
  TemporaryFolder folder;
  const std::vector<std::vector<std::string>> namings = {
      {"x_train", "y_train", "x_test", "y_test"}, {"train_images", "train_labels", "test_images", "test_labels"}};
  for (const auto& n : namings) {
    const std::string path =
        put(folder / "a.npz", zip({{.name = n[0] + ".npy", .content = npy("|u1", "3, 1, 1", "abc")},
                                   {.name = n[1] + ".npy", .content = npy("|u1", "3,", std::string("\0\1\2", 3))},
                                   {.name = n[2] + ".npy", .content = npy("|u1", "2, 1, 1", "de")},
                                   {.name = n[3] + ".npy", .content = npy("|u1", "2,", std::string("\1\0", 2))}}));
    EXPECT_TRUE(data::has_test_part(path));
    EXPECT_EQ(open_source(path).classes(), 3);
    const Dataset test = open_source(path, {.split = Split::test});
    EXPECT_EQ(bytes_of(test), (std::vector<int>{'d', 'e'}));
    EXPECT_EQ(labels_of(test), (std::vector<int>{1, 0}));
  }
}

TEST(ArraysBadInput, Files) {
  TemporaryFolder folder;
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const std::pair<std::string, const char*> cases[] = {
      {npy("<f4", "3, 1, 2", raw<float>({1, 2, 3, 4, nan, 5})), "image 2 holds nan, expected finite numbers"},
      {npy("<f4", "2, 1, 1", raw<float>({3, 3})), "every value is 3: there is nothing to see"},
      {npy("<f4", "2, 2", raw<float>({1, 2, 3, inf})), "row 2, column x1: inf is not a finite number"},
      {npy("<f8", "2, 1", raw<double>({1, 1e300})), "row 2, column x0: 1e+300 is not a finite number, or too large"},
      {npy("<f4", "2, 2", raw<float>({1, 2, 3, 2})), "column x1 is constant (2)"},
      {npy("|u1", "1, 5, 5, 5", counting(125)), "images of shape [1, 5, 5, 5]: expected 1 to 4 channels"},
      {npy("|u1", "1, 1, 1, 1, 1", "a"), "an array of [1, 1, 1, 1, 1] of \"|u1\": expected images [N, H, W]"},
      {npy("|u1", "", "a"), "an array of [] of"},
      {npy("<U1", "1,", raw<char32_t>({U'a'})), "an array of [1] of \"<U1\""},
      {npy("|u1", "0, 2, 2", ""), "its shape is [0, 2, 2], expected 1 to"},
      {npy("|u1", "1, 20000", counting(20000)), "vectors [N, D] with D at most 10,000"},
      {npy("|O", "2, 2, 2", "pickle"), "Python objects"},
      {npy("<f4", "1, 2, 2", counting(16), true), "Fortran order"},
      {npy("<f4", "1, 2, 2", "1234"), "needs 16 bytes of data, the file holds 4"},
  };
  for (const auto& [content, message] : cases) {
    SCOPED_TRACE(message);
    const std::string path = put(folder / "x.npy", content);
    expect_error(ErrorKind::data, message, [&] { open_source(path); });
    expect_error(ErrorKind::data, path, [&] { open_source(path); });
  }
}

TEST(ArraysBadInput, Pairs) {
  TemporaryFolder folder;
  const std::string x = put(folder / "x.npy", npy("|u1", "4, 1, 1", "abcd"));
  const auto open = [&](const std::string& labels, const data::ReadOptions& read = {}) {
    open_source(x + "," + put(folder / "y.npy", labels), {.read = read});
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  expect_error(ErrorKind::data, "y.npy: 2 labels for 4 images; these arrays do not belong together",
               [&] { open(npy("|u1", "2,", "ab")); });
  expect_error(ErrorKind::data, "y.npy: an array of [4, 1, 1], expected [N] or [N, K] for 4 images",
               [&] { open(npy("|u1", "4, 1, 1", "abcd")); });
  expect_error(ErrorKind::data, "y.npy: value, item 1: nan is not a finite number", [&] {
    open(npy("<f4", "4,", raw<float>({1, nan, 2, 3})));
  });
  expect_error(ErrorKind::data, "column value is constant", [&] { open(npy("<f4", "4,", raw<float>({1, 1, 1, 1}))); });
  expect_error(ErrorKind::usage, "no column \"x\"", [&] { open(npy("|u1", "4,", "abcd"), {.condition = "x"}); });
  expect_error(ErrorKind::usage, "target: only columns of vectors",
               [&] { open(npy("|u1", "4,", "abcd"), {.target = "label"}); });
  expect_error(ErrorKind::usage, "a name is missing beside the comma", [&] { open_source(x + ","); });
  expect_error(ErrorKind::data, "cannot be opened", [&] { open_source(x + "," + folder.path() + "/none.npy"); });
  expect_error(ErrorKind::usage, "has no test part", [&] { open_source(x, {.split = Split::test}); });
  expect_error(ErrorKind::data, "has no array x, images or data of samples; its arrays: a, b", [&] {
    open_source(put(folder / "a.npz", zip({{.name = "a.npy", .content = npy("|u1", "1,", "a")},
                                           {.name = "b.npy", .content = npy("|u1", "1,", "a")}})));
  });
  expect_error(ErrorKind::usage, "has no test part, such as x_test beside x_train", [&] {
    open_source(put(folder / "a.npz", zip({{.name = "x.npy", .content = npy("|u1", "1, 1, 1", "a")}})),
                {.split = Split::test});
  });
}

// ---- IDX and CIFAR ----

TEST(Idx, ImagesOfEveryType) {
  TemporaryFolder folder;
  const auto check = [&](int type, const std::string& data, std::size_t size, double low, double high) {
    SCOPED_TRACE(type);
    const Dataset dataset = open_source(put(folder / "x.idx", idx({3, 1, 1}, reversed(data, size), type)));
    EXPECT_EQ(dataset.units.low, low);
    EXPECT_EQ(dataset.units.high, high);
    EXPECT_EQ(bytes_of(dataset), (std::vector<int>{0, 128, 255}));
    EXPECT_EQ(dataset.notes.size(), 1u);
  };
  check(0x09, raw<std::int8_t>({-100, 0, 100}), 1, -100, 100);
  check(0x0b, raw<std::int16_t>({0, 2000, 4000}), 2, 0, 4000);
  check(0x0c, raw<std::int32_t>({-1000000, 0, 1000000}), 4, -1000000, 1000000);
  check(0x0d, raw<float>({0, 0.5f, 1}), 4, 0, 1);
  check(0x0e, raw<double>({-1, 0, 1}), 8, -1, 1);
  const Dataset transposed = open_source(put(folder / "x.idx", idx({1, 2, 2}, "abcd")), {.read = {.transpose = true}});
  EXPECT_EQ(bytes_of(transposed), (std::vector<int>{'a', 'c', 'b', 'd'}));
}

TEST(Idx, LabelsOfEveryKind) {
  TemporaryFolder folder;
  const std::string x = put(folder / "x.idx", idx({3, 1, 1}, "abc"));
  const auto open = [&](const std::string& labels, const data::ReadOptions& read = {}) {
    return open_source(x + "," + put(folder / "y.idx", labels), {.read = read});
  };
  const Dataset negative = open(idx({3}, "\x03\xfd\x03", 0x09));
  EXPECT_EQ(negative.condition.class_names(), (std::vector<std::string>{"-3", "3"}));
  EXPECT_EQ(labels_of(negative), (std::vector<int>{1, 0, 1}));
  const Dataset value = open(idx({3}, reversed(raw<float>({1, 2, 4}), 4), 0x0d), {.condition = "value"});
  EXPECT_EQ(std::get<std::vector<float>>(value.rows.columns[0]), (std::vector<float>{1, 2, 4}));
  const Dataset two = open(idx({3, 2}, "\1\2\1\3\2\4"), {.condition = "label0,label1"});
  EXPECT_EQ(two.condition.columns[0].names, (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(two.condition.columns[1].categories, 3);
  const Dataset numbers =
      open(idx({3, 2}, reversed(raw<double>({1, 2, 3, 4, 5, 6}), 8), 0x0e), {.condition = "value1"});
  EXPECT_EQ(numbers.condition.columns[0].number.minimum, 2);
}

TEST(Idx, FoldersWithPrefixes) {
  TemporaryFolder folder;
  put(folder / "emnist-letters-train-images-idx3-ubyte", idx({2, 1, 1}, "ab"));
  put(folder / "emnist-letters-train-labels-idx1-ubyte", idx({2}, "\1\2"));
  put(folder / "emnist-letters-test-images-idx3-ubyte", idx({1, 1, 1}, "c"));
  put(folder / "emnist-letters-test-labels-idx1-ubyte", idx({1}, "\2"));
  const Dataset letters = open_source(folder.path());
  EXPECT_EQ(letters.name, "folder");
  EXPECT_EQ(letters.condition.class_names(), (std::vector<std::string>{"1", "2"}));
  EXPECT_TRUE(data::has_test_part(folder.path()));
  EXPECT_EQ(open_source(folder.path(), {.split = Split::test}).count(), 1);
  put(folder / "emnist-digits-train-images-idx3-ubyte", idx({3, 1, 1}, "def"));
  expect_error(
      ErrorKind::usage,
      "several data sets: emnist-digits, emnist-letters; choose one, such as " + folder.path() + "/emnist-digits",
      [&] { open_source(folder.path()); });
  EXPECT_EQ(open_source(folder / "emnist-digits", {.labels = false}).count(), 3);
  EXPECT_EQ(open_source(folder / "emnist-letters").count(), 2);
  EXPECT_FALSE(data::has_test_part(folder / "emnist-digits"));
  EXPECT_EQ(open_source(folder / "emnist-digits").classes(), 0);
}

TEST(Cifar, TenAndHundred) {
  TemporaryFolder folder;
  const std::string image = counting(1024) + std::string(1024, 'g') + std::string(1024, 'b');
  for (int k = 1; k <= 5; ++k)
    put(folder / ("data_batch_" + std::to_string(k) + ".bin"), static_cast<char>(k % 2) + image);
  put(folder / "test_batch.bin", '\3' + image);
  put(folder / "batches.meta.txt", "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n");
  const Dataset ten = open_source(folder.path());
  EXPECT_EQ(ten.name, "cifar");
  EXPECT_EQ(ten.count(), 5);
  EXPECT_EQ(ten.sample_shape, (graph::Shape{3, 32, 32}));
  EXPECT_EQ(ten.condition.class_names(), (std::vector<std::string>{"airplane", "automobile"}));
  EXPECT_EQ(labels_of(ten), (std::vector<int>{1, 0, 1, 0, 1}));
  const std::vector<int> bytes = bytes_of(ten);
  EXPECT_EQ(std::vector<int>(bytes.begin() + 3 * 1023, bytes.begin() + 3 * 1024), (std::vector<int>{255, 'g', 'b'}));
  EXPECT_TRUE(data::has_test_part(folder.path()));
  EXPECT_EQ(open_source(folder.path(), {.split = Split::test}).condition.class_names()[0], "cat");

  TemporaryFolder hundred;
  put(hundred / "train.bin", "\x04\x05" + image + "\x02\x63" + image);
  const Dataset both = open_source(hundred.path(), {.read = {.condition = "label,coarse"}});
  EXPECT_EQ(both.condition.columns[0].names, (std::vector<std::string>{"5", "99"}));
  EXPECT_EQ(both.condition.columns[1].names, (std::vector<std::string>{"2", "4"}));
  EXPECT_FALSE(data::has_test_part(hundred.path()));
}

TEST(CifarBadInput, Files) {
  TemporaryFolder folder;
  const std::string image(3072, 'x');
  put(folder / "train.bin", "\1\2" + image + "\1");
  expect_error(ErrorKind::data, "train.bin: 3,075 bytes are no whole records of 3074",
               [&] { open_source(folder.path()); });
  put(folder / "train.bin", "");
  expect_error(ErrorKind::data, "0 bytes are no whole records", [&] { open_source(folder.path()); });
  put(folder / "train.bin", "\x14\2" + image);
  expect_error(ErrorKind::data, "record 0: coarse 20, expected 0 to 19", [&] { open_source(folder.path()); });
  put(folder / "train.bin", "\1\2" + image);
  put(folder / "fine_label_names.txt", "apple\nbear\n");
  expect_error(ErrorKind::data, "fine_label_names.txt: 2 class names, expected 100",
               [&] { open_source(folder.path()); });
  expect_error(ErrorKind::data, "test.bin", [&] { open_source(folder.path(), {.split = Split::test}); });
}

}  // namespace
}  // namespace gan
