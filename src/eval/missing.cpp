#include "eval/missing.h"

#include "base/text.h"

namespace gan::eval {

void miss(Scores& scores, std::initializer_list<const char*> keys, const std::string& reason) {
  for (const char* key : keys) scores.missing.push_back({key, reason});
}

std::string too_few(std::int64_t samples, std::int64_t images, const std::string& reference_has, std::int64_t needed) {
  std::string reason;
  if (images < needed) reason = "reference has " + reference_has;
  if (samples < needed) reason += (reason.empty() ? "" : ", ") + base::counted(samples, "sample");
  return reason.empty() ? "" : reason + ", needs " + base::grouped(static_cast<std::uint64_t>(needed));
}

std::string too_few_samples(std::int64_t samples, std::int64_t needed) { return too_few(samples, needed, "", needed); }

std::string too_few_images(std::int64_t images, std::int64_t needed) {
  return too_few(needed, images, base::counted(images, "image"), needed);
}

}  // namespace gan::eval
