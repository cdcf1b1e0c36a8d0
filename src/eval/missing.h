#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>

#include "eval/scores.h"

namespace gan::eval {

/// Adds the reason why the scores with these keys are missing.
void miss(Scores& scores, std::initializer_list<const char*> keys, const std::string& reason);

/// The reason why a score that needs `needed` rows of each side is missing; "" if there are enough. "reference has 10
/// images, 30 samples, needs 50".
std::string too_few(std::int64_t samples, std::int64_t images, const std::string& reference_has, std::int64_t needed);
/// The same for a score that needs samples alone, or images of the reference alone.
std::string too_few_samples(std::int64_t samples, std::int64_t needed);
std::string too_few_images(std::int64_t images, std::int64_t needed);

}  // namespace gan::eval
