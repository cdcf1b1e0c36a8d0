#pragma once

#include <span>
#include <string>

#include "runtime/array.h"

namespace gan::io {

/// Writes numpy's .npy format (version 1.0, little-endian f32, C order) atomically. Throws a usage error if the number
/// of values does not fit the shape, a data error if the file cannot be written.
void write_npy(const std::string& path, const graph::Shape& shape, std::span<const float> values);

/// Reads a .npy file of f32 or f64 into an f32 array of the same shape; f64 is rounded. Throws a data error that says
/// what was found if the file holds another type, is big-endian or in Fortran order, is damaged, cut short or too long.
runtime::Array read_npy_f32(const std::string& path);

/// Reads a .npy file of any integer type (i1 to i8, u1 to u8) into an i32 array of the same shape. Throws a data error
/// as read_npy_f32 does, and if a value does not fit into 32 bits.
runtime::Array read_npy_i32(const std::string& path);

}  // namespace gan::io
