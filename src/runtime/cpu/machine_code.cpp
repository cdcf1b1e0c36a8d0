#include "runtime/cpu/machine_code.h"

#ifdef __x86_64__

#include <hwy/highway.h>
#include <xbyak/xbyak.h>
#include <xbyak/xbyak_util.h>

#include <algorithm>
#include <bit>
#include <compare>
#include <cstddef>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "runtime/cpu/elementwise.h"
#include "runtime/cpu/processor.h"
#include "runtime/cpu/sums.h"
#include "runtime/cpu/tanh.h"

namespace gan::runtime::cpu {

namespace {

using graph::DType;
using Xbyak::Opmask;
using Xbyak::Reg64;
using Xbyak::Ymm;
using Xbyak::Zmm;
using Vector = Xbyak::Xmm;  // a Zmm or, with AVX2, a Ymm

constexpr std::size_t kCodeBytes = 16384;
constexpr std::size_t kPrefetchBytes = 2048;   // prefetch distance
constexpr std::int64_t kLongestRow = 1 << 28;  // elements; address offsets must fit into 32 bits

// Bit patterns of f32 for rounding to bf16 without AVX-512 BF16.
constexpr std::uint32_t kExponent = 0x7F800000, kSign = 0x8000, kQuiet = 0x40, kOdd = 1, kHalf = 0x7FFF;

bool has_bf16_rounding() {
  static const bool rounds = Xbyak::util::Cpu().has(Xbyak::util::Cpu::tAVX512_BF16);
  return rounds;
}

int bytes_of(DType dtype) { return dtype == DType::bf16 ? 2 : 4; }

// row / n is computed as row * ceil(2^42 / n) >> 42. For row, n < 2^21 this is exact (row * n < 2^42), and the product
// fits into 64 bits.
constexpr int kDivisionBits = 42;
constexpr std::int64_t kMostRowsDivided = 1 << 21;

/// Whether all operands and results have rows of this length or are constant along a row.
bool has_rows_of(std::int64_t columns, const BoundChain& program) {
  return columns <= kLongestRow &&
         std::ranges::all_of(program.operands,
                             [&](const BoundOperand& operand) {
                               if (operand.access == Access::row) return operand.period == columns;
                               if (operand.access != Access::column) return operand.access != Access::strided;
                               return operand.period == columns ||
                                      (operand.period % columns == 0 && program.elements / columns < kMostRowsDivided);
                             }) &&
         std::ranges::all_of(program.results, [&](const BoundResult& result) {
           return result.access == Access::full || result.period == columns;
         });
}

/// Generates the code of a chain. Values that are the same for all rows (constants, scalars) or for one row (columns)
/// keep a vector register, allocated from the top; other values take one of the rest until their last use. AVX2 has
/// half as many registers, so constants are loaded where they are used.
class ChainCode : public Xbyak::CodeGenerator {
 public:
  using Function = void (*)(const Piece*);

  ChainCode(const BoundChain& program, std::int64_t columns)
      : CodeGenerator(kCodeBytes, Xbyak::DontSetProtectRWE), program_(program), columns_(static_cast<int>(columns)) {
    last_use_.resize(program.operands.size() + program.constants.size());
    for (std::size_t i = 0; i < program.instructions.size(); ++i) {
      const Instruction& instruction = program.instructions[i];
      last_use_.resize(std::max(last_use_.size(), static_cast<std::size_t>(instruction.dst) + 1));
      last_use_[static_cast<std::size_t>(instruction.a)] = i;
      if (graph::is_binary(instruction.op)) last_use_[static_cast<std::size_t>(instruction.b)] = i;
    }
    for (const BoundResult& result : program.results)
      last_use_[static_cast<std::size_t>(result.source)] = program.instructions.size();
    follows_product_ = std::ranges::any_of(
        program.operands, [](const BoundOperand& operand) { return operand.access == Access::product; });
    sums_rows_ =
        std::ranges::any_of(program.results, [](const BoundResult& result) { return result.access == Access::sum; });
    write();
    setProtectModeRE();
  }

  /// Whether the chain is supported: enough registers and known ops.
  bool complete() const { return complete_; }

 private:
  // The Piece; the current row; the current element and the end of the row in the piece, counted from the start of the
  // chain.
  const Reg64 &piece_ = rdx, &row_ = rcx, &i_ = rdi, &end_ = rsi;
  // tail_ and added_tail_: lanes of the last, partial vector. compared_: temporary. added_: lanes whose partial sum is
  // loaded, none in the first row of kSumRows.
  const Opmask &tail_ = k1, &compared_ = k2, &added_ = k3, &added_tail_ = k4;
  // With AVX2, which has no mask registers: these masks as vectors, and the constant that was loaded last.
  const Ymm &tail_lanes_ = ymm15, &added_lanes_ = ymm14, &loaded_ = ymm13;

  void write() {
    const Reg64 saved[] = {rbx, rbp, r12, r13, r14, r15};
    for (const Reg64& reg : saved) push(reg);
    mov(piece_, rdi);
    mov(row_, field(offsetof(Piece, row)));
    imul(end_, row_, columns_);
    load_addresses();
    add(end_, field(offsetof(Piece, column_end)));
    load_fixed_values();
    Xbyak::Label next_row, loop, last, row_done, done;
    L(next_row);
    cmp(row_, field(offsetof(Piece, row_end)));
    jge(done, T_NEAR);
    if (sums_rows_) {
      xor_(eax, eax);
      test(row_, kSumRows - 1);
      setnz(al);
      neg(eax);
      if (wide_) {
        kmovw(added_, eax);
      } else {
        vmovd(Xbyak::Xmm(added_lanes_.getIdx()), eax);
        vpbroadcastd(added_lanes_, Xbyak::Xmm(added_lanes_.getIdx()));
      }
    }
    mov(i_, end_);
    sub(i_, field(offsetof(Piece, column_end)));
    add(i_, field(offsetof(Piece, column)));
    for (std::size_t r = 0; r < program_.operands.size(); ++r)
      if (program_.operands[r].access == Access::column)
        load_broadcast(program_.operands[r], fixed_.at(static_cast<int>(r)));
    L(loop);
    lea(rax, ptr[i_ + lanes()]);
    cmp(rax, end_);
    jg(last, T_NEAR);
    write_body(false);
    add(i_, lanes());
    jmp(loop, T_NEAR);
    L(last);  // partial vector
    mov(rax, end_);
    sub(rax, i_);
    jz(row_done, T_NEAR);
    if (wide_) {
      mov(r15d, -1);
      bzhi(eax, r15d, eax);
      kmovw(tail_, eax);
      if (sums_rows_) kandw(added_tail_, added_, tail_);
    } else {
      neg(rax);
      mov(r15, lanes_table_);
      vmovups(tail_lanes_, ptr[r15 + rax * 4 + lanes() * 4]);
    }
    write_body(true);
    L(row_done);
    for (const auto& [place, reg] : addresses_) {
      if (place.access == Access::row || place.access == Access::sum) sub(reg, columns_ * place.bytes);
      if (place.access != Access::product) continue;
      mov(rax, field(offsetof(Piece, product_stride)));
      sub(rax, columns_);
      lea(reg, ptr[reg + rax * place.bytes]);
    }
    add(end_, columns_);
    inc(row_);
    if (sums_rows_) {
      test(row_, kSumRows - 1);
      jnz(next_row, T_NEAR);
      for (const auto& [place, reg] : addresses_)
        if (place.access == Access::sum) add(reg, columns_ * place.bytes);
    }
    jmp(next_row, T_NEAR);
    L(done);
    vzeroupper();
    for (auto reg = std::rbegin(saved); reg != std::rend(saved); ++reg) pop(*reg);
    ret();
    write_tables();
  }

  int lanes() const { return wide_ ? 16 : 8; }

  Vector vector(int index) const { return wide_ ? Vector(Zmm(index)) : Vector(Ymm(index)); }

  /// With AVX2, behind the code: masks of partial vectors, that of n lanes from n elements before the middle on, and
  /// constants in every lane.
  void write_tables() {
    if (wide_) return;
    align(32);
    L(lanes_table_);
    for (int i = 0; i < 2 * lanes(); ++i) dd(i < lanes() ? 0xFFFFFFFF : 0);
    for (auto& [bits, label] : loads_) {
      L(label);
      for (int i = 0; i < lanes(); ++i) dd(bits);
    }
  }

  std::size_t row_bytes(DType dtype) const {
    return static_cast<std::size_t>(columns_) * static_cast<std::size_t>(bytes_of(dtype));
  }

  Xbyak::Address field(std::size_t offset) const { return qword[piece_ + offset]; }

  /// The place of an operand or a result. The code addresses element i of the chain as address + i * bytes, so the
  /// address of a row that is read again moves back from row to row.
  struct Place {
    const void* data;
    Access access;  // full, row, product or sum
    int bytes;
    auto operator<=>(const Place&) const = default;
  };

  static Place place_of(const BoundOperand& operand) { return {operand.data, operand.access, bytes_of(operand.dtype)}; }
  static Place place_of(const BoundResult& result) { return {result.data, result.access, bytes_of(result.dtype)}; }

  // end_ holds the index of the first element of the row.
  void load_addresses() {
    std::vector<Reg64> unused = {rbx, rbp, r8, r9, r10, r11, r12, r13, r14};
    const auto place = [&](const Place& at) {
      if (addresses_.count(at)) return;
      if (unused.empty()) return void(complete_ = false);
      const Reg64 reg = unused.back();
      unused.pop_back();
      addresses_.emplace(at, reg);
      if (at.access == Access::product)
        mov(reg, field(offsetof(Piece, product)));
      else
        mov(reg, std::bit_cast<std::uint64_t>(at.data));
      if (at.access == Access::full) return;
      if (at.access == Access::sum) {
        mov(rax, row_);
        shr(rax, std::countr_zero(static_cast<std::uint64_t>(kSumRows)));
        imul(rax, rax, columns_);
        lea(reg, ptr[reg + rax * at.bytes]);
      }
      mov(rax, end_);
      if (at.access == Access::product) add(rax, field(offsetof(Piece, column)));
      neg(rax);
      lea(reg, ptr[reg + rax * at.bytes]);
    };
    for (const BoundOperand& operand : program_.operands)
      if (operand.access != Access::scalar && operand.access != Access::column) place(place_of(operand));
    for (const BoundResult& result : program_.results) place(place_of(result));
  }

  void load_fixed_values() {
    for (std::size_t r = 0; r < program_.operands.size(); ++r) {
      const BoundOperand& operand = program_.operands[r];
      if (operand.access != Access::scalar && operand.access != Access::column) continue;
      const Vector to = take_fixed();
      fixed_.emplace(static_cast<int>(r), to);
      if (operand.access == Access::scalar) load_broadcast(operand, to);
    }
    if (wide_) load_constants();
    for (int z = top_; z-- > 0;) unused_.push_back(z);
  }

  void load_constants() {
    for (std::size_t c = 0; c < program_.constants.size(); ++c)
      fixed_.emplace(static_cast<int>(program_.operands.size() + c), constant(program_.constants[c]));
    for (const Instruction& instruction : program_.instructions) {
      const ElementwiseRow& row = row_of(instruction.op);
      const auto reads = [&](Argument argument) { return row.first == argument || row.second == argument; };
      const bool selects = row.instruction == VectorInstruction::select_by_sign;
      if (selects || reads(Argument::zero)) constant(0.0f);
      if (reads(Argument::one)) constant(1.0f);
      if (reads(Argument::alpha) || reads(Argument::alpha_times_a)) constant(instruction.alpha);
      if (row.instruction != VectorInstruction::hyperbolic_tangent) continue;
      for (const float number : {kTanhLimit, -kTanhLimit, 1.0f, -1.0f}) constant(number);
      for (const float number : kTanhNumerator) constant(number);
      for (const float number : kTanhDenominator) constant(number);
    }
    for (const BoundResult& result : program_.results)
      if (result.dtype == DType::bf16 && !has_bf16_rounding())
        for (const std::uint32_t bits : {kExponent, kSign, kQuiet, kOdd, kHalf}) constant(std::bit_cast<float>(bits));
  }

  /// Broadcasts a scalar, or the value of a column operand for the current row, to every lane.
  void load_broadcast(const BoundOperand& operand, const Vector& to) {
    mov(rax, std::bit_cast<std::uint64_t>(operand.data));
    if (operand.access == Access::column) {
      const auto rows = static_cast<std::uint64_t>(operand.period / columns_);  // consecutive rows with the same value
      mov(r15, rows > 1 ? ((std::uint64_t{1} << kDivisionBits) + rows - 1) / rows : 1);
      imul(r15, row_);
      if (rows > 1) shr(r15, kDivisionBits);
      lea(rax, ptr[rax + r15 * bytes_of(operand.dtype)]);
    }
    if (operand.dtype == DType::bf16) {
      vpbroadcastw(to, ptr[rax]);
      vpslld(to, to, 16);
    } else {
      vpbroadcastd(to, ptr[rax]);
      if (operand.dtype == DType::i32) vcvtdq2ps(to, to);
    }
  }

  // A register with a constant in every lane; with AVX2 until the next constant.
  Vector constant(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    if (!wide_) {
      vmovaps(loaded_, ptr[rip + loads_[bits]]);
      return loaded_;
    }
    const auto found = constants_.find(bits);
    if (found != constants_.end()) return found->second;
    const Vector to = take_fixed();
    mov(eax, bits);
    vpbroadcastd(to, eax);
    constants_.emplace(bits, to);
    return to;
  }

  Vector take_fixed() {
    if (top_ == 0) complete_ = false;
    return vector(top_ > 0 ? --top_ : 0);
  }

  Vector take() {
    if (unused_.empty()) {
      complete_ = false;
      return vector(0);
    }
    const Vector z = vector(unused_.back());
    unused_.pop_back();
    return z;
  }

  void release(const Vector& z) { unused_.push_back(z.getIdx()); }

  // Generates the code for one vector of elements at i_; `masked`: the partial one at the end of a row.
  void write_body(bool masked) {
    std::map<int, Vector> values;
    const auto value = [&](int r) {
      if (const auto kept = fixed_.find(r); kept != fixed_.end()) return kept->second;
      if (const auto computed = values.find(r); computed != values.end()) return computed->second;
      const auto number = static_cast<std::size_t>(r), constants = program_.operands.size();
      const Vector to = number < constants ? load(program_.operands[number], masked) : take();
      if (number >= constants) vmovaps(to, constant(program_.constants[number - constants]));
      return values.emplace(r, to).first->second;
    };
    for (std::size_t i = 0; i < program_.instructions.size(); ++i) {
      const Instruction& instruction = program_.instructions[i];
      const Vector a = value(instruction.a), b = graph::is_binary(instruction.op) ? value(instruction.b) : a,
                   dst = take();
      compute(instruction, a, b, dst);
      values.emplace(instruction.dst, dst);
      for (const int r : std::set<int>{instruction.a, instruction.b, instruction.dst})
        if (const auto found = values.find(r); found != values.end() && last_use_[static_cast<std::size_t>(r)] <= i) {
          release(found->second);
          values.erase(found);
        }
    }
    // Everything is loaded before anything is stored, because results may overwrite operands.
    for (const BoundResult& result : program_.results) value(result.source);
    for (const BoundResult& result : program_.results) store(result, value(result.source), masked);
    for (const auto& [r, z] : values) release(z);
  }

  Vector load(const BoundOperand& operand, bool masked) {
    const Vector to = take();
    const auto found = addresses_.find(place_of(operand));
    if (found == addresses_.end()) return to;  // out of registers: the chain is not supported
    const auto place = found->second + i_ * bytes_of(operand.dtype);
    if (!masked && operand.access == Access::full) {
      const auto later = ptr[place + (follows_product_ ? row_bytes(operand.dtype) : kPrefetchBytes)];
      // An operand that is overwritten is prefetched for writing: otherwise each store would wait until other cores
      // that read it give up the cache line.
      if (!follows_product_ && is_overwritten(operand))
        prefetchw(later);
      else
        prefetcht0(later);
    }
    if (!wide_) {
      load_narrow(operand, ptr[place], masked, to);
      return to;
    }
    const Vector masked_to = masked ? to | tail_ | T_z : to;
    switch (operand.dtype) {
      case DType::f32:
        vmovups(masked_to, ptr[place]);
        break;
      case DType::i32:
        vcvtdq2ps(masked_to, ptr[place]);
        break;
      case DType::bf16:
        vpmovzxwd(masked_to, yword[place]);
        vpslld(to, to, 16);
    }
    return to;
  }

  // `load` with AVX2, which has no masks of 16-bit elements: chains with bf16 are not supported.
  void load_narrow(const BoundOperand& operand, const Xbyak::Address& place, bool masked, const Vector& to) {
    if (operand.dtype == DType::bf16) complete_ = false;
    if (masked)
      vmaskmovps(to, tail_lanes_, place);
    else
      vmovups(to, place);
    if (operand.dtype == DType::i32) vcvtdq2ps(to, to);
  }

  bool is_overwritten(const BoundOperand& operand) const {
    return std::ranges::any_of(program_.results,
                               [&](const BoundResult& result) { return place_of(result) == place_of(operand); });
  }

  // Computes as simd.cpp does: a NaN stays, and no multiplication and addition are fused.
  void compute(const Instruction& instruction, const Vector& a, const Vector& b, const Vector& dst) {
    constexpr int kGreater = 0x1E, kUnordered = 0x03;
    const ElementwiseRow& row = row_of(instruction.op);
    const auto argument = [&](Argument which) {
      switch (which) {
        case Argument::a:
          return a;
        case Argument::b:
          return b;
        case Argument::zero:
          return constant(0.0f);
        case Argument::one:
          return constant(1.0f);
        case Argument::alpha:
          return constant(instruction.alpha);
        case Argument::alpha_times_a:
          vmulps(dst, a, constant(instruction.alpha));
          return dst;
      }
      return a;
    };
    switch (row.instruction) {
      case VectorInstruction::none:
        complete_ = false;
        return;
      case VectorInstruction::move:
        return vmovaps(dst, a);
      case VectorInstruction::add:
        return vaddps(dst, argument(row.first), argument(row.second));
      case VectorInstruction::subtract:
        return vsubps(dst, argument(row.first), argument(row.second));
      case VectorInstruction::multiply:
        return vmulps(dst, argument(row.first), argument(row.second));
      case VectorInstruction::divide:
        return vdivps(dst, argument(row.first), argument(row.second));
      case VectorInstruction::square_root:
        return vsqrtps(dst, a);
      case VectorInstruction::maximum:
        return vmaxps(dst, argument(row.first), argument(row.second));
      case VectorInstruction::maximum_with_nan:  // vmaxps returns b if either is a NaN
        if (!wide_) {
          const Vector unordered = take();
          vcmpps(unordered, a, a, kUnordered);
          vmaxps(dst, a, b);
          vblendvps(dst, dst, a, unordered);
          return release(unordered);
        }
        vcmpps(compared_, a, a, kUnordered);
        vmaxps(dst, a, b);
        return vmovaps(dst | compared_, a);
      case VectorInstruction::select_by_sign: {
        if (!wide_) {
          const Vector greater = take();
          vcmpps(greater, a, constant(0.0f), kGreater);
          if (const Vector second = argument(row.second); second.getIdx() != dst.getIdx()) vmovaps(dst, second);
          vblendvps(dst, dst, argument(row.first), greater);
          return release(greater);
        }
        vcmpps(compared_, a, constant(0.0f), kGreater);
        const Vector first = argument(row.first);
        if (row.second == Argument::zero) return vmovaps(dst | compared_ | T_z, first);
        const Vector second = argument(row.second);
        if (second.getIdx() == dst.getIdx()) return vmovaps(dst | compared_, first);
        return vblendmps(dst | compared_, second, first);
      }
      case VectorInstruction::hyperbolic_tangent:
        return hyperbolic_tangent(a, dst);
    }
  }

  // vminps and vmaxps return the second operand if either is a NaN, so that a NaN in `a` stays.
  void hyperbolic_tangent(const Vector& a, const Vector& dst) {
    const Vector within = take(), square = take();
    vminps(within, constant(kTanhLimit), a);
    vmaxps(within, constant(-kTanhLimit), within);
    vmulps(square, within, within);
    const auto polynomial = [&](const Vector& sum, const auto& coefficients) {
      vmovaps(sum, constant(coefficients[0]));
      for (std::size_t i = 1; i < std::size(coefficients); ++i) vfmadd213ps(sum, square, constant(coefficients[i]));
    };
    polynomial(dst, kTanhNumerator);
    vmulps(within, within, dst);
    polynomial(dst, kTanhDenominator);
    vdivps(dst, within, dst);
    vminps(dst, constant(1.0f), dst);
    vmaxps(dst, constant(-1.0f), dst);
    release(within);
    release(square);
  }

  void store(const BoundResult& result, const Vector& source, bool masked) {
    const auto found = addresses_.find(place_of(result));
    if (found == addresses_.end()) return;
    const auto place = found->second + i_ * bytes_of(result.dtype);
    // Rows of a piece are too short for the hardware prefetcher.
    if (follows_product_ && !masked && result.access == Access::full) prefetchw(ptr[place + row_bytes(result.dtype)]);
    if (!wide_) return store_narrow(result, ptr[place], source, masked);
    if (result.access == Access::sum) {
      const Vector sum = take();
      vmovups(sum | (masked ? added_tail_ : added_) | T_z, ptr[place]);
      vaddps(sum, sum, source);
      vmovups(masked ? ptr[place] | tail_ : ptr[place], sum);
      return release(sum);
    }
    if (result.dtype != DType::bf16) return vmovups(masked ? ptr[place] | tail_ : ptr[place], source);
    const Vector rounded = take();
    if (has_bf16_rounding()) {
      const Ymm half(rounded.getIdx());
      vcvtneps2bf16(half, source);
      vmovdqu16(masked ? yword[place] | tail_ : yword[place], half);
    } else {
      round(source, rounded);
      vpmovdw(masked ? yword[place] | tail_ : yword[place], rounded);
    }
    release(rounded);
  }

  // `store` with AVX2; a sum over rows starts from 0 where added_lanes_ is 0.
  void store_narrow(const BoundResult& result, const Xbyak::Address& place, const Vector& source, bool masked) {
    if (result.dtype == DType::bf16) complete_ = false;
    const Vector sum = result.access == Access::sum ? take() : source;
    if (result.access == Access::sum) {
      if (masked)
        vmaskmovps(sum, tail_lanes_, place);
      else
        vmovups(sum, place);
      vandps(sum, sum, added_lanes_);
      vaddps(sum, sum, source);
      release(sum);
    }
    if (masked)
      vmaskmovps(place, tail_lanes_, sum);
    else
      vmovups(place, sum);
  }

  // Rounds to bf16 as simd.cpp and vcvtneps2bf16 do.
  void round(const Vector& source, const Vector& rounded) {
    const auto bits = [&](std::uint32_t number) { return constant(std::bit_cast<float>(number)); };
    const Vector high = take();
    vpsrld(high, source, 16);
    vpandd(rounded, high, bits(kOdd));
    vpaddd(rounded, rounded, bits(kHalf));
    vpaddd(rounded, rounded, source);
    vpsrld(rounded, rounded, 16);
    vptestnmd(compared_, source, bits(kExponent));
    vpandd(rounded | compared_, high, bits(kSign));
    vcmpps(compared_, source, source, 0x03);
    vpord(rounded | compared_, high, bits(kQuiet));
    release(high);
  }

  const BoundChain& program_;
  int columns_;
  const bool wide_ = has_avx512();  // 16 lanes and mask registers; else AVX2, 8 lanes
  bool follows_product_ = false, sums_rows_ = false;
  bool complete_ = true;
  std::vector<std::size_t> last_use_;  // of each slot: the last instruction that reads it
  std::map<Place, Reg64> addresses_;
  std::map<int, Vector> fixed_;                  // slots that are constant along a row
  std::map<std::uint32_t, Vector> constants_;    // by bit pattern
  std::map<std::uint32_t, Xbyak::Label> loads_;  // where AVX2 loads them from
  Xbyak::Label lanes_table_;
  int top_ = wide_ ? 32 : 13;  // vector registers from here on hold fixed values
  std::vector<int> unused_;    // free registers below top_
};

}  // namespace

bool has_avx512() { return (hwy::SupportedTargets() & HWY_AVX3) != 0; }
bool has_avx2() { return (hwy::SupportedTargets() & HWY_AVX2) != 0; }

bool runs_as_machine_code(BoundChain chain, std::int64_t columns) {
  // Distinct addresses, because operands at equal ones would share a register.
  std::uintptr_t address = 0;
  for (BoundOperand& operand : chain.operands) operand.data = reinterpret_cast<const void*>(address += 64);
  for (BoundResult& result : chain.results) result.data = reinterpret_cast<void*>(address += 64);
  return static_cast<bool>(machine_code(chain, columns));
}

PieceFunction machine_code(const BoundChain& program, std::int64_t columns) {
  if (!has_rows_of(columns, program) || !has_machine_code()) return {};
  std::shared_ptr<const ChainCode> code;
  try {
    code = std::make_shared<ChainCode>(program, columns);
  } catch (const Xbyak::Error&) {  // code too long, or no executable memory
    return {};
  }
  if (!code->complete()) return {};
  return [code, run = code->getCode<ChainCode::Function>()](const Piece& piece) { run(&piece); };
}

}  // namespace gan::runtime::cpu

#else

#include "runtime/cpu/processor.h"

namespace gan::runtime::cpu {
bool has_avx512() { return false; }
bool has_avx2() { return false; }
bool runs_as_machine_code(BoundChain, std::int64_t) { return false; }
PieceFunction machine_code(const BoundChain&, std::int64_t) { return {}; }
}  // namespace gan::runtime::cpu

#endif
