#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "data/columns.h"
#include "data/gzip_file.h"
#include "data/idx_source.h"
#include "data/image_bytes.h"
#include "data/pixels.h"
#include "data/reader.h"
#include "io/csv.h"
#include "io/npy.h"
#include "io/npz.h"

namespace gan::data {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kElementsOfPiece = std::size_t{1} << 16;  // elements read at a time

// An array that can be opened several times.
struct Stored {
  std::string name;  // of its column of the condition
  std::function<io::NpyInput()> open;
  std::vector<std::string> columns = {};
};

// The arrays of a source: the samples, and those that may be columns of the condition.
struct Arrays {
  Stored samples;
  std::vector<Stored> conditions;
  std::vector<std::string> columns = {};  // names of the samples' columns, if the file has them
};

bool is_npy(const std::string& path) { return path.ends_with(".npy"); }
bool is_npz(const std::string& path) { return path.ends_with(".npz"); }

// ---- .npz ----

// An array's name without the part of the data: "x" for "x_train" or "train_x" and the part "train". None if the name
// does not have the part.
std::optional<std::string> without_part(const std::string& name, const std::string& part) {
  if (name.ends_with("_" + part)) return name.substr(0, name.size() - part.size() - 1);
  if (name.starts_with(part + "_")) return name.substr(part.size() + 1);
  return std::nullopt;
}

const char* part_name(Split split) { return split == Split::train ? "train" : "test"; }

// The name of the array with the samples of a part; `part` is "" for files without parts. "" if there is none.
std::string samples_name(const std::vector<std::string>& names, const std::string& part) {
  for (const char* known : {"x", "X", "images", "data", "samples", "arr_0"})
    for (const std::string& name : names)
      if (part.empty() ? name == known : without_part(name, part) == known) return name;
  return "";
}

std::vector<std::string> read_sample_columns(const io::NpzFile& file) {
  io::NpyInput input = file.open(kSampleColumns);
  if (!input.is_text() || input.shape().size() != 1 || input.elements() > kMostColumns)
    base::fail_data("{}: {} of \"{}\", expected up to {} texts", input.name(), graph::to_string(input.shape()),
                    input.descr(), base::grouped(kMostColumns));
  std::vector<std::string> names = input.read_text(static_cast<std::size_t>(input.elements()));
  for (const std::string& name : names)
    if (name.empty() || !base::is_plain(name) || std::ranges::count(names, name) > 1)
      base::fail_data("{}: expected names that differ, without control characters", input.name());
  return names;
}

std::string listed(const io::NpzFile& file) { return file.names().empty() ? "none" : base::joined(file.names()); }

Arrays open_npz(const std::string& path, const SourceOptions& options) {
  const auto file = std::make_shared<io::NpzFile>(path);
  const auto stored = [&](std::string name, const std::string& array) {
    return Stored{std::move(name), [file, array] { return file->open(array); }};
  };
  const bool has_parts = !samples_name(file->names(), "train").empty();
  const std::string part = has_parts ? part_name(options.split) : "";
  if (!has_parts && options.split == Split::test)
    base::fail_usage("{}: has no test part, such as x_test beside x_train; name the file of the test data itself",
                     path);
  std::string samples = samples_name(file->names(), part);
  if (samples.empty() && file->names().size() == 1) samples = file->names()[0];
  if (samples.empty())
    base::fail_data("{}: has no array x{}, images or data of samples; its arrays: {}", path,
                    has_parts ? "_" + part : "", listed(*file));
  Arrays arrays{stored("samples", samples), {}};
  std::vector<Stored*> labels;
  for (const std::string& array : file->names()) {
    if (array == kSampleColumns) arrays.columns = read_sample_columns(*file);
    if (array == samples || array == kSampleColumns || (has_parts && !without_part(array, part))) continue;
    arrays.conditions.push_back(stored(has_parts ? *without_part(array, part) : array, array));
  }
  // A single array with one of these names becomes the column "label", unless the user chose it by its own name.
  const std::vector<std::string> wanted = list_of(options.read.condition);
  for (Stored& condition : arrays.conditions)
    for (const char* known : {"y", "Y", "label", "labels", "class", "classes"})
      if (condition.name == known) labels.push_back(&condition);
  if (labels.size() == 1 && std::ranges::find(wanted, labels[0]->name) == wanted.end()) labels[0]->name = "label";
  return arrays;
}

// ---- .npy ----

Arrays open_npy(const std::string& spec, const SourceOptions& options) {
  if (options.split == Split::test)
    base::fail_usage("{}: has no test part; name the files of the test data themselves", spec);
  const auto [samples, conditions] = split_pair(spec);
  if (samples.empty() || (conditions.empty() && samples.size() < spec.size()))
    base::fail_usage("{}: a name is missing beside the comma; expected x.npy,y.npy", spec);
  Arrays arrays{{"samples", [path = samples] { return io::NpyInput(path); }}, {}};
  if (!conditions.empty() && options.labels && !io::is_table_name(conditions))
    arrays.conditions.push_back({"label", [path = conditions] { return io::NpyInput(path); }});
  return arrays;
}

// ---- images and vectors ----

// Reads all elements in pieces, each of whole items of `size` elements, and calls visit with each piece.
template <typename Visit>
void for_each_piece(io::NpyInput& input, std::size_t size, Visit visit) {
  auto left = static_cast<std::size_t>(input.elements());
  std::vector<double> piece(std::min(left, std::max<std::size_t>(kElementsOfPiece / size, 1) * size));
  while (left > 0) {
    const std::span<double> part = std::span(piece).first(std::min(piece.size(), left));
    input.read(part);
    visit(std::span<const double>(part));
    left -= part.size();
  }
}

// Whether an array of images has its channels in front: [N, C, H, W]. Adds a note if it could be either.
bool has_channels_first(const io::NpyInput& input, std::vector<std::string>& notes) {
  const graph::Shape& shape = input.shape();
  if (shape.size() == 3) return false;
  const auto may_be_channels = [&](std::size_t axis) { return shape[axis] >= 1 && shape[axis] <= 4; };
  const bool first = may_be_channels(1), last = may_be_channels(3);
  if (!first && !last)
    base::fail_data("{}: images of shape {}: expected 1 to 4 channels, as [N, H, W, C] or [N, C, H, W]", input.name(),
                    graph::to_string(shape));
  if (first && last)
    notes.push_back(
        fmt::format("the shape {} is read as [N, H, W, C]; for [N, C, H, W], move the axis", graph::to_string(shape)));
  return !last;
}

Dataset images_of(const Stored& stored, const SourceOptions& options) {
  io::NpyInput input = stored.open();
  const graph::Shape& shape = input.shape();
  Dataset dataset;
  const bool channels_first = has_channels_first(input, dataset.notes);
  dataset.items = shape[0];
  dataset.sample_shape = shape.size() == 3 ? graph::Shape{1, shape[1], shape[2]}
                         : channels_first  ? graph::Shape{shape[1], shape[2], shape[3]}
                                           : graph::Shape{shape[3], shape[1], shape[2]};
  const std::int64_t size = graph::element_count(dataset.sample_shape);
  const auto elements = static_cast<std::size_t>(input.elements());
  auto pixels = make_pixels(elements, options.cache);
  if (input.is_bytes()) {
    input.read(std::span(pixels.get(), elements));
  } else {
    ValueRange range;
    for_each_piece(input, static_cast<std::size_t>(size),
                   [&](std::span<const double> piece) { range.add(piece, size, input.name()); });
    set_units(dataset, range, input.is_whole(), input.name());
    io::NpyInput again = stored.open();
    std::uint8_t* next = pixels.get();
    for_each_piece(again, static_cast<std::size_t>(size), [&](std::span<const double> piece) {
      for (const double value : piece) *next++ = byte_of(value, dataset.units);
    });
  }
  if (channels_first) make_channels_last(pixels.get(), dataset.items, shape[1], shape[2] * shape[3]);
  if (options.read.transpose) transpose_images(dataset, pixels.get());
  dataset.pixels = std::move(pixels);
  return dataset;
}

// The names of the columns of an array [N] or [N, D].
std::vector<std::string> column_names(const std::string& name, const graph::Shape& shape, bool numbered) {
  if (shape.size() == 1 || (shape[1] == 1 && !numbered)) return {numbered ? name + "0" : name};
  std::vector<std::string> names;
  for (std::int64_t k = 0; k < shape[1]; ++k) names.push_back(name + std::to_string(k));
  return names;
}

Dataset vectors_of(const Stored& stored, const std::vector<std::string>& names, const ReadOptions& read,
                   const std::string& spec) {
  io::NpyInput input = stored.open();
  const std::size_t columns = names.size();
  std::vector<float> values;
  values.reserve(static_cast<std::size_t>(input.elements()));
  for_each_piece(input, columns, [&](std::span<const double> piece) {
    for (const double value : piece) {
      if (!(std::abs(value) <= std::numeric_limits<float>::max()))
        base::fail_data("{}: row {}, column {}: {} is not a finite number, or too large", input.name(),
                        values.size() / columns + 1, names[values.size() % columns], value);
      values.push_back(static_cast<float>(value));
    }
  });
  const std::vector<std::string> wanted = list_of(read.target);
  const std::vector<std::string>& targets = wanted.empty() ? names : wanted;
  Dataset dataset;
  const auto values_of = [&](std::size_t target) {
    const auto column = static_cast<std::size_t>(std::ranges::find(names, targets[target]) - names.begin());
    std::vector<float> out;
    for (std::size_t i = column; i < values.size(); i += columns) out.push_back(values[i]);
    return out;
  };
  set_vectors(dataset, targets, values_of, read, spec);
  const auto side = static_cast<std::size_t>(std::lround(std::sqrt(static_cast<double>(columns))));
  if (input.is_bytes() && side >= 8 && side * side == columns)
    dataset.notes.push_back(
        fmt::format("rows of {} bytes are read as vectors; for images of {}x{}, save them as "
                    "[N, {}, {}]",
                    columns, side, side, side, side));
  return dataset;
}

// ---- conditions ----

// The name of an array's column: "value" in place of "label" if its elements are floats.
std::string condition_name(const Stored& stored, const io::NpyInput& input) {
  return stored.name == "label" && !input.is_whole() && !input.is_text() ? "value" : stored.name;
}

// Sets an array [N] of integers as class labels, with names from classes.txt if it is there; false if they do not fit
// into 32 bits.
bool set_class_labels(Dataset& dataset, std::span<const double> values, const std::string& folder) {
  std::vector<std::int32_t> labels;
  labels.reserve(values.size());
  for (const double value : values) {
    if (std::abs(value) > std::numeric_limits<std::int32_t>::max()) return false;
    labels.push_back(static_cast<std::int32_t>(value));
  }
  Dataset labelled;
  set_labels(labelled, labels, folder);
  add_column(dataset, {std::move(labelled.condition.columns[0]), std::move(labelled.rows.columns[0])});
  dataset.notes.insert(dataset.notes.end(), labelled.notes.begin(), labelled.notes.end());
  return true;
}

void add_condition(Dataset& dataset, const Stored& stored, const SourceOptions& options, const std::string& folder) {
  io::NpyInput input = stored.open();
  const std::vector<std::string>& names = stored.columns;
  const auto count = static_cast<std::size_t>(dataset.items), columns = names.size();
  if (input.is_text()) {
    const std::vector<std::string> words = input.read_text(count * columns);
    for (std::size_t c = 0; c < columns; ++c) {
      std::vector<std::string> column;
      for (std::size_t i = 0; i < count; ++i) column.push_back(words[i * columns + c]);
      add_column(dataset, column_of_names(names[c], column));
    }
    return;
  }
  std::vector<double> all(count * columns), column(count);
  input.read(all);
  for (std::size_t c = 0; c < columns; ++c) {
    for (std::size_t i = 0; i < count; ++i) column[i] = all[i * columns + c];
    const bool numeric = period_of(options.read, names[c]) > 0 || !scaling_of(options.read, names[c]).empty();
    if (names[c] == "label" && input.is_whole() && !numeric && set_class_labels(dataset, column, folder)) continue;
    add_column(dataset, condition_column(names[c], column, input.is_whole(), options.read, input.name()));
  }
}

bool is_wanted(const Stored& stored, std::span<const std::string> wanted) {
  return std::ranges::find(wanted, stored.name) != wanted.end() ||
         std::ranges::find_first_of(stored.columns, wanted) != stored.columns.end();
}

// Calls load with each array that may be a column of the condition. If load fails, the array is left out with a note,
// unless it is the label or named by read.condition: then the error is rethrown.
template <typename Load>
void for_each_condition(std::vector<Stored>& conditions, const ReadOptions& read, std::vector<std::string>& notes,
                        Load load) {
  const std::vector<std::string> wanted = list_of(read.condition);
  std::erase_if(conditions, [&](Stored& stored) {
    try {
      load(stored);
      return false;
    } catch (const base::Error& error) {
      if (wanted.empty() ? stored.name == "label" : is_wanted(stored, wanted)) throw;
      notes.push_back(std::string(error.what()) + "; it is not read as a condition");
      return true;
    }
  });
}

// Checks the shape of a condition's array and sets the names of its columns.
void name_columns(Stored& stored, std::int64_t count, bool vectors, std::vector<std::string>& known) {
  const io::NpyInput input = stored.open();
  const graph::Shape& shape = input.shape();
  const std::string samples = base::counted(count, vectors ? "row" : "image");
  if (shape.empty() || shape.size() > 2 || (shape.size() == 2 && (shape[1] < 1 || shape[1] > kMostColumns)))
    base::fail_data("{}: an array of {}, expected [N] or [N, K] for {}", input.name(), graph::to_string(shape),
                    samples);
  if (shape[0] != count)
    base::fail_data("{}: {} for {}; these arrays do not belong together", input.name(),
                    base::counted(shape[0], stored.name == "label" ? "label" : "value"), samples);
  std::vector<std::string> names = column_names(condition_name(stored, input), shape, false);
  for (const std::string& name : names)
    if (std::ranges::find(known, name) != known.end())
      base::fail_data("{}: there is another column {}", input.name(), name);
  known.insert(known.end(), names.begin(), names.end());
  stored.columns = std::move(names);
}

// The table with the conditions of an array of `count` samples; none if the source does not name one.
std::optional<io::Csv> table_beside(const std::string& spec, const SourceOptions& options, std::int64_t count,
                                    bool vectors) {
  const std::string path = split_pair(spec).second;
  if (!io::is_table_name(path) || !options.labels) return std::nullopt;
  io::Csv csv(path, GzipFile(path).read_rest(), io::csv_delimiter(path));
  if (csv.rows() != count)
    base::fail_data("{}: {} below the header for {}; these files do not belong together", path,
                    base::counted(csv.rows(), "row"), base::counted(count, vectors ? "row" : "image"));
  return csv;
}

// Adds the columns `wanted` of a table to the condition; all columns if `wanted` is empty.
void add_columns(Dataset& dataset, const io::Csv& csv, std::span<const std::string> wanted, const ReadOptions& read) {
  const TextColumns table = columns_of(csv);
  ReadOptions strict = read;
  strict.missing = ReadOptions().missing;  // rows cannot be left out, since each belongs to a sample
  for (std::size_t column = 0; column < table.names.size(); ++column) {
    const bool is_wanted = std::ranges::find(wanted, table.names[column]) != wanted.end();
    if (!wanted.empty() && !is_wanted) continue;
    try {
      const std::vector<std::uint32_t> rows = complete_rows(table, std::array{column}, strict, dataset.notes);
      add_column(dataset, condition_column(table, column, rows, strict));
    } catch (const base::Error& error) {
      if (is_wanted || table.names[column] == "label") throw;
      dataset.notes.push_back(std::string(error.what()) + "; it is not read as a condition");
    }
  }
}

Dataset open(const std::string& spec, const SourceOptions& options) {
  Arrays arrays = is_npz(spec) ? open_npz(spec, options) : open_npy(spec, options);
  const io::NpyInput samples = arrays.samples.open();
  const graph::Shape& shape = samples.shape();
  const bool vectors = shape.size() <= 2;
  if (samples.is_text() || shape.empty() || shape.size() > 4 || (shape.size() == 2 && shape[1] > kMostColumns))
    base::fail_data(
        "{}: an array of {} of \"{}\": expected images [N, H, W], [N, H, W, C] or [N, C, H, W], or vectors "
        "[N, D] with D at most {}",
        samples.name(), graph::to_string(shape), samples.descr(), base::grouped(kMostColumns));
  if (graph::element_count(shape) == 0 || shape[0] > std::numeric_limits<std::uint32_t>::max())
    base::fail_data("{}: its shape is {}, expected 1 to {} samples", samples.name(), graph::to_string(shape),
                    base::grouped(std::numeric_limits<std::uint32_t>::max()));

  std::vector<std::string> names, notes;  // `names`: of the vectors' columns
  if (vectors) names = arrays.columns.empty() ? column_names("x", shape, true) : arrays.columns;
  const std::int64_t columns = shape.size() == 2 ? shape[1] : 1;
  if (vectors && static_cast<std::int64_t>(names.size()) != columns)
    base::fail_data("{}: {} for {}", spec, base::counted(static_cast<std::int64_t>(names.size()), "name"),
                    base::counted(columns, "column"));
  std::vector<std::string> known = names;
  if (!options.labels) arrays.conditions.clear();
  for_each_condition(arrays.conditions, options.read, notes,
                     [&](Stored& stored) { name_columns(stored, shape[0], vectors, known); });
  const std::optional<io::Csv> table = table_beside(spec, options, shape[0], vectors);
  for (const std::string& name : table ? table->header() : std::vector<std::string>()) {
    if (std::ranges::find(known, name) != known.end())
      base::fail_data("{}: there is another column {}", table->path(), name);
    known.push_back(name);
  }
  if (options.labels) check_columns(options.read, known, spec);
  for (const std::string& target : list_of(options.read.target))
    if (std::ranges::find(names, target) == names.end())
      base::fail_usage("target: only columns of vectors can be generated, and {} has no column \"{}\"{}", spec, target,
                       base::did_you_mean(target, names));
  Dataset dataset =
      vectors ? vectors_of(arrays.samples, names, options.read, spec) : images_of(arrays.samples, options);
  const std::vector<std::string> wanted = list_of(options.read.condition);
  const auto [first, second] = split_pair(spec);
  const std::string folder = fs::path(second.empty() ? first : second).parent_path().string();
  for_each_condition(arrays.conditions, options.read, notes, [&](const Stored& stored) {
    if (wanted.empty() || is_wanted(stored, wanted)) add_condition(dataset, stored, options, folder);
  });
  if (table) add_columns(dataset, *table, wanted, options.read);
  dataset.notes.insert(dataset.notes.end(), notes.begin(), notes.end());
  dataset.hash = hash_of(dataset);
  return dataset;
}

bool accepts(const std::string& spec) {
  const auto [samples, conditions] = split_pair(spec);
  return is_npy(samples) || is_npz(spec);
}

bool has_test(const std::string& spec) {
  if (!is_npz(spec)) return false;
  const io::NpzFile file(spec);
  return !samples_name(file.names(), "test").empty() && !samples_name(file.names(), "train").empty();
}

}  // namespace

extern const Reader arrays_reader;
const Reader arrays_reader{.name = "arrays",
                           .help =
                               "X.npy, X.npy,Y.npy, X.npy,Y.csv or FILE.npz: images [N, H, W], [N, H, W, C] or "
                               "[N, C, H, W] or vectors [N, D], of any real type, and labels or values for each",
                           .accepts = accepts,
                           .open = open,
                           .has_test = has_test};

}  // namespace gan::data
