#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

#include "data/columns.h"
#include "data/source.h"
#include "file_helpers.h"
#include "io/csv.h"

namespace gan {
namespace {

using base::ErrorKind;
using data::Dataset;
using data::open_source;
using data::ReadOptions;
using test::expect_error;
using test::get;
using test::gzip;
using test::put;
using test::TemporaryFolder;

std::vector<std::vector<std::string>> cells_of(const io::Csv& csv) {
  std::vector<std::vector<std::string>> rows;
  for (std::int64_t row = 0; row < csv.rows(); ++row) {
    std::vector<std::string>& cells = rows.emplace_back();
    for (std::size_t column = 0; column < csv.header().size(); ++column) cells.emplace_back(csv.cell(row, column));
  }
  return rows;
}

using Cells = std::vector<std::vector<std::string>>;

// A value as it was before scaling.
double value_of(const Dataset& dataset, std::int64_t row, std::size_t column) {
  const auto columns = static_cast<std::size_t>(dataset.sample_shape[0]);
  return dataset.units.columns[column].scaling.undo(dataset.points[static_cast<std::size_t>(row) * columns + column]);
}

std::vector<std::string> names_of(const std::vector<data::NumberColumn>& columns) {
  std::vector<std::string> names;
  for (const data::NumberColumn& column : columns) names.push_back(column.name);
  return names;
}

// ---- io/csv ----

TEST(Csv, QuotesLineEndsAndBlanks) {
  const io::Csv csv("x", "\xef\xbb\xbfname, b ,\"c\"\"d\"\r\n  1 ,\"x, \"\"y\"\"\nz\" ,\r\n\r\n2,\" a \",3", ',');
  EXPECT_EQ(csv.header(), (std::vector<std::string>{"name", "b", "c\"d"}));
  EXPECT_EQ(cells_of(csv), (Cells{{"1", "x, \"y\"\nz", ""}, {"2", " a ", "3"}}));
  EXPECT_EQ(csv.line(0), 2);
  EXPECT_EQ(csv.line(1), 5);  // behind a line end in quotes and an empty line
}

TEST(Csv, EveryEndOfAFile) {
  for (const char* text :
       {"a,b\n1,2", "a,b\n1,2\n", "a,b\r1,2\r", "a,b\n1,2  ", "a,b\n1,\"2\"", "a,b\n1,\"2\" \n\n\n"}) {
    SCOPED_TRACE(text);
    EXPECT_EQ(cells_of(io::Csv("x", text, ',')), (Cells{{"1", "2"}}));
  }
  for (const char* text : {"a,b\n1,", "a,b\n1,  ", "a,b\n1,\"\"", "a,b\n1,\n"})
    EXPECT_EQ(cells_of(io::Csv("x", text, ',')), (Cells{{"1", ""}})) << text;
  EXPECT_EQ(io::Csv("x", "a,b", ',').rows(), 0);
  EXPECT_EQ(cells_of(io::Csv("x", "a\tb\n1, 2\t 3 ", '\t')), (Cells{{"1, 2", "3"}}));
}

TEST(Csv, WrittenRowsAreReadBack) {
  const Cells rows = {
      {"a", "b", "c"}, {"1,2", "say \"x\"", "two\nlines"}, {"", " blank ", "caf\xc3\xa9"}, {"", "", ""}};
  std::string text;
  for (const auto& row : rows) text += io::csv_row(row);
  EXPECT_EQ(text.substr(0, 38), "a,b,c\n\"1,2\",\"say \"\"x\"\"\",\"two\nlines\"\n,\"");
  EXPECT_EQ(cells_of(io::Csv("x", text, ',')), Cells(rows.begin() + 1, rows.end()));
  const std::vector<std::string> empty = {""};
  EXPECT_EQ(io::csv_row(empty), "\"\"\n");  // an empty line would be no row
}

TEST(CsvBadInput, Texts) {
  const struct {
    std::string text;
    const char* message;
  } cases[] = {
      {"", "the table is empty"},
      {"\n\n", "the table is empty"},
      {"a,b\n1,2\n\n1,2,3\n", "line 4 has 3 cells, the header has 2; cells that hold commas need quotes"},
      {"a,b\n1\n", "line 2 has 1 cell, the header has 2"},
      {"a,a\n", "line 1: the header names column a twice"},
      {",b\n1,2\n", "column 1 of the header has no name; if it is an index"},
      {"a,\n", "column 2 of the header has no name"},
      {"a;b\n1,5;2\n", "separated by semicolons, expected commas"},
      {"a\tb\n", "separated by tabs, expected commas; name it .tsv"},
      {"a\n\"x\n\n", "line 2: a quote is not closed"},
      {"a\n\"x\"y\n", "line 2: text follows a closing quote"},
      {"a\nx\n\xff\n", "line 3 is not UTF-8"},
      {"\xff\xfe"
       "a",
       "UTF-16"},
      {std::string("a\nx\0y\n", 6), "line 2 holds a NUL byte"},
      {"a\x1b[1m\n1\n", "column 1 has control characters"},
  };
  for (const auto& [text, message] : cases) {
    SCOPED_TRACE(message);
    expect_error(ErrorKind::data, message, [&] { io::Csv("t.csv", text, ','); });
    expect_error(ErrorKind::data, "t.csv: ", [&] { io::Csv("t.csv", text, ','); });
  }
  expect_error(ErrorKind::data, "separated by commas, expected tabs", [&] { io::Csv("t.tsv", "a,b\n", '\t'); });
}

TEST(CsvBadInput, CutShortAtEveryByte) {
  const std::string whole =
      "\xef\xbb\xbf"
      "a,\"b\"\"c\"\r\n1,\"x\r\ny\" \r\n\xc3\xa9, \n";
  for (std::size_t length = 0; length < whole.size(); ++length) try {
      const io::Csv csv("x", whole.substr(0, length), ',');
      EXPECT_LE(csv.rows(), 2);
      cells_of(csv);
    } catch (const base::Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data);
    }
}

// ---- tables ----

constexpr const char* kFlowers =
    "petal,kind,height,label\n"
    "1.5,rose,10,b\n"
    "2.5,tulip,20,a\n"
    "4.5, rose ,30,b\n";

TEST(Table, NumbersAreGeneratedAndTheLabelIsTheCondition) {
  TemporaryFolder folder;
  const Dataset dataset = open_source(put(folder / "t.csv", kFlowers));
  EXPECT_EQ(dataset.name, "table");
  EXPECT_EQ(dataset.sample_shape, graph::Shape{2});
  EXPECT_EQ(dataset.count(), 3);
  EXPECT_EQ(names_of(dataset.units.columns), (std::vector<std::string>{"petal", "height"}));
  EXPECT_NEAR(value_of(dataset, 0, 0), 1.5, 1e-6);
  EXPECT_NEAR(value_of(dataset, 2, 1), 30, 1e-5);
  // Mean 20, deviation sqrt(200 / 3).
  EXPECT_NEAR(dataset.points[1], -10 / std::sqrt(200.0 / 3), 1e-6);
  ASSERT_EQ(dataset.condition.columns.size(), 1u);
  EXPECT_EQ(dataset.condition.class_names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(std::vector<int>(dataset.labels().begin(), dataset.labels().end()), (std::vector<int>{1, 0, 1}));
  ASSERT_EQ(dataset.notes.size(), 1u);
  EXPECT_EQ(dataset.notes[0].find("left out, since only numbers are generated: kind"), 0u);
  EXPECT_TRUE(open_source(folder / "t.csv", {.labels = false}).condition.empty());
}

TEST(Table, ColumnsAndScalingsAreChosen) {
  TemporaryFolder folder;
  put(folder / "t.tsv",
      "x\tangle\tflag\tcolour\tprice\n"
      "1\t0\t0\tred\t10\n"
      "2\t90\t1\tblue\t100\n"
      "3\t180\t0\tred\t1000\n"
      "5\t270\t1\tgreen, dark\t10000\n");
  const Dataset dataset = open_source(folder / "t.tsv", {.read = {.condition = "angle,flag,colour",
                                                                  .target = "price,x",
                                                                  .periodic = "angle:360",
                                                                  .scaling = "x:minmax,price:log"}});
  EXPECT_EQ(names_of(dataset.units.columns), (std::vector<std::string>{"price", "x"}));
  EXPECT_EQ(dataset.units.columns[0].scaling.kind, "log");
  EXPECT_NEAR(value_of(dataset, 3, 0), 10000, 0.1);
  EXPECT_EQ(dataset.points[1], -1.0f);  // the lowest x
  EXPECT_EQ(dataset.points[7], 1.0f);
  EXPECT_EQ(dataset.points[3], -0.5f);
  ASSERT_EQ(dataset.condition.columns.size(), 3u);
  const data::ConditionColumn& angle = dataset.condition.columns[0];
  EXPECT_TRUE(angle.is_numeric());
  EXPECT_EQ(angle.number.period, 360);
  EXPECT_EQ(angle.number.name, "angle");
  EXPECT_EQ(angle.number.maximum, 270);
  EXPECT_EQ(std::get<std::vector<float>>(dataset.rows.columns[0]), (std::vector<float>{0, 90, 180, 270}));
  EXPECT_EQ(dataset.condition.columns[1].categories, 2);  // numbers of two values
  EXPECT_EQ(dataset.condition.columns[2].names, (std::vector<std::string>{"blue", "green, dark", "red"}));
  EXPECT_EQ(std::get<std::vector<std::int32_t>>(dataset.rows.columns[2]), (std::vector<std::int32_t>{2, 0, 2, 1}));

  const Dataset words =
      open_source(folder / "t.tsv", {.read = {.condition = "angle", .target = "x", .categorical = "angle"}});
  EXPECT_EQ(words.condition.class_names(), (std::vector<std::string>{"0", "90", "180", "270"}));
}

TEST(Table, RowsThatMissValuesAreDroppedOnRequest) {
  TemporaryFolder folder;
  const std::string path = put(folder / "t.csv", "a,b,unused,label\n1,2,,x\n?,3,,x\n4,NA,,y\n5,6,,\n7,8,,y\n");
  expect_error(ErrorKind::data, "t.csv: line 3, column a: the value is missing (\"?\"); --missing drop leaves",
               [&] { open_source(path, {.read = {.target = "a,b"}}); });
  const Dataset dataset = open_source(path, {.read = {.target = "a,b", .missing = "drop"}});
  EXPECT_EQ(dataset.count(), 2);
  EXPECT_NEAR(value_of(dataset, 1, 0), 7, 1e-5);
  EXPECT_EQ(dataset.condition.class_names(), (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(dataset.notes, (std::vector<std::string>{"3 of 5 rows left out, since they miss a value"}));
  EXPECT_EQ(open_source(path, {.labels = false, .read = {.target = "b", .missing = "drop"}}).count(), 4);
}

TEST(Table, HashTellsContentsApart) {
  TemporaryFolder folder;
  const std::string hash = open_source(put(folder / "t.csv", "a,label\n1,x\n2,y\n")).hash;
  EXPECT_EQ(hash.size(), 64u);
  EXPECT_EQ(open_source(put(folder / "t.csv", "a,label\r\n1.0,x\r\n2,y\r\n")).hash, hash);
  EXPECT_NE(open_source(put(folder / "t.csv", "a,label\n1,x\n2,x\n")).hash, hash);
  EXPECT_NE(open_source(put(folder / "t.csv", "a,label\n1,x\n2,y\n2,y\n")).hash, hash);
}

TEST(TableBadInput, Contents) {
  const struct {
    std::string content;
    ReadOptions read;
    const char* message;
  } cases[] = {
      {"a,b\n", {}, "a header and no rows"},
      {"a,b\n1,2\n2\n", {}, "line 3 has 1 cell, the header has 2"},
      {"a,b\n1,2\n2,x\n3,4\n", {}, "line 3, column b: \"x\" is not a number"},
      {"a,b\n1,2\n2,\"3,5\"\n", {}, "line 3, column b: \"3,5\" has a decimal comma; write a point"},
      {"a,b\n1,2\n2,3,5\n", {}, "decimal commas must be points"},
      {"a;b\n1,0;2\n", {}, "separated by semicolons"},
      {"a,b\n1,2\n2,inf\n", {}, "line 3, column b: \"inf\" is not a finite number"},
      {"a,b\n1,2\n2,1e39\n", {}, "line 3, column b: \"1e39\" is not a finite number, or too large"},
      {"a,b\n1,2\n2,1e999\n", {}, "is not a finite number"},
      {"a,b\n1,2\n2,NaN\n", {}, "line 3, column b: the value is missing (\"NaN\")"},
      {"a,b\n1,2\n2,2\n", {}, "column b is constant (2): leave it out; --target names"},
      {"a,b\n1,2\n", {}, "column a is constant (1)"},
      {"a,b\nx,y\n", {}, "no column of numbers is left"},
      {"a\n?\n", {.target = "a", .missing = "drop"}, "every row misses a value"},
      {"a,b\n1,x\n2,y\n", {.target = "b"}, "line 2, column b: \"x\" is not a number"},
      {"a,b\n1,2\n2,x\n3,4\n", {.condition = "b", .target = "a"}, "is not a number; --categorical b takes its values"},
      {"a,b\n1,2\n2,0\n3,4\n", {.target = "b", .scaling = "b:log"}, "needs values above 0"},
      {"a,b\n1,3\n2,3\n", {.condition = "b", .scaling = "b:log"}, "column b is constant"},
  };
  TemporaryFolder folder;
  for (const auto& [content, read, message] : cases) {
    SCOPED_TRACE(message);
    const std::string path = put(folder / "t.csv", content);
    expect_error(ErrorKind::data, message, [&] { open_source(path, {.read = read}); });
    expect_error(ErrorKind::data, path, [&] { open_source(path, {.read = read}); });
  }
}

TEST(TableBadInput, Options) {
  const struct {
    ReadOptions read;
    const char* message;
  } cases[] = {
      {{.condition = "kinds"}, "condition: TABLE has no column \"kinds\"; did you mean \"kind\"?"},
      {{.target = "weight"}, "target: TABLE has no column \"weight\""},
      {{.categorical = "no"}, "categorical: TABLE has no column \"no\""},
      {{.periodic = "angle:360"}, "periodic: TABLE has no column \"angle\""},
      {{.scaling = "size:log"}, "scaling: TABLE has no column \"size\""},
      {{.scaling = "petal:square"}, "scaling of petal: unknown kind \"square\"; known: none, standard, minmax, log"},
      {{.scaling = "petal"}, "scaling \"petal\": expected NAME:VALUE, such as price:log"},
      {{.periodic = "height:0"}, "period of height: \"0\", expected a number above 0"},
      {{.periodic = "height:nan"}, "period of height: \"nan\""},
      {{.condition = "height", .target = "height"}, "column height is both target and condition"},
      {{.target = "height", .categorical = "height"}, "column height is a target, whose values are numbers"},
      {{.target = "height", .periodic = "height:9"}, "column height is a target; periodic is for conditions"},
      {{.categorical = "height", .scaling = "height:log"}, "column height is categorical, so it has no scaling"},
      {{.categorical = "height"}, "--categorical and --periodic are for conditions, and height is none; name it in"},
      {{.condition = "kind", .periodic = "height:9"}, "are for conditions, and height is none"},
      {{.condition = "kind,kind"}, "condition: column kind is there twice"},
      {{.missing = "ignore"}, "missing \"ignore\": expected refuse or drop"},
  };
  TemporaryFolder folder;
  const std::string path = put(folder / "t.csv", kFlowers);
  for (const auto& [read, message] : cases) {
    std::string expected = message;
    if (const std::size_t at = expected.find("TABLE"); at != std::string::npos) expected.replace(at, 5, path);
    expect_error(ErrorKind::usage, expected, [&] { open_source(path, {.read = read}); });
  }
  expect_error(ErrorKind::usage, "has no test part", [&] { open_source(path, {.split = data::Split::test}); });
  expect_error(ErrorKind::data, "No such file", [&] { open_source(folder / "none.csv"); });
}

TEST(TableBadInput, CompressedTablesThatExpandTooMuch) {
  TemporaryFolder folder;
  std::string rows = "a,b\n";
  while (rows.size() <= std::size_t{257} << 20) rows.append("0,1\n", 4);
  const std::string path = put(folder / "t.csv.gz", gzip(rows));
  expect_error(ErrorKind::data, "expand to more than 200 times", [&] { open_source(path); });
}

// ---- real tables ----

std::string shared_table(const std::string& name) {
  return (std::filesystem::path(GAN_DATA_DIR) / "../../../shared/data" / name).string();
}

TEST(Table, Abalone) {
  const std::string path = shared_table("abalone.csv");
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
  const Dataset dataset = open_source(path, {.read = {.condition = "sex,rings"}});
  EXPECT_EQ(dataset.count(), 4177);
  EXPECT_EQ(dataset.sample_shape, graph::Shape{7});
  EXPECT_EQ(dataset.condition.columns[0].names, (std::vector<std::string>{"F", "I", "M"}));
  EXPECT_TRUE(dataset.condition.columns[1].is_numeric());
  EXPECT_NEAR(value_of(dataset, 0, 0), 0.455, 1e-6);
  EXPECT_NEAR(value_of(dataset, 1, 6), 0.07, 1e-6);
}

TEST(Table, Adult) {
  const std::string path = shared_table("adult.csv");
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
  const Dataset dataset = open_source(path, {.read = {.condition = "income,workclass", .missing = "drop"}});
  EXPECT_EQ(dataset.count(), 32561 - 1836);
  EXPECT_EQ(dataset.sample_shape, graph::Shape{6});
  EXPECT_EQ(dataset.condition.columns[0].names, (std::vector<std::string>{"<=50K", ">50K"}));
  EXPECT_EQ(dataset.condition.columns[1].categories, 8);
  expect_error(ErrorKind::data, "line 29, column workclass: the value is missing (\"?\")",
               [&] { open_source(path, {.read = {.condition = "workclass"}}); });
}

}  // namespace
}  // namespace gan
