// The samples that `gan sample` draws, and the files that it writes.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>
#include <span>

#include "base/error.h"
#include "data/condition_choice.h"
#include "data/source.h"
#include "io/csv.h"
#include "io/npy.h"
#include "io/npz.h"
#include "io/picture_file.h"
#include "run_helpers.h"
#include "train/model_file.h"
#include "train/preset.h"
#include "train/sampler.h"
#include "untrained_model.h"

namespace gan::test {
namespace {

namespace fs = std::filesystem;
using base::ErrorKind;
using data::ConditionChoice;
using data::ConditionColumn;
using data::ConditionRows;
using data::ConditionSpec;

constexpr int kLatent = 5;

ConditionColumn number(const std::string& name, double minimum, double maximum, double period = 0) {
  ConditionColumn column{.name = name};
  column.number.name = name;
  column.number.minimum = minimum;
  column.number.maximum = maximum;
  column.number.period = period;
  return column;
}

ConditionColumn classes(const std::string& name, std::vector<std::string> names) {
  return {.name = name, .categories = static_cast<int>(names.size()), .names = std::move(names)};
}

ConditionSpec digit_and_angle() {
  return {{{.name = "digit", .categories = 10}, number("angle", 0, 360, 360), number("size", 2, 9)}};
}

/// A model with random weights.
train::Model model_of(const ConditionSpec& condition, const graph::Shape& sample = {1, 6, 6}) {
  train::Model model;
  model.config = train::load_preset("lsgan-r1r2");
  model.config.model.g.widths = {16};
  model.config.model.d.widths = {8};
  model.config.model.latent = kLatent;
  model.config.data.unconditional = condition.empty();
  model.sample_shape = sample;
  model.condition = condition;
  give_random_weights(model);
  return model;
}

std::vector<float> array_of(const std::string& path) {
  const runtime::Array array = io::read_npy_f32(path);
  return {array.f32().begin(), array.f32().end()};
}

std::vector<double> numbers_of(const io::NpzFile& file, const std::string& name) {
  io::NpyInput input = file.open(name);
  std::vector<double> values(static_cast<std::size_t>(input.elements()));
  input.read(values);
  return values;
}

std::vector<float> floats_of(const ConditionSpec& spec, const std::string& text) {
  return std::get<std::vector<float>>(data::parse_choices(spec, text).at(0).values);
}

std::vector<std::int32_t> categories_of(const ConditionSpec& spec, const std::string& text) {
  return std::get<std::vector<std::int32_t>>(data::parse_choices(spec, text).at(0).values);
}

// ---- choices ----

TEST(ConditionChoice, ValuesListsAndRanges) {
  const ConditionSpec spec = digit_and_angle();
  EXPECT_EQ(categories_of(spec, "digit=7"), std::vector<std::int32_t>{7});
  EXPECT_EQ(categories_of(spec, "digit=3|7|9"), (std::vector<std::int32_t>{3, 7, 9}));
  EXPECT_EQ(floats_of(spec, "size=2:8:4"), (std::vector<float>{2, 4, 6, 8}));
  EXPECT_EQ(floats_of(spec, "size=8:2:3|1"), (std::vector<float>{8, 5, 2, 1}));
  EXPECT_EQ(floats_of(spec, "size=2:8:1"), std::vector<float>{2});
  EXPECT_EQ(floats_of(spec, "angle=0:360:4"), (std::vector<float>{0, 90, 180, 270})) << "without the end of a turn";
  EXPECT_EQ(floats_of(spec, "angle=-360:360:4"), (std::vector<float>{-360, -180, 0, 180}));
  EXPECT_EQ(floats_of(spec, "angle=0:180:3"), (std::vector<float>{0, 90, 180}));
  const auto both = data::parse_choices(spec, "angle=30,digit=7|8");
  ASSERT_EQ(both.size(), 2u);
  EXPECT_EQ(both[0].column, 1u);
  EXPECT_EQ(both[1].column, 0u);
  EXPECT_EQ(both[1].count(), 2);
  EXPECT_FALSE(both[0].range);
  EXPECT_TRUE(data::parse_choices(spec, "size=2:8:4")[0].range);
}

TEST(ConditionChoice, QuotesAndWholeNamesWinOverSplitting) {
  const ConditionSpec spec{{classes("label", {"a", "b", "a|b", "3:4:5", "x,y", "x,n=1", "say \"no\"", "", "\"q\""}),
                            number("n", 0, 1), number("n=m", 0, 1)}};
  EXPECT_EQ(categories_of(spec, "label=a|b"), std::vector<std::int32_t>{2});
  EXPECT_EQ(categories_of(spec, "label=b|a"), (std::vector<std::int32_t>{1, 0}));
  EXPECT_EQ(categories_of(spec, "label=3:4:5"), std::vector<std::int32_t>{3});
  EXPECT_EQ(categories_of(spec, "label=x,y"), std::vector<std::int32_t>{4});
  EXPECT_EQ(categories_of(spec, "label=x,n=1"), std::vector<std::int32_t>{5});
  EXPECT_EQ(categories_of(spec, "label=\"x,n=1\"|\"a|b\"|a"), (std::vector<std::int32_t>{5, 2, 0}));
  EXPECT_EQ(categories_of(spec, "label=\"say \"\"no\"\"\""), std::vector<std::int32_t>{6});
  EXPECT_EQ(categories_of(spec, "label=say \"no\""), std::vector<std::int32_t>{6});
  EXPECT_EQ(categories_of(spec, "label=\"\""), std::vector<std::int32_t>{7});
  EXPECT_EQ(categories_of(spec, "label=\"q\""), std::vector<std::int32_t>{8});
  const auto two = data::parse_choices(spec, "label=\"a|b\"|x,y,n=m=0.5");
  ASSERT_EQ(two.size(), 2u);
  EXPECT_EQ(std::get<std::vector<std::int32_t>>(two[0].values), (std::vector<std::int32_t>{2, 4}));
  EXPECT_EQ(two[1].column, 2u) << "the longest name";
}

TEST(ConditionChoiceBadInput, TextsThatChooseNothing) {
  ConditionSpec spec = digit_and_angle();
  spec.columns.push_back(number("price", 1, 9));
  spec.columns.back().number.scaling.kind = "log";
  const std::pair<const char*, const char*> wrong[] = {
      {"", "expected NAME=VALUE, where NAME is one of: digit, angle, size"},
      {"7", "expected NAME=VALUE"},
      {"=7", "no condition \"\""},
      {"angel=30", "no condition \"angel\"; did you mean \"angle\"?"},
      {"digit=7,angel=30", "no condition \"angel\""},
      {"digit=7,digit=8", "digit is given twice"},
      {"digit=", "digit: a value is empty"},
      {"digit=3||7", "digit 3||7: a value is empty"},
      {"digit=7,", "digit \"7,\" is not a whole number"},
      {"digit=12", "out of range"},
      {"digit=1:3:2", "not a whole number"},
      {"angle=", "angle: a value is empty"},
      {"angle=north", "angle \"north\" is not a number"},
      {"angle=nan", "not a number"},
      {"angle=1e99", "not a number"},
      {"angle=0:360", "expected from:to:count"},
      {"angle=0:360:4:2", "expected from:to:count"},
      {"angle=0:360:0", "whole number from 1 to 1,000,000"},
      {"angle=0:360:-4", "whole number from 1 to 1,000,000"},
      {"angle=0:360:1e12", "whole number from 1 to 1,000,000"},
      {"angle=0:360:1000000000000", "whole number from 1 to 1,000,000"},
      {"angle=0:inf:4", "not a number"},
      {"angle=:1:4", "not a number"},
      {"angle=\"30", "a quote is not closed"},
      {"angle=\"30\"1", "text follows a closing quote"},
      {"price=0", "expected a number above 0"},
  };
  for (const auto& [text, message] : wrong)
    expect_error(ErrorKind::usage, message, [&] { data::parse_choices(spec, text); });
}

TEST(ConditionChoice, CombinationsChangeFromTheLastAxis) {
  const ConditionSpec spec = digit_and_angle();
  const data::ConditionGrid grid(3, {{data::parse_choices(spec, "size=5")[0]},
                                     {data::parse_choices(spec, "digit=1|2")[0]},
                                     {data::parse_choices(spec, "angle=0|10|20")[0]}});
  EXPECT_EQ(grid.count(), 6);
  const ConditionRows rows = grid.rows(1, 9, 2);
  EXPECT_EQ(std::get<std::vector<std::int32_t>>(rows.columns[0]),
            (std::vector<std::int32_t>{1, 1, 1, 1, 1, 2, 2, 2, 2}));
  EXPECT_EQ(std::get<std::vector<float>>(rows.columns[1]), (std::vector<float>{0, 10, 10, 20, 20, 0, 0, 10, 10}));
  EXPECT_EQ(std::get<std::vector<float>>(rows.columns[2]), std::vector<float>(9, 5.0f));
  EXPECT_TRUE(data::outside_notes(spec, grid).empty());
  const data::ConditionGrid far(3, {{data::parse_choices(spec, "size=1|9|12|13,digit=1,angle=700")[0]},
                                    {data::parse_choices(spec, "digit=1")[0]},
                                    {data::parse_choices(spec, "angle=700")[0]}});
  EXPECT_EQ(data::outside_notes(spec, far),
            std::vector<std::string>{"size 1 and 2 others are outside the range seen in training, 2 to 9"})
      << "a period has no outside";
}

TEST(ConditionChoice, FilesOfConditions) {
  const TemporaryFolder folder;
  const ConditionSpec spec{{classes("label", {"3", "7", "200"}), number("n", 0, 1)}};
  put(folder / "x.csv", "file_name,n,label\nx.png,0.5,200\ny.png,-1,3\n");
  auto choices = data::read_choices(folder / "x.csv", spec, "--conditions-file");
  ASSERT_EQ(choices.size(), 2u);
  EXPECT_EQ(std::get<std::vector<std::int32_t>>(choices[0].values), (std::vector<std::int32_t>{2, 0}));
  EXPECT_EQ(std::get<std::vector<float>>(choices[1].values), (std::vector<float>{0.5f, -1.0f}));
  io::write_npy(folder / "x.npy", {2, 2}, std::vector<float>{7, 0.25f, 200, 1});
  choices = data::read_choices(folder / "x.npy", spec, "--conditions-file");
  EXPECT_EQ(std::get<std::vector<std::int32_t>>(choices[0].values), (std::vector<std::int32_t>{1, 2}))
      << "numbers are names where names are numbers";
  EXPECT_EQ(std::get<std::vector<float>>(choices[1].values), (std::vector<float>{0.25f, 1.0f}));
  const ConditionSpec words{{classes("label", {"cat", "dog"})}};
  io::write_npy(folder / "y.npy", {3}, std::vector<float>{1, 0, 1});
  choices = data::read_choices(folder / "y.npy", words, "--labels-file");
  EXPECT_EQ(std::get<std::vector<std::int32_t>>(choices[0].values), (std::vector<std::int32_t>{1, 0, 1}));
}

TEST(ConditionChoiceBadInput, FilesOfOtherConditions) {
  const TemporaryFolder folder;
  const ConditionSpec spec{{classes("label", {"3", "7", "200"}), number("n", 0, 1)}};
  const auto refused = [&](const std::string& name, const std::string& content, const std::string& message,
                           ErrorKind kind = ErrorKind::data) {
    put(folder / name, content);
    expect_error(kind, message, [&] { data::read_choices(folder / name, spec, "--conditions-file"); });
  };
  refused("a.csv", "label,n\n7,0\n8,0\n", "a.csv: line 3: unknown label \"8\"");
  refused("a.csv", "label,n\n7,much\n", "a.csv: line 2: n \"much\" is not a number");
  refused("a.csv", "label,n\n7,\n", "a.csv: line 2: n \"\" is not a number");
  refused("a.csv", "label,n\n7\n", "line 2");
  refused("a.csv", "label,n\n", "has no rows");
  refused("a.csv", "class,m\n7,1\n", "has columns class, m, none of the model's condition: label, n");
  refused("a.txt", "7", "expected a file called .npy, .csv or .tsv", ErrorKind::usage);
  refused("a.npy", "7", "a.npy");
  const auto refused_array = [&](const graph::Shape& shape, const std::vector<float>& values, const char* message) {
    io::write_npy(folder / "x.npy", shape, values);
    expect_error(ErrorKind::data, message, [&] { data::read_choices(folder / "x.npy", spec, "--conditions-file"); });
  };
  refused_array({2}, {7, 1}, "expected numbers [N, 2]");
  refused_array({1, 3}, {7, 1, 1}, "found <f4 of shape [1, 3]");
  refused_array({0, 2}, {}, "N at least 1");
  refused_array({2, 2}, {7, 1, 8, 1}, "unknown label 8 in row 1");
  refused_array({1, 2}, {7.5f, 1}, "unknown label 7.5 in row 0");
  refused_array({1, 2}, {7, NAN}, "n nan in row 0");
}

// ---- the program ----

class SampleCli : public testing::Test {
 protected:
  /// Saves a model, which commands then draw from.
  void save(const train::Model& model) { train::save_model(folder_ / "m.safetensors", model); }
  Args args(const Args& more) const {
    Args all = {"sample", folder_ / "m.safetensors"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  void done(const Args& more) const { expect_done(folder_, args(more)); }
  void refused(const Args& more, int code, const std::string& message) const {
    expect_refused(folder_, args(more), code, message);
  }
  /// The samples that a command draws, as an array of floats.
  std::vector<float> drawn(Args more) const {
    more.insert(more.end(), {"--out", folder_ / "drawn.npy"});
    done(more);
    return array_of(folder_ / "drawn.npy");
  }
  std::set<std::string> names(const std::string& name) const {
    std::set<std::string> found;
    for (const auto& entry : fs::directory_iterator(folder_ / name)) found.insert(entry.path().filename().string());
    return found;
  }
  const Folder folder_;
};
using SampleCliBadInput = SampleCli;

TEST_F(SampleCli, DrawsEveryCombination) {
  const train::Model model = model_of(digit_and_angle());
  save(model);
  const std::vector<float> samples = drawn({"--condition", "angle=0:360:3,size=4", "--condition", "digit=7|2"});
  ConditionRows rows;
  rows.columns = {std::vector<std::int32_t>{7, 2, 7, 2, 7, 2}, std::vector<float>{0, 0, 120, 120, 240, 240},
                  std::vector<float>(6, 4.0f)};
  std::vector<float> z(6 * kLatent), expected(6 * 36);
  train::Sampler sampler(model);
  sampler.latents(1, 0, z);
  sampler.sample(z, rows, expected);
  ASSERT_EQ(samples.size(), expected.size()) << "the last option changes fastest";
  for (std::size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(samples[i], expected[i], 1e-5) << i;
  EXPECT_EQ(drawn({"--condition", "size=4,digit=1"}).size(), 8 * 8 * 36u) << "8 angles, 8 of each";
  EXPECT_EQ(drawn({"--condition", "size=4"}).size(), 10 * 8 * 36u) << "2 columns vary";
}

TEST_F(SampleCli, AnySampleOfASeedIsDrawnAgain) {
  save(model_of(data::label_condition(4)));
  const std::vector<float> all = drawn({"--label", "2", "--count", "700", "--seed", "9"});
  for (const int index : {0, 1, 255, 256, 699}) {
    const std::vector<float> one =
        drawn({"--label", "2", "--count", "1", "--seed", "9", "--first", std::to_string(index)});
    ASSERT_EQ(one.size(), 36u);
    for (std::size_t i = 0; i < 36; ++i)
      ASSERT_NEAR(one[i], all[static_cast<std::size_t>(index) * 36 + i], 1e-5) << index;
  }
  const std::vector<float> part = drawn({"--labels", "0,2", "--count", "150", "--seed", "9", "--first", "300"});
  for (std::size_t i = 0; i < 150 * 36; ++i) ASSERT_NEAR(part[150 * 36 + i], all[450 * 36 + i], 1e-5);
}

TEST_F(SampleCli, TheSameLatentsForEachValue) {
  save(model_of(data::label_condition(4)));
  const std::vector<float> same = drawn({"--count", "40", "--same-latents", "--first", "3"});
  for (int label = 0; label < 4; ++label) {
    const std::vector<float> alone = drawn({"--label", std::to_string(label), "--count", "40", "--first", "3"});
    for (std::size_t i = 0; i < alone.size(); ++i)
      ASSERT_NEAR(same[static_cast<std::size_t>(label) * alone.size() + i], alone[i], 1e-5);
  }
  io::write_npy(folder_ / "z.npy", {2, kLatent}, std::vector<float>(2 * kLatent, 0.5f));
  EXPECT_EQ(drawn({"--noise", folder_ / "z.npy", "--same-latents"}).size(), 8 * 36u);
  save(model_of({}));
  EXPECT_EQ(drawn({"--count", "3", "--same-latents"}), drawn({"--count", "3"})) << "without a condition";
}

TEST_F(SampleCli, ProgressTellsTheShareOfALargeDraw) {
  save(model_of({}));
  const Result result = run(folder_, args({"--count", "8192", "--progress", "--out", folder_ / "x.npy"}));
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.err, "   50%  of 8,192 samples\n  100%  of 8,192 samples\n");
}

TEST_F(SampleCli, ArraysHoldTheirConditions) {
  train::Model model =
      model_of({{classes("kind", {"cat", "zebra"}), {.name = "x", .categories = 3}, number("angle", 0, 90)}});
  model.units.low = 0;
  model.units.high = 65535;
  save(model);
  done({"--condition", "angle=30|45.5,x=2", "--out", folder_ / "a.npz"});
  const io::NpzFile file(folder_ / "a.npz");
  EXPECT_EQ(file.names(), (std::vector<std::string>{"x", "kind", "condition_x", "angle"}));
  EXPECT_EQ(file.open("x").shape(), (graph::Shape{4, 1, 6, 6}));
  EXPECT_EQ(file.open("kind").descr(), "<U5");
  EXPECT_EQ(file.open("kind").read_text(4), (std::vector<std::string>{"cat", "cat", "zebra", "zebra"}));
  EXPECT_EQ(file.open("condition_x").descr(), "<i8");
  EXPECT_EQ(numbers_of(file, "condition_x"), (std::vector<double>{2, 2, 2, 2}));
  EXPECT_EQ(numbers_of(file, "angle"), (std::vector<double>{30, 45.5, 30, 45.5}));
  const std::vector<double> pixels = numbers_of(file, "x");
  EXPECT_GT(*std::ranges::max_element(pixels), 1) << "in the data's units";
  model.units = {};
  save(model);
  const std::vector<float> raw = drawn({"--condition", "angle=30|45.5,x=2"});
  for (std::size_t i = 0; i < raw.size(); ++i) ASSERT_NEAR(pixels[i], (raw[i] + 1) / 2 * 65535, 0.05);
}

TEST_F(SampleCli, VectorsAreWrittenInTheUnitsOfTheirData) {
  train::Model model = model_of({{classes("sex", {"F", "M, or \"N\""})}}, {2});
  save(model);
  const std::vector<float> raw = drawn({"--count", "2"});
  model.units.columns = {number("length", 0, 1).number, number("weight", 1, 9).number};
  model.units.columns[0].scaling = {"standard", 10, 4};
  model.units.columns[1].scaling = {"log", 0.5, 2};
  save(model);
  const std::vector<float> array = drawn({"--count", "2"});
  done({"--count", "2", "--out", folder_ / "a.csv"});
  const io::Csv table = io::read_csv(folder_ / "a.csv");
  EXPECT_EQ(table.header(), (std::vector<std::string>{"length", "weight", "sex"}));
  ASSERT_EQ(table.rows(), 4);
  for (std::int64_t row = 0; row < 4; ++row) {
    const auto i = static_cast<std::size_t>(2 * row);
    EXPECT_NEAR(array[i], raw[i] * 4 + 10, 1e-4);
    EXPECT_NEAR(array[i + 1], std::exp(raw[i + 1] * 2 + 0.5), 1e-3);
    EXPECT_EQ(std::stof(std::string(table.cell(row, 0))), array[i]);
    EXPECT_EQ(std::stof(std::string(table.cell(row, 1))), array[i + 1]);
    EXPECT_EQ(table.cell(row, 2), row < 2 ? "F" : "M, or \"N\"");
  }
  refused({"--out", folder_ / "d/"}, 2, "FILE.npy, FILE.npz or FILE.csv");
  save(model_of({}, {3}));
  done({"--count", "1", "--out", folder_ / "b.csv"});
  EXPECT_EQ(io::read_csv(folder_ / "b.csv").header(), (std::vector<std::string>{"x0", "x1", "x2"}));
}

TEST_F(SampleCli, AFolderIsReadAgain) {
  train::Model model = model_of({{classes("label", {"a b", "a/b", "\xc3\xa4", ".x"}), number("angle", 0, 90)}});
  save(model);
  done({"--condition", "angle=10|60.5", "--count", "6", "--seed", "4", "--out", folder_ / "d"});
  EXPECT_EQ(names("d").size(), 49u);
  EXPECT_TRUE(names("d").contains("sample-00.png"));
  const io::Csv table = io::read_csv(folder_ / "d/metadata.csv");
  EXPECT_EQ(table.header(), (std::vector<std::string>{"file_name", "label", "angle", "seed", "index", "model"}));
  EXPECT_EQ(table.cell(13, 0), "sample-13.png");
  EXPECT_EQ(table.cell(13, 1), "a/b");
  EXPECT_EQ(table.cell(13, 2), "10");
  EXPECT_EQ(table.cell(13, 3), "4");
  EXPECT_EQ(table.cell(13, 4), "13");
  EXPECT_EQ(table.cell(13, 5), folder_ / "m.safetensors");
  data::SourceOptions options;
  options.cache = folder_ / "cache";
  options.read.condition = "angle,label";
  const data::Dataset again = data::open_source(folder_ / "d", options);
  EXPECT_EQ(again.count(), 48);
  EXPECT_EQ(again.condition.columns[1].categories, 4);
  const std::vector<float> one =
      drawn({"--condition", "label=\"a/b\",angle=10", "--count", "1", "--seed", "4", "--first", "13"});
  std::vector<float> pixels(36);
  again.copy_sample(13, pixels.data());
  for (std::size_t i = 0; i < 36; ++i) ASSERT_NEAR(pixels[i], one[i], 0.5 / 127.5 + 1e-5);
  // An archive holds the same files.
  done({"--condition", "angle=10|60.5", "--count", "6", "--seed", "4", "--out", folder_ / "d.zip"});
  const Result unpacked = shell(folder_,
                                "python3 -m zipfile -e d.zip unpacked && diff unpacked/metadata.csv "
                                "d/metadata.csv && ls unpacked | wc -l");
  EXPECT_EQ(unpacked.out, "49\n") << unpacked.err;
}

TEST_F(SampleCli, NamesOfClassesAreSafe) {
  save(model_of({{classes("kind", {"a b", "a/b", "\xc3\xa4", ".x", "A_B", std::string(300, 'z')})}}));
  done({"--count", "11", "--out", folder_ / "d"});
  for (const std::string name : {"a_b-00.png", "a_b_1-10.png", "\xc3\xa4-00.png", "_.x-00.png", "A_B_4-00.png"})
    EXPECT_TRUE(names("d").contains(name)) << name;
  EXPECT_TRUE(names("d").contains(std::string(100, 'z') + "-10.png"));
  EXPECT_EQ(names("d").size(), 67u);
  save(model_of({{classes("label", {"3", "7", "200"})}}));
  done({"--count", "1", "--out", folder_ / "e"});
  EXPECT_EQ(names("e"), (std::set<std::string>{"003-0.png", "007-0.png", "200-0.png", "metadata.csv"}));
  save(model_of({{classes("seed", {"x", "y"})}}));
  done({"--label", "x", "--count", "1", "--out", folder_ / "f"});
  EXPECT_EQ(get(folder_ / "f/metadata.csv").substr(0, 45), "file_name,seed,sample_seed,index,model\nx-0.pn");
}

TEST_F(SampleCliBadInput, FoldersDoNotMix) {
  save(model_of(data::label_condition(3)));
  done({"--count", "5", "--out", folder_ / "d"});
  EXPECT_EQ(names("d").size(), 16u);
  refused({"--count", "1", "--out", folder_ / "d"}, 2, "the folder holds files, such as ");
  done({"--count", "1", "--overwrite", "--out", folder_ / "d/"});
  EXPECT_EQ(names("d"), (std::set<std::string>{"0-0.png", "1-0.png", "2-0.png", "metadata.csv"}));
  put(folder_ / "d/notes.txt", "mine");
  refused({"--count", "1", "--overwrite", "--out", folder_ / "d"}, 2, "the folder holds notes.txt");
  EXPECT_EQ(names("d").size(), 5u) << "nothing was removed";
  fs::remove(folder_ / "d/notes.txt");
  put(folder_ / "d/holiday.png", "mine");
  refused({"--count", "1", "--overwrite", "--out", folder_ / "d"}, 2, "the folder holds holiday.png");
  EXPECT_EQ(names("d").size(), 5u) << "nothing was removed";
  fs::remove(folder_ / "d/holiday.png");
  put(folder_ / "d/.hidden", "");
  fs::remove(folder_ / "d/metadata.csv");
  refused({"--count", "1", "--out", folder_ / "d"}, 2, "-0.png");
  fs::create_directory(folder_ / "empty");
  done({"--count", "1", "--out", folder_ / "empty"});
}

TEST_F(SampleCli, PicturesOfUpToFourChannels) {
  for (const int channels : {1, 2, 3, 4}) {
    save(model_of(data::label_condition(3), {channels, 5, 4}));
    done({"--count", "2", "--out", folder_ / "x.png"});
    const io::DecodedPicture picture = io::decode_picture(get(folder_ / "x.png"), "x.png");
    EXPECT_EQ(picture.channels, channels);
    EXPECT_EQ(picture.height, 3 * 7 + 2);
    EXPECT_EQ(picture.width, 2 * 6 + 2);
  }
  save(model_of({}, {5, 4, 4}));
  refused({"--out", folder_ / "y.png"}, 2, "samples of shape [5, 4, 4] cannot be drawn; expected FILE.npy, FILE.npz");
  refused({"--out", folder_ / "y/"}, 2, "cannot be drawn");
  EXPECT_FALSE(fs::exists(folder_ / "y"));
}

TEST_F(SampleCli, ShapesOfPictures) {
  save(model_of(digit_and_angle()));
  const auto size = [&](Args more) {
    more.insert(more.end(), {"--out", folder_ / "x.png"});
    done(more);
    const io::DecodedPicture picture = io::read_picture_header(get(folder_ / "x.png"), "x.png");
    return std::pair{(picture.height - 2) / 8, (picture.width - 2) / 8};
  };
  using Size = std::pair<std::int64_t, std::int64_t>;
  EXPECT_EQ(size({"--condition", "digit=3,size=4,angle=0:360:12"}), (Size{1, 12})) << "a strip";
  EXPECT_EQ(size({"--condition", "digit=3,size=4,angle=0:360:12", "--count", "2"}), (Size{12, 2}));
  EXPECT_EQ(size({"--condition", "digit=3|4|5,size=4,angle=9"}), (Size{3, 8}));
  EXPECT_EQ(size({"--condition", "size=4,digit=3|4|5,angle=0:360:6"}), (Size{3, 6}));
  EXPECT_EQ(size({"--condition", "size=4,angle=0:360:6,digit=3|4|5"}), (Size{6, 3}));
  EXPECT_EQ(size({"--condition", "size=4,angle=0:360:6"}), (Size{10, 6})) << "every digit";
  EXPECT_EQ(size({"--condition", "size=4,angle=0,digit=1"}), (Size{3, 3})) << "8 of one combination";
}

TEST_F(SampleCli, ValuesOutsideTheRangeSeenAreSaid) {
  save(model_of(digit_and_angle()));
  const Result result = run(folder_, args({"--condition", "digit=1,angle=-50,size=1", "--out", folder_ / "x.npy"}));
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.err, "gan: warning: size 1 is outside the range seen in training, 2 to 9\n");
}

TEST_F(SampleCli, BalanceFillsTheRareClasses) {
  const auto images = [&](const std::vector<int>& counts) {
    std::string pixels, labels;
    int items = 0;
    for (std::size_t k = 0; k < counts.size(); ++k)
      for (int i = 0; i < counts[k]; ++i, ++items) {
        pixels += std::string(36, static_cast<char>(items));
        labels += static_cast<char>(k);
      }
    put(folder_ / "x.idx", idx({static_cast<std::uint32_t>(items), 6, 6}, pixels));
    put(folder_ / "y.idx", idx({static_cast<std::uint32_t>(items)}, labels));
  };
  images({3, 7, 0, 1});
  save(model_of(data::label_condition(4)));
  const Result result = run(folder_, args({"--balance", source(folder_), "--out", folder_ / "d"}));
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out, "wrote " + (folder_ / "d") + ": 17 samples that fill 3 of 4 classes up to 7\n");
  const io::Csv table = io::read_csv(folder_ / "d/metadata.csv");
  std::map<std::string, int> counts;
  for (std::int64_t row = 0; row < table.rows(); ++row) ++counts[std::string(table.cell(row, 1))];
  EXPECT_EQ(counts, (std::map<std::string, int>{{"0", 4}, {"2", 7}, {"3", 6}}));
  done({"--balance", source(folder_), "--to", "5", "--out", folder_ / "e.npz"});
  EXPECT_EQ(numbers_of(io::NpzFile(folder_ / "e.npz"), "label"),
            (std::vector<double>{0, 0, 2, 2, 2, 2, 2, 3, 3, 3, 3}));
  images({2, 2, 2, 2});
  const Result even = run(folder_, args({"--balance", source(folder_), "--out", folder_ / "f"}));
  EXPECT_EQ(even.code, 0);
  EXPECT_NE(even.err.find("no class has fewer than 2 samples"), std::string::npos) << even.err;
  EXPECT_FALSE(fs::exists(folder_ / "f"));
}

TEST_F(SampleCli, StandardOutputInEachFormat) {
  save(model_of(data::label_condition(3), {2}));
  for (const std::string format : {"npy", "npz", "csv", "png"}) {
    done({"--format", format, "--out", folder_ / "file"});
    for (const std::string out : {"-", "/dev/stdout"}) {
      const Result result = run(folder_, args({"--format", format, "--out", out}));
      EXPECT_EQ(result.code, 0) << result.err;
      EXPECT_TRUE(result.out == get(folder_ / "file")) << format << " " << out;
    }
  }
}

TEST_F(SampleCliBadInput, FullDisks) {
  save(model_of(data::label_condition(3), {2}));
  for (const std::string format : {"npy", "npz", "csv", "png"}) {
    const auto [code, out, error] =
        shell(folder_, "$GAN sample m.safetensors --out - --format " + format + " > /dev/full");
    EXPECT_EQ(code, 3) << format;
    EXPECT_NE(error.find("cannot be written: No space left on device"), std::string::npos) << error;
  }
  fs::create_directory(folder_ / "d");
  for (const std::string name : {"x.npy", "x.npz", "x.csv"}) {
    const auto [code, out, error] =
        shell(folder_, "ulimit -f 1; $GAN sample m.safetensors --count 9000 --out d/" + name);
    EXPECT_EQ(code, 3) << name;
    EXPECT_NE(error.find(name + ": cannot be written: File too large"), std::string::npos) << error;
    EXPECT_TRUE(fs::is_empty(folder_ / "d")) << name;
  }
  save(model_of(data::label_condition(3)));
  const auto [code, out, error] =
      shell(folder_, "ulimit -f 1; $GAN sample m.safetensors --count 900 --out d");  // of metadata.csv
  EXPECT_EQ(code, 3) << error;
  EXPECT_FALSE(fs::exists(folder_ / "d/metadata.csv"));
  for (const std::string& name : names("d")) EXPECT_TRUE(name.ends_with(".png")) << name;
}

TEST_F(SampleCliBadInput, ConditionsThatTheModelDoesNotHave) {
  save(model_of(digit_and_angle()));
  put(folder_ / "c.csv", "digit,angle\n7,30\n");
  put(folder_ / "far.csv", "digit,angle,size\n7,30,5\n11,30,5\n");
  const struct {
    Args more;
    int code;
    std::string message;
  } wrong[] = {
      {{"--condition", "digt=7"}, 2, "no condition \"digt\"; did you mean \"digit\"?"},
      {{"--condition", "digit=10"}, 2, "digit \"10\" is out of range"},
      {{"--condition", ""}, 2, "--condition: the value is empty"},
      {{"--condition", "angle=0:360:0"}, 2, "whole number from 1 to 1,000,000"},
      {{"--condition", "digit=7", "--condition", "digit=8"}, 2, "digit is given twice"},
      {{"--condition", "angle=0:360:1000000", "--condition", "size=0:1:1000000"}, 2, "are too many"},
      {{"--label", "7"}, 2, "the model has no column \"label\""},
      {{"--labels-file", folder_ / "y.npy"}, 2, "the model has no column \"label\""},
      {{"--conditions-file", folder_ / "c.csv"},
       3,
       "c.csv: has no column size; add it, or give --condition size=VALUE"},
      {{"--conditions-file", folder_ / "far.csv"}, 3, "far.csv: line 3: digit \"11\" is out of range"},
      {{"--conditions-file", folder_ / "none.csv"}, 3, "none.csv"},
      {{"--conditions-file", folder_ / "c.csv", "--condition", "digit=7"}, 2, "digit is given twice"},
      {{"--conditions-file", folder_ / "c.csv", "--count", "2"}, 2, "excludes"},
      {{"--first", "-1"}, 2, "--first"},
      {{"--first", "1e3"}, 2, "1e3 is not a whole number"},
      {{"--format", "jpg"}, 2, "--format"},
      {{"--to", "5"}, 2, "--balance"},
      {{"--balance", "x", "--count", "5"}, 2, "excludes"},
      {{"--balance", folder_ / "none"}, 3, "none: no such file or folder"},
  };
  for (const auto& [more, code, message] : wrong) {
    Args all = more;
    all.insert(all.end(), {"--out", folder_ / "w.npy"});
    refused(all, code, message);
  }
  EXPECT_FALSE(fs::exists(folder_ / "w.npy"));
  refused({"--out", folder_ / "x.csv"}, 2, "images cannot be rows of a table");
  refused({"--format", "npz", "--out", folder_.path()}, 2, "a folder takes pictures");
  done({"--conditions-file", folder_ / "c.csv", "--condition", "size=3", "--out", folder_ / "x.npy"});
  EXPECT_EQ(array_of(folder_ / "x.npy").size(), 36u);
}

TEST_F(SampleCli, InterpolatesLatents) {
  const train::Model model = model_of(data::label_condition(4));
  save(model);
  const Args way = {"--label", "2", "--interpolate", "latent", "--steps", "5", "--first", "6"};
  Args long_way = way, great_circle = way;
  long_way.insert(long_way.end(), {"--count", "3"});
  great_circle.push_back("--spherical");
  const std::vector<float> straight = drawn(long_way), round = drawn(great_circle);
  ASSERT_EQ(straight.size(), 9 * 36u) << "two stretches of five that share a sample";
  ASSERT_EQ(round.size(), 5 * 36u) << "two latents, if --count is not given";
  const std::vector<float> stops = drawn({"--label", "2", "--count", "3", "--first", "6"});
  const auto expect_near = [](std::span<const float> got, std::span<const float> expected) {
    for (std::size_t i = 0; i < 36; ++i) ASSERT_NEAR(got[i], expected[i], 1e-5);
  };
  for (std::size_t stop = 0; stop < 3; ++stop)
    expect_near(std::span(straight).subspan(stop * 4 * 36), std::span(stops).subspan(stop * 36));
  expect_near(std::span(round).subspan(4 * 36), std::span(stops).subspan(36));

  std::vector<float> z(2 * kLatent), middle(2 * kLatent), expected(2 * 36);
  train::Sampler sampler(model);
  sampler.latents(1, 6, z);
  double aa = 0, ab = 0, bb = 0;
  for (std::size_t i = 0; i < kLatent; ++i) {
    const double a = z[i], b = z[kLatent + i];
    aa += a * a, ab += a * b, bb += b * b;
    middle[i] = static_cast<float>((a + b) / 2);
  }
  // sin(t / 2) / sin(t) = 1 / (2 cos(t / 2)) for the angle t between the latents.
  const double shorter = std::cos(std::acos(ab / std::sqrt(aa * bb)) / 2);
  for (std::size_t i = 0; i < kLatent; ++i)
    middle[kLatent + i] = static_cast<float>(static_cast<double>(middle[i]) / shorter);
  sampler.sample(middle, std::vector<std::int32_t>{2, 2}, expected);
  expect_near(std::span(straight).subspan(2 * 36), expected);
  expect_near(std::span(round).subspan(2 * 36), std::span(expected).subspan(36));
}

TEST_F(SampleCli, InterpolatesClasses) {
  for (const char* way : {"embedding", "one_hot", "batch_norm"}) {
    train::Model model = model_of(data::label_condition(4));
    model.config.model.g.condition = way;
    model.config.model.g.batch_norm = way == std::string("batch_norm");
    give_random_weights(model);
    save(model);
    const std::vector<float> all =
        drawn({"--labels", "3,1", "--interpolate", "condition", "--steps", "3", "--count", "2"});
    ASSERT_EQ(all.size(), 2 * 3 * 36u) << way;
    const std::vector<float> three = drawn({"--label", "3", "--count", "2"}),
                             one = drawn({"--label", "1", "--count", "2"});
    for (std::size_t row = 0; row < 2; ++row)
      for (std::size_t i = 0; i < 36; ++i) {
        ASSERT_NEAR(all[row * 108 + i], three[row * 36 + i], 1e-5) << way;
        ASSERT_NEAR(all[row * 108 + 72 + i], one[row * 36 + i], 1e-5) << way;
      }
    if (way != std::string("embedding")) continue;
    const std::span<float> table = model.weights.at("generator.embedding.weight").f32();
    const std::size_t width = table.size() / 4;
    for (std::size_t i = 0; i < width; ++i) table[i] = (table[3 * width + i] + table[width + i]) / 2;
    save(model);
    const std::vector<float> middle = drawn({"--label", "0", "--count", "2"});
    for (std::size_t i = 0; i < 36; ++i) ASSERT_NEAR(all[108 + 36 + i], middle[36 + i], 1e-5) << "the mean of two rows";
  }
}

TEST_F(SampleCli, InterpolatesNumbers) {
  ConditionSpec spec = {{number("angle", 0, 360, 360), number("size", 1, 100)}};
  spec.columns[1].number.scaling = {.kind = "log", .offset = 2, .scale = 1};
  save(model_of(spec));
  const auto way = [&](const std::string& values) {
    return drawn({"--condition", values, "--interpolate", "condition", "--steps", "3"});
  };
  const auto expect_middle = [&](const std::vector<float>& drawn_way, const std::string& value) {
    ASSERT_EQ(drawn_way.size(), 3 * 36u);
    const std::vector<float> expected = drawn({"--condition", value, "--count", "1"});
    for (std::size_t i = 0; i < 36; ++i) ASSERT_NEAR(drawn_way[36 + i], expected[i], 1e-5) << value;
  };
  expect_middle(way("size=4,angle=20|80"), "size=4,angle=50");
  expect_middle(way("size=4,angle=350|20"), "size=4,angle=5");
  expect_middle(way("angle=0,size=1|100"), "angle=0,size=10");
}

/// The types of the chunks of a PNG file, each of which must have its check sum.
std::vector<std::string> chunks_of(const std::string& file) {
  const auto number = [&](std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = at; i < at + 4; ++i) value = value << 8 | static_cast<unsigned char>(file[i]);
    return value;
  };
  std::vector<std::string> types;
  for (std::size_t at = 8; at + 12 <= file.size();) {
    const std::size_t length = number(at);
    types.push_back(file.substr(at + 4, 4));
    const uLong sum = crc32(0, reinterpret_cast<const Bytef*>(file.data() + at + 4), static_cast<uInt>(length + 4));
    EXPECT_EQ(number(at + 8 + length), sum) << types.back();
    at += length + 12;
  }
  return types;
}

TEST_F(SampleCli, InterpolationsArePictures) {
  save(model_of(data::label_condition(3), {3, 6, 6}));
  const Args way = {"--labels", "0,2", "--interpolate", "latent", "--steps", "4", "--out"};
  const auto written = [&](const std::string& name) {
    Args all = way;
    all.push_back(folder_ / name);
    return run(folder_, args(all)).out;
  };
  EXPECT_NE(written("strip.png").find(": 2 ways of 4 samples"), std::string::npos);
  Args stream = way;
  stream.push_back("-");
  EXPECT_TRUE(run(folder_, args(stream)).out.starts_with("\x93NUMPY")) << "alone on standard output";
  const auto picture = [&](const char* name) { return io::decode_picture(get(folder_ / name), name); };
  const io::DecodedPicture strip = picture("strip.png");
  EXPECT_EQ(strip.width, 4 * 8 + 2);
  EXPECT_EQ(strip.height, 2 * 8 + 2) << "a row for each way";
  written("frames/");
  EXPECT_EQ(names("frames"), (std::set<std::string>{"frame-0.png", "frame-1.png", "frame-2.png", "frame-3.png"}));
  written("all.apng");
  const std::vector<std::string> types = chunks_of(get(folder_ / "all.apng"));
  EXPECT_EQ(std::ranges::count(types, "acTL"), 1);
  EXPECT_EQ(std::ranges::count(types, "fcTL"), 4);
  EXPECT_EQ(std::ranges::count(types, "IDAT"), 1) << "the first picture, for programs that know no animations";
  EXPECT_EQ(std::ranges::count(types, "fdAT"), 3);
  EXPECT_EQ(types.back(), "IEND");
  const io::DecodedPicture first = picture("all.apng"), alone = picture("frames/frame-0.png");
  ASSERT_EQ(first.width * first.height * first.channels, alone.width * alone.height * alone.channels);
  EXPECT_TRUE(std::equal(first.bytes.get(), first.bytes.get() + first.width * first.height * 3, alone.bytes.get()));
}

TEST_F(SampleCliBadInput, WaysThatCannotBe) {
  save(model_of(data::label_condition(4)));
  const auto refused_way = [&](Args more, const std::string& message) {
    more.insert(more.end(), {"--out", folder_ / "w.npy"});
    refused(more, 2, message);
  };
  refused_way({"--interpolate", "latent"}, "--interpolate requires --steps");
  refused_way({"--steps", "4"}, "--steps requires --interpolate");
  refused_way({"--interpolate", "latent", "--steps", "1"}, "--steps");
  refused_way({"--interpolate", "latent", "--steps", "4", "--count", "1"}, "a --count of 2 or more latents");
  refused_way({"--interpolate", "condition", "--steps", "4", "--label", "2"}, "two values or more");
  refused_way({"--interpolate", "colours", "--steps", "4"}, "--interpolate");
  refused_way({"--interpolate", "latent", "--steps", "4", "--format", "npz"}, "excludes");
  refused_way({"--interpolate", "latent", "--steps", "100000", "--count", "1000"}, "are too many");
  refused({"--interpolate", "latent", "--steps", "4", "--out", folder_ / "w.npz"}, 2, "w.npz: expected FILE.png");
  refused({"--interpolate", "latent", "--steps", "4", "--out", folder_.path()}, 2, "the folder holds files");
  EXPECT_FALSE(fs::exists(folder_ / "w.npy"));
  save(model_of({}));
  refused_way({"--interpolate", "condition", "--steps", "4"}, "two values or more");
}

TEST_F(SampleCliBadInput, ManyColumnsNeedChoices) {
  ConditionSpec spec;
  std::string all = "c0=1";
  for (int c = 0; c < 40; ++c) spec.columns.push_back({.name = "c" + std::to_string(c), .categories = 2});
  for (int c = 1; c < 40; ++c) all += ",c" + std::to_string(c) + "=0";
  save(model_of(spec));
  refused({"--condition", "c0=1", "--out", folder_ / "x.npy"}, 2,
          "549,755,813,888 combinations of values are too many: no option chooses values of c1, c2, ");
  EXPECT_EQ(drawn({"--condition", all}).size(), 8 * 36u);
  save(model_of({{number("angle", 0, 90)}}));
  refused({"--balance", "ring8", "--out", folder_ / "x.npy"}, 2, "has no classes: angle from 0 to 90");
}

TEST_F(SampleCli, CtrlCLeavesNothingThatLooksWhole) {
  save(model_of(data::label_condition(3)));
  fs::create_directory(folder_ / "d");
  for (const std::string name : {"x.npy", "x.npz"}) {
    Process process(folder_, args({"--count", "2000000", "--out", folder_ / "d/" + name}));
    ASSERT_TRUE(wait_for([&] { return !fs::is_empty(folder_ / "d") || !process.running(); }));
    process.signal(SIGINT);
    EXPECT_EQ(process.wait(), 128 + SIGINT) << process.err();
    EXPECT_TRUE(fs::is_empty(folder_ / "d")) << name;
  }
  Process process(folder_, args({"--count", "1000000", "--out", folder_ / "d"}));
  ASSERT_TRUE(wait_for([&] { return fs::exists(folder_ / "d/2-000100.png") || names("d").size() > 200; }));
  process.signal(SIGINT);
  EXPECT_EQ(process.wait(), 128 + SIGINT);
  EXPECT_EQ(process.err(), "gan: interrupted; " + (folder_ / "d") + " has no metadata.csv, as it is not whole\n");
  for (const std::string& file : names("d")) EXPECT_TRUE(file.ends_with(".png")) << file;
}

}  // namespace
}  // namespace gan::test
