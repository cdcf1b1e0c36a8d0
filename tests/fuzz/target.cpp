// The program of a fuzzer: calls the door GAN_FORMAT with bytes that libFuzzer makes up.
#ifdef GAN_FORMAT
#include "fuzz/doors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  gan::fuzz::GAN_FORMAT({reinterpret_cast<const char*>(bytes), size});
  return 0;
}
#endif
