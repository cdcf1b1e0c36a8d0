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

constexpr std::size_t kCodeBytes = 16384;
constexpr int kLanes = 16;
constexpr std::size_t kPrefetchBytes = 2048;   // how far ahead memory is asked for
constexpr std::int64_t kLongestRow = 1 << 28;  // elements; steps of addresses have 32 bits

// Of 32 bits what the instructions below need to round to bf16.
constexpr std::uint32_t kExponent = 0x7F800000, kSign = 0x8000, kQuiet = 0x40, kOdd = 1, kHalf = 0x7FFF;

bool rounds_by_itself() {
  static const bool rounds = Xbyak::util::Cpu().has(Xbyak::util::Cpu::tAVX512_BF16);
  return rounds;
}

int bytes_of(DType dtype) { return dtype == DType::bf16 ? 2 : 4; }

// Of fewer rows a row's number divided by n, at most their count, is row * ceil(2^42 / n) >> 42: the quotient is exact
// while row * n < 2^42, and the product has fewer than 64 bits.
constexpr int kDivisionBits = 42;
constexpr std::int64_t kMostRowsDivided = 1 << 21;

/// Whether operands and results lie in rows of this length, or are the same for all elements of a row.
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

/// Writes the code of a chain. What is the same for all rows (constants, single numbers) or for one (a column's number)
/// keeps a vector register from the top; other values take one from the bottom until their last use.
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
    adds_up_ =
        std::ranges::any_of(program.results, [](const BoundResult& result) { return result.access == Access::sum; });
    write();
    setProtectModeRE();
  }

  /// Whether the chain could be written.
  bool complete() const { return complete_; }

 private:
  // The piece; the present row; in it the present element and the last one's end, counted from the chain's beginning.
  const Reg64 &piece_ = rdx, &row_ = rcx, &i_ = rdi, &end_ = rsi;
  // `added_` is empty in the first of the rows that are added up together.
  const Opmask &tail_ = k1, &compared_ = k2, &added_ = k3, &added_tail_ = k4;

  void write() {
    const Reg64 saved[] = {rbx, rbp, r12, r13, r14, r15};
    for (const Reg64& reg : saved) push(reg);
    mov(piece_, rdi);
    mov(row_, field(offsetof(Piece, row)));
    imul(end_, row_, columns_);
    place_addresses();
    add(end_, field(offsetof(Piece, column_end)));
    place_fixed_values();
    Xbyak::Label next_row, loop, last, row_done, done;
    L(next_row);
    cmp(row_, field(offsetof(Piece, row_end)));
    jge(done, T_NEAR);
    if (adds_up_) {
      xor_(eax, eax);
      test(row_, kSumRows - 1);
      setnz(al);
      neg(eax);
      kmovw(added_, eax);
    }
    mov(i_, end_);
    sub(i_, field(offsetof(Piece, column_end)));
    add(i_, field(offsetof(Piece, column)));
    for (std::size_t r = 0; r < program_.operands.size(); ++r)
      if (program_.operands[r].access == Access::column)
        load_number(program_.operands[r], fixed_.at(static_cast<int>(r)));
    L(loop);
    lea(rax, ptr[i_ + kLanes]);
    cmp(rax, end_);
    jg(last, T_NEAR);
    write_body(false);
    add(i_, kLanes);
    jmp(loop, T_NEAR);
    L(last);  // fewer than a vector
    mov(rax, end_);
    sub(rax, i_);
    jz(row_done, T_NEAR);
    mov(r15d, -1);
    bzhi(eax, r15d, eax);
    kmovw(tail_, eax);
    if (adds_up_) kandw(added_tail_, added_, tail_);
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
    if (adds_up_) {
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
  }

  std::size_t row_bytes(DType dtype) const {
    return static_cast<std::size_t>(columns_) * static_cast<std::size_t>(bytes_of(dtype));
  }

  Xbyak::Address field(std::size_t offset) const { return qword[piece_ + offset]; }

  /// Where an operand or a result lies. Element i of the chain is at address + i * bytes, so the addresses of rows that
  /// are read again move back from row to row.
  struct Place {
    const void* data;
    Access access;  // full, row, product or sum
    int bytes;
    auto operator<=>(const Place&) const = default;
  };

  static Place place_of(const BoundOperand& operand) { return {operand.data, operand.access, bytes_of(operand.dtype)}; }
  static Place place_of(const BoundResult& result) { return {result.data, result.access, bytes_of(result.dtype)}; }

  // end_ holds the first element's number of the row.
  void place_addresses() {
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

  void place_fixed_values() {
    for (std::size_t r = 0; r < program_.operands.size(); ++r) {
      const BoundOperand& operand = program_.operands[r];
      if (operand.access != Access::scalar && operand.access != Access::column) continue;
      const Zmm to = keep();
      fixed_.emplace(static_cast<int>(r), to);
      if (operand.access == Access::scalar) load_number(operand, to);
    }
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
      if (result.dtype == DType::bf16 && !rounds_by_itself())
        for (const std::uint32_t bits : {kExponent, kSign, kQuiet, kOdd, kHalf}) constant(std::bit_cast<float>(bits));
    for (int z = top_; z-- > 0;) unused_.push_back(z);
  }

  /// A single number, or that of the present row, in every lane.
  void load_number(const BoundOperand& operand, const Zmm& to) {
    mov(rax, std::bit_cast<std::uint64_t>(operand.data));
    if (operand.access == Access::column) {
      const auto rows = static_cast<std::uint64_t>(operand.period / columns_);  // that have the number
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

  // A register that holds one number in every lane.
  Zmm constant(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const auto found = constants_.find(bits);
    if (found != constants_.end()) return found->second;
    const Zmm to = keep();
    mov(eax, bits);
    vpbroadcastd(to, eax);
    constants_.emplace(bits, to);
    return to;
  }

  Zmm keep() {
    if (top_ == 0) complete_ = false;
    return Zmm(top_ > 0 ? --top_ : 0);
  }

  Zmm take() {
    if (unused_.empty()) {
      complete_ = false;
      return zmm0;
    }
    const Zmm z(unused_.back());
    unused_.pop_back();
    return z;
  }

  void release(const Zmm& z) { unused_.push_back(z.getIdx()); }

  // One vector of elements, at i; of the last one only the lanes of the mask are read and written.
  void write_body(bool masked) {
    std::map<int, Zmm> values;
    const auto value = [&](int r) {
      if (const auto kept = fixed_.find(r); kept != fixed_.end()) return kept->second;
      if (const auto computed = values.find(r); computed != values.end()) return computed->second;
      return values.emplace(r, load(program_.operands[static_cast<std::size_t>(r)], masked)).first->second;
    };
    for (std::size_t i = 0; i < program_.instructions.size(); ++i) {
      const Instruction& instruction = program_.instructions[i];
      const Zmm a = value(instruction.a), b = graph::is_binary(instruction.op) ? value(instruction.b) : a, dst = take();
      compute(instruction, a, b, dst);
      values.emplace(instruction.dst, dst);
      for (const int r : std::set<int>{instruction.a, instruction.b, instruction.dst})
        if (const auto found = values.find(r); found != values.end() && last_use_[static_cast<std::size_t>(r)] <= i) {
          release(found->second);
          values.erase(found);
        }
    }
    // Everything is read before anything is written: results may lie where operands are.
    for (const BoundResult& result : program_.results) value(result.source);
    for (const BoundResult& result : program_.results) store(result, value(result.source), masked);
    for (const auto& [r, z] : values) release(z);
  }

  Zmm load(const BoundOperand& operand, bool masked) {
    const Zmm to = take();
    const auto found = addresses_.find(place_of(operand));
    if (found == addresses_.end()) return to;  // there were too few
    const auto place = found->second + i_ * bytes_of(operand.dtype);
    if (!masked && operand.access == Access::full) {
      const auto later = ptr[place + (follows_product_ ? row_bytes(operand.dtype) : kPrefetchBytes)];
      // What is read to be overwritten is asked for as this core's own: taking it from another core that reads it, too,
      // would wait at every store.
      if (!follows_product_ && is_overwritten(operand))
        prefetchw(later);
      else
        prefetcht0(later);
    }
    const Zmm lanes = masked ? to | tail_ | T_z : to;
    switch (operand.dtype) {
      case DType::f32:
        vmovups(lanes, ptr[place]);
        break;
      case DType::i32:
        vcvtdq2ps(lanes, ptr[place]);
        break;
      case DType::bf16:
        vpmovzxwd(lanes, yword[place]);
        vpslld(to, to, 16);
    }
    return to;
  }

  bool is_overwritten(const BoundOperand& operand) const {
    return std::ranges::any_of(program_.results,
                               [&](const BoundResult& result) { return place_of(result) == place_of(operand); });
  }

  // As simd.cpp computes it: a NaN stays, and no product and sum become one instruction.
  void compute(const Instruction& instruction, const Zmm& a, const Zmm& b, const Zmm& dst) {
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
      case VectorInstruction::maximum_with_nan:  // of the instruction a NaN in b comes through, one in a does not
        vcmpps(compared_, a, a, kUnordered);
        vmaxps(dst, a, b);
        return vmovaps(dst | compared_, a);
      case VectorInstruction::select_by_sign: {
        vcmpps(compared_, a, constant(0.0f), kGreater);
        const Zmm first = argument(row.first);
        if (row.second == Argument::zero) return vmovaps(dst | compared_ | T_z, first);
        const Zmm second = argument(row.second);
        if (second.getIdx() == dst.getIdx()) return vmovaps(dst | compared_, first);
        return vblendmps(dst | compared_, second, first);
      }
      case VectorInstruction::hyperbolic_tangent:
        return hyperbolic_tangent(a, dst);
    }
  }

  // Of an instruction's operands a NaN in the second one comes through.
  void hyperbolic_tangent(const Zmm& a, const Zmm& dst) {
    const Zmm within = take(), square = take();
    vminps(within, constant(kTanhLimit), a);
    vmaxps(within, constant(-kTanhLimit), within);
    vmulps(square, within, within);
    const auto polynomial = [&](const Zmm& sum, const auto& coefficients) {
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

  void store(const BoundResult& result, const Zmm& source, bool masked) {
    const auto found = addresses_.find(place_of(result));
    if (found == addresses_.end()) return;
    const auto place = found->second + i_ * bytes_of(result.dtype);
    // Rows of a piece are too short for the processor to see the next one coming.
    if (follows_product_ && !masked && result.access == Access::full) prefetchw(ptr[place + row_bytes(result.dtype)]);
    if (result.access == Access::sum) {
      const Zmm sum = take();
      vmovups(sum | (masked ? added_tail_ : added_) | T_z, ptr[place]);
      vaddps(sum, sum, source);
      vmovups(masked ? ptr[place] | tail_ : ptr[place], sum);
      return release(sum);
    }
    if (result.dtype != DType::bf16) return vmovups(masked ? ptr[place] | tail_ : ptr[place], source);
    const Zmm rounded = take();
    if (rounds_by_itself()) {
      const Ymm half(rounded.getIdx());
      vcvtneps2bf16(half, source);
      vmovdqu16(masked ? yword[place] | tail_ : yword[place], half);
    } else {
      round(source, rounded);
      vpmovdw(masked ? yword[place] | tail_ : yword[place], rounded);
    }
    release(rounded);
  }

  // As simd.cpp does and vcvtneps2bf16 would.
  void round(const Zmm& source, const Zmm& rounded) {
    const auto bits = [&](std::uint32_t number) { return constant(std::bit_cast<float>(number)); };
    const Zmm high = take();
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
  bool follows_product_ = false, adds_up_ = false;
  bool complete_ = true;
  std::vector<std::size_t> last_use_;  // of each register of the chain
  std::map<Place, Reg64> addresses_;
  std::map<int, Zmm> fixed_;                // registers of the chain that a whole row shares
  std::map<std::uint32_t, Zmm> constants_;  // by their bits
  int top_ = 32;                            // vector registers below it are not kept
  std::vector<int> unused_;                 // of those
};

}  // namespace

bool has_machine_code() { return (hwy::SupportedTargets() & HWY_AVX3) != 0; }

bool runs_as_machine_code(BoundChain chain, std::int64_t columns) {
  // Different addresses: equal ones would share a register.
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
  } catch (const Xbyak::Error&) {  // too long, or the system allows no new code
    return {};
  }
  if (!code->complete()) return {};
  return [code, run = code->getCode<ChainCode::Function>()](const Piece& piece) { run(&piece); };
}

}  // namespace gan::runtime::cpu

#else

#include "runtime/cpu/processor.h"

namespace gan::runtime::cpu {
bool has_machine_code() { return false; }
bool runs_as_machine_code(BoundChain, std::int64_t) { return false; }
PieceFunction machine_code(const BoundChain&, std::int64_t) { return {}; }
}  // namespace gan::runtime::cpu

#endif
