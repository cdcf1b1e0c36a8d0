#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "data/cache.h"
#include "data/dataset.h"
#include "data/pixels.h"
#include "data/shuffle.h"
#include "data/source.h"
#include "file_helpers.h"
#include "io/zip.h"
#include "picture_helpers.h"

namespace gan {
namespace {

namespace fs = std::filesystem;
using base::ErrorKind;
using data::Dataset;
using data::SourceOptions;
using data::Split;
using test::Bytes;
using test::expect_error;
using test::jpeg_file;
using test::png_of;
using test::put;
using test::TemporaryFolder;
using test::varied;
using test::webp_file;

// A folder of pictures with a cache of its own.
class Pictures : public testing::Test {
 protected:
  Pictures() { options.cache = cache.path(); }

  // Writes a file and the folders in which it lies.
  void add(const std::string& name, const std::string& content) {
    fs::create_directories(fs::path(folder / name).parent_path());
    put(folder / name, content);
  }
  void add_grey(const std::string& name, std::uint8_t value, int height = 1, int width = 1) {
    add(name, png_of(height, width, 1, Bytes(static_cast<std::size_t>(height * width), value)));
  }
  Dataset open() const { return data::open_source(folder.path(), options); }
  void expect_refused(const std::string& message, ErrorKind kind = ErrorKind::data) const {
    expect_error(kind, message, [&] { open(); });
  }

  static Bytes pixels(const Dataset& dataset) {
    return {dataset.pixels.get(), dataset.pixels.get() + dataset.items * graph::element_count(dataset.sample_shape)};
  }
  static bool has_note(const Dataset& dataset, const std::string& part) {
    return std::ranges::any_of(dataset.notes, [&](const std::string& note) { return note.find(part) != note.npos; });
  }
  static std::vector<std::int32_t> labels(const Dataset& dataset) {
    return {dataset.labels().begin(), dataset.labels().end()};
  }

  TemporaryFolder folder, cache;
  SourceOptions options;
};
using PicturesBadInput = Pictures;

TEST_F(Pictures, FoldersAreClasses) {
  add_grey("dog/b.png", 3);
  add_grey("cat/wild/a.png", 2);
  add_grey("cat/a.png", 1);
  const Dataset dataset = open();
  EXPECT_EQ(dataset.name, "pictures");
  EXPECT_EQ(dataset.sample_shape, (graph::Shape{1, 1, 1}));
  EXPECT_EQ(pixels(dataset), (Bytes{1, 2, 3}));
  EXPECT_EQ(dataset.condition, data::label_condition(3, {"cat", "cat/wild", "dog"}));
  EXPECT_EQ(labels(dataset), (std::vector<std::int32_t>{0, 1, 2}));
  EXPECT_TRUE(dataset.notes.empty()) << dataset.notes[0];
  EXPECT_FALSE(data::has_test_part(folder.path()));
}

TEST_F(Pictures, PathsMayHaveCommas) {
  add_grey("some, pictures/1,2.png", 5);
  const Dataset dataset = data::open_source(folder / "some, pictures", options);
  EXPECT_EQ(dataset.name, "pictures");
  EXPECT_EQ(pixels(dataset), Bytes{5});
}

TEST_F(Pictures, EveryFormatAlike) {
  const Bytes flat(3 * 64, 90);
  add("a.png", png_of(8, 8, 3, flat));
  add("b.JPG", jpeg_file(8, 8, flat, {.from = JCS_RGB, .stored = JCS_YCbCr}));
  add("c.webp", webp_file(8, 8, 3, flat));
  add("d.png", webp_file(8, 8, 3, flat));  // what it is, not what it is called
  const Dataset dataset = open();
  EXPECT_EQ(dataset.sample_shape, (graph::Shape{3, 8, 8}));
  EXPECT_EQ(dataset.items, 4);
  EXPECT_TRUE(dataset.condition.empty());
  EXPECT_TRUE(has_note(dataset, "has no folders that are classes, so the pictures have no condition"));
  for (const std::uint8_t value : pixels(dataset)) EXPECT_NEAR(value, 90, 1);
}

TEST_F(Pictures, Parts) {
  add_grey("train/a/1.png", 1);
  add_grey("train/b/2.png", 2);
  add_grey("val/a/3.png", 3);
  add("README", "");
  fs::create_directory(folder / "notes");
  EXPECT_TRUE(data::has_test_part(folder.path()));
  const Dataset train = open();
  EXPECT_EQ(pixels(train), (Bytes{1, 2}));
  EXPECT_TRUE(has_note(train, "only the folders train and val are read, not notes"));
  options.split = Split::test;
  EXPECT_EQ(pixels(open()), Bytes{3});
}

// Beside other classes, pictures of trains are a class.
TEST_F(Pictures, TrainMayBeAClass) {
  add_grey("bus/1.png", 1);
  add_grey("train/2.png", 2);
  EXPECT_EQ(open().condition, data::label_condition(2, {"bus", "train"}));
  EXPECT_FALSE(data::has_test_part(folder.path()));
  options.split = Split::test;
  expect_refused("has no test part; expected a folder test or val beside one called train", ErrorKind::usage);
}

TEST_F(Pictures, OneClassOnePictureOnePixel) {
  add_grey("only/a.png", 200);
  const Dataset dataset = open();
  EXPECT_EQ(dataset.items, 1);
  EXPECT_EQ(dataset.classes(), 1);
  EXPECT_EQ(pixels(dataset), Bytes{200});
}

// More classes than the files that a process may usually have open.
TEST_F(Pictures, ManyClasses) {
  constexpr int kClasses = 1200;
  for (int i = 0; i < kClasses; ++i) add_grey(std::to_string(i) + "/x.png", static_cast<std::uint8_t>(i % 251));
  const Dataset dataset = open();
  EXPECT_EQ(dataset.classes(), kClasses);
  for (int i = 0; i < kClasses; ++i)  // names that are numbers are in their order
    ASSERT_EQ(dataset.pixels[i], std::stoi(dataset.condition.columns[0].name_of(dataset.label(i))) % 251);
}

TEST_F(Pictures, IgnoredFiles) {
  add_grey("a,b/1.png", 1);
  for (const char* name : {"a,b/.DS_Store", ".hidden.png", "Thumbs.db", "a,b/desktop.ini", ".git/x.png"})
    add(name, "x");
  add("a,b/notes.txt", "x");
  add("LICENSE", "x");
  ASSERT_EQ(::mkfifo((folder / "a,b/pipe.png").c_str(), 0600), 0);
  const Dataset dataset = open();
  EXPECT_EQ(dataset.items, 1);
  EXPECT_EQ(dataset.condition, data::label_condition(1, {"a,b"}));
  EXPECT_TRUE(has_note(dataset, "2 files that are no PNG, JPEG or WebP pictures by name ignored, such as LICENSE"));
  EXPECT_TRUE(has_note(dataset, "1 device, pipe or socket ignored, such as a,b/pipe.png"));
  EXPECT_EQ(dataset.notes.size(), 2u);
}

TEST_F(Pictures, LinksAreFollowedOnce) {
  TemporaryFolder elsewhere;
  put(elsewhere / "x.png", png_of(1, 1, 1, {9}));
  add_grey("a/1.png", 1);
  fs::create_symlink(folder / "a/1.png", folder / "a/2.png");
  fs::create_directory_symlink(elsewhere.path(), folder / "b");
  fs::create_directory_symlink(folder.path(), folder / "a/loop");
  fs::create_directory_symlink(folder / "a", folder / "again");
  const Dataset dataset = open();
  EXPECT_EQ(pixels(dataset), (Bytes{1, 1, 9}));
  EXPECT_EQ(dataset.condition, data::label_condition(2, {"a", "b"}));
  EXPECT_TRUE(has_note(dataset, "2 links to folders that are read already ignored"));
}

TEST_F(Pictures, SizesAndChannels) {
  add_grey("1.png", 50, 4, 4);
  add_grey("2.png", 60, 8, 2);
  add("3.png", png_of(4, 4, 4, Bytes(64, 255)));
  expect_refused("the pictures have 2 sizes (height x width): 2 of 4x4, 1 of 8x2; give one, such as --size 4x4");
  options.read.size = "2x2";
  const Dataset dataset = open();
  EXPECT_EQ(dataset.sample_shape, (graph::Shape{1, 2, 2}));
  EXPECT_EQ(pixels(dataset), (Bytes{50, 50, 50, 50, 60, 60, 60, 60, 255, 255, 255, 255}));
  EXPECT_TRUE(has_note(dataset, "3 of 3 pictures resized to 2x2 (--fit crop"));
  EXPECT_TRUE(has_note(dataset, "1 of 3 pictures converted to grey"));
  EXPECT_TRUE(has_note(dataset, "1 of 3 pictures with alpha laid on black"));
  options.read.channels = 4;
  EXPECT_EQ(open().sample_shape, (graph::Shape{4, 2, 2}));
  options.read.channels = 0;
  options.read.fit = "pad";
  options.read.background = "#ff0000";
  EXPECT_EQ(open().pixels[5], 76);  // red as grey, beside the picture that is high
}

// Few of many pictures are looked at before all are decoded.
TEST_F(Pictures, ChannelsAreThoseOfMost) {
  for (int i = 0; i < 40; ++i)
    add(fmt::format("{:02}.png", i), i % 3 == 0 ? png_of(1, 1, 1, {7}) : png_of(1, 1, 3, {1, 2, 3}));
  const Dataset dataset = open();
  EXPECT_EQ(dataset.sample_shape, (graph::Shape{3, 1, 1}));
  EXPECT_TRUE(has_note(dataset, "14 of 40 pictures converted to RGB"));
}

TEST_F(Pictures, MetadataIsACondition) {
  add("metadata.csv", "file_name,angle,caption\nb.png,20,\"two, words\"\n./a.png,10,one\nc.png,40,one\n");
  for (const char* name : {"a.png", "b.png", "c.png"}) add_grey(name, static_cast<std::uint8_t>(name[0]));
  const Dataset plain = open();
  EXPECT_TRUE(plain.condition.empty());
  EXPECT_TRUE(has_note(plain, "angle, caption can be a condition (--condition NAME,...)"));
  options.read.condition = "caption,angle";
  const Dataset dataset = open();
  ASSERT_EQ(dataset.condition.columns.size(), 2u);
  EXPECT_EQ(dataset.condition.columns[0].names, (std::vector<std::string>{"one", "two, words"}));
  EXPECT_EQ(std::get<0>(dataset.rows.columns[0]), (std::vector<std::int32_t>{0, 1, 0}));
  EXPECT_EQ(std::get<1>(dataset.rows.columns[1]), (std::vector<float>{10, 20, 40}));
  EXPECT_EQ(dataset.condition.columns[1].number.maximum, 40);
  const Dataset again = open();  // from the cache
  EXPECT_EQ(again.condition, dataset.condition);
  EXPECT_EQ(again.rows.columns, dataset.rows.columns);
}

TEST_F(Pictures, MetadataOfJsonBesideFolders) {
  add("metadata.jsonl",
      "{\"file_name\": \"train/x/1.png\", \"size\": 1.5, \"ok\": true}\n\n"
      "{\"ok\": false, \"file_name\": \"train/y/2.png\", \"size\": null}\n"
      "{\"file_name\": \"test/x/3.png\", \"size\": 3, \"ok\": true}\n");
  add_grey("train/x/1.png", 1);
  add_grey("train/y/2.png", 2);
  add_grey("test/x/3.png", 3);
  options.read.condition = "label,ok";
  const Dataset dataset = open();
  EXPECT_EQ(dataset.condition.columns[0].names, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(dataset.condition.columns[1].names, (std::vector<std::string>{"false", "true"}));
  options.read.condition = "size";
  expect_refused("line 3, column size: the value is missing");
  options.read.condition = "ok";
  options.split = Split::test;
  EXPECT_EQ(open().items, 1);
}

TEST_F(Pictures, StyleGansLabels) {
  add_grey("00000/img0.png", 1);
  add_grey("00000/img1.png", 2);
  add("dataset.json", R"({"labels": [["00000/img1.png", 4], ["00000/img0.png", 7]]})");
  const Dataset dataset = open();
  EXPECT_EQ(dataset.condition.class_names(), (std::vector<std::string>{"4", "7"}));
  EXPECT_EQ(labels(dataset), (std::vector<std::int32_t>{1, 0}));
  EXPECT_TRUE(dataset.notes.empty()) << dataset.notes[0];
  add("dataset.json", R"({"labels": [["00000/img0.png", [1.5, 0]], ["00000/img1.png", [2.5, 1]]]})");
  options.read.condition = "label0,label1";
  EXPECT_EQ(open().condition.columns.size(), 2u);
  // Without labels it is one of the other files.
  add("dataset.json", R"({"labels": null})");
  options.read.condition = "";
  const Dataset unlabelled = open();
  EXPECT_EQ(unlabelled.condition.class_names(), std::vector<std::string>{"00000"});
  EXPECT_TRUE(has_note(unlabelled, "such as dataset.json"));
  // Metadata goes before it.
  add("metadata.csv", "file_name,label\n00000/img0.png,x\n00000/img1.png,y\n");
  add("dataset.json", R"({"labels": [["00000/img1.png", 4], ["00000/img0.png", 7]]})");
  EXPECT_EQ(open().condition.class_names(), (std::vector<std::string>{"x", "y"}));
}

TEST_F(Pictures, OtherTablesAreNamed) {
  add_grey("a.png", 1);
  add("labels.csv", "image,label\na.png,1\n");
  EXPECT_TRUE(has_note(open(), "no condition; labels.csv is not read: one called metadata.csv would be"));
}

TEST_F(Pictures, ArchiveAsTheFolderInIt) {
  const std::string archive = cache / "a.zip";
  const auto archived = [&](const std::string& folder_in_it) {
    io::ZipWriter zip(archive);
    zip.add(folder_in_it + ".DS_Store", "x");
    zip.add("__MACOSX/" + folder_in_it + "x.png", "x");
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(folder.path()))
      if (entry.is_regular_file()) names.push_back(fs::relative(entry.path(), folder.path()).string());
    for (const std::string& name : names) zip.add(folder_in_it + name, test::get(folder / name));
    zip.commit();
    return data::open_source(archive, options);
  };
  const auto expect_same = [&](const Dataset& found) {
    const Dataset expected = open();
    EXPECT_EQ(found.hash, expected.hash);
    EXPECT_EQ(pixels(found), pixels(expected));
    EXPECT_EQ(found.condition, expected.condition);
    EXPECT_EQ(found.notes, expected.notes);
  };
  add_grey("train/cat/a.png", 1);
  add_grey("train/dog/b.png", 2);
  add_grey("test/cat/c.png", 3);
  expect_same(archived(""));
  EXPECT_TRUE(data::has_test_part(archive));
  expect_same(archived("pets/all of them/"));
  options.split = Split::test;
  expect_same(data::open_source(archive, options));
  options.split = Split::train;
  add("metadata.csv", "file_name,label\ntrain/cat/a.png,x\ntrain/dog/b.png,y\ntest/cat/c.png,x\n");
  expect_same(archived("pets/"));
  // Decoded once.
  const std::size_t before = data::cache_entries(cache.path()).size();
  expect_same(data::open_source(archive, options));
  EXPECT_EQ(data::cache_entries(cache.path()).size(), before);
  // Another content under the same names is decoded anew.
  add_grey("train/cat/a.png", 9);
  expect_same(archived("pets/"));
}

TEST_F(PicturesBadInput, Archives) {
  const std::string archive = cache / "a.zip";
  const auto expect_bad = [&](const std::string& message) {
    expect_error(ErrorKind::data, message, [&] { data::open_source(archive, options); });
  };
  put(archive, "text");
  expect_bad("a.zip: not a .zip file, or cut short");
  const auto write = [&](const std::vector<std::pair<std::string, std::string>>& members) {
    io::ZipWriter zip(archive);
    for (const auto& [name, content] : members) zip.add(name, content);
    zip.commit();
  };
  write({});
  expect_bad("a.zip: the archive has no pictures; expected .png");
  write({{"a/data.csv", "x"}, {"a/b/", ""}});
  expect_bad("no pictures: 1 file that is no PNG, JPEG or WebP picture by name ignored, such as data.csv");
  write({{"a/1.png", png_of(1, 1, 1)}, {"b/2.png", "text"}});
  expect_bad("a.zip/b/2.png: no picture, expected PNG, JPEG or WebP; --skip-broken leaves");
  write({{"a/1.png", png_of(1, 1, 1)}, {"b/\xff.png", png_of(1, 1, 1)}});
  expect_bad("a.zip: the name of member 2 is not UTF-8");
  write({{"a/1.png", png_of(1, 1, 1)}, {"dataset.json", R"({"labels": [["a/1.png"]]})"}});
  expect_bad("a.zip/dataset.json: label 1: expected [\"FILE\", LABEL]");
  // A picture that is damaged, seen by its checksum.
  write({{"a/1.png", png_of(8, 8, 1)}, {"b/2.png", png_of(8, 8, 1)}});
  std::string damaged = test::get(archive);
  damaged[60] = static_cast<char>(damaged[60] ^ 1);
  put(archive, damaged);
  expect_bad("a/1.png: the checksum is wrong");
}

TEST_F(PicturesBadInput, Metadata) {
  add_grey("a.png", 1);
  add_grey("b.png", 2);
  const struct {
    const char *name, *content, *condition, *message;
    ErrorKind kind = ErrorKind::data;
  } cases[] = {
      {"metadata.csv", "name,x\na.png,1\n", "", "has no column file_name; its columns are name, x"},
      {"metadata.csv", "file_name,x\na.png,1\n", "", "metadata.csv: has no row for b.png"},
      {"metadata.csv", "file_name,x\na.png,1\nb.png,2\nc.png,3\n", "", "metadata.csv: line 4: c.png is not there"},
      {"metadata.csv", "file_name,x\na.png,1\nb.png,2\na.png,3\n", "", "metadata.csv: line 4: a.png is there twice"},
      {"metadata.csv", "file_name,x\na.png,1,2\n", "", "metadata.csv: "},
      {"metadata.csv", "file_name,xyz\na.png,1\nb.png,2\n", "xy", "has no column \"xy\"; did you mean \"xyz\"?",
       ErrorKind::usage},
      {"metadata.csv", "file_name,x\na.png,1\nb.png,inf\n", "x", "line 3, column x: \"inf\" is not a finite number"},
      {"metadata.jsonl", "{\"file_name\": \"a.png\"}\n{\"file_name\": \n", "",
       "metadata.jsonl: line 2: is no JSON object"},
      {"metadata.jsonl", "[1]\n", "", "metadata.jsonl: line 1: is no JSON object"},
      {"metadata.jsonl", "{\"file_name\": \"a.png\"}\n{\"file_name\": \"b.png\", \"x\": 1}\n", "",
       "line 2: has a value \"x\""},
      {"metadata.jsonl", "\n", "", "is empty, expected a JSON object on each line"},
      {"dataset.json", R"({"labels": [["a.png", 1]]})", "", "dataset.json: has no row for b.png"},
      {"dataset.json", R"({"labels": [["a.png", 1], ["b.png", [1, 2]]]})", "", "dataset.json: label 2: expected"},
      {"dataset.json", R"({"labels": [["a.png", 1], ["b.png", 1], ["c.png", 1]]})", "",
       "dataset.json: label 3: c.png is not there"},
      {"dataset.json", R"({"labels": [["a.png", {}]]})", "", "dataset.json: label 1: expected"},
  };
  for (const auto& [name, content, condition, message, kind] : cases) {
    add(name, content);
    options.read.condition = condition;
    expect_refused(message, kind);
    fs::remove(folder / name);
  }
}

TEST_F(PicturesBadInput, FoldersOfOtherThings) {
  expect_refused(
      "has no train-images-idx3-ubyte[.gz] and no pictures; expected .png, .jpg or .webp files, in a folder for each");
  add("a.gif", "x");
  add("b/c.txt", "x");
  expect_refused("and no pictures: 2 files that are no PNG, JPEG or WebP pictures by name ignored, such as a.gif");
  add_grey("outside.png", 1);
  add_grey("class/inside.png", 1);
  expect_refused("1 picture lies not in a class's folder, such as outside.png, while 1 are");
  options.labels = false;
  EXPECT_EQ(open().items, 2);
}

TEST_F(PicturesBadInput, BrokenPictures) {
  const std::string png = png_of(8, 8, 1);
  add("a.png", png);
  add("b.png", "text in a file that is called .png");
  add("c.png", "");
  add("d.png", png.substr(0, png.size() / 2));
  fs::create_symlink("nowhere", folder / "e.png");
  expect_refused("b.png: no picture, expected PNG, JPEG or WebP; 4 of 5 pictures are broken; --skip-broken leaves");
  EXPECT_TRUE(data::cache_entries(cache.path()).empty());
  options.read.skip_broken = true;
  const Dataset dataset = open();
  EXPECT_EQ(pixels(dataset), varied(8, 8, 1));
  EXPECT_TRUE(has_note(dataset, "4 of 5 pictures left out, since they are broken; the first: "));
  // Also if those that are looked at first are all broken.
  for (int i = 0; i < 40; ++i) add(fmt::format("x{:02}.png", i), i == 23 ? png : "x");
  EXPECT_EQ(open().items, 2);
  for (int i = 0; i < 40; ++i) fs::remove(folder / fmt::format("x{:02}.png", i));
  fs::remove(folder / "a.png");
  expect_refused("none of 4 pictures can be read; the first: ");
}

TEST_F(PicturesBadInput, Names) {
  add_grey("caf\xe9.png", 1);
  expect_refused("caf\\xe9.png: the name is not UTF-8 or has control characters; rename");
  fs::remove(folder / "caf\xe9.png");
  add_grey("caf\xe9/x.png", 1);
  expect_refused("caf\\xe9/x.png: the name is not UTF-8");
  fs::remove_all(folder / "caf\xe9");
  add_grey("a\nb.png", 1);
  expect_refused("a\\x0ab.png: the name");
}

TEST_F(PicturesBadInput, Unreadable) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read every file";
  add_grey("a.png", 1);
  add_grey("b/b.png", 1);
  ::chmod((folder / "b").c_str(), 0);
  expect_refused("b/: the folder cannot be read: Permission denied");
  ::chmod((folder / "b").c_str(), 0700);
  fs::remove_all(folder / "b");
  ::chmod((folder / "a.png").c_str(), 0);
  expect_refused("a.png: cannot be opened: Permission denied");
}

// ---- the cache ----

using PictureCache = Pictures;

TEST_F(PictureCache, SecondTimeNothingIsDecoded) {
  for (int i = 0; i < 20; ++i) add(fmt::format("c{}/{:02}.png", i % 4, i), png_of(6, 5, 3));
  std::vector<std::string> lines;
  options.progress = [&](const std::string& line) { lines.push_back(line); };
  const Dataset first = open();
  ASSERT_FALSE(lines.empty());
  EXPECT_EQ(lines[0], "decoding pictures: 0 of 20");
  lines.clear();
  const Dataset second = open();
  EXPECT_TRUE(lines.empty());
  EXPECT_EQ(second.hash, first.hash);
  EXPECT_EQ(second.items, first.items);
  EXPECT_EQ(second.sample_shape, first.sample_shape);
  EXPECT_EQ(second.condition, first.condition);
  EXPECT_EQ(labels(second), labels(first));
  EXPECT_EQ(pixels(second), pixels(first));
  EXPECT_EQ(second.notes, first.notes);
  const std::vector<data::CacheEntry> entries = data::cache_entries(cache.path());
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].items, 20);
  EXPECT_EQ(entries[0].source, folder.path());
  EXPECT_EQ(entries[0].bytes, fs::file_size(entries[0].path));
  EXPECT_EQ(data::clear_cache(cache.path()), entries[0].bytes);
  EXPECT_TRUE(data::cache_entries(cache.path()).empty());
  EXPECT_EQ(pixels(second), pixels(first));  // still mapped
}

TEST_F(PictureCache, ChangesAreSeen) {
  add_grey("a.png", 1);
  const std::string hash = open().hash;
  add_grey("b.png", 2);
  EXPECT_EQ(pixels(open()), (Bytes{1, 2}));
  fs::remove(folder / "b.png");
  EXPECT_EQ(open().hash, hash);
  add_grey("a.png", 3);
  fs::last_write_time(folder / "a.png", fs::last_write_time(folder / "a.png") + std::chrono::nanoseconds(5000));
  EXPECT_EQ(pixels(open()), Bytes{3});
  options.read.channels = 3;
  EXPECT_EQ(pixels(open()), (Bytes{3, 3, 3}));
}

TEST_F(PictureCache, UnwritableCacheIsDoneWithout) {
  add_grey("a/1.png", 1);
  options.cache = put(cache / "file", "x");
  const Dataset dataset = open();
  EXPECT_EQ(pixels(dataset), Bytes{1});
  EXPECT_TRUE(has_note(dataset, "decoded pictures stay in memory and are decoded again each time"));
}

TEST_F(PicturesBadInput, DrawThatWasKilled) {
  add_grey("0-0.png", 1);
  add("metadata.csv.123.tmp", "file_name,label\n");
  expect_refused("metadata.csv.123.tmp");
  add("metadata.csv", "file_name,label\n0-0.png,3\n");
  EXPECT_EQ(open().items, 1) << "a later draw is whole";
}

TEST_F(PicturesBadInput, DamagedCacheIsDecodedAgain) {
  add("metadata.csv", "file_name,angle\na.png,10\nb.png,20\n");
  add_grey("a.png", 1);
  add_grey("b.png", 2);
  options.read.condition = "angle";
  open();
  const std::string path = data::cache_entries(cache.path()).at(0).path, whole = test::get(path);
  for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) {
    fs::remove(path);
    put(path, whole.substr(0, bytes));
    EXPECT_EQ(data::cache_entries(cache.path()).at(0).items, 0);
    ASSERT_EQ(pixels(open()), (Bytes{1, 2})) << bytes;
  }
  for (std::size_t at = 10; at < whole.size(); at += 3) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x15);
    fs::remove(path);
    put(path, damaged);
    data::cache_entries(cache.path());
    try {
      EXPECT_EQ(open().rows.count(), 2);
    } catch (const base::Error& error) {  // the name of the column is damaged
      EXPECT_NE(std::string(error.what()).find("has no column \"angle\""), std::string::npos) << error.what();
    }
  }
}

TEST_F(PictureCache, KilledProgramLeavesNoHalf) {
  add_grey("a.png", 1);
  options.progress = [](const std::string&) { ::raise(SIGKILL); };
  const pid_t child = ::fork();
  if (child == 0) {
    open();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  EXPECT_TRUE(data::cache_entries(cache.path()).empty());
  const auto files = [&] { return std::distance(fs::directory_iterator(cache / "decoded"), fs::directory_iterator()); };
  EXPECT_EQ(files(), 1);  // the temporary file
  options.progress = {};
  EXPECT_EQ(pixels(open()), Bytes{1});
  EXPECT_EQ(files(), 1);  // the whole one
}

TEST_F(PictureCache, RowsAreReadAhead) {
  for (int i = 0; i < 16; ++i) add(fmt::format("{:02}.png", i), png_of(64, 64, 1));  // a page each
  Dataset dataset = open();
  dataset.streamed = true;
  const int file = ::open(data::cache_entries(cache.path()).at(0).path.c_str(), O_RDONLY);
  ::fsync(file);
  ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
  ::close(file);
  const auto resident = [&](int row) {
    unsigned char page = 0;
    ::mincore(const_cast<std::uint8_t*>(dataset.pixels.get()) + row * 4096, 4096, &page);
    return (page & 1) != 0;
  };
  if (resident(3)) GTEST_SKIP() << "the file system keeps its pages in memory";
  const std::uint32_t rows[] = {9, 3, 4};
  dataset.will_need(rows);
  for (int i = 0; i < 500 && !(resident(3) && resident(4) && resident(9)); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  for (const int row : {3, 4, 9}) EXPECT_TRUE(resident(row)) << row;
}

TEST(MappedPixels, AreAFileWithoutAName) {
  const TemporaryFolder cache;
  constexpr std::uint64_t kBytes = 100'000;
  const auto pixels = data::mapped_pixels(kBytes, cache.path());
  for (std::uint64_t i = 0; i < kBytes; ++i) pixels[i] = static_cast<std::uint8_t>(i);
  for (std::uint64_t i = 0; i < kBytes; ++i) ASSERT_EQ(pixels[i], static_cast<std::uint8_t>(i));
  EXPECT_TRUE(fs::is_empty(cache.path()));
}

TEST(MappedPixels, BadInputNoRoom) {
  const TemporaryFolder cache;
  expect_error(ErrorKind::data, "the disk has ", [&] { data::mapped_pixels(std::uint64_t{1} << 60, cache.path()); });
  put(cache / "file", "");
  expect_error(ErrorKind::data, "file", [&] { data::mapped_pixels(10, cache / "file"); });
  EXPECT_EQ(std::distance(fs::directory_iterator(cache.path()), {}), 1);
}

// ---- shuffled blocks ----

TEST(ShuffledBlocks, EverySampleOnce) {
  for (const std::uint32_t block : {0u, 1u, 7u, 100u, 5000u}) {
    data::Shuffle shuffle(1000, 3, block);
    const std::span<const std::uint32_t> order = shuffle.epoch(2);
    std::vector<std::uint32_t> sorted(order.begin(), order.end());
    std::ranges::sort(sorted);
    for (std::uint32_t i = 0; i < 1000; ++i) ASSERT_EQ(sorted[i], i);
    EXPECT_FALSE(std::ranges::is_sorted(order));
  }
}

TEST(ShuffledBlocks, GroupsHoldWholeBlocks) {
  constexpr std::uint32_t kBlock = 4, kRows = data::Shuffle::kGroup * kBlock;
  data::Shuffle shuffle(3 * kRows, 1, kBlock);
  std::vector<std::uint32_t> first;
  for (const std::uint32_t epoch : {0u, 1u}) {
    const std::span<const std::uint32_t> order = shuffle.epoch(epoch);
    for (std::uint32_t group = 0; group < 3; ++group) {
      std::vector<std::uint32_t> rows(order.begin() + group * kRows, order.begin() + (group + 1) * kRows);
      EXPECT_FALSE(std::ranges::is_sorted(rows));
      std::ranges::sort(rows);
      for (std::uint32_t i = 0; i < kRows; ++i) ASSERT_EQ(rows[i], rows[i / kBlock * kBlock] + i % kBlock);
      EXPECT_GT(rows.back() - rows.front(), kRows);  // from all of the data
    }
    EXPECT_FALSE(std::ranges::equal(first, order));
    first.assign(order.begin(), order.end());
  }
}

}  // namespace
}  // namespace gan
