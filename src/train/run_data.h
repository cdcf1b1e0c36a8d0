#pragma once

#include <string>

#include "data/source.h"
#include "train/config.h"

namespace gan::train {

/// How the data of a run is read or made up, also to evaluate its models; labels are read. `cache`: the folder of
/// fetched and decoded data; "": data::default_cache().
data::SourceOptions source_options(const Config& config, const std::string& cache);

}  // namespace gan::train
