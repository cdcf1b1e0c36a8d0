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

/// A model that was read. It does not change, but for its sampler, which draws on one thread at a time.
struct OpenModel {
  std::string name, path;  ///< of the file
  train::Model model;
  std::shared_ptr<train::Sampler> sampler;
  nlohmann::ordered_json description;  ///< as GET /v1/models/NAME answers
};

/// The models of a server: files that it was given, and those of the runs below its root. Any thread may use it.
class Models {
 public:
  /// `files`: model files or folders of runs, named by their last part; `root`: a folder of runs, or empty;
  /// `backend` draws, null is the CPU. Throws a usage error if two files have one name.
  Models(const std::vector<std::string>& files, std::string root, const runtime::Backend* backend = nullptr);

  /// The name of the model of a file: the file's, or that of its folder if that is a run.
  static std::string name_of(const std::string& file);
  /// The names, in order.
  std::vector<std::string> names() const;
  /// The model of this name as its file is now; of the only one if the name is empty. Throws a Refusal if there is
  /// none, a data error if it cannot be read.
  std::shared_ptr<const OpenModel> open(const std::string& name);
  /// The same if it has been read and was up to date a second ago; else null, and open() may take its time.
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
  const runtime::Backend* backend_;
  mutable std::mutex mutex_, reading_;
  std::map<std::string, Entry> open_;
};

}  // namespace gan::serve
