#include "data/dataset.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <set>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "data/columns.h"
#include "data/image_bytes.h"

namespace gan::data {

std::string SampleUnits::range() const { return bytes() ? "[-1, 1]" : fmt::format("[{:g}, {:g}]", low, high); }

void SampleUnits::undo(std::span<float> samples, const graph::Shape& sample) const {
  if (sample.size() == 3) {
    if (bytes()) return;
    for (float& value : samples) value = static_cast<float>(low + (value + 1.0) / 2 * (high - low));
    return;
  }
  for (std::size_t i = 0; i < samples.size() && !columns.empty(); ++i)
    samples[i] = static_cast<float>(columns[i % columns.size()].scaling.undo(samples[i]));
}

int Dataset::label(std::int64_t index) const {
  if (labels().empty()) base::fail_run("{}: has no labels", source);
  return labels()[static_cast<std::size_t>(index)];
}

void Dataset::copy_sample(std::int64_t index, float* dst) const {
  const std::int64_t size = graph::element_count(sample_shape);
  if (!is_image()) {
    std::copy_n(points.begin() + index * size, size, dst);
    return;
  }
  const std::int64_t channels = sample_shape[0], area = sample_shape[1] * sample_shape[2];
  const std::uint8_t* src = pixels.get() + index * size;
  const auto value = [](std::uint8_t byte) { return static_cast<float>(byte) / 127.5f - 1.0f; };
  if (channels == 1) {  // a loop with stride 1 is vectorized
    for (std::int64_t i = 0; i < area; ++i) dst[i] = value(src[i]);
    return;
  }
  for (std::int64_t c = 0; c < channels; ++c)
    for (std::int64_t i = 0; i < area; ++i) *dst++ = value(src[i * channels + c]);
}

void Dataset::prefetch_sample(std::int64_t index) const {
  constexpr std::int64_t kCacheLine = 64;  // bytes
  const std::int64_t size = graph::element_count(sample_shape);
  if (is_image())
    for (std::int64_t i = 0; i < size; i += kCacheLine) __builtin_prefetch(pixels.get() + index * size + i);
}

Dataset subset(const Dataset& dataset, std::span<const std::uint32_t> indices) {
  Dataset part;
  part.source = dataset.source;
  part.name = dataset.name;
  part.sample_shape = dataset.sample_shape;
  part.units = dataset.units;
  part.condition = dataset.condition;
  part.rows = dataset.rows.select(indices);
  part.hash = dataset.hash;
  part.modes = dataset.modes;
  part.mode_deviation = dataset.mode_deviation;
  part.circle_radius = dataset.circle_radius;
  part.items = static_cast<std::int64_t>(indices.size());
  const auto size = static_cast<std::size_t>(graph::element_count(dataset.sample_shape));
  std::shared_ptr<std::uint8_t[]> copies;
  if (dataset.is_image()) copies.reset(new std::uint8_t[indices.size() * size]);
  std::uint8_t* pixels = copies.get();
  for (const std::uint32_t index : indices) {
    if (dataset.is_image()) {
      pixels = std::copy_n(dataset.pixels.get() + index * size, size, pixels);
    } else {
      const auto point = dataset.points.begin() + static_cast<std::ptrdiff_t>(index * size);
      part.points.insert(part.points.end(), point, point + static_cast<std::ptrdiff_t>(size));
    }
  }
  part.pixels = std::move(copies);
  return part;
}

namespace {

/// The names as integers, if every name is one.
std::optional<std::vector<std::int64_t>> integers_of(std::span<const std::string> names) {
  std::vector<std::int64_t> numbers;
  for (const std::string& name : names) {
    const auto number = base::parse_number<std::int64_t>(name);
    if (!number || std::to_string(*number) != name) return std::nullopt;
    numbers.push_back(*number);
  }
  return numbers;
}

/// Whether these sorted labels are 0 to K - 1.
bool count_from_zero(std::span<const std::int64_t> sorted) {
  return !sorted.empty() && sorted.front() == 0 && sorted.back() == static_cast<std::int64_t>(sorted.size()) - 1;
}

}  // namespace

void set_labels(Dataset& dataset, std::span<const std::int32_t> labels, const std::string& folder) {
  const std::set<std::int32_t> set(labels.begin(), labels.end());
  const std::vector<std::int64_t> present(set.begin(), set.end());
  std::vector<std::string> names;
  const std::filesystem::path path = std::filesystem::path(folder) / "classes.txt";
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) {
    const std::vector<std::string> lines = read_class_names(path.string());
    const auto named = static_cast<std::int64_t>(lines.size()), classes = static_cast<std::int64_t>(present.size());
    const bool by_order = named == classes && !present.empty() && present.front() > 0;
    if (by_order)
      dataset.notes.push_back(fmt::format("{}: its lines name the labels {} to {} in order", path.string(),
                                          present.front(), present.back()));
    if (!by_order && !present.empty() && (present.front() < 0 || present.back() >= named))
      base::fail_data("{}: {} for labels {} to {}, expected {}", path.string(), base::counted(named, "class name"),
                      present.front(), present.back(),
                      present.front() < 0 ? fmt::format("{}, one for each label", classes)
                                          : fmt::format("{} or more", present.back() + 1));
    for (std::size_t k = 0; k < present.size(); ++k)
      names.push_back(lines[by_order ? k : static_cast<std::size_t>(present[k])]);
    if (!by_order && named > classes)
      dataset.notes.push_back(fmt::format("{}: {} of {} have no samples and are left out", path.string(),
                                          named - classes, base::counted(named, "class", "classes")));
  } else if (!count_from_zero(present)) {
    for (const std::int64_t label : present) names.push_back(std::to_string(label));
  }
  std::vector<std::int32_t> categories;
  categories.reserve(labels.size());
  for (const std::int32_t label : labels)
    categories.push_back(static_cast<std::int32_t>(std::ranges::lower_bound(present, label) - present.begin()));
  dataset.rows = std::move(categories);
  dataset.condition = label_condition(static_cast<int>(present.size()), std::move(names));
}

void align_condition(Dataset& dataset, const ConditionSpec& condition) {
  if (dataset.condition == condition) return;
  ConditionRows rows;
  for (const ConditionColumn& column : condition.columns) {
    const int c = dataset.condition.find(column.name);
    if (c < 0) base::fail_data("{}: has no column {}, which the condition needs", dataset.source, column.name);
    const ConditionColumn& own = dataset.condition.columns[static_cast<std::size_t>(c)];
    if (own.is_numeric() != column.is_numeric())
      base::fail_data("{}: column {} holds {}, the condition needs {}", dataset.source, column.name,
                      own.is_numeric() ? "numbers" : "categories", own.is_numeric() ? "categories" : "numbers");
    if (column.is_numeric()) {
      const std::span<const float> numbers = dataset.rows.numbers(static_cast<std::size_t>(c));
      for (std::size_t row = 0; row < numbers.size(); ++row)
        if (!column.number.accepts(static_cast<double>(numbers[row])))
          base::fail_data("{}: column {}, row {}: {}, expected a number above 0, whose logarithm the condition takes",
                          dataset.source, column.name, row + 1, numbers[row]);
      rows.columns.push_back(dataset.rows.columns[static_cast<std::size_t>(c)]);
      continue;
    }
    std::unordered_map<std::string, std::int32_t> index;
    for (std::int32_t k = 0; k < column.categories; ++k) index[column.name_of(k)] = k;
    std::vector<std::int32_t> categories;
    for (const std::int32_t category : dataset.rows.categories(static_cast<std::size_t>(c))) {
      const auto found = index.find(own.name_of(category));
      if (found == index.end())
        base::fail_data("{}: {} \"{}\" is none of {}", dataset.source, column.name, own.name_of(category),
                        column.names_text());
      categories.push_back(found->second);
    }
    rows.columns.emplace_back(std::move(categories));
  }
  dataset.rows = std::move(rows);
  dataset.condition = condition;
}

void convert_units(Dataset& dataset, const SampleUnits& units) {
  const SampleUnits from = std::exchange(dataset.units, units);
  if (from == units) return;
  const auto size = static_cast<std::size_t>(graph::element_count(dataset.sample_shape));
  const std::size_t values = static_cast<std::size_t>(dataset.count()) * size;
  if (dataset.is_image()) {
    if (from.low == units.low && from.high == units.high) return;
    std::uint8_t table[256];
    for (int byte = 0; byte < 256; ++byte) {
      const double value = from.low + (from.high - from.low) * byte / 255;
      table[byte] = byte_of(value, units);
    }
    std::shared_ptr<std::uint8_t[]> pixels(new std::uint8_t[values]);
    for (std::size_t i = 0; i < values; ++i) pixels[i] = table[dataset.pixels[i]];
    dataset.pixels = std::move(pixels);
    return;
  }
  for (const std::vector<NumberColumn>* columns : {&from.columns, &units.columns})
    if (!columns->empty() && columns->size() != size)
      base::fail_data("{}: {} for vectors of {}", dataset.source,
                      base::counted(static_cast<std::int64_t>(columns->size()), "column"), size);
  for (std::size_t c = 0; c < size; ++c) {
    const Scaling undone = from.columns.empty() ? Scaling() : from.columns[c].scaling;
    const Scaling applied = units.columns.empty() ? Scaling() : units.columns[c].scaling;
    if (!from.columns.empty() && !units.columns.empty() && from.columns[c].name != units.columns[c].name)
      base::fail_data("{}: column {} is {}, expected {}", dataset.source, c + 1, from.columns[c].name,
                      units.columns[c].name);
    if (undone == applied) continue;
    for (std::size_t i = c; i < values; i += size) {
      const double value = undone.undo(static_cast<double>(dataset.points[i]));
      dataset.points[i] = static_cast<float>(applied.apply(value));
      if (!std::isfinite(dataset.points[i]))
        base::fail_data("{}: row {}, column {}: {} does not fit the {} scaling of the model's column", dataset.source,
                        i / size + 1, units.columns.empty() ? std::to_string(c + 1) : units.columns[c].name, value,
                        applied.kind);
    }
  }
}

std::pair<ConditionColumn, std::vector<std::int32_t>> column_of_names(const std::string& name,
                                                                      std::span<const std::string> values) {
  const std::set<std::string_view> set(values.begin(), values.end());
  std::vector<std::string> names(set.begin(), set.end());
  if (auto numbers = integers_of(names)) {
    std::ranges::sort(*numbers);
    names.clear();
    for (const std::int64_t number : *numbers) names.push_back(std::to_string(number));
  }
  std::unordered_map<std::string_view, std::int32_t> index;
  for (std::size_t k = 0; k < names.size(); ++k) index[names[k]] = static_cast<std::int32_t>(k);
  std::vector<std::int32_t> categories;
  categories.reserve(values.size());
  for (const std::string& value : values) categories.push_back(index.at(value));
  ConditionColumn column{.name = name, .categories = static_cast<int>(names.size()), .names = names};
  if (const auto numbers = integers_of(names); numbers && count_from_zero(*numbers)) column.names.clear();
  return {std::move(column), std::move(categories)};
}

}  // namespace gan::data
