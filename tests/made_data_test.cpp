// Made-up data, writers of data sets, and the subcommands of `gan data`.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <numbers>
#include <set>
#include <string>
#include <vector>

#include "data/export.h"
#include "data/glyphs.h"
#include "data/made_up.h"
#include "data/mnist.h"
#include "data/source.h"
#include "io/csv.h"
#include "io/npz.h"
#include "io/picture_file.h"
#include "program.h"

namespace gan {
namespace {

namespace fs = std::filesystem;
using namespace test;
using base::ErrorKind;

constexpr const char* kFonts = "/usr/share/fonts/truetype/dejavu";

data::Dataset open(const std::string& source, const std::string& condition = "", data::Split split = data::Split::train,
                   std::uint64_t seed = 1) {
  data::SourceOptions options;
  options.split = split;
  options.seed = seed;
  options.read.condition = condition;
  return data::open_source(source, options);
}

const std::uint8_t* image(const data::Dataset& dataset, std::int64_t index) {
  return dataset.pixels.get() + index * graph::element_count(dataset.sample_shape);
}

double radians(double degrees) { return degrees * std::numbers::pi / 180; }

// The difference of two angles in degrees, at most 180.
double turn_between(double a, double b) { return std::abs(std::remainder(a - b, 360)); }

// ---- circle ----

void expect_on_circle(const data::Dataset& circle) {
  const auto angles = circle.rows.numbers(0);
  double squares = 0;
  for (std::size_t i = 0; i < angles.size(); ++i) {
    const double x = circle.points[2 * i] - std::cos(radians(angles[i])),
                 y = circle.points[2 * i + 1] - std::sin(radians(angles[i]));
    EXPECT_LT(std::hypot(x, y), 0.1) << angles[i];
    squares += x * x + y * y;
  }
  EXPECT_NEAR(std::sqrt(squares / 2 / static_cast<double>(angles.size())), 0.02, 0.001);
}

TEST(MadeData, CircleHasTenPointsAtEachOf120Angles) {
  const data::Dataset circle = open("circle");
  ASSERT_EQ(circle.count(), 1200);
  EXPECT_EQ(circle.sample_shape, graph::Shape{2});
  ASSERT_EQ(circle.condition.columns.size(), 1u);
  const data::ConditionColumn& column = circle.condition.columns[0];
  EXPECT_EQ(column.name, "angle");
  EXPECT_TRUE(column.is_numeric());
  EXPECT_EQ(column.number.period, 360);
  EXPECT_EQ(column.number.unit, "degrees");
  EXPECT_EQ(column.number.distinct, 120);
  for (std::size_t i = 0; i < 1200; ++i) EXPECT_EQ(circle.rows.numbers(0)[i], 3.0f * static_cast<float>(i / 10));
  expect_on_circle(circle);
  EXPECT_EQ(circle.hash, open("circle").hash);
  EXPECT_NE(circle.hash, open("circle", "", data::Split::train, 2).hash);
}

TEST(MadeData, TheTestPartOfCircleHasOtherAngles) {
  const data::Dataset circle = open("circle", "", data::Split::test);
  ASSERT_EQ(circle.count(), 3600);
  EXPECT_EQ(circle.rows.numbers(0)[0], 0.5f);
  EXPECT_EQ(circle.rows.numbers(0)[3599], 359.5f);
  expect_on_circle(circle);
}

// ---- rotated digits ----

TEST(MadeData, RotationIsCounterClockwise) {
  constexpr std::int64_t kSide = 5;
  std::vector<std::uint8_t> src(kSide * kSide, 0), dst(kSide * kSide);
  src[2 * kSide + 4] = 200;  // at the right
  data::rotate_image(src.data(), dst.data(), kSide, 0);
  EXPECT_EQ(dst, src);
  data::rotate_image(src.data(), dst.data(), kSide, 90);
  EXPECT_EQ(dst[0 * kSide + 2], 200) << "at the top";
  EXPECT_EQ(std::ranges::count(dst, 0), kSide * kSide - 1);
  data::rotate_image(src.data(), dst.data(), kSide, 45);
  EXPECT_GT(dst[0 * kSide + 3], 0) << "between them";
  EXPECT_EQ(dst[2 * kSide + 4], 0);
}

TEST(MadeData, RotatedDigitsAreThoseOfMnist) {
  std::error_code ignored;
  if (!fs::exists(fs::path(data::mnist_folder("")) / data::mnist_files()[2].name, ignored))
    GTEST_SKIP() << "MNIST is not fetched";
  const data::Dataset mnist = open("mnist", "", data::Split::test),
                      rotated = open("mnist-rotated", "", data::Split::test);
  ASSERT_EQ(rotated.count(), mnist.count());
  ASSERT_EQ(rotated.condition.columns.size(), 2u);
  EXPECT_EQ(rotated.condition.columns[0].name, "digit");
  EXPECT_EQ(rotated.condition.columns[0].categories, 10);
  EXPECT_EQ(rotated.condition.columns[1].number.period, 360);
  std::array<int, 4> quarters{};
  std::vector<std::uint8_t> turned(28 * 28);
  for (std::int64_t i = 0; i < mnist.count(); ++i) {
    const auto k = static_cast<std::size_t>(i);
    const float angle = rotated.rows.numbers(1)[k];
    ASSERT_EQ(rotated.rows.categories(0)[k], mnist.labels()[k]);
    ASSERT_TRUE(angle >= 0 && angle < 360) << angle;
    ++quarters[static_cast<std::size_t>(angle / 90)];
    data::rotate_image(image(mnist, i), turned.data(), 28, angle);
    ASSERT_TRUE(std::equal(turned.begin(), turned.end(), image(rotated, i))) << i;
  }
  for (const int count : quarters) EXPECT_NEAR(count, 2500, 250);
}

// ---- stacked digits ----

TEST(MadeData, StackedDigitsAreThoseOfMnist) {
  std::error_code ignored;
  if (!fs::exists(fs::path(data::mnist_folder("")) / data::mnist_files()[2].name, ignored))
    GTEST_SKIP() << "MNIST is not fetched";
  const data::Dataset mnist = open("mnist", "", data::Split::test),
                      stacks = open("stacked-mnist", "red,green,blue", data::Split::test);
  EXPECT_TRUE(open("stacked-mnist", "", data::Split::test).condition.empty());
  const data::Dataset unlabelled =
      data::open_source("stacked-mnist", {.split = data::Split::test, .seed = 1, .labels = false});
  EXPECT_EQ(unlabelled.hash, stacks.hash) << "a run is resumed without labels";
  ASSERT_EQ(stacks.count(), 26'000);
  EXPECT_EQ(stacks.sample_shape, (graph::Shape{3, 28, 28}));
  std::map<std::string, int> labels;  // of pictures as bytes
  for (std::int64_t i = 0; i < mnist.count(); ++i)
    labels[{image(mnist, i), image(mnist, i) + 28 * 28}] = mnist.label(i);
  std::set<int> kinds;
  for (std::size_t i = 0; i < 26'000; ++i) {
    int kind = 0;
    for (std::size_t c = 0; c < 3; ++c) {
      const int digit = stacks.rows.categories(c)[i];
      kind = 10 * kind + digit;
      if (i >= 100) continue;
      std::string plane;
      for (std::size_t p = 0; p < 28 * 28; ++p)
        plane += static_cast<char>(image(stacks, static_cast<std::int64_t>(i))[3 * p + c]);
      ASSERT_TRUE(labels.contains(plane)) << i;
      ASSERT_EQ(labels[plane], digit) << i;
    }
    kinds.insert(kind);
  }
  EXPECT_EQ(kinds.size(), 1000u);
}

// ---- shapes ----

// The hue of a colour in degrees.
double hue_of(const std::uint8_t* rgb) {
  const double red = rgb[0], green = rgb[1], blue = rgb[2];
  return std::atan2(std::sqrt(3) * (green - blue), 2 * red - green - blue) * 180 / std::numbers::pi;
}

TEST(MadeData, ShapesHaveTheirHueAngleAndSize) {
  constexpr std::int64_t kSide = 48;
  const data::Dataset shapes = open("shapes:60:48", "label,hue,angle,size");
  ASSERT_EQ(shapes.count(), 60);
  EXPECT_EQ(shapes.sample_shape, (graph::Shape{3, kSide, kSide}));
  EXPECT_EQ(shapes.condition.columns[0].names,
            (std::vector<std::string>{"circle", "hexagon", "pentagon", "square", "star", "triangle"}));
  for (std::int64_t i = 0; i < shapes.count(); ++i) {
    const auto k = static_cast<std::size_t>(i);
    const std::uint8_t* pixel = image(shapes, i);
    const std::uint8_t* brightest = pixel;
    double all = 0, x_all = 0, y_all = 0, light = 0, x_light = 0, y_light = 0;
    for (std::int64_t y = 0; y < kSide; ++y)
      for (std::int64_t x = 0; x < kSide; ++x, pixel += 3) {
        const double value = std::max({pixel[0], pixel[1], pixel[2]}), inside = value > 0;
        if (value > std::max({brightest[0], brightest[1], brightest[2]})) brightest = pixel;
        all += inside, x_all += inside * static_cast<double>(x), y_all += inside * static_cast<double>(y);
        light += value, x_light += value * static_cast<double>(x), y_light += value * static_cast<double>(y);
      }
    EXPECT_LT(turn_between(hue_of(brightest), shapes.rows.numbers(1)[k]), 2) << i;
    // The lighter side is where the shape points.
    const double angle = std::atan2(y_all / all - y_light / light, x_light / light - x_all / all);
    EXPECT_LT(turn_between(angle * 180 / std::numbers::pi, shapes.rows.numbers(2)[k]), 12) << i;
    if (shapes.rows.categories(0)[k] == 0) {
      const double radius = shapes.rows.numbers(3)[k] * kSide / 2;
      EXPECT_NEAR(std::sqrt(all / std::numbers::pi), radius, 1.2) << "circle " << i;
    }
  }
}

TEST(MadeData, ShapesDifferInForm) {
  // Areas and perimeters in a circle of radius 1, in the order of the names.
  const double pi = std::numbers::pi, inner = 0.4;  // the radius of a star's corners between its points
  const auto regular = [&](int n) { return std::pair{n / 2.0 * std::sin(2 * pi / n), 2 * n * std::sin(pi / n)}; };
  const std::pair<double, double> star{5 * inner * std::sin(pi / 5),
                                       10 * std::hypot(1 - inner * std::cos(pi / 5), inner * std::sin(pi / 5))};
  const std::pair<double, double> forms[] = {{pi, 2 * pi}, regular(6), regular(5), regular(4), star, regular(3)};
  const data::Dataset shapes = open("shapes:60:128", "label,size");
  for (std::int64_t i = 0; i < shapes.count(); ++i) {
    double covered = 0;
    for (std::int64_t p = 0; p < 128 * 128; ++p)
      covered += *std::max_element(image(shapes, i) + 3 * p, image(shapes, i) + 3 * p + 3) > 0;
    const double radius = shapes.rows.numbers(1)[static_cast<std::size_t>(i)] * 64;
    const auto [area, perimeter] = forms[shapes.rows.categories(0)[static_cast<std::size_t>(i)]];
    // Pixels whose centres lie up to half a pixel outside are lit a little.
    EXPECT_NEAR(covered / (pi * radius * radius), (area + perimeter / 2 / radius) / pi, 0.015) << i;
  }
  EXPECT_EQ(open("shapes").count(), 10'000);
  EXPECT_EQ(open("shapes").condition.classes(), 6) << "the label alone, if nothing else is asked for";
  EXPECT_NE(open("shapes:20").hash, open("shapes:20", "", data::Split::test).hash);
}

// ---- glyphs ----

TEST(MadeData, CharsetsHaveTheirCharacters) {
  const std::vector<std::string> chinese = data::charset_characters("gb2312-1");
  ASSERT_EQ(chinese.size(), 3755u);
  EXPECT_EQ(chinese.front(), "啊");
  EXPECT_EQ(chinese.back(), "座");
  EXPECT_EQ(std::set<std::string>(chinese.begin(), chinese.end()).size(), 3755u);
  EXPECT_EQ(data::charset_characters("digits").size(), 10u);
  EXPECT_EQ(data::charset_characters("latin").size(), 52u);
}

TEST(MadeData, GlyphsAreDrawnFromFonts) {
  if (!fs::exists(kFonts)) GTEST_SKIP() << "there are no fonts in " << kFonts;
  data::GlyphOptions options{.charset = "latin", .fonts = {kFonts}, .characters = 5, .count = 8, .size = 32};
  const data::Dataset glyphs = data::make_glyphs(options);
  ASSERT_EQ(glyphs.count(), 40);
  EXPECT_EQ(glyphs.sample_shape, (graph::Shape{1, 32, 32}));
  EXPECT_EQ(glyphs.condition.columns[0].names, (std::vector<std::string>{"A", "B", "C", "D", "E"}));
  ASSERT_EQ(glyphs.condition.columns.size(), 2u);
  EXPECT_EQ(glyphs.condition.columns[1].name, "font");
  std::set<std::string> different;
  for (std::int64_t i = 0; i < 40; ++i) {
    EXPECT_EQ(glyphs.rows.categories(0)[static_cast<std::size_t>(i)], i / 8);
    const std::vector<std::uint8_t> pixels(image(glyphs, i), image(glyphs, i + 1));
    EXPECT_GT(std::ranges::max(pixels), 150) << i;
    for (std::size_t edge = 0; edge < 32; ++edge)
      EXPECT_EQ(pixels[edge] + pixels[31 * 32 + edge] + pixels[32 * edge] + pixels[32 * edge + 31], 0) << i;
    different.emplace(pixels.begin(), pixels.end());
  }
  EXPECT_EQ(different.size(), 40u);
  EXPECT_EQ(data::make_glyphs(options).hash, glyphs.hash);
  options.seed = 1;
  EXPECT_NE(data::make_glyphs(options).hash, glyphs.hash);
}

TEST(MadeData, GlyphsBadInput) {
  const TemporaryFolder folder;
  put(folder / "broken.ttf", "no font");
  fs::create_directory(folder / "empty");
  const auto refused = [&](ErrorKind kind, const std::string& part, const data::GlyphOptions& options) {
    expect_error(kind, part, [&] { data::make_glyphs(options); });
  };
  refused(ErrorKind::usage, "no fonts", {});
  refused(ErrorKind::usage, "15 pixels", {.fonts = {kFonts}, .size = 15});
  refused(ErrorKind::usage, "0 pictures", {.fonts = {kFonts}, .count = 0});
  refused(ErrorKind::data, "no such file or folder", {.fonts = {folder / "none"}});
  refused(ErrorKind::data, "holds no fonts", {.fonts = {folder / "empty"}});
  refused(ErrorKind::data, "broken.ttf: is no font", {.fonts = {folder / "broken.ttf"}});
  if (!fs::exists(kFonts)) GTEST_SKIP() << "there are no fonts in " << kFonts;
  refused(ErrorKind::usage, "did you mean \"latin\"", {.charset = "latinn", .fonts = {kFonts}});
  refused(ErrorKind::data, "have no character of gb2312-1", {.charset = "gb2312-1", .fonts = {kFonts}});
  refused(ErrorKind::usage, "it has 10", {.fonts = {kFonts}, .characters = 11});
  refused(ErrorKind::usage, "more than 32 GB", {.fonts = {kFonts}, .count = 1'000'000'000, .size = 128});
}

// ---- writing ----

// A value of a vector in the data's units.
double value_of(const data::Dataset& dataset, std::size_t i) {
  const std::vector<data::NumberColumn>& columns = dataset.units.columns;
  const double value = dataset.points[i];
  return columns.empty() ? value : columns[i % columns.size()].scaling.undo(value);
}

void expect_same(const data::Dataset& found, const data::Dataset& expected) {
  ASSERT_EQ(found.count(), expected.count());
  ASSERT_EQ(found.sample_shape, expected.sample_shape);
  const std::int64_t bytes = expected.count() * graph::element_count(expected.sample_shape);
  if (expected.is_image()) {
    EXPECT_TRUE(std::equal(expected.pixels.get(), expected.pixels.get() + bytes, found.pixels.get()));
  } else {
    ASSERT_EQ(found.points.size(), expected.points.size());
    for (std::size_t i = 0; i < expected.points.size(); ++i)
      ASSERT_NEAR(value_of(found, i), value_of(expected, i), 1e-6) << i;
  }
  ASSERT_EQ(found.condition.columns.size(), expected.condition.columns.size());
  for (std::size_t c = 0; c < expected.condition.columns.size(); ++c) {
    EXPECT_EQ(found.condition.columns[c].name, expected.condition.columns[c].name);
    EXPECT_EQ(found.condition.columns[c].names, expected.condition.columns[c].names);
    EXPECT_EQ(found.condition.columns[c].number.period, expected.condition.columns[c].number.period);
    EXPECT_EQ(found.rows.columns[c], expected.rows.columns[c]);
  }
}

data::Dataset read_back(const std::string& path, const data::Dataset& written, const TemporaryFolder& cache,
                        data::Split split = data::Split::train) {
  data::SourceOptions options;
  options.cache = cache.path();
  options.split = split;
  options.read = data::options_to_read(path, written.condition);
  return data::open_source(path, options);
}

TEST(Export, ImagesComeBackFromArraysAndFolders) {
  const TemporaryFolder folder, cache;
  const std::string columns = "label,hue,size";
  const data::Dataset train = open("shapes:25:16", columns), test = open("shapes:25:16", columns, data::Split::test);
  data::write_npz(folder / "both.npz", {train, &test});
  data::write_npz(folder / "one.npz", {train});
  data::write_pictures(folder / "both", {train, &test});
  data::write_pictures(folder / "one/", {train});
  for (const char* name : {"one.npz", "both.npz", "one", "both"})
    expect_same(read_back(folder / name, train, cache), train);
  for (const char* name : {"both.npz", "both"})
    expect_same(read_back(folder / name, train, cache, data::Split::test), test);
  EXPECT_FALSE(data::has_test_part(folder / "one.npz"));
  EXPECT_EQ(folder.entries(), 4) << "nothing is left";
  EXPECT_EQ(get(folder / "one/metadata.csv").substr(0, 29), "file_name,label,hue,size\n0000");
}

TEST(Export, AlphaAndUnlabelledImagesComeBack) {
  const TemporaryFolder folder, cache;
  for (const std::int64_t channels : {1, 2, 3, 4}) {
    data::Dataset dataset;
    dataset.items = 3;
    dataset.sample_shape = {channels, 4, 5};
    const std::shared_ptr<std::uint8_t[]> pixels(new std::uint8_t[static_cast<std::size_t>(60 * channels)]);
    for (std::int64_t i = 0; i < 60 * channels; ++i) pixels[i] = static_cast<std::uint8_t>(i * 7);
    dataset.pixels = pixels;
    const std::string out = folder / std::to_string(channels);
    data::write_pictures(out, {dataset});
    data::write_npz(out + ".npz", {dataset});
    expect_same(read_back(out, dataset, cache), dataset);
    expect_same(read_back(out + ".npz", dataset, cache), dataset);
  }
}

TEST(Export, UnitsOfImagesAndCategoriesThatAreNumbersAreKept) {
  const TemporaryFolder folder, cache;
  data::Dataset dataset;
  dataset.items = 256;
  dataset.sample_shape = {1, 2, 2};
  dataset.units = {.low = -3, .high = 900};
  const std::shared_ptr<std::uint8_t[]> pixels(new std::uint8_t[1024]);
  std::vector<std::int32_t> digits, labels;
  for (int i = 0; i < 1024; ++i) pixels[i] = static_cast<std::uint8_t>(i / 4);
  for (int i = 0; i < 256; ++i) digits.push_back(i % 3), labels.push_back(i % 2);
  dataset.pixels = pixels;
  dataset.condition.columns = {{.name = "digit", .categories = 3},
                               {.name = "label", .categories = 2, .names = {"a, \"b\"", "ü"}}};
  dataset.rows.columns = {digits, labels};
  data::write_npz(folder / "x.npz", {dataset});
  data::write_pictures(folder / "x", {dataset});
  const data::Dataset arrays = read_back(folder / "x.npz", dataset, cache);
  EXPECT_EQ(arrays.units, dataset.units);
  expect_same(arrays, dataset);
  expect_same(read_back(folder / "x", dataset, cache), dataset);
}

TEST(Export, TablesComeBack) {
  const TemporaryFolder folder, cache;
  put(folder / "in.csv", "sex,weight,rings,\"a, b\"\nM,1.5,3,0.25\nF,2000.25,9,-4\nM,0.1,4,12\n");
  data::SourceOptions options;
  options.read.condition = "sex,rings";
  options.read.scaling = "weight:log";
  const data::Dataset table = data::open_source(folder / "in.csv", options);
  data::write_table(folder / "out.csv", {table});
  const io::Csv out = io::read_csv(folder / "out.csv");
  EXPECT_EQ(out.header(), (std::vector<std::string>{"weight", "a, b", "sex", "rings"}));
  const double weights[] = {1.5, 2000.25, 0.1}, others[] = {0.25, -4, 12};
  for (std::int64_t row = 0; row < 3; ++row) {
    EXPECT_NEAR(std::stod(std::string(out.cell(row, 0))) / weights[row], 1, 1e-6);
    EXPECT_NEAR(std::stod(std::string(out.cell(row, 1))), others[row], 1e-5);
    EXPECT_EQ(out.cell(row, 2), row == 1 ? "F" : "M");
    EXPECT_EQ(out.cell(row, 3), row == 0 ? "3" : row == 1 ? "9" : "4");
  }
  data::write_npz(folder / "out.npz", {table});
  const data::Dataset arrays = read_back(folder / "out.npz", table, cache);
  ASSERT_EQ(arrays.units.columns.size(), 2U);
  EXPECT_EQ(arrays.units.columns[0].name, "weight");
  EXPECT_EQ(arrays.units.columns[1].name, "a, b");
  const data::Dataset circle = open("circle"), test = open("circle", "", data::Split::test);
  data::write_table(folder / "circle.csv", {circle, &test});
  expect_same(read_back(folder / "circle.csv", circle, cache), circle);
  EXPECT_EQ(io::read_csv(folder / "circle-test.csv").rows(), 3600);
  data::write_npz(folder / "circle.npz", {circle, &test});
  expect_same(read_back(folder / "circle.npz", circle, cache, data::Split::test), test);
}

TEST(Export, BadInput) {
  const TemporaryFolder folder;
  const data::Dataset shapes = open("shapes:4:16"), circle = open("circle");
  put(folder / "file", "");
  fs::create_directory(folder / "full");
  put(folder / "full/x", "");
  const auto usage = [](const std::string& part, auto write) { expect_error(ErrorKind::usage, part, write); };
  usage("do not go into a table", [&] { data::write_table(folder / "x.csv", {shapes}); });
  usage("vectors are no pictures", [&] { data::write_pictures(folder / "x", {circle}); });
  usage("not an empty folder", [&] { data::write_pictures(folder / "full", {shapes}); });
  usage("not an empty folder", [&] { data::write_pictures(folder / "file/", {shapes}); });
  data::Dataset twice = circle;
  twice.condition.columns[0].name = "x0";
  usage("two columns are called x0", [&] { data::write_table(folder / "x.csv", {twice}); });
  twice.condition.columns[0].name = "x";
  usage("column x", [&] { data::write_npz(folder / "x.npz", {twice}); });
  data::Dataset wide = shapes;
  wide.sample_shape = {12, 8, 8};
  usage("12 channels", [&] { data::write_pictures(folder / "x", {wide}); });
  expect_error(ErrorKind::data, "none/x.csv", [&] { data::write_table(folder / "none/x.csv", {circle}); });
  EXPECT_EQ(folder.entries(), 2) << "nothing is left";
}

// ---- the program ----

TEST(CliData, InfoSaysWhatIsUnusual) {
  const Folder folder;
  std::string images, labels;
  for (int i = 0; i < 50; ++i) {
    images += std::string(16, static_cast<char>(i < 2 ? 77 : i)) + static_cast<char>(200);
    labels += static_cast<char>(i < 3);
  }
  put(folder / "x.idx", idx({50, 17, 1}, images));
  put(folder / "y.idx", idx({50}, labels));
  const std::string out = run(folder, {"data", "info", source(folder)}).out;
  EXPECT_EQ(out, run(folder, {"info", source(folder)}).out);
  for (const char* part : {"50 images [1, 17, 1]\n", "per class      47, 3\n", "1 of 50 images equal an earlier one\n",
                           "label 1 has fewer than 5 pictures", "label 0 has 15.7 times as many pictures as 1"})
    EXPECT_NE(out.find(part), std::string::npos) << part << "\n" << out;
  const std::string circle = run(folder, {"data", "info", "circle"}).out;
  for (const char* part : {"1,200 vectors [2]\n", "angle          0 to 357 degrees, ",
                           "120 different values, period 360\n", "test part      there is one\n"})
    EXPECT_NE(circle.find(part), std::string::npos) << part << "\n" << circle;
  const std::string shapes = run(folder, {"info", "shapes:60:16", "--condition", "label,size"}).out;
  for (const char* part : {"label          6: circle, hexagon,", "  of each      10, 10, 10", "size           0.4"})
    EXPECT_NE(shapes.find(part), std::string::npos) << part << "\n" << shapes;
}

TEST(CliData, SheetsHaveARowForEachClass) {
  const Folder folder;
  const auto sheet = [&](const Args& source) {
    Args args = {"data", "info", "--out", folder / "sheet.png"};
    args.insert(args.end(), source.begin(), source.end());
    const Result result = run(folder, args);
    EXPECT_EQ(result.code, 0) << result.err;
    return std::pair(result.out, io::decode_picture(get(folder / "sheet.png"), "sheet"));
  };
  auto [out, picture] = sheet({"shapes:600:16"});
  EXPECT_NE(out.find("a row for each label: circle, hexagon, "), std::string::npos) << out;
  EXPECT_EQ(picture.channels, 3);
  EXPECT_EQ(picture.width, 10 * 18 + 2);
  EXPECT_EQ(picture.height, 6 * 18 + 2);
  std::tie(out, picture) = sheet({"shapes:600:16", "--condition", "hue"});
  EXPECT_NE(out.find("200 examples, by hue"), std::string::npos) << out;
  EXPECT_EQ(picture.height, 20 * 18 + 2);
  for (std::int64_t row = 0; row < 20; ++row) {
    const std::uint8_t* brightest = picture.bytes.get();
    for (std::int64_t p = (2 + 18 * row) * picture.width; p < 18 * (row + 1) * picture.width; ++p) {
      const std::uint8_t* const pixel = picture.bytes.get() + 3 * p;
      if (std::max({pixel[0], pixel[1], pixel[2]}) > std::max({brightest[0], brightest[1], brightest[2]}))
        brightest = pixel;
    }
    EXPECT_LT(turn_between(hue_of(brightest), 18.0 * static_cast<double>(row) + 9), 25) << row;
  }
  std::tie(out, picture) = sheet({"circle"});
  EXPECT_NE(out.find("1,200 points"), std::string::npos) << out;
}

TEST(CliData, MakesConvertsAndTrainsOnWhatItSays) {
  const Folder folder;
  const Result made = run(folder, {"data", "make", "shapes", "--count", "24", "--size", "16", "--out", folder / "s"});
  EXPECT_EQ(made.code, 0) << made.err;
  EXPECT_NE(made.out.find("--condition label,hue,angle,size --periodic hue:360,angle:360 --out runs/a\n"),
            std::string::npos)
      << made.out;
  expect_done(folder, {"data", "convert", folder / "s", "--condition", "hue,label", "--out", folder / "s.npz",
                       "--cache", folder / "cache"});
  const io::NpzFile file(folder / "s.npz");
  EXPECT_EQ(file.names(),
            (std::vector<std::string>{"x_train", "hue_train", "label_train", "x_test", "hue_test", "label_test"}));
  EXPECT_EQ(file.open("x_train").shape(), (graph::Shape{24, 16, 16, 3}));
  expect_done(folder, {"data", "make", "circle", "--seed", "3", "--out", folder / "c.csv"});
  EXPECT_EQ(io::read_csv(folder / "c.csv").header(), (std::vector<std::string>{"x0", "x1", "angle"}));
  const std::string cache = run(folder, {"data", "cache", "--cache", folder / "cache"}).out;
  EXPECT_NE(cache.find("/s/train: 24 images [3, 16, 16]\n"), std::string::npos) << cache;
  EXPECT_NE(cache.find(" in 2 decoded data sets"), std::string::npos) << cache;
  EXPECT_NE(run(folder, {"data", "cache", "--clear", "--cache", folder / "cache"}).out.find("freed "),
            std::string::npos);
  EXPECT_EQ(run(folder, {"data", "cache", "--cache", folder / "cache"}).out, "0 kB in 0 decoded data sets\n");
}

TEST(CliData, WrongUseBadInput) {
  const Folder folder;
  fs::create_directory(folder / "empty");
  const struct {
    Args args;
    int code;
    std::string message;
  } wrong[] = {
      {{"data"}, 2, "a subcommand is missing"},
      {{"data", "mkae"}, 2, "did you mean \"make\"?"},
      {{"data", "make", "shapes"}, 2, "--out is required"},
      {{"data", "make", "shappes", "--out", folder / "x"}, 2, "did you mean \"shapes\"?"},
      {{"data", "make", "mnist", "--out", folder / "x"}, 2, "cannot be made"},
      {{"data", "make", "circle", "--count", "5", "--out", folder / "x.csv"}, 2, "for shapes and glyphs"},
      {{"data", "make", "circle", "--charset", "latin", "--out", folder / "x.csv"}, 2, "are for glyphs"},
      {{"data", "make", "shapes", "--count", "1", "--out", folder / "x"}, 2, "at least 2"},
      {{"data", "make", "shapes", "--size", "8", "--out", folder / "x"}, 2, "--size"},
      {{"data", "make", "shapes:20:1000", "--out", folder / "x"}, 2, "16 to 128 pixels"},
      {{"data", "make", "shapes:", "--out", folder / "x"}, 2, "16 to 128 pixels"},
      {{"data", "make", "glyphs", "--out", folder / "x"}, 2, "no fonts"},
      {{"data", "info", "shapes:9:16:3"}, 2, "expected shapes:COUNT:SIZE"},
      {{"data", "info", "shapes:4000000000:128"}, 2, "more than 32 GB"},
      {{"data", "info", "circle:3"}, 2, "unknown data source"},
      {{"data", "info", "circle", "--condition", "angel"}, 2, "did you mean \"angle\"?"},
      {{"data", "info", "circle", "--out", "-"}, 2, "standard output"},
      {{"data", "info", folder / "none"}, 3, "no such file or folder"},
      {{"data", "info", folder / "empty"}, 3, "no pictures; expected"},
      {{"data", "convert", "circle", "--out", folder / "x"}, 2, "vectors are no pictures"},
      {{"data", "convert", "circle", "--out", folder / "x.npy"}, 2, "expected FILE.npz, FILE.csv"},
      {{"data", "convert", "circle", "--out", "-"}, 2, "standard output"},
      {{"data", "convert", "circle", "--out", folder / "none/x.csv"}, 3, "none/x.csv"},
      {{"data", "convert", "shapes:9:16", "--out", folder / "x.csv"}, 2, "do not go into a table"},
      {{"data", "convert", "shapes:9:16", "--out", folder.path()}, 2, "not an empty folder"},
  };
  for (const auto& [args, code, message] : wrong) expect_refused(folder, args, code, message);
  EXPECT_FALSE(fs::exists(folder / "x"));
}

}  // namespace
}  // namespace gan
