#pragma once

#include <functional>
#include <string>

#include "data/dataset.h"
#include "data/reader.h"

namespace gan::eval {

/// Takes one line about what is going on.
using Log = std::function<void(const std::string& line)>;

/// What models are judged against: real data in two parts.
struct Reference {
  data::Dataset train;     ///< what the classifier learns from, and where copies are looked for
  data::Dataset held_out;  ///< what samples are compared with; the classifier has not seen it
  std::string name;        ///< of held_out: "test part of mnist"
  std::string hash;        ///< of the data that models are trained on
};

/// Opens a source, its test part as the reference if it has one, else a tenth of it, chosen by chance, always the same.
/// Throws as data::open_source does.
Reference open_reference(const std::string& source, const data::SourceOptions& options);

}  // namespace gan::eval
