#include "runtime/in_f32.h"

#include <utility>
#include <vector>

#include "runtime/array.h"
#include "runtime/kernels.h"
#include "runtime/simd.h"

namespace gan::runtime {

namespace {

/// Numbers of bf16 and their copy in f32.
struct Copy {
  Copy(std::uint16_t* numbers, std::int64_t how_many)
      : bf16(numbers), count(static_cast<std::size_t>(how_many)), memory(count * sizeof(float)) {}

  float* f32() { return reinterpret_cast<float*>(memory.data()); }
  void widen() { simd::widen(bf16, f32(), count); }
  void round() { simd::round_to_bf16(f32(), bf16, count); }

  std::uint16_t* bf16;
  std::size_t count;
  AlignedBytes memory;
};

}  // namespace

struct InF32::Copies {
  std::vector<Copy> operands, results;
};

InF32::InF32() : copies_(std::make_shared<Copies>()) {}

const float* InF32::operand(const void* bf16, std::int64_t count) {
  Copy& copy = copies_->operands.emplace_back(static_cast<std::uint16_t*>(const_cast<void*>(bf16)), count);
  copy.widen();  // kernels may keep frozen operands in a form of theirs when they are made
  return copy.f32();
}

float* InF32::result(void* dst, graph::DType dtype, std::int64_t count) {
  if (dtype == graph::DType::f32) return static_cast<float*>(dst);
  return copies_->results.emplace_back(static_cast<std::uint16_t*>(dst), count).f32();
}

std::function<void()> InF32::around(std::function<void()> kernel) const {
  return [copies = copies_, kernel = std::move(kernel)] {
    for (Copy& copy : copies->operands) copy.widen();
    kernel();
    for (Copy& copy : copies->results) copy.round();
  };
}

bool needs_f32(graph::DType operands) {
  return operands == graph::DType::bf16 && instruction_set().find("avx512") == std::string::npos;
}

}  // namespace gan::runtime
