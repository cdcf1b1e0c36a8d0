#pragma once

#include <png.h>
#include <webp/encode.h>

#include <cstdint>
#include <cstdio>  // jpeglib.h needs it
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include <jpeglib.h>

// Files of pictures, made by the libraries of their formats.
namespace gan::test {

using Bytes = std::vector<std::uint8_t>;

/// A picture [height, width, channels] in which neighbouring values differ.
inline Bytes varied(int height, int width, int channels) {
  Bytes bytes;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < channels; ++c)
        bytes.push_back(static_cast<std::uint8_t>(x * 37 + y * 91 + c * 50 + ((x + y) % 3 == 0 ? 255 : 0)));
  return bytes;
}

struct PngForm {
  int color_type = PNG_COLOR_TYPE_GRAY, depth = 8;
  bool interlaced = false;
  std::vector<png_color> palette = {};
  Bytes palette_alpha = {};
  int clear_grey = -1;  ///< this grey is transparent; -1: none is
  std::string exif = {};
};

/// A PNG file of these rows, `row_bytes` bytes each.
inline std::string png_file(int height, int width, Bytes rows, PngForm form = {}) {
  std::string out;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &out,
      [](png_structp p, png_bytep data, std::size_t bytes) {
        static_cast<std::string*>(png_get_io_ptr(p))->append(reinterpret_cast<const char*>(data), bytes);
      },
      nullptr);
  png_set_IHDR(png, info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height), form.depth,
               form.color_type, form.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (!form.palette.empty()) png_set_PLTE(png, info, form.palette.data(), static_cast<int>(form.palette.size()));
  png_color_16 clear{};
  clear.gray = static_cast<png_uint_16>(form.clear_grey);
  if (!form.palette_alpha.empty())
    png_set_tRNS(png, info, form.palette_alpha.data(), static_cast<int>(form.palette_alpha.size()), nullptr);
  if (form.clear_grey >= 0) png_set_tRNS(png, info, nullptr, 0, &clear);
  if (!form.exif.empty())
    png_set_eXIf_1(png, info, static_cast<png_uint_32>(form.exif.size()),
                   reinterpret_cast<png_bytep>(form.exif.data()));
  std::vector<png_bytep> pointers;
  for (int y = 0; y < height; ++y)
    pointers.push_back(rows.data() + static_cast<std::size_t>(y) * (rows.size() / static_cast<std::size_t>(height)));
  png_write_info(png, info);
  png_write_image(png, pointers.data());
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return out;
}

/// A PNG file of `channels` channels of bytes.
inline std::string png_of(int height, int width, int channels, const Bytes& pixels) {
  constexpr int kTypes[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB,
                            PNG_COLOR_TYPE_RGB_ALPHA};
  PngForm form;
  form.color_type = kTypes[channels - 1];
  return png_file(height, width, pixels, form);
}
inline std::string png_of(int height, int width, int channels) {
  return png_of(height, width, channels, varied(height, width, channels));
}

/// EXIF data of an orientation, in either byte order.
inline std::string exif_of(int orientation, bool little = true) {
  std::string out = little ? std::string("II*\0\x08\0\0\0", 8) : std::string("MM\0*\0\0\0\x08", 8);
  const auto number = [&](unsigned value, int bytes) {
    for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> 8 * (little ? i : bytes - 1 - i));
  };
  number(1, 2), number(0x0112, 2), number(3, 2), number(1, 4);
  number(static_cast<unsigned>(orientation), 2), number(0, 2), number(0, 4);
  return out;
}

struct JpegForm {
  J_COLOR_SPACE from = JCS_GRAYSCALE, stored = JCS_GRAYSCALE;
  int quality = 100;
  bool progressive = false;
  std::string exif = {};
};

/// A JPEG file of these pixels, 1, 3 or 4 channels as the form says.
inline std::string jpeg_file(int height, int width, Bytes pixels, const JpegForm& form) {
  jpeg_compress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &bytes, &size);
  jpeg.image_height = static_cast<JDIMENSION>(height);
  jpeg.image_width = static_cast<JDIMENSION>(width);
  jpeg.in_color_space = form.from;
  jpeg.input_components = form.from == JCS_GRAYSCALE ? 1 : form.from == JCS_RGB ? 3 : 4;
  jpeg_set_defaults(&jpeg);
  jpeg_set_colorspace(&jpeg, form.stored);
  jpeg_set_quality(&jpeg, form.quality, TRUE);
  for (int c = 0; c < jpeg.num_components; ++c) jpeg.comp_info[c].h_samp_factor = jpeg.comp_info[c].v_samp_factor = 1;
  if (form.progressive) jpeg_simple_progression(&jpeg);
  jpeg_start_compress(&jpeg, TRUE);
  const std::string exif = std::string("Exif\0\0", 6) + form.exif;
  if (!form.exif.empty())
    jpeg_write_marker(&jpeg, JPEG_APP0 + 1, reinterpret_cast<const JOCTET*>(exif.data()),
                      static_cast<unsigned>(exif.size()));
  while (jpeg.next_scanline < jpeg.image_height) {
    JSAMPROW row =
        pixels.data() + static_cast<std::size_t>(jpeg.next_scanline) * pixels.size() / static_cast<std::size_t>(height);
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  std::string out(reinterpret_cast<const char*>(bytes), size);
  std::free(bytes);
  return out;
}

/// A WebP file of RGB or RGBA pixels; quality below 0 is lossless.
inline std::string webp_file(int height, int width, int channels, const Bytes& pixels, float quality = -1) {
  std::uint8_t* bytes = nullptr;
  const int stride = width * channels;
  const std::size_t size = channels == 3
                               ? (quality < 0 ? WebPEncodeLosslessRGB(pixels.data(), width, height, stride, &bytes)
                                              : WebPEncodeRGB(pixels.data(), width, height, stride, quality, &bytes))
                               : (quality < 0 ? WebPEncodeLosslessRGBA(pixels.data(), width, height, stride, &bytes)
                                              : WebPEncodeRGBA(pixels.data(), width, height, stride, quality, &bytes));
  if (size == 0) throw std::runtime_error("WebP");
  std::string out(reinterpret_cast<const char*>(bytes), size);
  WebPFree(bytes);
  return out;
}

}  // namespace gan::test
