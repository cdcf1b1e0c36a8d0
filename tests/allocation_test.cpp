#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "base/parallel.h"
#include "file_helpers.h"
#include "gan/gan.h"
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
  const data::ConditionRows label(std::vector<std::int32_t>{3});
  data::ConditionSpec columns = data::label_condition(10);
  columns.columns.push_back({.name = "orientation of the camera", .number = {.maximum = 360, .period = 360}});
  data::ConditionRows label_and_number = label;
  label_and_number.columns.emplace_back(std::vector<float>{90});
  for (const char* preset : {"tutorial-lsgan", "lsgan-r1r2"})
    for (const char* precision : {"auto", "f32", "int16", "bf16"})
      for (const bool with_number : {false, true}) {
        const train::Model model = untrained_model(preset, 1, with_number ? columns : data::label_condition(10));
        train::Sampler sampler(model, precision);
        std::vector<float> z(static_cast<std::size_t>(model.config.model.latent)), out(784), first(784);
        const auto draw = [&](std::int64_t number) {
          const long before = allocations;
          sampler.latents(1, number, z);
          sampler.sample(z, with_number ? label_and_number : label, out);
          return allocations - before;
        };
        base::set_threads(1);  // compiling may use more
        EXPECT_GT(draw(0), 0) << "the counter does not count";
        first = out;
        base::set_threads(4);
        for (std::int64_t number = 1; number < 50; ++number) ASSERT_EQ(draw(number), 0) << preset << " " << precision;
        EXPECT_NE(out, first);
      }
  EXPECT_EQ(threads_of_this_process(), 1);
  base::parallel_for(4, 1, [](std::int64_t, std::int64_t) {});
  EXPECT_EQ(threads_of_this_process(), 4) << "threads are not seen";
}

TEST(Library, DrawsWithoutAllocating) {
  train::Model model = untrained_model("lsgan-r1r2");
  give_random_weights(model);
  const TemporaryFolder folder;
  train::save_model(folder / "m.safetensors", model);
  gan_model* opened = nullptr;
  ASSERT_EQ(gan_open((folder / "m.safetensors").c_str(), &opened), GAN_OK) << gan_error();
  std::vector<float> out(5 * 784);
  const float condition[] = {1, 2, 3, 4, 5};
  gan_request request = {};
  request.condition = condition;
  const auto draw = [&](std::int64_t number) {
    const long before = allocations;
    request.count = number % 2 == 0 ? 1 : 5;
    request.first = number;
    EXPECT_EQ(gan_sample(opened, &request, out.data(), out.size()), GAN_OK) << gan_error();
    return allocations - before;
  };
  EXPECT_GT(draw(0) + draw(1), 0) << "the counter does not count";
  // oneDNN's products of several rows allocate their arguments; a single sample needs none of them.
  for (std::int64_t number = 2; number < 50; number += 2) ASSERT_EQ(draw(number), 0) << number;
  gan_close(opened);
}

}  // namespace
}  // namespace gan::test
