#include "runtime/machine_code.h"

#ifdef __x86_64__

#include <hwy/highway.h>
#include <xbyak/xbyak.h>

#include <algorithm>
#include <bit>
#include <map>
#include <memory>
#include <set>

namespace gan::runtime {

namespace {

using graph::DType;
using Xbyak::Opmask;
using Xbyak::Reg64;
using Xbyak::Zmm;

constexpr std::size_t kCodeBytes = 16384;
constexpr int kLanes = 16;
constexpr int kPrefetchBytes = 2048;  // how far ahead memory is asked for

int bytes_of(DType dtype) { return dtype == DType::bf16 ? 2 : 4; }

/// Elements of a row, which operands of row and column access share; 0 without such operands, -1 if they differ.
std::int64_t row_length(const TileProgram& program) {
  std::int64_t length = 0;
  for (const TileOperand& operand : program.operands) {
    if (operand.access == Access::strided) return -1;
    if (operand.access != Access::row && operand.access != Access::column) continue;
    if (length != 0 && length != operand.period) return -1;
    length = operand.period;
  }
  return length;
}

bool has_two_operands(TileOp op) {
  return op == TileOp::add || op == TileOp::sub || op == TileOp::mul || op == TileOp::div || op == TileOp::maximum;
}

/// Writes the code of a chain. What is the same for a whole row (constants, single numbers, a column's number) keeps a
/// vector register from the top; other values take one from the bottom until their last use.
class ChainCode : public Xbyak::CodeGenerator {
 public:
  /// Elements [begin, end) of one row: `row` is its number, `row_begin` its first element.
  using Function = void (*)(std::int64_t begin, std::int64_t end, std::int64_t row_begin, std::int64_t row);

  explicit ChainCode(const TileProgram& program)
      : CodeGenerator(kCodeBytes, Xbyak::DontSetProtectRWE), program_(program) {
    last_use_.resize(program.operands.size() + program.constants.size());
    for (std::size_t i = 0; i < program.instructions.size(); ++i) {
      const TileInstruction& instruction = program.instructions[i];
      last_use_.resize(std::max(last_use_.size(), static_cast<std::size_t>(instruction.dst) + 1));
      last_use_[static_cast<std::size_t>(instruction.a)] = i;
      if (has_two_operands(instruction.op)) last_use_[static_cast<std::size_t>(instruction.b)] = i;
    }
    for (const TileResult& result : program.results)
      last_use_[static_cast<std::size_t>(result.source)] = program.instructions.size();
    write();
    setProtectModeRE();
  }

  /// Whether the chain could be written.
  bool complete() const { return complete_; }

 private:
  const Reg64 &i_ = rdi, &end_ = rsi, &row_begin_ = rdx, &row_ = rcx;  // the arguments
  const Opmask &tail_ = k1, &compared_ = k2;

  void write() {
    const Reg64 saved[] = {rbx, rbp, r12, r13, r14, r15};
    for (const Reg64& reg : saved) push(reg);
    place_addresses();
    place_row_values();
    Xbyak::Label loop, last, done;
    L(loop);
    lea(rax, ptr[i_ + kLanes]);
    cmp(rax, end_);
    jg(last, T_NEAR);
    write_body(false);
    mov(i_, rax);
    jmp(loop, T_NEAR);
    L(last);  // fewer than a vector
    mov(rcx, end_);
    sub(rcx, i_);
    jz(done, T_NEAR);
    mov(eax, 1);
    shl(eax, cl);
    dec(eax);
    kmovw(tail_, eax);
    write_body(true);
    L(done);
    vzeroupper();
    for (auto reg = std::rbegin(saved); reg != std::rend(saved); ++reg) pop(*reg);
    ret();
  }

  // An address for each place in memory, so that element i lies at address + i * bytes. A row's counts from its start.
  void place_addresses() {
    std::vector<Reg64> unused = {rdx, rbx, rbp, r8, r9, r10, r11, r12, r13, r14, r15};
    mov(rax, row_begin_);
    neg(rax);
    const auto place = [&](const void* data, bool row, DType dtype) {
      if (addresses_.count({data, row})) return;
      if (unused.empty()) return void(complete_ = false);
      const Reg64 reg = unused.back();
      unused.pop_back();
      mov(reg, std::bit_cast<std::uint64_t>(data));
      if (row) lea(reg, ptr[reg + rax * bytes_of(dtype)]);
      addresses_.emplace(std::pair{data, row}, reg);
    };
    for (const TileOperand& operand : program_.operands)
      if (operand.access == Access::full || operand.access == Access::row)
        place(operand.data, operand.access == Access::row, operand.dtype);
    for (const TileResult& result : program_.results) place(result.data, false, result.dtype);
  }

  void place_row_values() {
    for (std::size_t r = 0; r < program_.operands.size(); ++r) {
      const TileOperand& operand = program_.operands[r];
      const bool column = operand.access == Access::column;
      if (!column && operand.access != Access::scalar) continue;
      const Zmm to = keep();
      fixed_.emplace(static_cast<int>(r), to);
      mov(rax, std::bit_cast<std::uint64_t>(operand.data));
      if (column) lea(rax, ptr[rax + row_ * bytes_of(operand.dtype)]);
      if (operand.dtype == DType::bf16) {
        vpbroadcastw(to, ptr[rax]);
        vpslld(to, to, 16);
      } else {
        vpbroadcastd(to, ptr[rax]);
        if (operand.dtype == DType::i32) vcvtdq2ps(to, to);
      }
    }
    for (std::size_t c = 0; c < program_.constants.size(); ++c)
      fixed_.emplace(static_cast<int>(program_.operands.size() + c), constant(program_.constants[c]));
    for (const TileInstruction& instruction : program_.instructions) {
      const TileOp op = instruction.op;
      if (op == TileOp::relu || op == TileOp::step || op == TileOp::leaky_relu || op == TileOp::leaky_step)
        constant(0.0f);
      if (op == TileOp::step || op == TileOp::leaky_step) constant(1.0f);
      if (op == TileOp::leaky_relu || op == TileOp::leaky_step) constant(instruction.alpha);
    }
    for (const TileResult& result : program_.results)
      if (result.dtype == DType::bf16)
        for (const std::uint32_t bits : {1u, 0x40u, 0x7FFFu}) constant(std::bit_cast<float>(bits));
    for (int z = top_; z-- > 0;) unused_.push_back(z);
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
      const TileInstruction& instruction = program_.instructions[i];
      const Zmm a = value(instruction.a), b = has_two_operands(instruction.op) ? value(instruction.b) : a, dst = take();
      compute(instruction, a, b, dst);
      values.emplace(instruction.dst, dst);
      for (const int r : std::set<int>{instruction.a, instruction.b, instruction.dst})
        if (const auto found = values.find(r); found != values.end() && last_use_[static_cast<std::size_t>(r)] <= i) {
          release(found->second);
          values.erase(found);
        }
    }
    // Everything is read before anything is written: results may lie where operands are.
    for (const TileResult& result : program_.results) value(result.source);
    for (const TileResult& result : program_.results) store(result, value(result.source), masked);
    for (const auto& [r, z] : values) release(z);
  }

  Zmm load(const TileOperand& operand, bool masked) {
    const Zmm to = take();
    const auto found = addresses_.find({operand.data, operand.access == Access::row});
    if (found == addresses_.end()) return to;  // there were too few
    const auto place = found->second + i_ * bytes_of(operand.dtype);
    if (!masked && !getenv("NOPF")) prefetcht0(ptr[place + kPrefetchBytes]);
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

  // As simd.cpp has them: a NaN stays, and nothing is contracted.
  void compute(const TileInstruction& instruction, const Zmm& a, const Zmm& b, const Zmm& dst) {
    constexpr int kGreater = 0x1E, kUnordered = 0x03;
    switch (instruction.op) {
      case TileOp::add:
        return vaddps(dst, a, b);
      case TileOp::sub:
        return vsubps(dst, a, b);
      case TileOp::mul:
        return vmulps(dst, a, b);
      case TileOp::div:
        return vdivps(dst, a, b);
      case TileOp::square:
        return vmulps(dst, a, a);
      case TileOp::sqrt:
        return vsqrtps(dst, a);
      case TileOp::copy:
        return vmovaps(dst, a);
      case TileOp::maximum:  // of the instruction a NaN in b comes through, one in a does not
        vcmpps(compared_, a, a, kUnordered);
        vmaxps(dst, a, b);
        return vmovaps(dst | compared_, a);
      case TileOp::relu:
        return vmaxps(dst, constant(0.0f), a);
      case TileOp::step:
        vcmpps(compared_, a, constant(0.0f), kGreater);
        return vmovaps(dst | compared_ | T_z, constant(1.0f));
      case TileOp::leaky_relu:
        vcmpps(compared_, a, constant(0.0f), kGreater);
        vmulps(dst, a, constant(instruction.alpha));
        return vmovaps(dst | compared_, a);
      case TileOp::leaky_step:
        vcmpps(compared_, a, constant(0.0f), kGreater);
        return vblendmps(dst | compared_, constant(instruction.alpha), constant(1.0f));
      default:
        complete_ = false;
    }
  }

  void store(const TileResult& result, const Zmm& source, bool masked) {
    const auto found = addresses_.find({result.data, false});
    if (found == addresses_.end()) return;
    const auto place = found->second + i_ * bytes_of(result.dtype);
    if (result.dtype != DType::bf16) return vmovups(masked ? ptr[place] | tail_ : ptr[place], source);
    const auto bits = [&](std::uint32_t number) { return constant(std::bit_cast<float>(number)); };
    const Zmm rounded = take(), high = take();
    vpsrld(high, source, 16);
    vpandd(rounded, high, bits(1));
    vpaddd(rounded, rounded, bits(0x7FFF));
    vpaddd(rounded, rounded, source);
    vpsrld(rounded, rounded, 16);
    vcmpps(compared_, source, source, 0x03);
    vpord(rounded | compared_, high, bits(0x40));
    vpmovdw(masked ? yword[place] | tail_ : yword[place], rounded);
    release(rounded);
    release(high);
  }

  const TileProgram& program_;
  bool complete_ = true;
  std::vector<std::size_t> last_use_;                          // of each register of the chain
  std::map<std::pair<const void*, bool>, Reg64> addresses_;    // of (place, counted from the row's start)
  std::map<int, Zmm> fixed_;                                   // registers of the chain that a whole row shares
  std::map<std::uint32_t, Zmm> constants_;                     // by their bits
  int top_ = 32;                                               // vector registers below it are not kept
  std::vector<int> unused_;                                    // of those
};

}  // namespace

RangeFunction machine_code(const TileProgram& program) {
  const std::int64_t length = row_length(program);
  if (length < 0 || !(hwy::SupportedTargets() & HWY_AVX3)) return {};
  std::shared_ptr<const ChainCode> code;
  try {
    code = std::make_shared<ChainCode>(program);
  } catch (const Xbyak::Error&) {  // too long, or the system allows no new code
    return {};
  }
  if (!code->complete()) return {};
  const auto run = code->getCode<ChainCode::Function>();
  if (length == 0) return [code, run](std::int64_t begin, std::int64_t end) { run(begin, end, 0, 0); };
  return [code, run, length](std::int64_t begin, std::int64_t end) {
    for (std::int64_t at = begin; at < end;) {
      const std::int64_t row = at / length, next = std::min((row + 1) * length, end);
      run(at, next, row * length, row);
      at = next;
    }
  };
}

}  // namespace gan::runtime

#else

namespace gan::runtime {
RangeFunction machine_code(const TileProgram&) { return {}; }
}  // namespace gan::runtime

#endif
