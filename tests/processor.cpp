#include <gtest/gtest.h>

#include <cstdlib>

#include "runtime/kernels.h"
#include "runtime/packed_product.h"

namespace {

/// With GAN_TEST_AVX2 set all tests run as on a processor that has AVX2 and no more, with GAN_TEST_NO_HALVES as on one
/// without AVX-512 FP16.
class Processor : public testing::Environment {
 public:
  void SetUp() override {
    if (std::getenv("GAN_TEST_AVX2")) gan::runtime::pretend_avx2();
    if (std::getenv("GAN_TEST_NO_HALVES")) gan::runtime::pretend_no_halves();
  }
};

[[maybe_unused]] testing::Environment* const environment = testing::AddGlobalTestEnvironment(new Processor);

}  // namespace
