#pragma once

#include <cstdint>
#include <string>

namespace gan::runtime::cpu {

/// Whether this processor has instructions that multiply bf16 (AVX-512 BF16 or AMX). Without them training in bf16 is
/// not offered.
bool has_bf16();
/// Whether bf16 multiplies faster than f32: by kernels of our own it does; the vector instructions for it take twice as
/// long on some processors, half as long on others. That is measured, once, in less than a millisecond.
bool has_fast_bf16();
/// The instruction set oneDNN uses here, such as "avx512_core_bf16".
std::string instruction_set();

/// What packed products (packed_product.h) multiply with.
enum class Multiplier : std::uint8_t {
  none,  ///< this processor has nothing that they could use
  fp16,  ///< vectors of fp16 (AVX-512 FP16): bf16 elements become fp16, each line scaled by a power of two; 32 products
         ///< at a time are added up in fp16, 256 as sums of such sums, the rest in f32. The error is about 9e-4 of the
         ///< norm for normally distributed elements, where rounding operands to bf16 has cost 2.3e-3
         ///< (docs/design/0011).
  amx,   ///< tiles (AMX), which add up in f32
};

/// The best that the processor has and the system lets this process use, unless oneDNN was told to leave it alone
/// (ONEDNN_MAX_CPU_ISA).
Multiplier multiplier();

/// Makes `multiplier` be none where it would be fp16, to see what other processors get. Must be called before anything
/// is computed.
void pretend_no_fp16();

/// Whether this processor runs chains as machine code (AVX-512).
bool has_machine_code();

}  // namespace gan::runtime::cpu
