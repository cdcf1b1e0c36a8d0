// What generated CUDA C++ needs to be compiled as C++ for the host: kernels run block after block, each phase as a loop
// over the threads of the block. Loads and stores check that they stay inside the tensor that the kernel declares, are
// aligned, and read only what was written. Included in front of the source by the stand-in's compiler.
#pragma once

#include <math.h>
#include <stddef.h>
#include <string.h>

#include <utility>

#define GAN_HOST
#define DEVICE static inline
#define KERNEL(threads) static void
#define IN(T, count, name) Global<const T, count> name
#define SAME(T, count, name) Global<const T, count> name
#define OUT(T, count, name) Global<T, count> name
#define SHARED static
#define PHASE               \
  for (unsigned number = 0; \
       number < block_threads && (threadIdx.x = backwards ? block_threads - 1 - number : number, true); ++number)
#define THREADS PHASE
#define UNROLL
#define EXPORT(kernel)                                                                                         \
  extern "C" void run_##kernel(void** arguments, unsigned x, unsigned y, unsigned threads, bool from_behind) { \
    run_blocks(kernel, arguments, x, y, threads, from_behind);                                                 \
  }                                                                                                            \
  extern "C" unsigned count_##kernel() { return count_of(kernel); }

struct Index {
  unsigned x, y, z;
};
static Index threadIdx, blockIdx;
static unsigned block_threads;
static bool backwards;

// The memory of the stand-in: which of its units of two bytes were written, and what to do about an error.
struct HostChecks {
  const char* memory;
  size_t bytes;
  unsigned char* written;
  void (*fail)(const char* reason, long long index, long long count);
};
extern "C" HostChecks host_checks;
HostChecks host_checks;

// A tensor of `count` elements.
template <typename T, long long count>
struct Global {
  T* at;
};

// Checks an access to `width` elements of `size` bytes from element i of a tensor on. Returns its place in `written`.
// Not a template and not inline: kernels are compiled faster so.
__attribute__((noinline)) static unsigned char* checked(const void* tensor, long long i, long long count, int width,
                                                        int size) {
  const char* const place = static_cast<const char*>(tensor) + i * size;
  if (i < 0 || i + width > count) host_checks.fail("an element outside of its tensor", i, count);
  const size_t offset = static_cast<size_t>(place - host_checks.memory), bytes = static_cast<size_t>(width * size);
  if (offset + bytes > host_checks.bytes) host_checks.fail("an address outside of the device's memory", i, count);
  if (reinterpret_cast<size_t>(place) % bytes != 0) host_checks.fail("an address that is not aligned", i, count);
  return host_checks.written + offset / 2;
}
__attribute__((noinline)) static void check_read(const void* tensor, long long i, long long count, int width,
                                                 int size) {
  const unsigned char* const written = checked(tensor, i, count, width, size);
  for (int unit = 0; unit < width * size / 2; ++unit)
    if (!written[unit]) host_checks.fail("an element that nobody wrote", i, count);
}
__attribute__((noinline)) static void check_write(const void* tensor, long long i, long long count, int width,
                                                  int size) {
  memset(checked(tensor, i, count, width, size), 1, static_cast<size_t>(width * size / 2));
}

template <typename V, typename T, long long count>
static inline V fetch(Global<T, count> tensor, long long i) {
  check_read(tensor.at, i, count, sizeof(V) / sizeof(T), sizeof(T));
  V value;
  memcpy(&value, tensor.at + i, sizeof(V));
  return value;
}

template <typename V, typename T, long long count>
static inline void store(Global<T, count> tensor, long long i, V value) {
  check_write(tensor.at, i, count, sizeof(V) / sizeof(T), sizeof(T));
  memcpy(tensor.at + i, &value, sizeof(V));
}

// What a thread keeps from phase to phase.
template <typename T, int count>
struct PerThread {
  T values[256][count];
  T& operator[](int i) { return values[threadIdx.x][i]; }
};

static inline float float_of(unsigned bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}
static inline unsigned bits_of(float value) {
  unsigned bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}
static inline float multiply_add(float a, float b, float c) { return a * b + c; }

template <typename... Arguments>
static constexpr unsigned count_of(void (*)(Arguments...)) {
  return sizeof...(Arguments);
}

template <typename... Arguments, size_t... numbers>
static void run_block(void (*kernel)(Arguments...), void** arguments, std::index_sequence<numbers...>) {
  kernel(*static_cast<Arguments*>(arguments[numbers])...);
}

template <typename... Arguments>
static void run_blocks(void (*kernel)(Arguments...), void** arguments, unsigned x, unsigned y, unsigned threads,
                       bool from_behind) {
  block_threads = threads;
  backwards = from_behind;
  for (unsigned block = 0; block < x * y; ++block) {
    const unsigned number = from_behind ? x * y - 1 - block : block;
    blockIdx = {number % x, number / x, 0};
    run_block(kernel, arguments, std::index_sequence_for<Arguments...>());
  }
}
