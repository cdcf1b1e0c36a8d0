#include <gtest/gtest.h>

#include <cstdlib>

#include "runtime/backend.h"
#include "runtime/cpu/processor.h"

namespace {

/// With GAN_TEST_AVX2 set all tests run as on a processor that has AVX2 and no more, with GAN_TEST_NO_FP16 as on one
/// without AVX-512 FP16.
class Processor : public testing::Environment {
 public:
  void SetUp() override {
    if (std::getenv("GAN_TEST_AVX2")) gan::runtime::pretend_avx2();
    if (std::getenv("GAN_TEST_NO_FP16")) gan::runtime::cpu::pretend_no_fp16();
  }
};

[[maybe_unused]] testing::Environment* const environment = testing::AddGlobalTestEnvironment(new Processor);

}  // namespace
