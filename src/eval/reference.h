#pragma once

#include <functional>
#include <string>

#include "data/dataset.h"
#include "data/reader.h"

namespace gan::eval {

/// Receives progress messages, one line each.
using Log = std::function<void(const std::string& line)>;

/// The real data that models are compared with, in two parts.
struct Reference {
  data::Dataset train;     ///< the classifier's training data; copies of it are searched for
  data::Dataset held_out;  ///< compared with samples; the classifier has not seen it
  std::string name;        ///< of held_out: "test part of mnist"
  std::string hash;        ///< of the models' training data
};

/// Opens a source. held_out is its test part if it has one, else a random tenth of it, which is always the same. Throws
/// as data::open_source does.
Reference open_reference(const std::string& source, const data::SourceOptions& options);

}  // namespace gan::eval
