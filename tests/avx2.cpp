#include <gtest/gtest.h>

#include <cstdlib>

#include "runtime/kernels.h"

namespace {

/// With GAN_TEST_AVX2 set all tests run as on a processor that has AVX2 and no more.
class Avx2 : public testing::Environment {
 public:
  void SetUp() override {
    if (std::getenv("GAN_TEST_AVX2")) gan::runtime::pretend_avx2();
  }
};

[[maybe_unused]] testing::Environment* const environment = testing::AddGlobalTestEnvironment(new Avx2);

}  // namespace
