#include "serve/models.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "runs/files.h"
#include "runs/list.h"
#include "serve/access.h"

namespace gan::serve {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::size_t kMostOpen = 8;  // most models below the root that are kept in memory

constexpr const char* kModelFile = "model.safetensors";

Json number_json(const data::NumberColumn& number, const std::string& name) {
  return {{"name", name},
          {"unit", number.unit},
          {"minimum", number.minimum},
          {"maximum", number.maximum},
          {"period", number.period}};
}

Json describe(const std::string& name, const std::string& run, const train::Model& model) {
  Json columns = Json::array(), elements = Json::array();
  for (const data::ConditionColumn& column : model.condition.columns) {
    if (column.is_numeric()) {
      columns.push_back(number_json(column.number, column.name));
      continue;
    }
    Json names = Json::array();
    for (int k = 0; k < column.categories; ++k) names.push_back(column.name_of(k));
    columns.push_back({{"name", column.name}, {"categories", std::move(names)}});
  }
  for (const data::NumberColumn& column : model.units.columns) elements.push_back(number_json(column, column.name));
  std::int64_t parameters = 0;
  for (const auto& [key, array] : model.weights)
    if (key.starts_with("generator.")) parameters += array.type().elements();
  const bool images = model.sample_shape.size() == 3;
  Json range = nullptr;
  if (images) range = model.units.bytes() ? Json{-1, 1} : Json{model.units.low, model.units.high};
  return {{"name", name},
          {"state", "ready"},
          {"error", nullptr},
          {"steps", model.steps},
          {"preset", model.config.preset},
          {"data", model.data_name},
          {"kind", images ? "images" : "vectors"},
          {"shape", model.sample_shape},
          {"range", range},
          {"latent", {{"size", model.config.model.latent}, {"distribution", model.config.model.latent_distribution}}},
          {"parameters", {{"generator", parameters}}},
          {"columns", std::move(columns)},
          {"elements", std::move(elements)},
          {"run", run.empty() ? Json() : Json(name)},
          {"scores", run.empty() ? Json() : runs::scores_of(run)}};
}

}  // namespace

std::string Models::name_of(const std::string& file) {
  const fs::path path = fs::absolute(file).lexically_normal();
  const fs::path last = path.has_filename() ? path : path.parent_path();
  if (fs::is_directory(path)) return last.filename().string();
  const std::string name = last.stem().string();
  return name == "model" ? last.parent_path().filename().string() : name;
}

Models::Models(const std::vector<std::string>& files, std::string root, std::string precision,
               const runtime::Backend* backend)
    : root_(std::move(root)), precision_(std::move(precision)), backend_(backend) {
  for (const std::string& file : files)
    if (!files_.emplace(name_of(file), fs::absolute(file).lexically_normal().string()).second)
      base::fail_usage("two models are called {}; give one of their files another name", name_of(file));
}

std::vector<std::string> Models::names() const {
  std::vector<std::string> names;
  for (const auto& [name, path] : files_) names.push_back(name);
  if (root_.empty()) return names;
  std::error_code ignored;
  for (const std::string& folder : runs::folders_of_runs(root_))
    if (const std::string run = name_of_run(root_, folder);
        fs::is_regular_file(fs::path(root_) / folder / kModelFile, ignored) && !files_.contains(run))
      names.push_back(run);
  std::ranges::sort(names);
  return names;
}

std::string Models::only_name(const std::string& name) const {
  if (!name.empty()) return name;
  if (files_.size() == 1 && root_.empty()) return files_.begin()->first;
  const std::vector<std::string> all = names();
  if (all.size() == 1) return all[0];
  throw Refusal{400, "several models are served: say which, as GET /v1/models names them", "model"};
}

std::string Models::path_of(const std::string& name) const {
  fs::path path;
  if (const auto found = files_.find(name); found != files_.end())
    path = found->second;
  else if (!root_.empty())
    path = folder_of_run(root_, name);
  else
    throw Refusal{404, "there is no model of that name", "model"};
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) path /= kModelFile;
  if (!fs::is_regular_file(path, ignored)) throw Refusal{404, "there is no model of that name", "model"};
  return path.string();
}

std::string Models::run_of(const std::string& name) const {
  const fs::path folder = fs::path(path_of(name)).parent_path();
  std::error_code ignored;
  return fs::is_regular_file(folder / "config.toml", ignored) ? folder.string() : "";
}

std::shared_ptr<const OpenModel> Models::find_open(const std::string& name) {
  const std::scoped_lock lock(mutex_);
  const auto found = open_.find(name.empty() && files_.size() == 1 && root_.empty() ? files_.begin()->first : name);
  if (found == open_.end() || Clock::now() - found->second.checked > std::chrono::seconds(1)) return nullptr;
  found->second.used = Clock::now();
  return found->second.model;
}

std::shared_ptr<const OpenModel> Models::open(const std::string& given) {
  const std::scoped_lock one_at_a_time(reading_);
  const std::string name = only_name(given), path = path_of(name);
  std::error_code ignored;
  const auto written = fs::last_write_time(path, ignored);
  {
    const std::scoped_lock lock(mutex_);
    const auto found = open_.find(name);
    if (found != open_.end() && found->second.written == written) {
      found->second.checked = found->second.used = Clock::now();
      return found->second.model;
    }
  }
  const auto read = std::make_shared<OpenModel>();
  read->name = name;
  read->path = path;
  read->model = train::load_model(path, train::Networks::generator);
  read->precision = precision_;
  read->backend = backend_;
  read->sampler = std::make_shared<train::Sampler>(read->model, precision_, std::set<std::string>(), backend_);
  read->description = describe(name, run_of(name), read->model);
  const std::scoped_lock lock(mutex_);
  open_[name] = {read, written, Clock::now(), Clock::now()};
  while (open_.size() > kMostOpen + files_.size()) {
    const auto oldest = std::ranges::min_element(open_, {}, [&](const auto& each) { return each.second.used; });
    open_.erase(oldest);
  }
  return read;
}

}  // namespace gan::serve
