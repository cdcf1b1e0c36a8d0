#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/picture_decoder.h"
#include "data/resize.h"
#include "file_helpers.h"
#include "graph/type.h"
#include "io/picture_file.h"
#include "picture_helpers.h"

namespace gan {
namespace {

using base::ErrorKind;
using test::Bytes;
using test::exif_of;
using test::expect_error;
using test::get;
using test::jpeg_file;
using test::png_file;
using test::png_of;
using test::put;
using test::TemporaryFolder;
using test::varied;
using test::webp_file;

graph::Shape shape_of(const io::DecodedPicture& picture) { return {picture.height, picture.width, picture.channels}; }

Bytes bytes_of(const io::DecodedPicture& picture) {
  return {picture.bytes.get(), picture.bytes.get() + graph::element_count(shape_of(picture))};
}

// Expects a picture of this shape whose values differ from these by at most `tolerance`.
void expect_picture(const std::string& content, const graph::Shape& shape, const Bytes& expected, int tolerance = 0) {
  const io::DecodedPicture picture = io::decode_picture(content, "x"), header = io::read_picture_header(content, "x");
  ASSERT_EQ(shape_of(picture), shape);
  EXPECT_EQ(shape_of(header), shape);
  EXPECT_FALSE(header.bytes);
  const Bytes found = bytes_of(picture);
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) ASSERT_NEAR(found[i], expected[i], tolerance) << i;
}

TEST(PictureFile, PngOfBytes) {
  for (const int channels : {1, 2, 3, 4}) {
    const Bytes pixels = varied(5, 7, channels);
    expect_picture(png_of(5, 7, channels, pixels), {5, 7, channels}, pixels);
  }
  expect_picture(png_file(9, 11, varied(9, 11, 1), {.interlaced = true}), {9, 11, 1}, varied(9, 11, 1));
}

TEST(PictureFile, PngOfOtherDepths) {
  // v * 255 / 65535, rounded.
  expect_picture(png_file(1, 4, {0, 128, 0, 129, 0x12, 0x34, 255, 255}, {.depth = 16}), {1, 4, 1}, {0, 1, 18, 255});
  expect_picture(png_file(1, 3, {0b10100000}, {.depth = 1}), {1, 3, 1}, {255, 0, 255});
  expect_picture(png_file(1, 4, {0b00011011}, {.depth = 2}), {1, 4, 1}, {0, 85, 170, 255});
  expect_picture(png_file(1, 2, {7, 9}, {.clear_grey = 9}), {1, 2, 2}, {7, 255, 9, 0});
}

TEST(PictureFile, PngWithPalette) {
  test::PngForm form{.color_type = PNG_COLOR_TYPE_PALETTE, .depth = 4, .palette = {{1, 2, 3}, {40, 50, 60}}};
  expect_picture(png_file(1, 3, {0x01, 0x10}, form), {1, 3, 3}, {1, 2, 3, 40, 50, 60, 40, 50, 60});
  form.palette_alpha = {255, 9};
  expect_picture(png_file(1, 2, {0x01}, form), {1, 2, 4}, {1, 2, 3, 255, 40, 50, 60, 9});
}

TEST(PictureFile, Jpeg) {
  Bytes grey, rgb;
  for (int i = 0; i < 20 * 12; ++i) {
    grey.push_back(static_cast<std::uint8_t>(i));
    for (const int value : {i, 255 - i, 100}) rgb.push_back(static_cast<std::uint8_t>(value));
  }
  for (const bool progressive : {false, true}) {
    expect_picture(jpeg_file(12, 20, grey, {.progressive = progressive}), {12, 20, 1}, grey, 3);
    for (const J_COLOR_SPACE stored : {JCS_RGB, JCS_YCbCr})
      expect_picture(jpeg_file(12, 20, rgb, {.from = JCS_RGB, .stored = stored, .progressive = progressive}),
                     {12, 20, 3}, rgb, 4);
  }
}

// Files hold 255 - C, 255 - M, 255 - Y, 255 - K. Red: no cyan, all magenta and yellow; below it half of black.
TEST(PictureFile, JpegOfCmyk) {
  Bytes inverted;
  for (int i = 0; i < 64; ++i)
    for (const int value : {255, 0, 0, i < 32 ? 255 : 127}) inverted.push_back(static_cast<std::uint8_t>(value));
  Bytes expected;
  for (int i = 0; i < 64; ++i)
    for (const int value : {i < 32 ? 255 : 127, 0, 0}) expected.push_back(static_cast<std::uint8_t>(value));
  for (const J_COLOR_SPACE stored : {JCS_CMYK, JCS_YCCK})
    expect_picture(jpeg_file(8, 8, inverted, {.from = JCS_CMYK, .stored = stored}), {8, 8, 3}, expected, 4);
}

TEST(PictureFile, Webp) {
  for (const int channels : {3, 4}) {
    Bytes pixels = varied(6, 9, channels);
    if (channels == 4)
      for (std::size_t i = 3; i < pixels.size(); i += 4)
        pixels[i] = static_cast<std::uint8_t>(std::max<int>(pixels[i], 1));
    expect_picture(webp_file(6, 9, channels, pixels), {6, 9, channels}, pixels);
    Bytes flat;
    for (int i = 0; i < 16 * 16; ++i)
      for (int c = 0; c < channels; ++c) flat.push_back(static_cast<std::uint8_t>(50 + 60 * c));
    expect_picture(webp_file(16, 16, channels, flat, 95), {16, 16, channels}, flat, 4);
  }
}

// The picture a b c / d e f as each orientation shows it.
TEST(PictureFile, OrientationIsApplied) {
  const Bytes pixels = {1, 2, 3, 4, 5, 6};
  const std::pair<graph::Shape, Bytes> shown[] = {{{2, 3, 1}, {1, 2, 3, 4, 5, 6}}, {{2, 3, 1}, {3, 2, 1, 6, 5, 4}},
                                                  {{2, 3, 1}, {6, 5, 4, 3, 2, 1}}, {{2, 3, 1}, {4, 5, 6, 1, 2, 3}},
                                                  {{3, 2, 1}, {1, 4, 2, 5, 3, 6}}, {{3, 2, 1}, {4, 1, 5, 2, 6, 3}},
                                                  {{3, 2, 1}, {6, 3, 5, 2, 4, 1}}, {{3, 2, 1}, {3, 6, 2, 5, 1, 4}}};
  for (int orientation = 1; orientation <= 8; ++orientation)
    for (const bool little : {false, true}) {
      const auto& [shape, expected] = shown[orientation - 1];
      expect_picture(png_file(2, 3, pixels, {.exif = exif_of(orientation, little)}), shape, expected);
    }
  const Bytes wide(8 * 16, 100);
  EXPECT_EQ(shape_of(io::decode_picture(jpeg_file(8, 16, wide, {.exif = exif_of(6)}), "x")), (graph::Shape{16, 8, 1}));
  EXPECT_EQ(shape_of(io::decode_picture(jpeg_file(8, 16, wide, {.exif = exif_of(3)}), "x")), (graph::Shape{8, 16, 1}));
}

TEST(PictureFile, Names) {
  for (const char* name : {"a.png", "a.b.JPG", "x.jpeg", ".webp", "a.jpe"})
    EXPECT_TRUE(io::is_picture_name(name)) << name;
  for (const char* name : {"png", "a.gif", "a.png.txt", "", "a.", "webp"})
    EXPECT_FALSE(io::is_picture_name(name)) << name;
}

// The content with bytes [at, at + bytes.size()) replaced.
std::string patched(std::string content, std::size_t at, const std::string& bytes) {
  return content.replace(at, bytes.size(), bytes);
}

TEST(PictureFileBadInput, Table) {
  const std::string png = png_of(5, 7, 3), jpeg = jpeg_file(8, 16, Bytes(128, 9), {}),
                    webp = webp_file(6, 9, 3, varied(6, 9, 3));
  const std::size_t frame = jpeg.find("\xff\xc0");
  const struct {
    std::string content;
    const char* message;
  } cases[] = {
      {"", "x: the file is empty, expected PNG, JPEG or WebP"},
      {"hello, I am text", "x: no picture, expected PNG, JPEG or WebP"},
      {"GIF89a......", "a GIF picture"},
      {"BM..........", "a BMP picture"},
      {std::string("II*\0.......", 11), "a TIFF picture"},
      {std::string("\0\0\0\x1c", 4) + "ftypavif", "an AVIF picture"},
      {std::string("\0\0\0\x1c", 4) + "ftypheic", "a HEIC picture or a film"},
      {patched(png, 40, "xx"), "x: "},
      {patched(png, 16, std::string("\0\0\0\0", 4)), "x: "},
      // Height and width of a JPEG, which has no checksum.
      {patched(jpeg, frame + 5, "\xff\x10\xff\x10"), "65296 x 65296 pixels, expected at most 268,435,456 in all"},
      {patched(jpeg, frame + 5, "\x3f\xff\x3f\xff"), "16383 x 16383 pixels cannot come from a file of"},
      {patched(jpeg, frame + 9, "\2"), "x: "},
      {patched(webp, 16, "xxxx"), "WebP picture that is damaged or cut short"},
      {patched(webp, 20, "x"), "x: "},
  };
  for (const auto& [content, message] : cases)
    expect_error(ErrorKind::data, message, [&] { io::decode_picture(content, "x"); });
}

// 30,000 x 30,000 pixels of one bit: their header comes with a right checksum.
TEST(PictureFileBadInput, HugePng) {
  const std::string huge = png_file(30'000, 30'000, Bytes(30'000u * 3'750u), {.depth = 1});
  expect_error(ErrorKind::data, "30000 x 30000 pixels, expected at most 268,435,456 in all",
               [&] { io::decode_picture(huge, "x"); });
  const std::string large = png_file(9'000, 9'000, Bytes(9'000u * 1'125u), {.depth = 1});
  expect_error(ErrorKind::data, "9000 x 9000 pixels cannot come from a file of 200 bytes",
               [&] { io::decode_picture(large.substr(0, 200), "x"); });
}

std::vector<std::string> whole_files() {
  const Bytes grey = varied(16, 16, 1);
  return {png_of(5, 7, 3),
          png_file(9, 11, varied(9, 11, 1), {.interlaced = true, .exif = exif_of(6)}),
          jpeg_file(16, 16, grey, {.exif = exif_of(6)}),
          jpeg_file(16, 16, grey, {.progressive = true}),
          webp_file(6, 9, 4, varied(6, 9, 4)),
          webp_file(6, 9, 4, varied(6, 9, 4), 80)};
}

TEST(PictureFileBadInput, CutShortAtEveryByte) {
  for (const std::string& content : whole_files())
    for (std::size_t bytes = 0; bytes < content.size(); ++bytes)
      EXPECT_THROW(io::decode_picture(content.substr(0, bytes), "x"), base::Error)
          << bytes << " of " << content.size() << content.substr(0, 4);
}

// Either it is refused or it is a picture; the sanitizers see the rest.
TEST(PictureFileBadInput, BytesThatLie) {
  std::mt19937 random(1);
  std::int64_t refused = 0;
  for (const std::string& content : whole_files())
    for (int trial = 0; trial < 300; ++trial) {
      std::string damaged = content;
      for (int i = 0; i < 1 + trial % 3; ++i) damaged[random() % damaged.size()] = static_cast<char>(random());
      try {
        io::decode_picture(damaged, "x");
      } catch (const base::Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::data);
        ++refused;
      }
    }
  EXPECT_GT(refused, 300);
}

TEST(PictureFileBadInput, ExifThatLies) {
  const std::string exif = exif_of(6);
  for (const std::string& damaged : {exif.substr(0, 5), exif.substr(0, 12), patched(exif, 4, "\xff\xff\xff\xff"),
                                     patched(exif, 18, "\x09"), patched(exif, 12, "\4")})
    EXPECT_EQ(shape_of(io::decode_picture(png_file(2, 3, Bytes(6), {.exif = damaged}), "x")), (graph::Shape{2, 3, 1}));
}

// ---- resizing ----

Bytes fitted(const Bytes& pixels, int height, int width, int channels, const char* fit, int to_height, int to_width) {
  Bytes out(static_cast<std::size_t>(to_height * to_width * channels));
  data::fit_picture(pixels.data(), height, width, channels, data::fit_of(fit), {}, out.data(), to_height, to_width);
  return out;
}

// Values from Pillow 9.4: Image.resize(..., LANCZOS), ImageOps.fit and ImageOps.pad.
TEST(Resize, AsPillow) {
  EXPECT_EQ(fitted(varied(5, 7, 1), 5, 7, 1, "stretch", 3, 4),
            (Bytes{139, 114, 168, 123, 136, 83, 119, 134, 79, 152, 104, 131}));
  EXPECT_EQ(fitted(varied(5, 7, 1), 5, 7, 1, "crop", 3, 3), (Bytes{102, 161, 141, 114, 85, 133, 116, 145, 97}));
  EXPECT_EQ(fitted(varied(5, 7, 1), 5, 7, 1, "pad", 4, 4),
            (Bytes{139, 114, 168, 123, 136, 83, 119, 134, 79, 152, 104, 131, 0, 0, 0, 0}));
  EXPECT_EQ(fitted(varied(5, 7, 1), 5, 7, 1, "stretch", 6, 9),
            (Bytes{255, 113, 11,  82,  103, 131, 168, 212, 232, 118, 95,  114, 169, 197, 246, 132, 48,  99,
                   144, 210, 156, 67,  104, 139, 78,  42,  82,  117, 159, 87,  3,   38,  90,  148, 201, 219,
                   19,  39,  91,  139, 164, 141, 146, 183, 204, 113, 136, 163, 206, 222, 32,  0,   51,  67}));
  EXPECT_EQ(fitted(varied(5, 7, 3), 5, 7, 3, "crop", 3, 3),
            (Bytes{102, 142, 138, 161, 182, 137, 141, 127, 123, 114, 92, 106, 85, 138,
                   116, 133, 146, 142, 116, 164, 165, 145, 111, 107, 97, 140, 86}));
  EXPECT_EQ(fitted(varied(5, 7, 2), 5, 7, 2, "stretch", 3, 4),  // alpha weighs the grey values
            (Bytes{114, 105, 135, 175, 162, 155, 119, 96,  138, 123, 116, 105,
                   130, 147, 136, 150, 104, 139, 138, 147, 142, 120, 137, 126}));
  Bytes board;
  for (int i = 0; i < 36; ++i) board.push_back(static_cast<std::uint8_t>(255 * ((i % 6 / 2 + i / 12) % 2)));
  EXPECT_EQ(fitted(board, 6, 6, 1, "stretch", 4, 5),
            (Bytes{0, 63, 255, 63, 0, 189, 153, 66, 153, 189, 189, 153, 66, 153, 189, 0, 63, 255, 63, 0}));
}

TEST(Resize, SameSizeAndSinglePixels) {
  for (const char* fit : {"crop", "pad", "stretch"}) {
    for (const int channels : {1, 2, 3, 4})
      EXPECT_EQ(fitted(varied(5, 7, channels), 5, 7, channels, fit, 5, 7), varied(5, 7, channels)) << channels;
    EXPECT_EQ(fitted({7}, 1, 1, 1, fit, 3, 3), Bytes(9, 7));
    EXPECT_EQ(fitted(Bytes(300, 9), 10, 30, 1, fit, 1, 1), Bytes(1, 9));
  }
  expect_error(ErrorKind::usage, "unknown fit \"cro\"; did you mean \"crop\"?", [] { data::fit_of("cro"); });
}

constexpr const char* kScript = R"(
import random, sys
from PIL import Image, ImageOps
random.seed(1)
folder = sys.argv[1]
with open(folder + "/list", "w") as cases:
    for i in range(200):
        mode = random.choice(["L", "LA", "RGB", "RGBA"])
        h, w, H, W = (random.randint(1, 70) for _ in range(4))
        values = [lambda x, y: 255 * random.getrandbits(1), lambda x, y: random.randrange(256),
                  lambda x, y: 255 * ((x + y) % 2), lambda x, y: 255 * (x // 3 % 2)][i % 4]
        pixels = bytes(values(x, y) for y in range(h) for x in range(w) for _ in mode)
        picture = Image.frombytes(mode, (w, h), pixels)
        fit = ["stretch", "crop"][i // 4 % 2]
        out = picture.resize((W, H), Image.LANCZOS) if fit == "stretch" else ImageOps.fit(picture, (W, H), Image.LANCZOS)
        open(f"{folder}/{i}.in", "wb").write(pixels)
        open(f"{folder}/{i}.out", "wb").write(out.tobytes())
        cases.write(f"{len(mode)} {h} {w} {H} {W} {fit}\n")
)";

TEST(Resize, AsInstalledPillow) {
  if (std::system("/usr/bin/python3 -c 'import PIL' 2> /dev/null") != 0)
    GTEST_SKIP() << "/usr/bin/python3 has no PIL (python3-pil)";
  TemporaryFolder folder;
  put(folder / "script.py", kScript);
  ASSERT_EQ(std::system(("/usr/bin/python3 " + (folder / "script.py") + " " + folder.path()).c_str()), 0);
  std::ifstream cases(folder / "list");
  int channels, height, width, to_height, to_width, count = 0;
  for (std::string fit; cases >> channels >> height >> width >> to_height >> to_width >> fit; ++count) {
    const std::string in = get(folder / (std::to_string(count) + ".in")),
                      out = get(folder / (std::to_string(count) + ".out"));
    const Bytes found = fitted({in.begin(), in.end()}, height, width, channels, fit.c_str(), to_height, to_width);
    ASSERT_EQ(found.size(), out.size());
    int largest = 0;
    for (std::size_t i = 0; i < found.size(); ++i)
      largest = std::max(largest, std::abs(found[i] - static_cast<std::uint8_t>(out[i])));
    EXPECT_LE(largest, 1) << "case " << count << ": " << channels << " channels, " << height << " x " << width << " to "
                          << to_height << " x " << to_width << ", " << fit;
  }
  EXPECT_EQ(count, 200);
}

// ---- channels ----

Bytes converted(Bytes pixels, int from, int to, std::optional<std::array<std::uint8_t, 3>> background = {}) {
  io::DecodedPicture picture{1, static_cast<std::int64_t>(pixels.size()) / from, from, nullptr};
  picture.bytes = std::make_unique<std::uint8_t[]>(pixels.size());
  std::ranges::copy(pixels, picture.bytes.get());
  data::convert_channels(picture, to, background);
  return bytes_of(picture);
}

TEST(PictureChannels, Conversions) {
  const std::array<std::uint8_t, 3> white = {255, 255, 255};
  EXPECT_EQ(converted({255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30}, 3, 1), (Bytes{76, 150, 29, 18}));  // Pillow's
  EXPECT_EQ(converted({7, 255}, 1, 3), (Bytes{7, 7, 7, 255, 255, 255}));
  EXPECT_EQ(converted({7}, 1, 4), (Bytes{7, 7, 7, 255}));
  EXPECT_EQ(converted({7, 9}, 2, 4), (Bytes{7, 7, 7, 9}));
  EXPECT_EQ(converted({1, 2, 3, 4}, 4, 4), (Bytes{1, 2, 3, 4}));
  EXPECT_EQ(converted({100, 200, 0, 0}, 4, 3), (Bytes{0, 0, 0}));  // on black
  EXPECT_EQ(converted({100, 200, 0, 0}, 4, 3, white), (Bytes{255, 255, 255}));
  EXPECT_EQ(converted({100, 200, 0, 255}, 4, 3, white), (Bytes{100, 200, 0}));
  EXPECT_EQ(converted({100, 51}, 2, 1, white), (Bytes{224}));
}

TEST(PicturePlanBadInput, Options) {
  const struct {
    void (*set)(data::ReadOptions&);
    const char* message;
  } cases[] = {
      {[](auto& o) { o.size = "64"; }, "size \"64\": expected HEIGHTxWIDTH in pixels, such as 64x64"},
      {[](auto& o) { o.size = "0x64"; }, "size \"0x64\""},
      {[](auto& o) { o.size = "64x-1"; }, "size \"64x-1\""},
      {[](auto& o) { o.size = "64x64x3"; }, "size \"64x64x3\""},
      {[](auto& o) { o.size = "99999x2"; }, "up to 16384"},
      {[](auto& o) { o.fit = "zoom"; }, "unknown fit \"zoom\""},
      {[](auto& o) { o.channels = 5; }, "channels 5: expected 1 (grey)"},
      {[](auto& o) { o.background = "white"; }, "background \"white\": expected a colour such as #ffffff"},
      {[](auto& o) { o.background = "#12345g"; }, "background \"#12345g\""},
      {[](auto& o) { o.channels = 4, o.background = "#123456"; }, "channels 4 keep alpha, which a background replaces"},
  };
  for (const auto& [set, message] : cases) {
    data::ReadOptions options;
    set(options);
    expect_error(ErrorKind::usage, message, [&] { data::PicturePlan plan(options); });
  }
}

}  // namespace
}  // namespace gan
