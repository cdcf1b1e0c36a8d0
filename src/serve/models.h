#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "train/model_file.h"
#include "train/sampler.h"

namespace gan::serve {

/// A model in memory. Nothing in it changes but its sampler, which may draw on one thread at a time.
struct OpenModel {
  std::string name, path;  ///< the path is that of its file
  train::Model model;
  std::shared_ptr<train::Sampler> sampler;
  std::string precision;               ///< of the sampler
  const runtime::Backend* backend;     ///< of the sampler; null: the CPU
  nlohmann::ordered_json description;  ///< the answer to GET /v1/models/NAME
};

/// The models of a server: given files, and the models of the runs below its root. Any thread may use it.
class Models {
 public:
  /// `files`: model files or folders of runs, named by their last part; `root`: a folder of runs, or empty; `precision`
  /// and `backend` (null: the CPU): of the samplers. Throws a usage error if two files have one name.
  Models(const std::vector<std::string>& files, std::string root, std::string precision = "auto",
         const runtime::Backend* backend = nullptr);

  /// The name of a model: that of its file, or of the folder if it is a run's.
  static std::string name_of(const std::string& file);
  /// The names of all models, sorted.
  std::vector<std::string> names() const;
  /// The model of this name, read again if its file has changed; the only model if the name is empty. Throws a Refusal
  /// if there is none, a data error if it cannot be read.
  std::shared_ptr<const OpenModel> open(const std::string& name);
  /// The same without access to files: null unless the model was read and found up to date within the last second.
  std::shared_ptr<const OpenModel> find_open(const std::string& name);
  /// The folder of the run that a model belongs to; empty if its file lies alone.
  std::string run_of(const std::string& name) const;

 private:
  struct Entry {
    std::shared_ptr<const OpenModel> model;
    std::filesystem::file_time_type written;
    std::chrono::steady_clock::time_point checked, used;
  };
  std::string path_of(const std::string& name) const;
  std::string only_name(const std::string& name) const;

  std::map<std::string, std::string> files_;
  std::string root_;
  std::string precision_;
  const runtime::Backend* backend_;
  mutable std::mutex mutex_, reading_;
  std::map<std::string, Entry> open_;
};

}  // namespace gan::serve
