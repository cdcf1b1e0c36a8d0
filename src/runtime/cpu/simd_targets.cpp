// Replaces the part of libhwy that dynamic dispatch links to, the detection of the targets that the processor supports.
// libhwy itself calibrates a timer for milliseconds at the start of every program.
#include <hwy/targets.h>

#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

namespace hwy {

namespace {

std::atomic<std::int64_t> disabled{0}, set_for_test{0};

#if HWY_ARCH_X86
static_assert((HWY_TARGETS & (HWY_AVX3_DL - 1)) == 0, "code for targets that detect() never finds");

/// The targets that this processor supports, by the rules of targets.cc of Highway.
std::int64_t detect() {
  std::int64_t found = 0;
  const auto add = [&](std::int64_t target, bool all) {
    if (all) found |= target;
    return all;
  };
  const bool ssse3 = add(HWY_SSSE3, __builtin_cpu_supports("ssse3"));
  const bool sse4 = add(HWY_SSE4, ssse3 && __builtin_cpu_supports("sse4.1") && __builtin_cpu_supports("sse4.2") &&
                                      __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("aes"));
#ifdef __clang__  // Clang has no names for these; processors with the other features of AVX2's group have them
  const bool conversions = true;
#else
  const bool conversions = __builtin_cpu_supports("f16c") && __builtin_cpu_supports("lzcnt");
#endif
  const bool avx2 =
      add(HWY_AVX2, sse4 && conversions && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                        __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2"));
  const bool avx3 = add(HWY_AVX3, avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
                                      __builtin_cpu_supports("avx512cd"));
  add(HWY_AVX3_DL, avx3 && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("vpclmulqdq") &&
                       __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2") &&
                       __builtin_cpu_supports("avx512vpopcntdq") && __builtin_cpu_supports("avx512bitalg") &&
                       __builtin_cpu_supports("gfni"));
  return found;
}
#else
std::int64_t detect() { return HWY_ENABLED_BASELINE; }
#endif

}  // namespace

// Weak, so that a program that links libhwy uses those of the library.

__attribute__((weak)) std::int64_t SupportedTargets() {
  static const std::int64_t found = detect();
  const std::int64_t targets = (set_for_test != 0 ? set_for_test.load() : found) & ~disabled;
  return targets != 0 ? targets : HWY_STATIC_TARGET;
}

__attribute__((weak)) void DisableTargets(std::int64_t targets) {
  disabled = targets;
  GetChosenTarget().DeInit();
}

__attribute__((weak)) void SetSupportedTargetsForTest(std::int64_t targets) {
  set_for_test = targets;
  GetChosenTarget().DeInit();
}

__attribute__((weak)) ChosenTarget& GetChosenTarget() {
  static ChosenTarget chosen;
  return chosen;
}

/// Called by failed assertions of Highway, which exist in debug and sanitizer builds.
__attribute__((weak)) void Abort(const char* file, int line, const char* format, ...) {
  std::fprintf(stderr, "%s:%d: ", file, line);
  va_list arguments;
  va_start(arguments, format);
  std::vfprintf(stderr, format, arguments);
  va_end(arguments);
  std::fputc('\n', stderr);
  std::abort();
}

}  // namespace hwy
