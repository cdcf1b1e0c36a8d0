// Compiled once for each instruction set; the best one for this processor is chosen at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cli/sweep.cpp"
// The order matters: foreach_target.h includes this file again for every other instruction set.
#include <hwy/foreach_target.h>  // NOLINT

#include <hwy/highway.h>

#include "base/parallel.h"
#include "cli/floor.h"

HWY_BEFORE_NAMESPACE();
namespace gan::cli::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

void sweep_part(float* w, float* m, float* v, const float* g, std::size_t count) {
  const hn::ScalableTag<float> d;
  const std::size_t lanes = hn::Lanes(d);
  for (std::size_t i = 0; i + lanes <= count; i += lanes) {
    const auto by = hn::LoadU(d, g + i);
    hn::StoreU(hn::Add(hn::LoadU(d, w + i), by), d, w + i);
    hn::StoreU(hn::Add(hn::LoadU(d, m + i), by), d, m + i);
    hn::StoreU(hn::Add(hn::LoadU(d, v + i), by), d, v + i);
  }
}

}  // namespace gan::cli::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gan::cli {

HWY_EXPORT(sweep_part);

void sweep(float* w, float* m, float* v, const float* g, std::int64_t count) {
  base::parallel_for(count, 1 << 14, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(sweep_part)(w + begin, m + begin, v + begin, g + begin, static_cast<std::size_t>(end - begin));
  });
}

}  // namespace gan::cli
#endif
