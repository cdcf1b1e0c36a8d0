#include "io/picture_file.h"

#include <jerror.h>
#include <png.h>
#include <webp/decode.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstddef>
#include <cstdio>  // jpeglib.h needs it
#include <cstring>
#include <new>

#include <jpeglib.h>

#include "base/error.h"
#include "base/text.h"

namespace gan::io {

namespace {

// The input of a reader of one format, and what it has read. libpng and libjpeg report errors by longjmp, which runs no
// destructors. Functions that they may leave in this way therefore have no objects of their own and keep everything
// here. They are not inlined into the callers of setjmp, whose local variables may be lost.
struct Reading {
  std::string_view content;
  bool header_only = false;
  DecodedPicture picture = {};
  int orientation = 1;       // from EXIF, 1 to 8
  std::string problem = {};  // "": none
};

// At the highest ratio of deflate, a PNG with one bit per pixel has 8,256 pixels per byte.
constexpr std::int64_t kMostPixelsInByte = 10'000;

// Sets the size of the picture, and allocates its memory if pixels are to be read. Sets `problem` if it is too large
// for kMostPixels or for the size of the file.
void set_size(Reading& reading, std::int64_t height, std::int64_t width, std::int64_t channels,
              std::int64_t most_pixels_in_byte = kMostPixelsInByte) {
  reading.picture.height = height;
  reading.picture.width = width;
  reading.picture.channels = channels;
  if (height > kMostPixels || width > kMostPixels || height * width > kMostPixels)
    reading.problem = fmt::format("{} x {} pixels, expected at most {} in all", width, height,
                                  base::grouped(static_cast<std::uint64_t>(kMostPixels)));
  else if (height * width / most_pixels_in_byte > static_cast<std::int64_t>(reading.content.size()))
    reading.problem = fmt::format("{} x {} pixels cannot come from a file of {}", width, height,
                                  base::counted(static_cast<std::int64_t>(reading.content.size()), "byte"));
  else if (!reading.header_only)
    reading.picture.bytes =
        std::make_unique_for_overwrite<std::uint8_t[]>(static_cast<std::size_t>(height * width * channels));
}

// ---- EXIF ----

// The orientation, 1 to 8, in EXIF data: a TIFF structure (TIFF 6.0, section 2), with or without "Exif\0\0" in front.
int orientation_of(std::string_view exif) {
  constexpr std::string_view kPrefix("Exif\0\0", 6);
  constexpr std::uint32_t kOrientation = 0x0112, kShort = 3;
  constexpr std::size_t kExifEntryBytes = 12;
  if (exif.starts_with(kPrefix)) exif.remove_prefix(kPrefix.size());
  const bool little = exif.starts_with("II");
  const auto number = [&](std::size_t at, std::size_t bytes) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i) {
      const std::size_t from = at + (little ? bytes - 1 - i : i);
      value = value << 8 | (from < exif.size() ? static_cast<std::uint8_t>(exif[from]) : 0u);
    }
    return value;
  };
  if ((!little && !exif.starts_with("MM")) || number(2, 2) != 42) return 1;
  const std::size_t folder = number(4, 4), entries = number(folder, 2);
  for (std::size_t i = 0; i < entries && folder + 2 + (i + 1) * kExifEntryBytes <= exif.size(); ++i) {
    const std::size_t entry = folder + 2 + i * kExifEntryBytes;
    if (number(entry, 2) != kOrientation || number(entry + 2, 2) != kShort) continue;
    const std::uint32_t value = number(entry + 8, 2);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

// Applies an EXIF orientation to the picture: 2 to 4 flip it, 5 to 8 also swap its axes.
void orient(DecodedPicture& picture, int orientation) {
  if (orientation == 1) return;
  const bool swapped = orientation >= 5;
  const bool flip_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const bool flip_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const std::int64_t height = picture.height, width = picture.width, channels = picture.channels;
  if (swapped) std::swap(picture.height, picture.width);
  if (!picture.bytes) return;
  auto turned = std::make_unique_for_overwrite<std::uint8_t[]>(static_cast<std::size_t>(height * width * channels));
  std::uint8_t* dst = turned.get();
  for (std::int64_t y = 0; y < picture.height; ++y)
    for (std::int64_t x = 0; x < picture.width; ++x) {
      const std::int64_t row = swapped ? x : y, column = swapped ? y : x;
      const std::int64_t from = (flip_y ? height - 1 - row : row) * width + (flip_x ? width - 1 - column : column);
      dst = std::copy_n(picture.bytes.get() + from * channels, channels, dst);
    }
  picture.bytes = std::move(turned);
}

// ---- PNG ----

constexpr std::string_view kPngSignature = "\x89PNG\r\n\x1a\n";

// The content of the first undamaged chunk eXIf; "" if there is none. libpng finds a chunk after the pixels only when
// it has read them, so that the sizes by the header alone and by the whole picture could differ.
std::string_view png_exif(std::string_view content) {
  constexpr std::size_t kAround = 12;  // bytes of the length, type and checksum of a chunk
  const auto number_at = [&](std::size_t at) { return base::big_endian(content.substr(at, 4)); };
  for (std::size_t at = kPngSignature.size(); at + kAround <= content.size();) {
    const std::size_t bytes = number_at(at);
    if (bytes > content.size() - at - kAround) break;
    const std::string_view chunk = content.substr(at + 4, 4 + bytes);
    if (chunk.starts_with("IEND")) break;
    if (chunk.starts_with("eXIf") && number_at(at + 8 + bytes) == crc32(0, reinterpret_cast<const Bytef*>(chunk.data()),
                                                                        static_cast<uInt>(chunk.size())))
      return chunk.substr(4);
    at += kAround + bytes;
  }
  return "";
}

struct PngSource {
  Reading& reading;
  std::size_t position = 0;
};

void png_bytes(png_structp png, png_bytep dst, std::size_t bytes) {
  PngSource& source = *static_cast<PngSource*>(png_get_io_ptr(png));
  if (bytes > source.reading.content.size() - source.position) png_error(png, "the file is cut short");
  std::memcpy(dst, source.reading.content.data() + source.position, bytes);
  source.position += bytes;
}

[[noreturn]] void png_failed(png_structp png, png_const_charp message) {
  static_cast<PngSource*>(png_get_error_ptr(png))->reading.problem = message;
  png_longjmp(png, 1);
}

[[gnu::noinline]] void read_png_parts(png_structp png, png_infop info, PngSource& source) {
  Reading& reading = source.reading;
  png_set_read_fn(png, &source, png_bytes);
  // Text and colour profiles are not used, may be large and are often invalid. EXIF is read by png_exif.
  static constexpr png_byte kIgnoredChunks[] = "iCCP\0tEXt\0zTXt\0iTXt\0sPLT\0eXIf";
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, kIgnoredChunks, 6);
  png_read_info(png, info);
  png_set_expand(png);  // palettes, fewer than 8 bits, a transparent colour
  png_set_scale_16(png);
  const int passes = png_set_interlace_handling(png);
  png_read_update_info(png, info);
  set_size(reading, png_get_image_height(png, info), png_get_image_width(png, info), png_get_channels(png, info));
  if (!reading.problem.empty()) return;
  if (!reading.header_only) {
    const std::int64_t row = reading.picture.width * reading.picture.channels;
    for (int pass = 0; pass < passes; ++pass)
      for (std::int64_t y = 0; y < reading.picture.height; ++y)
        png_read_row(png, reading.picture.bytes.get() + y * row, nullptr);
    png_read_end(png, info);
  }
  reading.orientation = orientation_of(png_exif(reading.content));
}

void read_png(Reading& reading) {
  PngSource source{reading};
  png_structp png =
      png_create_read_struct(PNG_LIBPNG_VER_STRING, &source, png_failed, [](png_structp, png_const_charp) {});
  png_infop info = png ? png_create_info_struct(png) : nullptr;
  if (!info) {
    png_destroy_read_struct(&png, nullptr, nullptr);
    throw std::bad_alloc();
  }
  if (setjmp(png_jmpbuf(png)) == 0) read_png_parts(png, info, source);
  png_destroy_read_struct(&png, &info, nullptr);
}

// ---- JPEG ----

constexpr std::string_view kJpegSignature = "\xff\xd8\xff";

struct JpegErrors {
  jpeg_error_mgr manager;  // the first member, so that libjpeg's pointer to it also points to the struct
  std::jmp_buf back;
  std::string* problem;
};

[[noreturn]] void jpeg_failed(j_common_ptr jpeg) {
  JpegErrors& errors = *reinterpret_cast<JpegErrors*>(jpeg->err);
  char message[JMSG_LENGTH_MAX];
  errors.manager.format_message(jpeg, message);
  *errors.problem = message;
  std::longjmp(errors.back, 1);
}

// Makes an error of some warnings: for data that is damaged or cut short libjpeg only warns and fills the rest with
// grey.
void jpeg_message(j_common_ptr jpeg, int level) {
  const int code = jpeg->err->msg_code;
  if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE)) jpeg_failed(jpeg);
}

// Limits the number of scans: a small file may have very many over a large picture.
void jpeg_progress(j_common_ptr jpeg) {
  constexpr int kMostScans = 500;
  if (jpeg->is_decompressor && reinterpret_cast<j_decompress_ptr>(jpeg)->input_scan_number > kMostScans)
    ERREXIT(jpeg, JERR_BAD_PROGRESSION);
}

// Converts [H, W, 4] of inverted CMYK to [H, W, 3], in place, by Pillow's formula.
void cmyk_to_rgb(DecodedPicture& picture) {
  const std::int64_t pixels = picture.height * picture.width;
  const auto product = [](int a, int b) {  // a * b / 255, rounded
    const int scaled = a * b + 128;
    return ((scaled >> 8) + scaled) >> 8;
  };
  std::uint8_t* dst = picture.bytes.get();
  for (std::int64_t i = 0; i < pixels; ++i) {
    const std::uint8_t* src = picture.bytes.get() + 4 * i;
    const std::array<std::uint8_t, 4> cmyk = {src[0], src[1], src[2], src[3]};
    for (int c = 0; c < 3; ++c)
      *dst++ =
          static_cast<std::uint8_t>(std::max(cmyk[3] - product(255 - cmyk[static_cast<std::size_t>(c)], cmyk[3]), 0));
  }
}

[[gnu::noinline]] void read_jpeg_parts(jpeg_decompress_struct& jpeg, Reading& reading) {
  constexpr int kExif = JPEG_APP0 + 1;
  jpeg_mem_src(&jpeg, reinterpret_cast<const unsigned char*>(reading.content.data()), reading.content.size());
  jpeg_save_markers(&jpeg, kExif, 0xffff);
  jpeg_read_header(&jpeg, TRUE);
  const int channels = jpeg.num_components;
  if (channels != 1 && channels != 3 && channels != 4) {
    reading.problem = fmt::format("a JPEG of {}, expected 1, 3 or 4", base::counted(channels, "component"));
    return;
  }
  jpeg.out_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 3 ? JCS_RGB : JCS_CMYK;
  set_size(reading, jpeg.image_height, jpeg.image_width, channels);
  for (jpeg_saved_marker_ptr marker = jpeg.marker_list; marker; marker = marker->next) {
    const std::string_view data(reinterpret_cast<const char*>(marker->data), marker->data_length);
    if (data.starts_with("Exif")) reading.orientation = orientation_of(data);
  }
  if (reading.header_only || !reading.problem.empty()) return;
  jpeg_start_decompress(&jpeg);
  while (jpeg.output_scanline < jpeg.output_height) {
    JSAMPROW row = reading.picture.bytes.get() + std::int64_t{jpeg.output_scanline} * reading.picture.width * channels;
    jpeg_read_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_decompress(&jpeg);
}

void read_jpeg_as_stored(Reading& reading) {
  jpeg_decompress_struct jpeg{};
  JpegErrors errors{};
  errors.problem = &reading.problem;
  jpeg_progress_mgr progress{};
  jpeg.err = jpeg_std_error(&errors.manager);
  errors.manager.error_exit = jpeg_failed;
  errors.manager.emit_message = jpeg_message;
  progress.progress_monitor = jpeg_progress;
  if (setjmp(errors.back) == 0) {
    jpeg_create_decompress(&jpeg);
    jpeg.progress = &progress;
    read_jpeg_parts(jpeg, reading);
  }
  jpeg_destroy_decompress(&jpeg);
}

void read_jpeg(Reading& reading) {
  read_jpeg_as_stored(reading);
  if (!reading.problem.empty() || reading.picture.channels != 4) return;
  if (reading.picture.bytes) cmyk_to_rgb(reading.picture);
  reading.picture.channels = 3;
}

// ---- WebP ----

bool is_webp(std::string_view content) {
  return content.starts_with("RIFF") && content.size() >= 12 && content.substr(8, 4) == "WEBP";
}

// The content of the chunk EXIF; "" if there is none.
std::string_view webp_exif(std::string_view content) {
  for (std::size_t at = 12; at + 8 <= content.size();) {
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < 4; ++i) bytes |= std::size_t{static_cast<std::uint8_t>(content[at + 4 + i])} << 8 * i;
    if (content.substr(at, 4) == "EXIF") return content.substr(at + 8, bytes);
    at += 8 + bytes + bytes % 2;
  }
  return "";
}

void read_webp(Reading& reading) {
  const auto* src = reinterpret_cast<const std::uint8_t*>(reading.content.data());
  WebPBitstreamFeatures features{};
  if (WebPGetFeatures(src, reading.content.size(), &features) != VP8_STATUS_OK) {
    reading.problem = "a WebP picture that is damaged or cut short";
    return;
  }
  if (features.has_animation) {
    reading.problem = "an animated WebP, expected a picture that stands still";
    return;
  }
  const int channels = features.has_alpha ? 4 : 3;
  reading.orientation = orientation_of(webp_exif(reading.content));
  // The size of the file does not limit that of the picture: pixels of one colour take no bytes.
  set_size(reading, features.height, features.width, channels, /*most_pixels_in_byte=*/kMostPixels);
  if (reading.header_only || !reading.problem.empty()) return;
  const auto bytes = static_cast<std::size_t>(std::int64_t{features.height} * features.width * channels);
  const auto decode = channels == 4 ? WebPDecodeRGBAInto : WebPDecodeRGBInto;
  if (!decode(src, reading.content.size(), reading.picture.bytes.get(), bytes, features.width * channels))
    reading.problem = "a WebP picture that is damaged or cut short";
}

// Describes content without a known signature, for messages.
std::string kind_of(std::string_view content) {
  const auto at4 = content.substr(std::min<std::size_t>(content.size(), 4));
  if (content.empty()) return "the file is empty";
  if (content.starts_with("GIF8")) return "a GIF picture";
  if (content.starts_with("BM")) return "a BMP picture";
  if (content.starts_with("II*") || content.starts_with(std::string_view("MM\0*", 4))) return "a TIFF picture";
  if (at4.starts_with("ftypavif")) return "an AVIF picture";
  if (at4.starts_with("ftyp")) return "a HEIC picture or a film";
  return "no picture";
}

DecodedPicture read(std::string_view content, const std::string& name, bool header_only) {
  Reading reading{content, header_only};
  if (content.starts_with(kPngSignature)) {
    read_png(reading);
  } else if (content.starts_with(kJpegSignature)) {
    read_jpeg(reading);
  } else if (is_webp(content)) {
    read_webp(reading);
  } else {
    reading.problem = kind_of(content) + ", expected PNG, JPEG or WebP";
  }
  if (!reading.problem.empty()) base::fail_data("{}: {}", name, reading.problem);
  orient(reading.picture, reading.orientation);
  return std::move(reading.picture);
}

}  // namespace

bool is_picture_name(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || name.size() - dot > 5) return false;
  std::string ending(name.substr(dot + 1));
  for (char& c : ending) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  constexpr std::string_view kEndings[] = {"png", "jpg", "jpeg", "jpe", "jfif", "webp"};
  return std::ranges::find(kEndings, ending) != std::end(kEndings);
}

DecodedPicture decode_picture(std::string_view content, const std::string& name) { return read(content, name, false); }

DecodedPicture read_picture_header(std::string_view content, const std::string& name) {
  return read(content, name, true);
}

}  // namespace gan::io
