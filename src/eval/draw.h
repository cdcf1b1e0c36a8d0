#pragma once

#include <cstdint>
#include <vector>

#include "data/dataset.h"
#include "runtime/backend.h"
#include "runtime/communicator.h"
#include "train/model_file.h"

namespace gan::eval {

/// Draws `count` samples of a model as a data set. Images are rounded to bytes, as in a picture file. Sample i has row
/// i of the condition (none for an unconditional model) and latent i of the seed. Throws a run error if an element is
/// not finite. `backend`: null is the CPU. The ranks share the work, and each gets all samples.
data::Dataset draw(const train::Model& model, std::int64_t count, const data::ConditionRows& y, std::uint64_t seed,
                   const runtime::Backend* backend = nullptr, runtime::Communicator& ranks = runtime::one_rank());

}  // namespace gan::eval
