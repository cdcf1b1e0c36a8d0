#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/data_info.h"
#include "cli/output.h"
#include "cli/read_options.h"
#include "data/cache.h"
#include "data/export.h"
#include "data/fetch.h"
#include "data/glyphs.h"
#include "data/idx_source.h"
#include "data/source.h"

namespace gan::cli {
namespace {

constexpr const char* kDataHelp = R"(Sources that --data and SOURCE take:
  FOLDER                      PNG, JPEG or WebP pictures in a folder for each class, or with metadata.csv
  TABLE.csv, TABLE.tsv        a table with a header
  X.npz; X.npy,Y.npy          arrays, and labels or numbers beside them
  X.idx[.gz],Y.idx[.gz]       IDX files; a classes.txt beside them names the classes
  FOLDER                      also one with files named as those of MNIST, EMNIST or CIFAR
  mnist, mnist-test           handwritten digits, after `gan data fetch mnist`
  mnist-rotated               the same, turned by angles from the seed
  stacked-mnist               three digits of MNIST, one for each colour
  circle, ring8, grid25       random points
  shapes, shapes:COUNT:SIZE   coloured polygons
docs/data.md says more about each.

Examples:
  gan data fetch mnist
  gan data info photographs --size 64x64 --out sheet.png
  gan data convert photographs --size 64x64 --out photographs.npz
  gan data make shapes --count 5000 --size 64 --out shapes)";

using Action = std::function<void()>;

void say(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

void add_cache_option(CLI::App& app, std::string& cache) {
  app.add_option("--cache", cache, "Folder of fetched and decoded data")->type_name("DIR");
}

Action setup_fetch(CLI::App& app) {
  struct Options {
    std::string name, cache;
  };
  auto options = std::make_shared<Options>();
  app.add_option("NAME", options->name, "mnist")->required();
  add_cache_option(app, options->cache);
  app.footer("Fetched data is kept in $XDG_CACHE_HOME/gan (~/.cache/gan) and checked by SHA-256.");
  return [options] {
    const std::vector<std::string> known = {"mnist"};
    if (options->name != "mnist")
      base::fail_usage("data set \"{}\" cannot be fetched{}", options->name, base::did_you_mean(options->name, known));
    const std::string folder = data::fetch_mnist(options->cache, say);
    fmt::print("mnist is in {}\n", folder);
  };
}

/// A source, how it is read, and the file for what is made of it.
struct SourceFlags {
  std::string source, cache, out;
  std::shared_ptr<ReadFlags> read;
};

std::shared_ptr<SourceFlags> add_source_flags(CLI::App& app, const char* help) {
  auto flags = std::make_shared<SourceFlags>();
  app.add_option("SOURCE", flags->source, help)->required();
  add_cache_option(app, flags->cache);
  flags->read = add_read_flags(app);
  return flags;
}

Action setup_info(CLI::App& app) {
  auto flags = add_source_flags(app, "The source to describe (gan data --help lists the kinds)");
  app.add_option("--out", flags->out, "A sheet of examples, a row for each class")->type_name("FILE.png");
  return [flags] { describe_source(flags->source, flags->cache, flags->read->apply(), flags->out); };
}

// ---- writing ----

enum class Target { npz, table, folder };

Target target_of(const std::string& out) {
  refuse_standard_output("--out", out);
  const std::string ending = std::filesystem::path(out).extension().string();
  if (ending == ".npz") return Target::npz;
  if (ending == ".csv") return Target::table;
  std::error_code ignored;
  if (ending.empty() || out.ends_with('/') || std::filesystem::is_directory(out, ignored)) return Target::folder;
  base::fail_usage("--out {}: expected FILE.npz, FILE.csv (of vectors) or a folder (of pictures)", out);
}

/// The command that trains on what was written.
std::string command_to_train(const std::string& out, const data::ConditionSpec& condition) {
  const data::ReadOptions options = data::options_to_read(out, condition);
  std::string command = "gan train --data " + base::shell_quoted(out);
  for (const auto& [name, value] : {std::pair<const char*, const std::string&>{"--condition", options.condition},
                                    {"--categorical", options.categorical},
                                    {"--periodic", options.periodic}})
    if (!value.empty()) command += fmt::format(" {} {}", name, base::shell_quoted(value));
  return command + " --out runs/a";
}

void write(const std::string& out, const data::Dataset& train, const data::Dataset* test) {
  const data::ExportParts parts{train, test};
  const Target target = target_of(out);
  if (target == Target::npz) data::write_npz(out, parts);
  if (target == Target::table) data::write_table(out, parts);
  if (target == Target::folder) {
    data::write_pictures(out, parts, say);
    if (!train.units.bytes())
      say(fmt::format("note: values of {:g} to {:g} became bytes; FILE.npz keeps them", train.units.low,
                      train.units.high));
  }
  for (const std::string& note : train.notes) say("note: " + note);
  fmt::print("wrote {}: {} {}, {}{}\n", out, base::counted(train.count(), train.is_image() ? "image" : "vector"),
             graph::to_string(train.sample_shape), train.condition.text(),
             test ? fmt::format("; for tests {}{}", base::grouped(static_cast<std::uint64_t>(test->count())),
                                target == Target::table ? " in a file of their own" : "")
                  : "");
  fmt::print("train with: {}\n", command_to_train(out, train.condition));
}

/// Opens both parts of a source and writes them.
void convert(const std::string& source, data::SourceOptions options, const std::string& out) {
  target_of(out);  // what cannot be is said before hours of decoding
  const auto [samples, labels] = data::split_pair(source);
  for (const std::string& path : {source, samples, labels}) {
    std::error_code missing;
    if (std::filesystem::equivalent(path, out, missing))
      base::fail_usage("--out {}: that is the source; choose another name", out);
  }
  options.progress = say;
  const data::Dataset train = data::open_source(source, options);
  std::optional<data::Dataset> test;
  options.split = data::Split::test;
  if (data::has_test_part(source)) test = data::open_source(source, options);
  write(out, train, test ? &*test : nullptr);
}

Action setup_convert(CLI::App& app) {
  auto flags = add_source_flags(app, "The source to write (gan data --help lists the kinds)");
  app.add_option("--out", flags->out,
                 "FILE.npz; a new folder of PNG files with metadata.csv; of vectors FILE.csv. A test part goes to "
                 "arrays x_test, ..., to a folder test beside train, or to FILE-test.csv")
      ->type_name("FILE|DIR")
      ->required();
  return [flags] {
    data::SourceOptions options;
    options.cache = flags->cache;
    options.seed = 1;
    options.read = flags->read->apply();
    convert(flags->source, options, flags->out);
  };
}

// ---- made-up data ----

struct MakeOptions {
  std::string name, charset, out, cache;
  std::vector<std::string> fonts;
  std::int64_t count = 0, size = 0, characters = 0, seed = 1;
};

void make_glyphs(const MakeOptions& options) {
  data::GlyphOptions glyphs;
  if (!options.charset.empty()) glyphs.charset = options.charset;
  glyphs.fonts = options.fonts;
  glyphs.characters = options.characters;
  if (options.count > 0) glyphs.count = options.count;
  if (options.size > 0) glyphs.size = options.size;
  glyphs.seed = static_cast<std::uint64_t>(options.seed);
  glyphs.progress = say;
  target_of(options.out);
  write(options.out, data::make_glyphs(glyphs), nullptr);
}

void make(const MakeOptions& options) {
  const std::vector<std::string> known = {"circle", "glyphs", "grid25",       "mnist-rotated",
                                          "ring8",  "shapes", "stacked-mnist"};
  const std::string name = options.name.substr(0, options.name.find(':'));
  if (std::ranges::find(known, name) == known.end())
    base::fail_usage("data set \"{}\" cannot be made{}", options.name, base::did_you_mean(name, known));
  if (options.name == "glyphs") return make_glyphs(options);
  if (!options.fonts.empty() || !options.charset.empty() || options.characters > 0)
    base::fail_usage("{}: --fonts, --charset and --characters are for glyphs", options.name);
  std::string source = options.name;
  if (options.count > 0 || options.size > 0) {
    if (source != "shapes") base::fail_usage("{}: --count and --size are for shapes and glyphs", options.name);
    source =
        fmt::format("shapes:{}:{}", options.count > 0 ? options.count : 10'000, options.size > 0 ? options.size : 32);
  }
  data::SourceOptions reading;
  reading.cache = options.cache;
  reading.seed = static_cast<std::uint64_t>(options.seed);
  if (name == "shapes") reading.read.condition = "label,hue,angle,size";
  if (name == "stacked-mnist") reading.read.condition = "red,green,blue";
  convert(source, reading, options.out);
}

constexpr const char* kMakeHelp = R"(Data sets:
  shapes         circles, hexagons, pentagons, squares, stars and triangles with label, hue, angle and size
  mnist-rotated  the digits of MNIST with digit and angle; needs gan data fetch mnist
  stacked-mnist  three digits of MNIST, one for each colour, with red, green and blue; needs it, too
  circle         10 points at each of 120 angles (Ding et al. 2021, arXiv 2011.07466)
  ring8, grid25  points around 8 and 25 centres
  glyphs         characters of installed fonts; --charset digits, latin or gb2312-1 (3,755 Chinese characters)

Examples:
  gan data make shapes --count 5000 --size 64 --out shapes
  gan data make glyphs --charset gb2312-1 --fonts /usr/share/fonts/truetype/wqy --out characters.npz)";

Action setup_make(CLI::App& app) {
  constexpr std::int64_t kLargestOption = 1'000'000'000;
  auto options = std::make_shared<MakeOptions>();
  app.add_option("NAME", options->name, "Data set, see below")->required();
  app.add_option("--out", options->out, "FILE.npz; a new folder of pictures; of points FILE.csv")
      ->type_name("FILE|DIR")
      ->required();
  app.add_option("--count", options->count, "Pictures of shapes (10,000); of glyphs for each character (20)")
      ->check(CLI::Range(std::int64_t{1}, kLargestOption));
  app.add_option("--size", options->size, "Height and width of shapes (32) or glyphs (28)")
      ->check(CLI::Range(std::int64_t{16}, std::int64_t{128}));
  app.add_option("--seed", options->seed, "Random numbers (1)")->check(CLI::Range(std::int64_t{0}, kLargestOption));
  app.add_option("--charset", options->charset, "Characters of glyphs: digits, latin or gb2312-1")->type_name("NAME");
  app.add_option("--characters", options->characters, "Only the first of them")
      ->check(CLI::Range(std::int64_t{1}, kLargestOption));
  app.add_option("--fonts", options->fonts, "Fonts for glyphs: files, or folders to search")->type_name("DIR");
  add_cache_option(app, options->cache);
  app.footer(kMakeHelp);
  return [options] { make(*options); };
}

// ---- the cache ----

Action setup_cache(CLI::App& app) {
  struct Options {
    std::string cache;
    bool clear = false;
  };
  auto options = std::make_shared<Options>();
  app.add_flag("--clear", options->clear, "Remove all of it; it is decoded again when it is needed");
  add_cache_option(app, options->cache);
  return [options] {
    if (options->clear) {
      fmt::print("freed {}\n", base::size_text(static_cast<double>(data::clear_cache(options->cache))));
      return;
    }
    std::uint64_t bytes = 0;
    const std::vector<data::CacheEntry> entries = data::cache_entries(options->cache);
    for (const data::CacheEntry& entry : entries) {
      bytes += entry.bytes;
      fmt::print("{:>10}  {}\n", base::size_text(static_cast<double>(entry.bytes)),
                 entry.items == 0 ? entry.path + ": damaged or of another version"
                                  : fmt::format("{}: {} {}", entry.source, base::counted(entry.items, "image"),
                                                graph::to_string(entry.sample_shape)));
    }
    fmt::print("{} in {}{}\n", base::size_text(static_cast<double>(bytes)),
               base::counted(std::ssize(entries), "decoded data set"),
               entries.empty() ? "" : "; gan data cache --clear removes them");
  };
}

Action setup(CLI::App& app) {
  struct Part {
    const char *name, *summary;
    Action (*setup)(CLI::App& app);
  };
  constexpr Part kParts[] = {{"fetch", "Download a data set and check it", setup_fetch},
                             {"info", "Describe a data set: classes, ranges, duplicates, examples", setup_info},
                             {"convert", "Write a data set as arrays, pictures or a table", setup_convert},
                             {"make", "Make up a data set", setup_make},
                             {"cache", "List or clear the cache of decoded pictures", setup_cache}};
  std::vector<std::pair<CLI::App*, Action>> actions;
  for (const Part& part : kParts) {
    CLI::App* const subcommand = app.add_subcommand(part.name, part.summary);
    actions.emplace_back(subcommand, part.setup(*subcommand));
  }
  app.require_subcommand(0, 1);
  app.footer(kDataHelp);
  return [actions] {
    for (const auto& [subcommand, action] : actions)
      if (subcommand->parsed()) return action();
    base::fail_usage("data: a subcommand is missing, such as gan data fetch mnist");
  };
}

}  // namespace

extern const Command data_command;
const Command data_command = {"data", "Fetch, describe, convert and make data sets; list the sources for --data",
                              setup};

}  // namespace gan::cli
