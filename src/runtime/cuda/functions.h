#pragma once

#include <cublasLt.h>
#include <cuda.h>
#include <nvrtc.h>
#ifdef GAN_NCCL
#include <nccl.h>
#endif

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#undef cuStreamUpdateCaptureDependencies  // a macro for a later version

namespace gan::runtime::cuda {

// The functions of the driver, NVRTC and cuBLASLt that this backend calls. cuda.h defines some of the names as macros
// for versioned ones (cuMemAlloc is cuMemAlloc_v2), which apply to the members and to the symbols alike.
#define GAN_CUDA_DRIVER_FUNCTIONS(X) \
  X(cuInit)                          \
  X(cuDriverGetVersion)              \
  X(cuDeviceGetCount)                \
  X(cuDeviceGet)                     \
  X(cuDeviceGetName)                 \
  X(cuDeviceGetAttribute)            \
  X(cuDevicePrimaryCtxRetain)        \
  X(cuCtxSetCurrent)                 \
  X(cuGetErrorName)                  \
  X(cuGetErrorString)                \
  X(cuMemGetInfo)                    \
  X(cuMemAlloc)                      \
  X(cuMemFree)                       \
  X(cuMemAllocHost)                  \
  X(cuMemcpyHtoDAsync)               \
  X(cuMemcpyDtoHAsync)               \
  X(cuMemcpyDtoDAsync)               \
  X(cuMemsetD8Async)                 \
  X(cuStreamCreate)                  \
  X(cuStreamSynchronize)             \
  X(cuStreamQuery)                   \
  X(cuStreamWaitEvent)               \
  X(cuStreamBeginCapture)            \
  X(cuStreamEndCapture)              \
  X(cuGraphInstantiateWithFlags)     \
  X(cuGraphLaunch)                   \
  X(cuGraphExecDestroy)              \
  X(cuGraphDestroy)                  \
  X(cuModuleLoadData)                \
  X(cuModuleGetFunction)             \
  X(cuLaunchKernel)                  \
  X(cuEventCreate)                   \
  X(cuEventDestroy)                  \
  X(cuEventRecord)                   \
  X(cuEventSynchronize)              \
  X(cuEventQuery)                    \
  X(cuEventElapsedTime)
#define GAN_CUDA_NVRTC_FUNCTIONS(X) \
  X(nvrtcVersion)                   \
  X(nvrtcGetErrorString)            \
  X(nvrtcGetNumSupportedArchs)      \
  X(nvrtcGetSupportedArchs)         \
  X(nvrtcCreateProgram)             \
  X(nvrtcDestroyProgram)            \
  X(nvrtcCompileProgram)            \
  X(nvrtcGetProgramLogSize)         \
  X(nvrtcGetProgramLog)             \
  X(nvrtcGetCUBINSize)              \
  X(nvrtcGetCUBIN)                  \
  X(nvrtcGetPTXSize)                \
  X(nvrtcGetPTX)
#define GAN_CUDA_BLAS_FUNCTIONS(X)        \
  X(cublasLtGetVersion)                   \
  X(cublasLtCreate)                       \
  X(cublasLtMatmulDescCreate)             \
  X(cublasLtMatmulDescDestroy)            \
  X(cublasLtMatmulDescSetAttribute)       \
  X(cublasLtMatrixLayoutCreate)           \
  X(cublasLtMatrixLayoutDestroy)          \
  X(cublasLtMatmulPreferenceCreate)       \
  X(cublasLtMatmulPreferenceDestroy)      \
  X(cublasLtMatmulPreferenceSetAttribute) \
  X(cublasLtMatmulAlgoGetHeuristic)       \
  X(cublasLtMatmul)
#ifdef GAN_NCCL
#define GAN_CUDA_NCCL_FUNCTIONS(X) \
  X(ncclGetUniqueId)               \
  X(ncclCommInitRank)              \
  X(ncclCommAbort)                 \
  X(ncclCommGetAsyncError)         \
  X(ncclGetErrorString)            \
  X(ncclGetLastError)              \
  X(ncclAllReduce)
#else
#define GAN_CUDA_NCCL_FUNCTIONS(X)
#endif

#define GAN_CUDA_MEMBER(name) decltype(&::name) name = nullptr;

struct NcclFunctions {
  GAN_CUDA_NCCL_FUNCTIONS(GAN_CUDA_MEMBER)
};
/// The functions of NCCL. Throws a run error if this library is missing or the program was built without its header.
NcclFunctions open_nccl(const char* library);
/// Those of the installed NCCL, opened at the first call. Throws as open_nccl does.
const NcclFunctions& load_nccl();

/// The table of these functions: those of the installed libraries, or a test's.
struct Functions {
  /// These two by the versions of CUDA 11.3, which later headers no longer declare. Null if the driver lacks them.
  CUresult (*cuStreamGetCaptureInfo_v2)(CUstream, CUstreamCaptureStatus*, cuuint64_t*, CUgraph*, const CUgraphNode**,
                                        std::size_t*) = nullptr;
  CUresult (*cuStreamUpdateCaptureDependencies)(CUstream, CUgraphNode*, std::size_t, unsigned) = nullptr;
  GAN_CUDA_DRIVER_FUNCTIONS(GAN_CUDA_MEMBER)
  GAN_CUDA_NVRTC_FUNCTIONS(GAN_CUDA_MEMBER)
  GAN_CUDA_BLAS_FUNCTIONS(GAN_CUDA_MEMBER)
  /// Called by several ranks alone.
  const NcclFunctions& (*nccl)() = load_nccl;
};
#undef GAN_CUDA_MEMBER

/// The functions of the installed libraries, by the names of CUDA 13 and 12, opened at the first call. Throws a run
/// error that names the library or function that is missing.
const Functions& load_functions();
/// Fills in those of NVRTC alone, which needs no GPU; `driver` is the driver's version, 0 without one. Throws a run
/// error if it is missing.
void load_nvrtc(Functions& functions, int driver = 0);

/// Throws a run error with the name and the driver's text of the error unless the call of `what` succeeded.
void check(const Functions& functions, CUresult result, const char* what);
/// The same for cuBLASLt.
void check(cublasStatus_t status, const char* what);

/// What NVRTC makes of a source.
struct Binary {
  std::string image;  ///< for cuModuleLoadData: machine code, or PTX for architectures that NVRTC does not know
  std::string log;    ///< its warnings, and what the options make it print
};
/// The newest of NVRTC's architectures that a GPU of this compute capability can run: its own, or an older one, whose
/// PTX the driver compiles. Throws a run error if all are newer.
int newest_known(const std::vector<int>& known, int capability);

/// Compiles CUDA C++ for a compute capability, such as 75. `options`: further options of NVRTC, separated by spaces.
/// Throws a run error with the first line of its log.
Binary compile(const Functions& functions, const std::string& source, int capability, const std::string& options = "");

}  // namespace gan::runtime::cuda
