#include "runtime/array.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/error.h"
#include "base/huge_pages.h"
#include "base/integer.h"
#include "base/sha256.h"

namespace gan::runtime {

namespace {

constexpr std::size_t kArrayAlignment = 64;
#ifdef __SANITIZE_ADDRESS__
constexpr std::size_t kMappedBytes = SIZE_MAX;  // the sanitizer tracks malloc only
#else
constexpr std::size_t kMappedBytes = 256 << 10;  // larger blocks are mapped pages
#endif

/// Maps zeroed pages, populated at once and huge where possible: faults at the first touch of thousands of small pages
/// would dominate the run time of a short program.
std::shared_ptr<std::byte> map_pages(std::size_t bytes) {
  const std::size_t mapped =
      bytes < base::kHugePage ? bytes : bytes + base::kHugePage;  // room for alignment to huge pages
  void* const begin = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (begin == MAP_FAILED) throw std::bad_alloc();
  auto* data = static_cast<std::byte*>(begin);
  if (bytes >= base::kHugePage) {
    const auto address = reinterpret_cast<std::uintptr_t>(begin);
    data += base::round_up(address, base::kHugePage) - address;
    base::use_huge_pages(data, bytes);
  }
#ifdef MADV_POPULATE_WRITE
  madvise(data, bytes, MADV_POPULATE_WRITE);  // fails before Linux 5.14, then pages are populated by faults
#endif
  return {data, [begin, mapped](std::byte*) { munmap(begin, mapped); }};
}

class HostMemory : public Memory {
 public:
  std::shared_ptr<std::byte> allocate(std::size_t bytes) override {
    if (bytes >= kMappedBytes) return map_pages(bytes);
    const std::size_t rounded = base::round_up(std::max<std::size_t>(bytes, 1), kArrayAlignment);
    std::shared_ptr<std::byte> data(static_cast<std::byte*>(std::aligned_alloc(kArrayAlignment, rounded)), std::free);
    if (!data) throw std::bad_alloc();
    std::memset(data.get(), 0, rounded);
    return data;
  }
  void read(const std::byte* from, void* to, std::size_t bytes) override { std::memcpy(to, from, bytes); }
  void write(const void* from, std::byte* to, std::size_t bytes) override { std::memcpy(to, from, bytes); }
  bool is_host() const override { return true; }
};

template <typename T>
std::span<T> elements(const Array& array, graph::DType dtype) {
  if (!array.memory().is_host()) base::fail_run("an array of {} is in device memory", to_string(array.type()));
  if (array.type().dtype != dtype)
    base::fail_run("an array of {} was read as {}", to_string(array.type()), name_of(dtype));
  return {reinterpret_cast<T*>(array.bytes()), static_cast<std::size_t>(array.type().elements())};
}

}  // namespace

Memory& host_memory() {
  static HostMemory memory;
  return memory;
}

Array::Array(graph::Shape shape, std::span<const float> values)
    : Array(graph::TensorType{graph::DType::f32, std::move(shape)}) {
  if (static_cast<std::int64_t>(values.size()) != type_.elements())
    base::fail_usage("{} values for an array of {}", values.size(), to_string(type_));
  std::copy(values.begin(), values.end(), f32().begin());
}

std::vector<Array> allocate_together(std::span<const graph::TensorType> types) {
  std::vector<std::size_t> offsets;
  std::size_t bytes = 0;
  for (const graph::TensorType& type : types) {
    offsets.push_back(bytes);
    bytes += base::round_up(type.bytes(), kArrayAlignment);
  }
  const Buffer block(bytes);
  std::vector<Array> arrays;
  for (std::size_t i = 0; i < types.size(); ++i)
    arrays.push_back(Array(types[i], block.part(offsets[i], types[i].bytes())));
  return arrays;
}

Array Array::share() const { return {type_, bytes_.share()}; }

Array Array::in(Memory& memory) const {
  if (&memory == &bytes_.memory()) return share();
  Array out(type_, memory);
  if (memory.is_host()) {
    bytes_.memory().read(bytes(), out.bytes(), size_bytes());
  } else {
    const Array host = on_host();
    memory.write(host.bytes(), out.bytes(), size_bytes());
  }
  return out;
}

std::string hash_of(const State& state) {
  base::Sha256 hash;
  for (const auto& [name, array] : state) {
    hash.update(name.data(), name.size());
    hash.update(array.bytes(), array.size_bytes());
  }
  return hash.finish();
}

std::span<float> Array::f32() const { return elements<float>(*this, graph::DType::f32); }
std::span<std::int32_t> Array::i32() const { return elements<std::int32_t>(*this, graph::DType::i32); }
std::span<std::uint16_t> Array::bf16() const { return elements<std::uint16_t>(*this, graph::DType::bf16); }

}  // namespace gan::runtime
