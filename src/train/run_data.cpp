#include "train/run_data.h"

namespace gan::train {

data::SourceOptions source_options(const Config& config, const std::string& cache) {
  data::SourceOptions options;
  options.cache = cache;
  options.seed = static_cast<std::uint64_t>(config.train.seed);
  options.read = config.data;
  return options;
}

}  // namespace gan::train
