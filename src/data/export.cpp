#include "data/export.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/parallel_each.h"
#include "base/text.h"
#include "data/columns.h"
#include "data/progress.h"
#include "io/csv.h"
#include "io/npz.h"
#include "io/png.h"

namespace gan::data {

namespace fs = std::filesystem;

namespace {

std::size_t size_of(const Dataset& dataset) {
  return static_cast<std::size_t>(graph::element_count(dataset.sample_shape));
}

// Vector `index` in the data's units.
std::vector<float> in_units(const Dataset& dataset, std::int64_t index) {
  const std::size_t size = size_of(dataset);
  const float* const point = dataset.points.data() + static_cast<std::size_t>(index) * size;
  std::vector<float> values(point, point + size);
  dataset.units.undo(values, dataset.sample_shape);
  return values;
}

// A value of a column as text, without the digits that are rounding errors of the scaled value.
std::string number_text(float value, const Scaling& scaling) {
  if (scaling.kind == "none") return fmt::format("{}", value);
  if (scaling.kind == "log") return fmt::format("{:.6g}", value);
  const double step = std::pow(10, std::ceil(std::log10(1e-6 * scaling.scale)));
  return fmt::format("{:.12g}", std::round(value / step) * step);
}

// The names of these categories.
std::vector<std::string> names_of(const ConditionColumn& column, std::span<const std::int32_t> categories) {
  std::vector<std::string> names;
  names.reserve(categories.size());
  for (const std::int32_t category : categories) names.push_back(column.name_of(category));
  return names;
}

// ---- .npz ----

void add_samples(io::NpzWriter& file, const std::string& name, const Dataset& dataset) {
  graph::Shape shape = {dataset.items};
  const std::size_t size = size_of(dataset);
  if (!dataset.is_image()) {
    shape.push_back(dataset.sample_shape[0]);
    file.begin(name, "<f4", shape);
    for (std::int64_t i = 0; i < dataset.items; ++i) {
      const std::vector<float> values = in_units(dataset, i);
      file.write(std::span<const float>(values));
    }
    return;
  }
  shape.insert(shape.end(), {dataset.sample_shape[1], dataset.sample_shape[2]});
  if (dataset.sample_shape[0] > 1) shape.push_back(dataset.sample_shape[0]);
  const auto& units = dataset.units;
  file.begin(name, units.bytes() ? "|u1" : "<f4", shape);
  std::vector<float> values(size);
  for (std::int64_t i = 0; i < dataset.items; ++i) {
    const std::span image(dataset.pixels.get() + static_cast<std::size_t>(i) * size, size);
    if (units.bytes()) {
      file.write(image);
      continue;
    }
    std::ranges::transform(image, values.begin(), [&](std::uint8_t byte) {
      return static_cast<float>(units.low + byte * (units.high - units.low) / 255);
    });
    file.write(std::span<const float>(values));
  }
}

void add_part(io::NpzWriter& file, const Dataset& dataset, const std::string& suffix) {
  add_samples(file, "x" + suffix, dataset);
  for (std::size_t c = 0; c < dataset.condition.columns.size(); ++c) {
    const ConditionColumn& column = dataset.condition.columns[c];
    if (column.name == "x" || column.name == kSampleColumns)
      base::fail_usage("the column {} of the condition has the name of an array of the samples", column.name);
    if (column.is_numeric())
      file.add(column.name + suffix, dataset.rows.numbers(c));
    else if (column.names.empty())
      file.add(column.name + suffix, dataset.rows.categories(c));
    else
      file.add(column.name + suffix, names_of(column, dataset.rows.categories(c)));
  }
}

// ---- text ----

// Adds a row's values of the condition, as text.
void add_conditions(std::vector<std::string>& cells, const Dataset& dataset, std::int64_t row) {
  for (std::size_t c = 0; c < dataset.condition.columns.size(); ++c) {
    const ConditionColumn& column = dataset.condition.columns[c];
    const auto i = static_cast<std::size_t>(row);
    cells.push_back(column.is_numeric() ? fmt::format("{}", dataset.rows.numbers(c)[i])
                                        : column.name_of(dataset.rows.categories(c)[i]));
  }
}

void add_names(std::vector<std::string>& cells, const ConditionSpec& condition) {
  for (const ConditionColumn& column : condition.columns) cells.push_back(column.name);
  for (std::size_t i = 0; i < cells.size(); ++i)
    if (std::find(cells.begin(), cells.begin() + static_cast<std::ptrdiff_t>(i), cells[i]) !=
        cells.begin() + static_cast<std::ptrdiff_t>(i))
      base::fail_usage("two columns are called {}", cells[i]);
}

void write_rows(const std::string& path, const Dataset& dataset) {
  std::vector<std::string> cells;
  for (std::int64_t c = 0; c < dataset.sample_shape[0]; ++c)
    cells.push_back(dataset.units.columns.empty() ? fmt::format("x{}", c)
                                                  : dataset.units.columns[static_cast<std::size_t>(c)].name);
  add_names(cells, dataset.condition);
  base::AtomicFile file(path, base::Durability::unsynced);
  file.write(io::csv_row(cells));
  for (std::int64_t i = 0; i < dataset.items; ++i) {
    cells.clear();
    const std::vector<float> values = in_units(dataset, i);
    for (std::size_t c = 0; c < values.size(); ++c)
      cells.push_back(
          number_text(values[c], dataset.units.columns.empty() ? Scaling() : dataset.units.columns[c].scaling));
    add_conditions(cells, dataset, i);
    file.write(io::csv_row(cells));
  }
  file.commit();
}

// ---- pictures ----

// A new folder that has a temporary name until commit().
class NewFolder {
 public:
  explicit NewFolder(const std::string& path) : path_(fs::path(path + "/").parent_path()) {
    std::error_code error;
    if (fs::exists(path_, error) && !(fs::is_directory(path_, error) && fs::is_empty(path_, error)))
      base::fail_usage("{}: is there and is not an empty folder; give a new one", path_.string());
    temporary_ = path_.string() + fmt::format(".{}.tmp", ::getpid());
    base::create_folder(temporary_);
  }
  ~NewFolder() {
    std::error_code ignored;
    if (!temporary_.empty()) fs::remove_all(temporary_, ignored);
  }
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;

  const std::string& path() const { return temporary_; }
  void commit() {
    std::error_code error;
    fs::rename(temporary_, path_, error);
    if (error) base::fail_data("{}: cannot be written: {}", path_.string(), error.message());
    temporary_.clear();
  }

 private:
  fs::path path_;
  std::string temporary_;
};

io::Picture picture_of(const Dataset& dataset, std::int64_t index) {
  const auto channels = static_cast<std::size_t>(dataset.sample_shape[0]), size = size_of(dataset);
  io::Picture picture{.channels = static_cast<int>(channels),
                      .height = static_cast<int>(dataset.sample_shape[1]),
                      .width = static_cast<int>(dataset.sample_shape[2]),
                      .bytes = std::vector<std::uint8_t>(size)};
  const std::uint8_t* const pixels = dataset.pixels.get() + static_cast<std::size_t>(index) * size;
  const std::size_t area = size / channels;
  for (std::size_t c = 0; c < channels; ++c)
    for (std::size_t i = 0; i < area; ++i) picture.bytes[c * area + i] = pixels[i * channels + c];
  return picture;
}

void write_part(const std::string& folder, const Dataset& dataset,
                const std::function<void(const std::string&)>& progress) {
  const auto digits = std::max<std::size_t>(std::to_string(dataset.items - 1).size(), 6);
  const auto name_of = [&](std::int64_t index) { return fmt::format("{:0{}}.png", index, digits); };
  base::create_folder(folder);
  std::atomic<std::int64_t> done = 0;
  Progress report(progress, "writing pictures", dataset.items);
  base::parallel_for_each(dataset.items, /*grain=*/16, [&](std::int64_t i, bool calling_thread) {
    io::write_png(folder + "/" + name_of(i), picture_of(dataset, i));
    const std::int64_t now_done = ++done;
    if (calling_thread) report(now_done);
  });
  if (dataset.condition.empty()) return;
  std::vector<std::string> cells = {"file_name"};
  add_names(cells, dataset.condition);
  std::string text = io::csv_row(cells);
  for (std::int64_t i = 0; i < dataset.items; ++i) {
    cells = {name_of(i)};
    add_conditions(cells, dataset, i);
    text += io::csv_row(cells);
  }
  base::write_file(folder + "/metadata.csv", text, base::Durability::unsynced);
}

// Whether a name of a column's categories could be read as a number; without names it is one.
bool has_numbers_as_names(const ConditionColumn& column) {
  return column.names.empty() || std::ranges::any_of(column.names, [](const std::string& name) {
           return base::parse_number<double>(name).has_value();
         });
}

}  // namespace

void write_npz(const std::string& path, const ExportParts& parts) {
  io::NpzWriter file(path);
  add_part(file, parts.train, parts.test ? "_train" : "");
  if (parts.test) add_part(file, *parts.test, "_test");
  std::vector<std::string> columns;
  for (const NumberColumn& column : parts.train.units.columns) columns.push_back(column.name);
  if (!columns.empty()) file.add(kSampleColumns, columns);
  file.commit();
}

void write_table(const std::string& path, const ExportParts& parts) {
  if (parts.train.is_image()) base::fail_usage("{}: images do not go into a table; give FILE.npz or a folder", path);
  write_rows(path, parts.train);
  if (!parts.test) return;
  const fs::path file(path);
  write_rows((file.parent_path() / (file.stem().string() + "-test" + file.extension().string())).string(), *parts.test);
}

void write_pictures(const std::string& folder, const ExportParts& parts,
                    const std::function<void(const std::string&)>& progress) {
  if (!parts.train.is_image()) base::fail_usage("{}: vectors are no pictures; give FILE.csv or FILE.npz", folder);
  if (parts.train.sample_shape[0] > 4)
    base::fail_usage("{}: images of {} channels cannot be PNG files; give FILE.npz", folder,
                     parts.train.sample_shape[0]);
  NewFolder temporary(folder);
  if (!parts.test) {
    write_part(temporary.path(), parts.train, progress);
  } else {
    write_part(temporary.path() + "/train", parts.train, progress);
    write_part(temporary.path() + "/test", *parts.test, progress);
  }
  temporary.commit();
}

ReadOptions options_to_read(const std::string& path, const ConditionSpec& condition) {
  const bool text = !path.ends_with(".npz");
  ReadOptions options;
  const auto add = [](std::string& list, const std::string& part) { list += (list.empty() ? "" : ",") + part; };
  for (const ConditionColumn& column : condition.columns) {
    if (condition.columns.size() > 1 || column.name != "label") add(options.condition, column.name);
    if (column.number.period > 0) add(options.periodic, fmt::format("{}:{:g}", column.name, column.number.period));
    if (text && !column.is_numeric() && column.name != "label" && has_numbers_as_names(column))
      add(options.categorical, column.name);
  }
  return options;
}

}  // namespace gan::data
