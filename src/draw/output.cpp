#include "draw/output.h"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/parallel_each.h"
#include "base/text.h"
#include "data/columns.h"
#include "io/csv.h"
#include "io/npy.h"
#include "io/npz.h"
#include "io/png.h"
#include "io/zip.h"

namespace gan::draw {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kConditionRowsAtOnce = 65'536;  // rows of a condition that are converted at a time

std::size_t size_of(const train::Model& model) {
  return static_cast<std::size_t>(graph::element_count(model.sample_shape));
}

/// The shape of all samples together, [N, ...sample].
graph::Shape shape_of(const SamplePlan& plan, const train::Model& model) {
  graph::Shape shape = model.sample_shape;
  shape.insert(shape.begin(), plan.total);
  return shape;
}

void require_room(const base::Destination& to, const graph::Shape& shape) {
  if (to.memory()) return;
  const std::string& out = to.name();
  std::error_code ignored;
  if (fs::exists(out, ignored) && !fs::is_regular_file(out, ignored)) return;  // such as a pipe or a device
  if (base::is_standard_output(out)) return;
  const fs::path folder = fs::path(out).parent_path();
  base::require_room(folder.empty() ? "." : folder.string(),
                     static_cast<std::uint64_t>(graph::element_count(shape)) * sizeof(float));
}

/// A value of a condition as text.
std::string value_text(const data::ConditionColumn& column, const data::ConditionRows& rows, std::size_t c,
                       std::size_t row) {
  return column.is_numeric() ? fmt::format("{}", rows.numbers(c)[row]) : column.name_of(rows.categories(c)[row]);
}

// ---- one file ----

class NpyOutput : public SampleOutput {
 public:
  NpyOutput(const base::Destination& to, const SamplePlan& plan, const train::Model& model)
      : model_(model), writer_(to, shape_of(plan, model)) {
    require_room(to, shape_of(plan, model));
  }
  void write(std::span<float> samples, const data::ConditionRows&) override {
    model_.units.undo(samples, model_.sample_shape);
    writer_.write(samples);
  }
  void finish() override { writer_.commit(); }

 private:
  const train::Model& model_;
  io::NpyWriter writer_;
};

/// Writes samples as the array x, then an array for each column of the condition, and the names of the columns of x.
class NpzOutput : public SampleOutput {
 public:
  NpzOutput(const base::Destination& to, const SamplePlan& plan, const train::Model& model)
      : plan_(plan), model_(model), writer_(to) {
    require_room(to, shape_of(plan, model));
    writer_.begin("x", "<f4", shape_of(plan, model));
  }
  void write(std::span<float> samples, const data::ConditionRows&) override {
    model_.units.undo(samples, model_.sample_shape);
    writer_.write(std::span<const float>(samples));
  }
  void finish() override {
    for (std::size_t c = 0; c < model_.condition.columns.size(); ++c) write_column(c);
    std::vector<std::string> names;
    for (const data::NumberColumn& column : model_.units.columns) names.push_back(column.name);
    if (!names.empty()) writer_.add(data::kSampleColumns, names);
    writer_.commit();
  }

 private:
  void write_column(std::size_t c) {
    const data::ConditionColumn& column = model_.condition.columns[c];
    std::vector<std::u32string> names;
    std::size_t longest = 1;
    for (const std::string& name : column.names) {
      names.push_back(io::code_points(name));
      longest = std::max(longest, names.back().size());
    }
    for (std::u32string& name : names) name.resize(longest);
    const bool taken = column.name == "x" || column.name == data::kSampleColumns;
    writer_.begin((taken ? "condition_" : "") + column.name,
                  column.is_numeric() ? "<f4"
                  : names.empty()     ? "<i8"
                                      : fmt::format("<U{}", longest),
                  {plan_.total});
    for (std::int64_t first = 0; first < plan_.total; first += kConditionRowsAtOnce) {
      const data::ConditionRows rows = plan_.rows(first, std::min(kConditionRowsAtOnce, plan_.total - first));
      if (column.is_numeric()) {
        writer_.write(rows.numbers(c));
        continue;
      }
      const std::span<const std::int32_t> categories = rows.categories(c);
      if (names.empty()) {
        writer_.write(std::span<const std::int64_t>(std::vector<std::int64_t>(categories.begin(), categories.end())));
        continue;
      }
      for (const std::int32_t category : categories)
        writer_.write(names[static_cast<std::size_t>(category)].data(), 4 * longest);
    }
  }

  const SamplePlan& plan_;
  const train::Model& model_;
  io::NpzWriter writer_;
};

/// Writes a row for each vector: its elements in the data's units, then the condition.
class CsvOutput : public SampleOutput {
 public:
  CsvOutput(const base::Destination& to, const train::Model& model)
      : model_(model), file_(to, base::Durability::unsynced) {
    std::vector<std::string> header;
    for (std::size_t i = 0; i < size_of(model); ++i)
      header.push_back(model.units.columns.empty() ? fmt::format("x{}", i) : model.units.columns[i].name);
    for (const data::ConditionColumn& column : model.condition.columns) header.push_back(column.name);
    file_.write(io::csv_row(header));
  }
  void write(std::span<float> samples, const data::ConditionRows& rows) override {
    model_.units.undo(samples, model_.sample_shape);
    const std::size_t size = size_of(model_);
    std::string text;
    std::vector<std::string> cells;
    for (std::size_t i = 0; i < samples.size() / size; ++i) {
      cells.clear();
      for (const float value : samples.subspan(i * size, size)) cells.push_back(fmt::format("{}", value));
      for (std::size_t c = 0; c < rows.columns.size(); ++c)
        cells.push_back(value_text(model_.condition.columns[c], rows, c, i));
      text += io::csv_row(cells);
    }
    file_.write(text);
  }
  void finish() override { file_.commit(); }

 private:
  const train::Model& model_;
  base::AtomicFile file_;
};

/// Writes one picture of all images.
class GridOutput : public SampleOutput {
 public:
  GridOutput(const base::Destination& to, const SamplePlan& plan, const train::Model& model, int pad)
      : to_(to), grid_(plan.total, model.sample_shape, plan.columns, pad) {}
  void write(std::span<float> samples, const data::ConditionRows&) override { grid_.draw(samples); }
  void finish() override { io::write_png(to_, grid_.picture()); }

 private:
  const base::Destination to_;
  io::Grid grid_;
};

/// Writes one scatter plot of points in the plane, in the training range, where both axes have the same scale.
class ScatterOutput : public SampleOutput {
 public:
  explicit ScatterOutput(const base::Destination& to) : to_(to) {}
  void write(std::span<float> samples, const data::ConditionRows&) override {
    points_.insert(points_.end(), samples.begin(), samples.end());
  }
  void finish() override {
    io::write_png(to_, io::make_scatter(points_, {static_cast<std::int64_t>(points_.size() / 2), 2}));
  }

 private:
  const base::Destination to_;
  std::vector<float> points_;
};

// ---- folders ----

constexpr const char* kMetadataCsv = "metadata.csv";

/// Makes the name of a class safe for names of files: only letters, digits, `.`, `_`, `-` and characters beyond ASCII,
/// no dot or dash in front, at most 100 bytes.
std::string safe_name(const std::string& name) {
  constexpr std::size_t kLongestSafeName = 100;
  std::string safe = name;
  if (safe.size() > kLongestSafeName) {
    std::size_t end = kLongestSafeName;
    while (end > 0 && (static_cast<unsigned char>(safe[end]) & 0xc0) == 0x80) --end;  // does not cut a UTF-8 character
    safe.resize(end);
  }
  for (char& c : safe)
    if (static_cast<unsigned char>(c) < 0x80 && !std::isalnum(static_cast<unsigned char>(c)) && c != '.' && c != '-')
      c = '_';
  if (safe.empty() || safe[0] == '.' || safe[0] == '-') safe.insert(0, "_");
  return safe;
}

/// Safe names of all classes, which differ even if case is ignored. Numbers are padded with zeros.
std::vector<std::string> file_names_of(const data::ConditionColumn& column) {
  std::vector<std::string> names;
  std::size_t longest = 0;
  bool numbers = true;
  for (std::int32_t k = 0; k < column.categories; ++k) {
    names.push_back(safe_name(column.name_of(k)));
    longest = std::max(longest, names.back().size());
    numbers = numbers && names.back().find_first_not_of("0123456789") == std::string::npos;
  }
  std::set<std::string> used;
  for (std::size_t k = 0; k < names.size(); ++k) {
    if (numbers) names[k].insert(0, longest - names[k].size(), '0');
    const auto is_new = [&] {
      std::string lower = names[k];
      for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      return used.insert(lower).second;
    };
    while (!is_new()) names[k] += fmt::format("_{}", k);
  }
  return names;
}

/// The names of the files that the metadata.csv in a folder lists, and of itself; none if there is no such file.
std::set<std::string> names_of_earlier_draw(const fs::path& folder) {
  std::set<std::string> names;
  if (!fs::is_regular_file(folder / kMetadataCsv)) return names;
  const io::Csv table = io::read_csv((folder / kMetadataCsv).string());
  const auto column = std::ranges::find(table.header(), "file_name") - table.header().begin();
  if (column == std::ssize(table.header())) return names;
  for (std::int64_t row = 0; row < table.rows(); ++row)
    names.emplace(table.cell(row, static_cast<std::size_t>(column)));
  names.insert(kMetadataCsv);
  return names;
}

/// Whether a file comes from an earlier draw, or is a temporary file of a killed one.
bool is_own(const fs::directory_entry& entry, const std::set<std::string>& earlier) {
  const std::string name = entry.path().filename().string();
  const bool temporary = name.ends_with(".tmp") && (name.find(".png.") != name.npos || name.starts_with(kMetadataCsv));
  return fs::is_regular_file(entry.symlink_status()) && (temporary || earlier.contains(name));
}

/// Makes the names of the pictures in a folder or archive, and the rows of its metadata.csv.
class Listing {
 public:
  Listing(const SampleOptions& options, const SamplePlan& plan, const train::Model& model)
      : options_(options), plan_(plan), condition_(model.condition) {
    std::map<std::int32_t, std::int64_t> counts;
    std::int64_t most = plan.total;
    if (condition_.classes() > 0) {
      names_ = file_names_of(condition_.columns[0]);
      next_.resize(names_.size());
      most = 1;
      for (const std::int32_t label : std::get<std::vector<std::int32_t>>(plan.grid->axes()[0][0].values))
        most = std::max(most, counts[label] += plan.each);
    }
    width_ = std::to_string(most - 1).size();
  }

  std::string header() const {
    std::vector<std::string> header = {"file_name"};
    for (const data::ConditionColumn& column : condition_.columns) header.push_back(column.name);
    for (const std::string name : {"seed", "index", "model"})
      header.push_back(condition_.find(name) < 0 ? name : "sample_" + name);
    return io::csv_row(header);
  }

  /// The names of the next `count` pictures, which have these rows of the condition.
  std::vector<std::string> next_names(const data::ConditionRows& rows, std::size_t count) {
    std::vector<std::string> files;
    for (std::size_t i = 0; i < count; ++i) files.push_back(next_name(rows, i));
    return files;
  }

  /// The rows of metadata.csv for these pictures.
  std::string next_rows(const data::ConditionRows& rows, std::span<const std::string> files) {
    std::string text;
    std::vector<std::string> cells;
    for (std::size_t i = 0; i < files.size(); ++i, ++done_) {
      cells = {files[i]};
      for (std::size_t c = 0; c < rows.columns.size(); ++c)
        cells.push_back(value_text(condition_.columns[c], rows, c, i));
      cells.push_back(options_.noise.empty() ? std::to_string(options_.seed) : "");
      cells.push_back(std::to_string(options_.first + (options_.same_latents ? done_ % plan_.each : done_)));
      cells.push_back(options_.model);
      text += io::csv_row(cells);
    }
    return text;
  }

 private:
  std::string next_name(const data::ConditionRows& rows, std::size_t i) {
    if (names_.empty()) return fmt::format("sample-{:0{}}.png", next_sample_++, width_);
    const auto label = static_cast<std::size_t>(rows.labels()[i]);
    return fmt::format("{}-{:0{}}.png", names_[label], next_[label]++, width_);
  }

  const SampleOptions& options_;
  const SamplePlan& plan_;
  const data::ConditionSpec& condition_;
  std::vector<std::string> names_;  // of classes; empty unless the condition is one categorical column
  std::vector<std::int64_t> next_;  // number of the next picture of each class
  std::int64_t next_sample_ = 0, done_ = 0;
  std::size_t width_ = 1;
};

/// Writes an archive with a picture for each image, and metadata.csv.
class ZipOutput : public SampleOutput {
 public:
  ZipOutput(const base::Destination& to, const SampleOptions& options, const SamplePlan& plan,
            const train::Model& model)
      : shape_(model.sample_shape), listing_(options, plan, model), zip_(to), metadata_(listing_.header()) {}
  void write(std::span<float> samples, const data::ConditionRows& rows) override {
    const auto size = static_cast<std::size_t>(graph::element_count(shape_));
    const std::vector<std::string> files = listing_.next_names(rows, samples.size() / size);
    for (std::size_t i = 0; i < files.size(); ++i) {
      std::string picture;
      io::write_png({files[i], picture}, io::to_picture(samples.subspan(i * size, size), shape_));
      zip_.add(files[i], picture);
    }
    metadata_ += listing_.next_rows(rows, files);
  }
  void finish() override {
    zip_.add(kMetadataCsv, metadata_);
    zip_.commit();
  }

 private:
  const graph::Shape shape_;
  Listing listing_;
  io::ZipWriter zip_;
  std::string metadata_;
};

/// Writes a folder with a picture for each image, and metadata.csv. That is written last, so a folder without it is not
/// complete.
class FolderOutput : public SampleOutput {
 public:
  FolderOutput(const std::string& folder, const SampleOptions& options, const SamplePlan& plan,
               const train::Model& model)
      : folder_(folder),
        model_(model),
        throw_if_cancelled_(options.throw_if_cancelled),
        listing_(options, plan, model) {
    base::create_folder(folder);
    lock_.emplace(folder);
    if (options.overwrite) earlier_ = names_of_earlier_draw(folder);
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
      if (entry.path().filename().string().starts_with('.')) continue;  // hidden files, such as those of desktops
      if (!options.overwrite)
        base::fail_usage(
            "--out {}: the folder holds files, such as {}; choose another, or replace its pictures by --overwrite",
            folder, entry.path().filename().string());
      if (!is_own(entry, earlier_))
        base::fail_usage("--out {}: the folder holds {}; --overwrite replaces only pictures that its {} lists", folder,
                         entry.path().filename().string(), kMetadataCsv);
    }
  }

  void write(std::span<float> samples, const data::ConditionRows& rows) override {
    if (!metadata_) start();
    const std::size_t size = size_of(model_);
    const std::vector<std::string> files = listing_.next_names(rows, samples.size() / size);
    write_pictures(samples, files);
    metadata_->write(listing_.next_rows(rows, files));
  }

  void finish() override { metadata_->commit(); }

 private:
  void start() {
    const fs::path folder(folder_);
    std::vector<fs::path> old;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder))
      if (is_own(entry, earlier_)) old.push_back(entry.path());
    fs::remove(folder / kMetadataCsv);  // first, so that a killed program leaves no folder that looks complete
    for (const fs::path& path : old) fs::remove(path);
    metadata_.emplace((folder / kMetadataCsv).string(), base::Durability::unsynced);
    metadata_->write(listing_.header());
  }

  void write_pictures(std::span<const float> samples, const std::vector<std::string>& files) {
    constexpr std::int64_t kFilesAtOnce = 16;
    const std::size_t size = size_of(model_);
    base::parallel_for_each(static_cast<std::int64_t>(files.size()), kFilesAtOnce, [&](std::int64_t i, bool) {
      throw_if_cancelled_();
      const auto sample = static_cast<std::size_t>(i);
      io::write_png((fs::path(folder_) / files[sample]).string(),
                    io::to_picture(samples.subspan(sample * size, size), model_.sample_shape));
    });
  }

  const std::string folder_;
  const train::Model& model_;
  const std::function<void()> throw_if_cancelled_;
  Listing listing_;
  std::set<std::string> earlier_;  // files that --overwrite may remove
  std::optional<base::FolderLock> lock_;
  std::optional<base::AtomicFile> metadata_;
};

}  // namespace

SampleFormat sample_format(const std::string& out, const std::string& format) {
  static const std::map<std::string, SampleFormat> kSampleFormats = {{"png", SampleFormat::png},
                                                                     {"npy", SampleFormat::npy},
                                                                     {"npz", SampleFormat::npz},
                                                                     {"csv", SampleFormat::csv},
                                                                     {"zip", SampleFormat::zip}};
  const fs::path path(out);
  const std::string extension = path.extension().string();
  const bool stream =
      base::is_standard_output(out) || (fs::exists(path) && !fs::is_regular_file(path) && !fs::is_directory(path));
  const bool folder = out.ends_with('/') || fs::is_directory(path) || (extension.empty() && !stream && format.empty());
  if (folder && !format.empty() && format != "png")
    base::fail_usage("--out {}: a folder takes pictures; give --format {} a file", out, format);
  if (folder) return SampleFormat::folder;
  if (!format.empty()) return kSampleFormats.at(format);
  if (extension.empty()) return SampleFormat::npy;
  const auto found = kSampleFormats.find(extension.substr(1));
  if (found == kSampleFormats.end())
    base::fail_usage(
        "--out {}: \"{}\" files cannot be written; expected FILE.png, FILE.npy, FILE.npz, FILE.csv, FILE.zip or a "
        "folder, or - "
        "for standard output",
        out, extension);
  return found->second;
}

std::unique_ptr<SampleOutput> open_sample_output(const base::Destination& to, SampleFormat format,
                                                 const SampleOptions& options, const SamplePlan& plan,
                                                 const train::Model& model, int pad) {
  const std::string& out = to.name();
  constexpr std::int64_t kMostChannels = 4;
  const graph::Shape& shape = model.sample_shape;
  const bool picture = shape.size() == 3 && shape[0] <= kMostChannels;
  if (!picture && (format == SampleFormat::folder || format == SampleFormat::zip ||
                   (format == SampleFormat::png && shape != graph::Shape{2})))
    base::fail_usage("--out {}: samples of shape {} cannot be drawn; expected FILE.npy, FILE.npz{}", out,
                     graph::to_string(shape), shape.size() == 3 ? "" : " or FILE.csv");
  if (shape.size() == 3 && format == SampleFormat::csv)
    base::fail_usage("--out {}: images cannot be rows of a table; expected FILE.npz, FILE.npy, FILE.png or a folder",
                     out);
  switch (format) {
    case SampleFormat::npy:
      return std::make_unique<NpyOutput>(to, plan, model);
    case SampleFormat::npz:
      return std::make_unique<NpzOutput>(to, plan, model);
    case SampleFormat::csv:
      return std::make_unique<CsvOutput>(to, model);
    case SampleFormat::folder:
      return std::make_unique<FolderOutput>(out, options, plan, model);
    case SampleFormat::zip:
      return std::make_unique<ZipOutput>(to, options, plan, model);
    case SampleFormat::png:
      break;
  }
  if (shape.size() == 3) return std::make_unique<GridOutput>(to, plan, model, pad);
  return std::make_unique<ScatterOutput>(to);
}

}  // namespace gan::draw
