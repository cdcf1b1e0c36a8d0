#include "runtime/cuda/source.h"

namespace gan::runtime::cuda {

// Kernels are written so that they also compile as C++ for the host, where tests run them. A kernel consists of phases:
// what threads do between two barriers. On the host a phase is a loop over the threads of a block, so what lives longer
// than a phase is shared, the same for all threads, or a PerThread. Pointers are declared by IN and OUT with the number
// of their elements, which the host checks at each load and store.
std::string_view prelude() {
  return R"(
#ifndef GAN_HOST
#define DEVICE static __device__ __forceinline__
#define KERNEL(threads) extern "C" __global__ void __launch_bounds__(threads)
#define EXPORT(kernel)
#define IN(T, count, name) const T* __restrict__ name
#define SAME(T, count, name) const T* name
#define OUT(T, count, name) T* name
#define SHARED __shared__
#define THREADS for (bool once = true; once; once = false)
#define PHASE for (bool once = true; once; once = false, __syncthreads())
#define UNROLL _Pragma("unroll")
template <typename T, int count>
struct PerThread {
  T values[count];
  __device__ __forceinline__ T& operator[](int i) { return values[i]; }
};
DEVICE float float_of(unsigned bits) { return __uint_as_float(bits); }
DEVICE unsigned bits_of(float value) { return __float_as_uint(value); }
DEVICE float multiply_add(float a, float b, float c) { return __fmaf_rn(a, b, c); }
// A value of type V, one element or Four of them, from element i of a tensor on.
template <typename V, typename T>
DEVICE V fetch(const T* at, long long i) { return *reinterpret_cast<const V*>(at + i); }
template <typename V, typename T>
DEVICE void store(T* at, long long i, V value) { *reinterpret_cast<V*>(at + i) = value; }
#endif

struct bf16 {
  unsigned short bits;
};
// Elements that a thread moves at once: 8 bytes of bf16, 16 of other types.
template <typename T>
struct alignas(4 * sizeof(T)) Four {
  T values[4];
};

DEVICE float widened(bf16 value) { return float_of((unsigned)value.bits << 16); }
DEVICE float widened(float value) { return value; }
DEVICE float widened(int value) { return (float)value; }
// To nearest even; a NaN stays one and denormal numbers become zero.
DEVICE bf16 rounded(float value) {
  const unsigned bits = bits_of(value), high = bits >> 16, magnitude = bits & 0x7FFFFFFFu;
  const unsigned nearest = (bits + 0x7FFFu + (high & 1u)) >> 16;
  const unsigned chosen = magnitude > 0x7F800000u ? high | 0x40u : magnitude >= 0x00800000u ? nearest : high & 0x8000u;
  return {(unsigned short)chosen};
}
DEVICE void assign(float& to, float value) { to = value; }
DEVICE void assign(bf16& to, float value) { to = rounded(value); }
DEVICE void assign(int& to, float value) { to = (int)value; }

// Adds a b^T of a tile a [16, pitch] and a tile b [8, pitch], 16 of depth, by one mma.sync of a warp. Each thread holds
// four sums, as PTX lays out m16n8k16: at (row, column), (row, column + 1), and eight rows below.
template <int pitch>
DEVICE void multiply_tile(const bf16* a, const bf16* b, float* sums) {
  const int row = threadIdx.x % 32 / 4, column = threadIdx.x % 4 * 2;
#if defined(GAN_HOST) || __CUDA_ARCH__ < 800
  for (int i = 0; i < 4; ++i)
    for (int k = 0; k < 16; ++k)
      sums[i] = multiply_add(widened(a[(row + i / 2 * 8) * pitch + k]), widened(b[(column + i % 2) * pitch + k]), sums[i]);
#else
  const unsigned *x = (const unsigned*)(a + row * pitch + column), *y = (const unsigned*)(b + row * pitch + column);
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(x[0]), "r"(x[4 * pitch]), "r"(x[4]), "r"(x[4 * pitch + 4]), "r"(y[0]), "r"(y[4]));
#endif
}

// base::philox: four words from the key, the number of the block, the step and the stream.
struct Words {
  unsigned x[4];
};
DEVICE Words philox(unsigned key0, unsigned key1, unsigned long long block, unsigned step, unsigned stream) {
  Words c = {{(unsigned)block, (unsigned)(block >> 32), step, stream}};
  for (int round = 0; round < 10; ++round) {
    const unsigned long long left = 0xD2511F53ull * c.x[0], right = 0xCD9E8D57ull * c.x[2];
    c = {{(unsigned)(right >> 32) ^ c.x[1] ^ key0, (unsigned)right, (unsigned)(left >> 32) ^ c.x[3] ^ key1,
          (unsigned)left}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return c;
}
DEVICE float uniform(unsigned word) { return (float)(word >> 8) * (1.0f / 16777216.0f); }

// The polynomials of the processor's kernel (Cephes), in its order of operations.
DEVICE float logarithm(float x) {
  const int bits = (int)bits_of(x), exponent = (bits - 0x3F3504F3) >> 23;
  const float f = float_of((unsigned)(bits - exponent * (1 << 23))) - 1.0f, square = f * f, e = (float)exponent;
  const float coefficients[] = {7.0376836292e-2f,  -1.1514610310e-1f, 1.1676998740e-1f,
                                -1.2420140846e-1f, 1.4249322787e-1f,  -1.6668057665e-1f,
                                2.0000714765e-1f,  -2.4999993993e-1f, 3.3333331174e-1f};
  float y = 0;
  UNROLL
  for (int i = 0; i < 9; ++i) y = y * f + coefficients[i];
  y = (f * square) * y - 0.5f * square;
  y = y + e * -2.12194440e-4f;
  return (f + y) + e * 0.693359375f;
}
// Two words to two normal values (Box and Muller).
DEVICE void normal(unsigned first, unsigned second, float& even, float& odd) {
  const float radius = sqrtf(-2.0f * logarithm(1.0f - uniform(first)));
  const unsigned turned = (second & ~0xFFu) + (1u << 29);
  const int rest = (int)((turned & ((1u << 30) - 1)) - (1u << 29));
  const float x = (float)rest * (6.28318530717958647692f / 4294967296.0f), square = x * x;
  float s = -1.9515295891e-4f;
  s = s * square + 8.3321608736e-3f;
  s = s * square + -1.6666654611e-1f;
  s = x + (x * square) * s;
  float c = 2.443315711809948e-5f;
  c = c * square + -1.388731625493765e-3f;
  c = c * square + 4.166664568298827e-2f;
  c = c * square + -0.5f;
  c = c * square + 1.0f;
  const bool swapped = (turned & (1u << 30)) != 0;
  const float cosine = swapped ? s : c, sine = swapped ? c : s;
  even = radius * float_of(bits_of(cosine) ^ ((turned + (1u << 30)) & 0x80000000u));
  odd = radius * float_of(bits_of(sine) ^ (turned & 0x80000000u));
}
)";
}

}  // namespace gan::runtime::cuda
