#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "base/parallel.h"
#include "train/sampler.h"
#include "untrained_model.h"

// Counts allocations of every kind and of every library: glibc lets a program bring its own malloc, and these pass on
// to glibc's.
namespace {
std::atomic<long> allocations{0};
}

extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* old, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) { return ++allocations, __libc_malloc(size); }
void* calloc(std::size_t count, std::size_t size) { return ++allocations, __libc_calloc(count, size); }
void* realloc(void* old, std::size_t size) { return ++allocations, __libc_realloc(old, size); }
void* memalign(std::size_t alignment, std::size_t size) { return ++allocations, __libc_memalign(alignment, size); }
void* aligned_alloc(std::size_t alignment, std::size_t size) { return memalign(alignment, size); }
int posix_memalign(void** out, std::size_t alignment, std::size_t size) {
  *out = memalign(alignment, size);
  return *out ? 0 : ENOMEM;
}
}

namespace gan::test {
namespace {

std::ptrdiff_t threads_of_this_process() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {});
}

TEST(Sampler, DrawsOneSampleWithoutAllocatingOnOneThread) {
  for (const char* preset : {"tutorial-lsgan", "lsgan-r1r2"})
    for (const char* precision : {"auto", "f32", "bf16"}) {
      const train::Model model = untrained_model(preset);
      train::Sampler sampler(model, precision);
      std::vector<float> z(static_cast<std::size_t>(model.config.model.latent)), out(784), first(784);
      const data::ConditionRows label(std::vector<std::int32_t>{3});
      const auto draw = [&](std::int64_t number) {
        const long before = allocations;
        sampler.latents(1, number, z);
        sampler.sample(z, label, out);
        return allocations - before;
      };
      base::set_threads(1);  // compiling may use more
      EXPECT_GT(draw(0), 0) << "the counter does not count";
      first = out;
      base::set_threads(4);
      for (std::int64_t number = 1; number < 50; ++number) EXPECT_EQ(draw(number), 0) << preset << " " << precision;
      EXPECT_NE(out, first);
    }
  EXPECT_EQ(threads_of_this_process(), 1);
  base::parallel_for(4, 1, [](std::int64_t, std::int64_t) {});
  EXPECT_EQ(threads_of_this_process(), 4) << "threads are not seen";
}

}  // namespace
}  // namespace gan::test
