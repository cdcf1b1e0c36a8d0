#pragma once

#include <cstdint>
#include <string>

namespace gan::runtime::cpu {

/// Whether this processor has instructions that multiply bf16 (AVX-512 BF16 or AMX). Training in bf16 needs them.
bool has_bf16();
/// Whether bf16 products are faster than f32 ones. With AMX or AVX-512 FP16 they are. With AVX-512 BF16 alone they take
/// between half and twice the time, depending on the processor, so the rate is measured once, in less than a
/// millisecond.
bool has_fast_bf16();
/// The instruction set oneDNN uses here, such as "avx512_core_bf16".
std::string instruction_set();

/// The instructions that packed products (packed_product.h) use.
enum class Multiplier : std::uint8_t {
  none,  ///< none available
  bf16,  ///< AVX-512 BF16, which accumulates in f32
  fp16,  ///< AVX-512 FP16: bf16 operands are converted to fp16, each line scaled by a power of two. Sums of 32 products
         ///< and sums of 8 such sums are in fp16, the rest in f32. For normally distributed elements the error is about
         ///< 9e-4 of the norm; rounding the operands to bf16 costs 2.3e-3 (docs/design/0011).
  amx,   ///< AMX tiles, which accumulate in f32
};

/// The best that the processor, the operating system and, for AMX and bf16, ONEDNN_MAX_CPU_ISA allow.
Multiplier multiplier();

/// Makes `multiplier` return bf16 instead of fp16, to test or time what other processors run. Must be called before
/// anything is computed.
void pretend_no_fp16();

/// Whether code of our own may use AVX-512, or AVX2 with FMA, here.
bool has_avx512();
bool has_avx2();

/// Whether this processor can run chains as machine code (AVX-512, or AVX2 in f32).
inline bool has_machine_code() { return has_avx512() || has_avx2(); }

}  // namespace gan::runtime::cpu
