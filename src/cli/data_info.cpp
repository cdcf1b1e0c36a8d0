#include "cli/data_info.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "cli/class_sizes.h"
#include "cli/output.h"
#include "data/repeats.h"
#include "data/source.h"
#include "data/value_notes.h"

namespace gan::cli {
namespace {

constexpr std::int64_t kListed = 40;  // classes or columns that are listed one by one

std::string grouped(std::int64_t count) { return base::grouped(static_cast<std::uint64_t>(count)); }

std::string counts_text(const data::ConditionColumn& column, const std::vector<std::int64_t>& counts) {
  if (std::ssize(counts) <= kListed) return fmt::format("{}", fmt::join(counts, ", "));
  const auto [least, most] = std::ranges::minmax_element(counts);
  if (*least == *most) return grouped(*most) + " each";
  std::vector<std::int64_t> sorted = counts;
  std::ranges::nth_element(sorted, sorted.begin() + std::ssize(sorted) / 2);
  const auto name = [&](auto it) { return column.name_of(static_cast<std::int32_t>(it - counts.begin())); };
  return fmt::format("{} ({}) to {} ({}), median {}", grouped(*least), name(least), grouped(*most), name(most),
                     grouped(sorted[sorted.size() / 2]));
}

/// Notes on constant columns and on small and unequal classes.
std::vector<std::string> size_notes(const data::ConditionColumn& column, const std::vector<std::int64_t>& counts,
                                    const char* sample) {
  constexpr std::int64_t kFewestToLearn = 5;
  std::vector<std::string> notes;
  const auto least = std::ranges::min_element(counts);
  const auto name = [&](auto it) { return column.name_of(static_cast<std::int32_t>(it - counts.begin())); };
  const auto few = std::ranges::count_if(counts, [](std::int64_t count) { return count < kFewestToLearn; });
  if (counts.size() == 1)
    return {fmt::format("{} is {} everywhere: it says nothing as a condition", column.name, name(least))};
  if (few > 0)
    notes.push_back(fmt::format("{} fewer than {} {}s{}: too few to learn from",
                                few == 1 ? fmt::format("{} {} has", column.name, name(least))
                                         : fmt::format("{} of {} {}s have", few, counts.size(), column.name),
                                kFewestToLearn, sample, few == 1 ? "" : fmt::format(", such as {}", name(least))));
  if (std::string note = unequal_note(column, counts, sample); !note.empty()) notes.push_back(std::move(note));
  return notes;
}

std::string number_text(const data::NumberColumn& number) {
  std::string text = fmt::format("{:g} to {:g}{}, deviation {:.3g}, {}", number.minimum, number.maximum,
                                 number.unit.empty() ? "" : " " + number.unit, number.deviation,
                                 base::counted(number.distinct, "different value"));
  if (number.period > 0) return text + fmt::format(", period {:g}", number.period);
  return text + ", scaling " + number.scaling.kind;
}

/// Prints the classes, other columns of the condition, and the columns of vectors; returns notes on them.
std::vector<std::string> print_columns(const data::Dataset& dataset) {
  std::vector<std::string> notes;
  const data::ConditionSpec& condition = dataset.condition;
  if (condition.empty() || condition.classes() > 0) line("classes", classes_text(condition));
  for (std::size_t c = 0; c < condition.columns.size(); ++c) {
    const data::ConditionColumn& column = condition.columns[c];
    if (column.is_numeric()) {
      line(column.name, number_text(column.number));
      continue;
    }
    const auto counts = class_sizes(condition, dataset.rows, c);
    if (condition.classes() == 0) line(column.name, classes_text({{column}}));
    line(condition.classes() > 0 ? "per class" : "  of each", counts_text(column, counts));
    for (std::string& note : size_notes(column, counts, dataset.is_image() ? "picture" : "row"))
      notes.push_back(std::move(note));
  }
  const auto& columns = dataset.units.columns;
  for (std::size_t c = 0; c < std::min<std::size_t>(columns.size(), kListed); ++c)
    line(columns[c].name, number_text(columns[c]));
  if (std::ssize(columns) > kListed) line("", fmt::format("and {} more columns", std::ssize(columns) - kListed));
  return notes;
}

// ---- sheets ----

/// `count` of these, evenly chosen, first and last included.
std::vector<std::uint32_t> spread(std::span<const std::uint32_t> from, std::size_t count) {
  if (from.size() <= count) return {from.begin(), from.end()};
  std::vector<std::uint32_t> chosen;
  for (std::size_t k = 0; k < count; ++k) chosen.push_back(from[count == 1 ? 0 : k * (from.size() - 1) / (count - 1)]);
  return chosen;
}

/// Writes a sample in RGB or grey into the sheet, its upper left corner at (top, left).
void draw(const data::Dataset& dataset, std::uint32_t index, io::Picture& sheet, std::size_t top, std::size_t left) {
  const auto channels = static_cast<std::size_t>(dataset.sample_shape[0]),
             height = static_cast<std::size_t>(dataset.sample_shape[1]),
             width = static_cast<std::size_t>(dataset.sample_shape[2]),
             colours = static_cast<std::size_t>(sheet.channels), sheet_width = static_cast<std::size_t>(sheet.width);
  const std::uint8_t* pixel = dataset.pixels.get() + index * channels * height * width;
  for (std::size_t y = 0; y < height; ++y)
    for (std::size_t x = 0; x < width; ++x, pixel += channels)
      for (std::size_t c = 0; c < colours; ++c) {
        const int alpha = channels > colours ? pixel[colours] : 255;
        sheet.bytes[(c * static_cast<std::size_t>(sheet.height) + top + y) * sheet_width + left + x] =
            static_cast<std::uint8_t>((pixel[c] * alpha + 128 * (255 - alpha)) / 255);
      }
}

/// The samples of each row of a sheet, and what the rows are.
struct Layout {
  std::vector<std::vector<std::uint32_t>> rows;
  std::string text;
};

Layout layout_of(const data::Dataset& dataset, std::size_t most_rows, std::size_t columns) {
  const data::ConditionSpec& condition = dataset.condition;
  const auto number = std::ranges::find_if(condition.columns, [](const auto& c) { return c.is_numeric(); });
  const auto classes = std::ranges::find_if(condition.columns, [](const auto& c) { return !c.is_numeric(); });
  std::vector<std::uint32_t> order(static_cast<std::size_t>(dataset.count()));
  std::iota(order.begin(), order.end(), 0u);
  const std::string by = number == condition.columns.end() ? "" : ", by " + number->name;
  if (number != condition.columns.end()) {
    const auto values = dataset.rows.numbers(static_cast<std::size_t>(number - condition.columns.begin()));
    std::ranges::stable_sort(order, {}, [&](std::uint32_t index) { return values[index]; });
  }
  Layout layout;
  if (classes == condition.columns.end()) {
    const std::vector<std::uint32_t> chosen = spread(order, most_rows * columns);
    for (std::size_t first = 0; first < chosen.size(); first += columns)
      layout.rows.emplace_back(chosen.begin() + static_cast<std::ptrdiff_t>(first),
                               chosen.begin() + static_cast<std::ptrdiff_t>(std::min(first + columns, chosen.size())));
    layout.text = base::counted(std::ssize(chosen), "example") + by;
    return layout;
  }
  const auto values = dataset.rows.categories(static_cast<std::size_t>(classes - condition.columns.begin()));
  std::vector<std::vector<std::uint32_t>> members(static_cast<std::size_t>(classes->categories));
  for (const std::uint32_t index : order) members[static_cast<std::size_t>(values[index])].push_back(index);
  std::vector<std::uint32_t> all(members.size());
  std::iota(all.begin(), all.end(), 0u);
  std::vector<std::string> names;
  for (const std::uint32_t k : spread(all, most_rows)) {
    layout.rows.push_back(spread(members[k], columns));
    names.push_back(classes->name_of(static_cast<std::int32_t>(k)));
  }
  layout.text =
      fmt::format("a row for {} {}{}: {}",
                  names.size() == all.size() ? "each" : fmt::format("{} of {} values of", names.size(), all.size()),
                  classes->name, by, base::joined(names));
  return layout;
}

}  // namespace

void line(std::string_view name, const std::string& text) { fmt::print("{:<14} {}\n", name, base::printable(text)); }

std::string classes_text(const data::ConditionSpec& condition) {
  const int classes = condition.classes();
  const std::vector<std::string>& names = condition.class_names();
  if (classes == 0) return condition.empty() ? "none" : condition.text();
  if (names.empty()) return classes == 1 ? "1 (label 0)" : fmt::format("{} (labels 0 to {})", classes, classes - 1);
  if (classes > kListed) return fmt::format("{}: {}, {}, ..., {}", classes, names[0], names[1], names.back());
  return fmt::format("{}: {}", classes, fmt::join(names, ", "));
}

void describe_source(const std::string& source, const std::string& cache, const data::ReadOptions& read,
                     const std::string& sheet) {
  if (!sheet.empty()) refuse_standard_output("--out", sheet);
  data::SourceOptions options;
  options.cache = cache;
  options.seed = 1;
  options.read = read;
  options.progress = say_progress;
  const data::Dataset dataset = data::open_source(source, options);
  print_data(dataset, data::has_test_part(source));
  if (sheet.empty()) return;
  const Sheet examples = example_sheet(dataset);
  io::write_png(sheet, examples.picture);
  say_written(sheet, ": " + examples.text);
}

void print_data(const data::Dataset& dataset, bool has_test_part) {
  line("data", dataset.name);
  line("samples", base::counted(dataset.count(), dataset.is_image() ? "image" : "vector") + " " +
                      graph::to_string(dataset.sample_shape));
  if (has_test_part) line("test part", "there is one");
  if (dataset.is_image() && !dataset.units.bytes())
    line("values", fmt::format("{:g} to {:g}", dataset.units.low, dataset.units.high));
  std::vector<std::string> notes = print_columns(dataset);
  if (dataset.is_image()) {
    const auto repeated = dataset.count() - std::ssize(data::distinct_samples(dataset));
    line("duplicates", repeated == 0 ? "none"
                                     : fmt::format("{} of {} equal an earlier one", grouped(repeated),
                                                   base::counted(dataset.count(), "image")));
  }
  const std::vector<std::string> values = data::value_notes(dataset);
  notes.insert(notes.end(), values.begin(), values.end());
  notes.insert(notes.end(), dataset.notes.begin(), dataset.notes.end());
  for (const std::string& note : notes) line("note", note);
  line("sha256", dataset.hash);
}

Sheet example_sheet(const data::Dataset& dataset) {
  constexpr std::int64_t kPad = 2, kSheetColumns = 10, kSheetRows = 20, kSheetWidth = 2400, kSheetHeight = 4800;
  if (!dataset.is_image() && dataset.sample_shape[0] != 2)
    base::fail_usage("{}: vectors of {} numbers have no picture", dataset.source, dataset.sample_shape[0]);
  if (!dataset.is_image())
    return {io::make_scatter(dataset.points, {dataset.count(), 2}, 512), base::counted(dataset.count(), "point")};
  const std::int64_t channels = dataset.sample_shape[0];
  if (channels > 4) base::fail_usage("{}: images of {} channels have no picture", dataset.source, channels);
  const std::int64_t height = dataset.sample_shape[1] + kPad, width = dataset.sample_shape[2] + kPad;
  const auto columns = static_cast<std::size_t>(std::clamp<std::int64_t>(kSheetWidth / width, 1, kSheetColumns));
  const auto rows = static_cast<std::size_t>(std::clamp<std::int64_t>(kSheetHeight / height, 1, kSheetRows));
  Layout layout = layout_of(dataset, rows, columns);
  Sheet sheet{.picture = {.channels = channels < 3 ? 1 : 3,
                          .height = static_cast<int>(std::ssize(layout.rows) * height + kPad),
                          .width = static_cast<int>(static_cast<std::int64_t>(columns) * width + kPad),
                          .bytes = {}},
              .text = std::move(layout.text)};
  sheet.picture.bytes.resize(static_cast<std::size_t>(sheet.picture.channels) *
                             static_cast<std::size_t>(sheet.picture.height) *
                             static_cast<std::size_t>(sheet.picture.width));
  for (std::size_t r = 0; r < layout.rows.size(); ++r)
    for (std::size_t k = 0; k < layout.rows[r].size(); ++k)
      draw(dataset, layout.rows[r][k], sheet.picture,
           static_cast<std::size_t>(kPad) + r * static_cast<std::size_t>(height),
           static_cast<std::size_t>(kPad) + k * static_cast<std::size_t>(width));
  return sheet;
}

}  // namespace gan::cli
