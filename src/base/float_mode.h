#pragma once

#include <cstdint>

#ifdef __x86_64__
#include <xmmintrin.h>
#endif

namespace gan::base {

/// The floating-point mode of a thread: its rounding, and whether denormal numbers (in f32 those below 1.2e-38) become
/// zero. It holds the processor's control bits, or 0 except on x86-64 and AArch64.
using FloatMode = std::uint64_t;

/// Sets this thread's floating-point mode for the lifetime of the object.
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

  /// The present mode with denormal numbers flushed to zero, since processors take up to 100 times longer for them.
  static FloatMode without_denormals() { return current() | kFlush; }

 private:
#if defined(__x86_64__)
  static constexpr unsigned kExceptionsSeen = 0x3F;
  static constexpr FloatMode kFlush = 0x8040;  // of results (FTZ), of operands (DAZ)
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
