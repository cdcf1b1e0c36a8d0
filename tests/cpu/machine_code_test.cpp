#include "runtime/cpu/machine_code.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <random>

#include "runtime/cpu/processor.h"
#include "runtime/memory.h"

namespace gan::runtime::cpu {
namespace {

using graph::DType;

const ElementwiseOp kOps[] = {ElementwiseOp::add,  ElementwiseOp::sub,        ElementwiseOp::mul,
                              ElementwiseOp::div,  ElementwiseOp::maximum,    ElementwiseOp::square,
                              ElementwiseOp::sqrt, ElementwiseOp::relu,       ElementwiseOp::step,
                              ElementwiseOp::copy, ElementwiseOp::leaky_relu, ElementwiseOp::leaky_step,
                              ElementwiseOp::tanh};

/// A chain whose operands and results lie in memory of its own.
struct OwnChain {
  BoundChain program;
  std::vector<Buffer> memory;
};

// Numbers of all kinds, some of them signed zeros, infinities, NaN and denormal.
void fill(Buffer& bytes, DType dtype, std::mt19937& random) {
  std::normal_distribution<float> normal(0, 2);
  const float special[] = {0.0f, -0.0f, INFINITY, -INFINITY, NAN, 1e-40f, 3.4e38f};
  const std::size_t size = dtype == DType::bf16 ? 2 : 4;
  for (std::size_t i = 0; (i + 1) * size <= bytes.size(); ++i) {
    const float value = random() % 16 == 0 ? special[random() % std::size(special)] : normal(random);
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const auto whole = static_cast<std::uint32_t>(random() % 1000) - 500;
    const std::uint32_t stored = dtype == DType::i32 ? whole : dtype == DType::bf16 ? bits >> 16 : bits;
    std::memcpy(bytes.data() + i * size, &stored, size);
  }
}

/// A random chain over [rows, columns]; `plain` leaves out rows and columns that are repeated, `bf16` allows that type.
OwnChain random_chain(std::mt19937& random, std::int64_t rows, std::int64_t columns, bool plain, bool bf16 = true) {
  OwnChain chain;
  BoundChain& program = chain.program;
  program.elements = rows * columns;
  const auto any = [&](std::size_t count) { return static_cast<int>(random() % count); };
  const int operands = 1 + any(5);
  for (int i = 0; i < operands; ++i) {
    BoundOperand operand;
    operand.dtype = std::array{DType::f32, DType::f32, bf16 ? DType::bf16 : DType::f32, DType::i32}[random() % 4];
    const Access access[] = {Access::full, Access::full, Access::scalar, Access::row, Access::column};
    operand.access = i == 0 ? Access::full : access[random() % (plain ? 3 : 5)];
    const std::int64_t lengths[] = {program.elements, 1, columns, rows};
    if (operand.access == Access::row) operand.period = columns;
    if (operand.access == Access::column) operand.period = columns * (1 + any(3));  // a number for some rows
    const std::int64_t length = lengths[static_cast<std::size_t>(operand.access)];
    chain.memory.emplace_back(static_cast<std::size_t>(length) * (operand.dtype == DType::bf16 ? 2 : 4));
    fill(chain.memory.back(), operand.dtype, random);
    operand.data = chain.memory.back().data();
    program.operands.push_back(operand);
  }
  program.constants = {0.5f, -3.0f};
  int next = operands + 2;
  for (int count = 1 + any(12); count > 0; --count) {
    Instruction instruction;
    instruction.op = kOps[random() % std::size(kOps)];
    instruction.a = any(static_cast<std::size_t>(next));
    instruction.b = any(static_cast<std::size_t>(next));
    instruction.alpha = 0.2f;
    instruction.dst = next++;
    program.instructions.push_back(instruction);
  }
  // What is computed last, whatever else is computed, and something in the place of the first operand if that is f32.
  const auto computed = [&] { return operands + 2 + any(static_cast<std::size_t>(next - operands - 2)); };
  for (const int source : {next - 1, computed()}) {
    const DType dtype = random() % 3 == 0 && bf16 ? DType::bf16 : DType::f32;
    chain.memory.emplace_back(static_cast<std::size_t>(program.elements) * 4);
    program.results.push_back({{source, dtype}, chain.memory.back().data()});
  }
  if (program.operands[0].dtype == DType::f32)
    program.results.push_back({{computed(), DType::f32}, chain.memory[0].data()});
  if (!plain) {
    chain.memory.emplace_back(static_cast<std::size_t>(columns) * 4);
    program.results.push_back({{computed(), DType::f32, Access::sum, columns}, chain.memory.back().data()});
  }
  return chain;
}

/// What results hold after the chain has run once on its present operands, which are put back afterwards. Every NaN is
/// the same: processors may take either operand's.
std::vector<std::vector<std::uint32_t>> results_of(OwnChain& chain, bool as_machine_code) {
  std::vector<std::vector<std::byte>> before;
  for (const Buffer& bytes : chain.memory) before.emplace_back(bytes.data(), bytes.data() + bytes.size());
  const Buffer memory(chain_workspace(chain.program, as_machine_code));
  Workspace workspace(memory.data());
  chain_kernel(chain.program, workspace, as_machine_code)();
  std::vector<std::vector<std::uint32_t>> out;
  for (const BoundResult& result : chain.program.results) {
    std::vector<std::uint32_t>& bits = out.emplace_back();
    const std::size_t size = result.dtype == DType::bf16 ? 2 : 4;
    const std::int64_t count = result.access == Access::sum ? result.period : chain.program.elements;
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
      std::uint32_t number = 0;
      std::memcpy(&number, static_cast<const std::byte*>(result.data) + i * size, size);
      if (result.dtype == DType::bf16) number <<= 16;
      bits.push_back(std::isnan(std::bit_cast<float>(number)) ? 0x7FC00000u : number);
    }
  }
  for (std::size_t i = 0; i < before.size(); ++i) std::copy(before[i].begin(), before[i].end(), chain.memory[i].data());
  return out;
}

TEST(MachineCode, EqualsTheBlockEngineToTheLastBit) {
  std::mt19937 random(1);
  for (int round = 0; round < 2000; ++round) {
    const std::int64_t rows = 1 + random() % (round % 3 == 0 ? 150 : 9);
    const std::int64_t columns = 1 + random() % (round % 10 == 0 ? 9000 : 70);
    OwnChain chain = random_chain(random, rows, columns, round % 2 == 0, /*bf16=*/round % 4 < 2);
    const auto code = results_of(chain, true), blocks = results_of(chain, false);
    for (std::size_t r = 0; r < blocks.size(); ++r)
      for (std::size_t i = 0; i < blocks[r].size(); ++i)
        ASSERT_EQ(code[r][i], blocks[r][i]) << "chain " << round << ", result " << r << ", element " << i;
  }
}

TEST(MachineCode, TakesTheChainsThatItIsFor) {
  if (!has_avx512()) GTEST_SKIP() << "this processor has no AVX-512";
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round)
    EXPECT_TRUE(machine_code(random_chain(random, 4, 100, round % 2 == 0).program, 100)) << "chain " << round;
}

// AVX2 has no masks for bf16, and few registers.
TEST(MachineCode, TakesMostChainsInF32WithAvx2) {
  if (!has_machine_code()) GTEST_SKIP() << "this processor has no AVX2";
  std::mt19937 random(3);
  int taken = 0;
  for (int round = 0; round < 200; ++round)
    taken += machine_code(random_chain(random, 4, 100, round % 2 == 0, /*bf16=*/false).program, 100) ? 1 : 0;
  EXPECT_GE(taken, 180);
}

TEST(MachineCode, TakesNoneWithoutAvx2) {
  if (has_machine_code()) GTEST_SKIP() << "this processor has AVX2";
  std::mt19937 random(2);
  EXPECT_FALSE(machine_code(random_chain(random, 4, 100, true).program, 100));
}

TEST(MachineCode, SumsOfOtherRowsThanTheOperandsAreTakenAfterwards) {
  std::mt19937 random(5);
  for (int round = 0; round < 50; ++round) {
    OwnChain chain = random_chain(random, 40, 96, true);
    std::vector<float> column(40, 0.5f), sums(40);
    BoundChain& program = chain.program;
    // A row's factor, for rows of 96; sums over rows of 40. Registers behind the operands move up by one.
    const int first = static_cast<int>(program.operands.size());
    for (Instruction& instruction : program.instructions)
      for (int* r : {&instruction.a, &instruction.b, &instruction.dst}) *r += *r >= first ? 1 : 0;
    for (BoundResult& result : program.results) ++result.source;
    program.operands.push_back({{DType::f32, Access::column, 96}, column.data()});
    program.instructions.push_back({.op = ElementwiseOp::mul,
                                    .a = program.instructions.back().dst,
                                    .b = first,
                                    .dst = program.instructions.back().dst + 1});
    program.results.push_back({{program.instructions.back().dst, DType::f32, Access::sum, 40}, sums.data()});
    EXPECT_FALSE(machine_code(program, 96));
    const auto code = results_of(chain, true), blocks = results_of(chain, false);
    ASSERT_EQ(code, blocks) << "chain " << round;
  }
}

TEST(MachineCode, LeavesToTheBlockEngineWhatItCannot) {
  std::mt19937 random(4);
  OwnChain chain = random_chain(random, 4, 100, true);
  BoundChain& program = chain.program;
  const auto with = [&](auto change) {
    BoundChain changed = program;
    change(changed);
    return static_cast<bool>(machine_code(changed, 100));
  };
  EXPECT_FALSE(with([](BoundChain& p) { p.instructions[0].op = ElementwiseOp::exp; }));
  EXPECT_FALSE(with([](BoundChain& p) { p.operands[0].access = Access::strided; }));
  EXPECT_FALSE(with([](BoundChain& p) {  // rows of two lengths
    for (const std::int64_t period : {100, 50})
      p.operands.push_back({{DType::f32, Access::row, period}, p.operands[0].data});
  }));
  EXPECT_FALSE(with([&](BoundChain& p) {  // more scalars than vector registers
    for (int i = 0; i < 40; ++i) p.operands.push_back({{DType::f32, Access::scalar}, p.operands[0].data});
  }));
  if (!has_avx512()) return;              // with AVX2 constants need no registers
  EXPECT_FALSE(with([&](BoundChain& p) {  // more constants than vector registers
    for (int i = 0; i < 40; ++i) p.constants.push_back(static_cast<float>(i));
  }));
}

}  // namespace
}  // namespace gan::runtime::cpu
