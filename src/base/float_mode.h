#pragma once

#include <cstdint>

#ifdef __x86_64__
#include <xmmintrin.h>
#endif

namespace gan::base {

/// How a thread computes with floating point: how it rounds, what it makes of denormal numbers (in f32 those below
/// 1.2e-38). The control bits of the processor; 0 on processors of which we know none.
using FloatMode = std::uint64_t;

/// While one lives, its thread computes in another mode.
class ScopedFloatMode {
 public:
  explicit ScopedFloatMode(FloatMode mode) : before_(current()), differs_(mode != before_) {
    if (differs_) set(mode);
  }
  ~ScopedFloatMode() {
    if (differs_) set(before_);
  }
  ScopedFloatMode(const ScopedFloatMode&) = delete;
  ScopedFloatMode& operator=(const ScopedFloatMode&) = delete;

  /// This thread's mode.
  static FloatMode current() {
#if defined(__x86_64__)
    return _mm_getcsr() & ~kExceptionsSeen;
#elif defined(__aarch64__)
    FloatMode mode;
    asm volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
#else
    return 0;
#endif
  }

  /// The present mode, but denormal numbers count as zero: processors take a hundred times longer to compute with them.
  static FloatMode without_denormals() { return current() | kFlush; }

 private:
#if defined(__x86_64__)
  static constexpr unsigned kExceptionsSeen = 0x3F;
  static constexpr FloatMode kFlush = 0x8040;  // of results, of operands
#elif defined(__aarch64__)
  static constexpr FloatMode kFlush = FloatMode{1} << 24;
#else
  static constexpr FloatMode kFlush = 0;
#endif

  static void set([[maybe_unused]] FloatMode mode) {
#if defined(__x86_64__)
    _mm_setcsr(static_cast<unsigned>(mode));
#elif defined(__aarch64__)
    asm volatile("msr fpcr, %0" : : "r"(mode));
#endif
  }

  FloatMode before_;
  bool differs_;
};

}  // namespace gan::base
