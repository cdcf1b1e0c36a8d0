#include <algorithm>
#include <chrono>

#include "runtime/cpu/processor.h"

namespace gan::runtime::cpu {

#ifdef __x86_64__

namespace {

// Repeats an instruction on 16 independent accumulators, more than its latency needs. Assembly, because a compiler
// without optimization keeps accumulators in memory, which would be measured instead.
#define GAN_REPEAT(instruction, rounds)                                                                              \
  do {                                                                                                               \
    int left = rounds;                                                                                               \
    asm volatile(                                                                                                    \
        "vpxord %%zmm16, %%zmm16, %%zmm16\n"                                                                         \
        ".irp sum, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"                                           \
        "vpxord %%zmm\\sum, %%zmm\\sum, %%zmm\\sum\n"                                                                \
        ".endr\n"                                                                                                    \
        "0:\n"                                                                                                       \
        ".irp sum, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n" instruction                               \
        " %%zmm16, %%zmm16, %%zmm\\sum\n"                                                                            \
        ".endr\n"                                                                                                    \
        "decl %0\n"                                                                                                  \
        "jnz 0b\n"                                                                                                   \
        "vzeroupper\n"                                                                                               \
        : "+r"(left)::"cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
          "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "xmm16");                                                     \
  } while (false)

__attribute__((target("avx512f,avx512bf16"))) void multiply_f32() { GAN_REPEAT("vfmadd231ps", 500); }
__attribute__((target("avx512f,avx512bf16"))) void multiply_bf16() { GAN_REPEAT("vdpbf16ps", 500); }

double seconds(void (*multiply)()) {
  const auto start = std::chrono::steady_clock::now();
  multiply();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// The rate of bf16 multiply-adds by vector instructions relative to f32: 0.5 to 2, depending on the processor.
double vector_rate() {
  double f32 = 1, bf16 = 1;
  for (int trial = 0; trial < 7; ++trial) {
    f32 = std::min(f32, seconds(multiply_f32));
    bf16 = std::min(bf16, seconds(multiply_bf16));
  }
  return 2 * f32 / bf16;  // a bf16 instruction has twice as many multiply-adds
}

}  // namespace

bool has_bf16() {
  const std::string set = instruction_set();
  return set == "avx512_core_bf16" || set == "avx512_core_fp16" || set == "avx512_core_amx";
}

bool has_fast_bf16() {
  constexpr double kWorthRounding = 1.3;
  static const bool fast = has_bf16() && (multiplier() != Multiplier::bf16 || vector_rate() > kWorthRounding);
  return fast;
}

#else

bool has_bf16() { return false; }
bool has_fast_bf16() { return false; }

#endif

}  // namespace gan::runtime::cpu
