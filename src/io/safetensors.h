#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "base/file.h"
#include "runtime/array.h"

namespace gan::io {

/// The content of a safetensors file: https://github.com/huggingface/safetensors#format
struct Safetensors {
  std::map<std::string, std::string> metadata;
  runtime::State tensors;  ///< f32, bf16 and i32
};

/// A tensor to write; the caller owns the array.
struct NamedArray {
  std::string name;
  const runtime::Array* array = nullptr;
};

/// Writes a safetensors file atomically (see base::AtomicFile). Equal contents give equal bytes, whatever the order of
/// `tensors`. Throws a usage error on a name that occurs twice, is "__metadata__" or is not UTF-8, and a data error if
/// the file cannot be written.
void write_safetensors(const std::string& path, const std::map<std::string, std::string>& metadata,
                       std::span<const NamedArray> tensors);

/// Reads a safetensors file of F32, BF16 and I32 tensors. The header is checked against the file's size before anything
/// is allocated, then each tensor is read straight into its array. Throws a data error naming file and tensor for every
/// file that violates the format: cut short, too long, with wrong, overlapping or gapped offsets, with another dtype.
/// Tensors whose names begin with `leave_out`, if that is not empty, are checked in the header alone and skipped.
Safetensors read_safetensors(base::InputFile& file, std::string_view leave_out = "");
Safetensors read_safetensors(const std::string& path, std::string_view leave_out = "");

/// Reads only the metadata of a safetensors file. Throws as read_safetensors does for a header that violates the
/// format.
std::map<std::string, std::string> read_metadata(const std::string& path);

/// Throws a data error that names the tensor and its first NaN or infinite element, if there is one.
void require_finite(const std::string& name, const runtime::Array& array);

}  // namespace gan::io
