#include "runtime/cuda/functions.h"

#include <dlfcn.h>

#include <algorithm>
#include <initializer_list>
#include <sstream>
#include <vector>

#include "base/error.h"

namespace gan::runtime::cuda {

namespace {

/// Opens the first library that is there, also where NVIDIA's installer puts them without telling the linker.
void* open(const char* missing, std::initializer_list<const char*> names) {
  for (const std::string folder : {"", "/usr/local/cuda/lib64/"})
    for (const char* name : names)
      if (void* const library = ::dlopen((folder + name).c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
  base::fail_run("{} ({})", missing, *names.begin());
}

/// A library of the toolkit by the names of CUDA 13 and 12. Those of the driver's own version come first, since it
/// refuses what a newer toolkit compiles; `driver` is cuDriverGetVersion's number, 0 without a driver.
void* open_toolkit(const char* missing, const std::string& name, int driver) {
  const std::string of_13 = name + ".so.13", of_12 = name + ".so.12";
  if (driver > 0 && driver < 13000) return open(missing, {of_12.c_str(), of_13.c_str()});
  return open(missing, {of_13.c_str(), of_12.c_str()});
}

template <typename Function>
void find(void* library, const char* name, Function& function) {
  void* symbol = ::dlsym(library, name);
  // A function that an older driver has only by the name without a version.
  const std::string text = name;
  if (const auto version = text.rfind("_v"); !symbol && version != std::string::npos)
    symbol = ::dlsym(library, text.substr(0, version).c_str());
  if (!symbol) base::fail_run("the installed CUDA libraries are too old: they have no {}", name);
  function = reinterpret_cast<Function>(symbol);
}

// Two steps, so that macros of cuda.h are replaced before they become text.
#define GAN_CUDA_TEXT(name) #name
#define GAN_CUDA_FIND(name) find(library, GAN_CUDA_TEXT(name), functions.name);

Functions load() {
  Functions functions;
  {
    void* const library = open("NVIDIA's driver is missing", {"libcuda.so.1"});
    GAN_CUDA_DRIVER_FUNCTIONS(GAN_CUDA_FIND)
    const auto find_if_there = [&](const char* name, auto& function) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(::dlsym(library, name));
    };
    find_if_there("cuStreamGetCaptureInfo_v2", functions.cuStreamGetCaptureInfo_v2);
    find_if_there("cuStreamUpdateCaptureDependencies", functions.cuStreamUpdateCaptureDependencies);
  }
  int driver = 0;
  functions.cuDriverGetVersion(&driver);
  load_nvrtc(functions, driver);
  {
    void* const library = open_toolkit("cuBLASLt, a part of the CUDA toolkit, is missing", "libcublasLt", driver);
    GAN_CUDA_BLAS_FUNCTIONS(GAN_CUDA_FIND)
  }
  return functions;
}

void check(const Functions& functions, nvrtcResult result, const char* what) {
  if (result != NVRTC_SUCCESS) base::fail_run("{}: {}", what, functions.nvrtcGetErrorString(result));
}

}  // namespace

void load_nvrtc(Functions& functions, int driver) {
  void* const library = open_toolkit("NVRTC, a part of the CUDA toolkit, is missing", "libnvrtc", driver);
  GAN_CUDA_NVRTC_FUNCTIONS(GAN_CUDA_FIND)
}

NcclFunctions open_nccl([[maybe_unused]] const char* name) {
#ifdef GAN_NCCL
  NcclFunctions functions;
  void* const library = open("--device cuda: several processes need NCCL", {name});
  GAN_CUDA_NCCL_FUNCTIONS(GAN_CUDA_FIND)
  return functions;
#else
  base::fail_run("--device cuda: several processes need NCCL, and this gan was built without its header");
#endif
}

const NcclFunctions& load_nccl() {
  static const NcclFunctions functions = open_nccl("libnccl.so.2");
  return functions;
}

const Functions& load_functions() {
  static const Functions functions = load();
  return functions;
}

void check(const Functions& functions, CUresult result, const char* what) {
  if (result == CUDA_SUCCESS) return;
  const char *name = nullptr, *text = nullptr;
  functions.cuGetErrorName(result, &name);
  functions.cuGetErrorString(result, &text);
  base::fail_run("{}: {} ({})", what, text ? text : "unknown error", name ? name : std::to_string(result).c_str());
}

void check(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS) base::fail_run("{}: status {} of cuBLASLt", what, static_cast<int>(status));
}

int newest_known(const std::vector<int>& known, int capability) {
  int newest = 0;
  for (const int architecture : known)
    if (architecture <= capability) newest = std::max(newest, architecture);
  if (newest == 0)
    base::fail_run("the installed NVRTC compiles for no GPU as old as compute capability {}.{}", capability / 10,
                   capability % 10);
  return newest;
}

Binary compile(const Functions& functions, const std::string& source, int capability, const std::string& options) {
  int count = 0;
  check(functions, functions.nvrtcGetNumSupportedArchs(&count), "nvrtcGetNumSupportedArchs");
  std::vector<int> known(static_cast<std::size_t>(count));
  check(functions, functions.nvrtcGetSupportedArchs(known.data()), "nvrtcGetSupportedArchs");
  const int target = newest_known(known, capability);
  const bool native = target == capability;
  // Products and sums are rounded apart and denormal numbers are zero, as on the processor.
  std::vector<std::string> texts{
      "--gpu-architecture=" + std::string(native ? "sm_" : "compute_") + std::to_string(target), "--std=c++17",
      "--fmad=false", "--ftz=true"};
  std::istringstream further(options);
  for (std::string option; further >> option;) texts.push_back(option);
  std::vector<const char*> arguments;
  for (const std::string& text : texts) arguments.push_back(text.c_str());

  nvrtcProgram program = nullptr;
  check(functions, functions.nvrtcCreateProgram(&program, source.c_str(), "gan.cu", 0, nullptr, nullptr),
        "nvrtcCreateProgram");
  const std::shared_ptr<void> owner(program, [&](void*) { functions.nvrtcDestroyProgram(&program); });
  const nvrtcResult compiled =
      functions.nvrtcCompileProgram(program, static_cast<int>(arguments.size()), arguments.data());
  Binary binary;
  std::size_t size = 0;
  if (functions.nvrtcGetProgramLogSize(program, &size) == NVRTC_SUCCESS && size > 1) {
    binary.log.resize(size);
    functions.nvrtcGetProgramLog(program, binary.log.data());
    binary.log.resize(size - 1);  // without the final zero
  }
  if (compiled != NVRTC_SUCCESS)
    base::fail_run(
        "NVRTC does not compile the kernels of this program for sm_{}: {}", target,
        binary.log.empty() ? functions.nvrtcGetErrorString(compiled) : binary.log.substr(0, binary.log.find('\n')));
  check(functions, native ? functions.nvrtcGetCUBINSize(program, &size) : functions.nvrtcGetPTXSize(program, &size),
        "nvrtc");
  binary.image.resize(size);
  check(functions,
        native ? functions.nvrtcGetCUBIN(program, binary.image.data())
               : functions.nvrtcGetPTX(program, binary.image.data()),
        "nvrtc");
  return binary;
}

}  // namespace gan::runtime::cuda
