# Everything the build takes from outside, as one target `gan_dependencies`. What is missing is collected and reported at
# once, by the names of Debian's packages.

set(missing_packages "")

# gan_require(<found> <Debian packages...>): notes the packages unless <found> is true.
macro(gan_require found)
  if(NOT ${found})
    list(APPEND missing_packages ${ARGN})
  endif()
endmacro()

# Headers alone, for a library less is a millisecond less at every start: two files include toml++, and
# runtime/cpu/simd_targets.cpp has what libhwy would give.
find_path(TOMLPLUSPLUS_INCLUDE_DIR toml++/toml.h)
gan_require(TOMLPLUSPLUS_INCLUDE_DIR libtomlplusplus-dev)
find_path(HWY_INCLUDE_DIR hwy/highway.h)
gan_require(HWY_INCLUDE_DIR libhwy-dev)

find_package(OpenMP QUIET COMPONENTS CXX)
gan_require(OpenMP_CXX_FOUND g++)
# Debian's dnnl-config.cmake asks for OpenCL's headers, which a CPU does not need: look for the library itself.
find_path(DNNL_INCLUDE_DIR dnnl.hpp)
find_library(DNNL_LIBRARY dnnl)
gan_require(DNNL_INCLUDE_DIR libdnnl-dev)
gan_require(DNNL_LIBRARY libdnnl-dev)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
  find_path(XBYAK_INCLUDE_DIR xbyak/xbyak.h)
  gan_require(XBYAK_INCLUDE_DIR libxbyak-dev)
endif()
find_package(Eigen3 QUIET CONFIG)
gan_require(Eigen3_FOUND libeigen3-dev)
find_path(FMT_INCLUDE_DIR fmt/format-inl.h)  # headers alone: base/fmt.cpp has what the library would give
gan_require(FMT_INCLUDE_DIR libfmt-dev)
find_package(nlohmann_json QUIET CONFIG)
gan_require(nlohmann_json_FOUND nlohmann-json3-dev)
find_package(ZLIB QUIET)
gan_require(ZLIB_FOUND zlib1g-dev)
find_package(PNG QUIET)
gan_require(PNG_FOUND libpng-dev)
# Their archives, for the same millisecond, where Debian's packages have them; else the shared libraries.
find_path(JPEG_INCLUDE_DIR jpeglib.h)
find_library(JPEG_LIBRARY NAMES libjpeg.a jpeg)
gan_require(JPEG_INCLUDE_DIR libjpeg-dev)
gan_require(JPEG_LIBRARY libjpeg-dev)
find_path(WEBP_INCLUDE_DIR webp/decode.h)
find_library(WEBP_LIBRARY NAMES libwebp.a webp)
gan_require(WEBP_INCLUDE_DIR libwebp-dev)
gan_require(WEBP_LIBRARY libwebp-dev)
find_library(SHARPYUV_LIBRARY NAMES libsharpyuv.a sharpyuv)  # a part of libwebp since 1.3
# Its headers alone: data/glyphs.cpp loads the library when it draws characters.
find_path(FREETYPE_INCLUDE_DIR ft2build.h PATH_SUFFIXES freetype2)
gan_require(FREETYPE_INCLUDE_DIR libfreetype-dev)
find_package(CLI11 QUIET CONFIG)
gan_require(CLI11_FOUND libcli11-dev)
# Beast's headers alone: a shared HTTP library would come with ones of encryption, milliseconds at every start.
find_path(BOOST_INCLUDE_DIR boost/beast/http.hpp)
gan_require(BOOST_INCLUDE_DIR libboost-dev)
# The plots of `gan report`: a JavaScript file that becomes part of the program.
find_file(CHART_JS chart.min.js PATHS /usr/share/javascript /usr/share/nodejs PATH_SUFFIXES chart.js chart.js/dist)
gan_require(CHART_JS libjs-chart.js)
if(GAN_TESTS)
  find_package(GTest QUIET CONFIG)
  gan_require(GTest_FOUND libgtest-dev)
endif()

# CUDA's headers alone: its libraries are opened at run time, and the kernels are compiled there, without nvcc.
if(GAN_CUDA)
  find_path(CUDA_INCLUDE_DIR nvrtc.h HINTS ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES include)
  set(cuda_version 0)
  if(CUDA_INCLUDE_DIR AND EXISTS "${CUDA_INCLUDE_DIR}/cuda.h" AND EXISTS "${CUDA_INCLUDE_DIR}/cublasLt.h")
    file(STRINGS "${CUDA_INCLUDE_DIR}/cuda.h" cuda_version REGEX "define CUDA_VERSION ")
    string(REGEX REPLACE ".*CUDA_VERSION +([0-9]+).*" "\\1" cuda_version "${cuda_version}")
  endif()
  if(cuda_version LESS 12000)
    if(NOT GAN_CUDA STREQUAL "AUTO")
      message(FATAL_ERROR " GAN_CUDA=${GAN_CUDA} needs the headers of CUDA 12 or 13 (cuda.h, nvrtc.h, cublasLt.h); "
        "-DCUDA_INCLUDE_DIR=... says where they are")
    endif()
    set(CUDA_INCLUDE_DIR "")
  endif()
  if(CUDA_INCLUDE_DIR)
    message(STATUS "CUDA's headers: ${CUDA_INCLUDE_DIR}")
  else()
    message(STATUS "CUDA's headers are not there: built without a backend for GPUs")
  endif()
  if(CUDA_INCLUDE_DIR AND NOT CUDA_INCLUDE_DIR IN_LIST CMAKE_CXX_IMPLICIT_INCLUDE_DIRECTORIES)
    set(CUDA_OPTIONS -isystem "${CUDA_INCLUDE_DIR}")
  endif()
  # NCCL's header, for several ranks. It includes more of CUDA's headers than the backend needs.
  if(CUDA_INCLUDE_DIR AND EXISTS "${CUDA_INCLUDE_DIR}/cuda_runtime.h")
    find_path(NCCL_INCLUDE_DIR nccl.h HINTS "${CUDA_INCLUDE_DIR}")
  endif()
  if(CUDA_INCLUDE_DIR AND NCCL_INCLUDE_DIR)
    list(APPEND CUDA_OPTIONS -DGAN_NCCL)
    if(NOT NCCL_INCLUDE_DIR IN_LIST CMAKE_CXX_IMPLICIT_INCLUDE_DIRECTORIES
        AND NOT NCCL_INCLUDE_DIR STREQUAL CUDA_INCLUDE_DIR)
      list(APPEND CUDA_OPTIONS -isystem "${NCCL_INCLUDE_DIR}")
    endif()
  elseif(CUDA_INCLUDE_DIR)
    message(STATUS "NCCL's header is not there: several ranks cannot train on GPUs")
  endif()
  # CUPTI, which bench/gpu_timeline.cpp reads the GPU's own times with.
  if(CUDA_INCLUDE_DIR)
    find_path(CUPTI_INCLUDE_DIR cupti.h HINTS "${CUDA_INCLUDE_DIR}" "${CUDA_INCLUDE_DIR}/../extras/CUPTI/include")
    find_library(CUPTI_LIBRARY cupti HINTS "${CUDA_INCLUDE_DIR}/.." "${CUDA_INCLUDE_DIR}/../extras/CUPTI"
      PATH_SUFFIXES lib64 lib)
  endif()
else()
  set(CUDA_INCLUDE_DIR "")
endif()

# For libgan_mpi.so alone, which the program opens when it runs in several processes.
set(MPI_CXX_SKIP_MPICXX ON)
if(NOT GAN_MPI STREQUAL OFF)
  find_package(MPI QUIET COMPONENTS CXX)
  if(GAN_MPI STREQUAL ON)
    gan_require(MPI_CXX_FOUND libopenmpi-dev)
  endif()
endif()

if(missing_packages)
  list(REMOVE_DUPLICATES missing_packages)
  list(JOIN missing_packages " " missing_packages)
  # The space in front keeps CMake from breaking the line, here and below.
  message(FATAL_ERROR " Debian packages are missing: run scripts/deps.sh as root, or: apt-get install ${missing_packages}")
endif()

# Between major versions oneDNN's interface changes; src/runtime/cpu/dnnl/version.h knows those of 2 and 3.
set(version_header "${DNNL_INCLUDE_DIR}/oneapi/dnnl/dnnl_version.h")
set(dnnl_version "before 2")  # these have no such header
if(EXISTS "${version_header}")
  file(STRINGS "${version_header}" dnnl_version REGEX "define DNNL_VERSION_(MAJOR|MINOR) ")
  string(REGEX REPLACE ".*MAJOR +([0-9]+).*MINOR +([0-9]+).*" "\\1.\\2" dnnl_version "${dnnl_version}")
endif()
if(NOT dnnl_version VERSION_GREATER_EQUAL 2.6 OR dnnl_version VERSION_GREATER_EQUAL 4)
  message(FATAL_ERROR " oneDNN ${dnnl_version} in ${DNNL_INCLUDE_DIR} cannot be used, 2.6 to 3.x can: apt-get install "
    "libdnnl-dev, or name another one by -DDNNL_INCLUDE_DIR=... -DDNNL_LIBRARY=...")
endif()

# CLI11 (target CLI11::CLI11) is not here: only programs link it.
add_library(gan_dependencies INTERFACE)
set(picture_libraries ${JPEG_LIBRARY} ${WEBP_LIBRARY})
if(SHARPYUV_LIBRARY)
  list(APPEND picture_libraries ${SHARPYUV_LIBRARY})
endif()
target_link_libraries(gan_dependencies INTERFACE
  ${DNNL_LIBRARY} nlohmann_json::nlohmann_json PNG::PNG ZLIB::ZLIB ${picture_libraries}
  Eigen3::Eigen OpenMP::OpenMP_CXX ${CMAKE_DL_LIBS})
target_include_directories(gan_dependencies SYSTEM INTERFACE
  ${DNNL_INCLUDE_DIR} ${HWY_INCLUDE_DIR} ${FMT_INCLUDE_DIR} ${TOMLPLUSPLUS_INCLUDE_DIR} ${JPEG_INCLUDE_DIR} ${WEBP_INCLUDE_DIR}
  ${FREETYPE_INCLUDE_DIR})
