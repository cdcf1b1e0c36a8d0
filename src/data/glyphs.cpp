#include "data/glyphs.h"

#include <dlfcn.h>
#include <ft2build.h>
#include <iconv.h>

#include FT_FREETYPE_H
#include FT_BBOX_H
#include FT_OUTLINE_H

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <numbers>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/random.h"
#include "base/text.h"
#include "data/columns.h"
#include "data/made_up.h"
#include "data/progress.h"
#include "io/npz.h"

namespace gan::data {

namespace fs = std::filesystem;

namespace {

// FreeType's functions. The library is loaded only when it is needed, since loading it would slow down every start.
struct FreeType {
  decltype(&FT_Init_FreeType) init;
  decltype(&FT_New_Face) new_face;
  decltype(&FT_Done_Face) done_face;
  decltype(&FT_Set_Pixel_Sizes) set_pixel_sizes;
  decltype(&FT_Get_Char_Index) char_index;
  decltype(&FT_Load_Glyph) load_glyph;
  decltype(&FT_Outline_Transform) transform;
  decltype(&FT_Outline_Translate) translate;
  decltype(&FT_Outline_Get_BBox) get_box;
  decltype(&FT_Outline_Get_Bitmap) get_bitmap;
  FT_Library library = nullptr;

  FreeType() {
    constexpr const char* kFreeTypeLibrary = "libfreetype.so.6";
    void* const handle = dlopen(kFreeTypeLibrary, RTLD_NOW | RTLD_LOCAL);
    if (!handle) base::fail_data("{} cannot be loaded; install the package libfreetype6", kFreeTypeLibrary);
    const auto load = [&](auto& function, const char* name) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(handle, name));
      if (!function) base::fail_data("{}: has no function {}", kFreeTypeLibrary, name);
    };
    load(init, "FT_Init_FreeType");
    load(new_face, "FT_New_Face");
    load(done_face, "FT_Done_Face");
    load(set_pixel_sizes, "FT_Set_Pixel_Sizes");
    load(char_index, "FT_Get_Char_Index");
    load(load_glyph, "FT_Load_Glyph");
    load(transform, "FT_Outline_Transform");
    load(translate, "FT_Outline_Translate");
    load(get_box, "FT_Outline_Get_BBox");
    load(get_bitmap, "FT_Outline_Get_Bitmap");
    if (init(&library) != 0) base::fail_data("{}: cannot be used", kFreeTypeLibrary);
  }
};

const FreeType& freetype() {
  static const FreeType functions;
  return functions;
}

// The random changes of a picture to the font's glyph.
struct Jitter {
  double turn, slant, scale;  // radians, share, factor
  double right, up;           // in shares of the picture's size
};

// The first face of a font file.
class Font {
 public:
  explicit Font(const std::string& path) {
    FT_Face face = nullptr;
    if (freetype().new_face(freetype().library, path.c_str(), 0, &face) != 0) return;
    face_ = {face, freetype().done_face};
    if (!(face->face_flags & FT_FACE_FLAG_SCALABLE)) face_.reset();
    if (!face_) return;
    if (face->family_name) name_ = face->family_name;
    if (face->style_name) name_ += std::string(" ") + face->style_name;
    if (name_.empty() || !base::is_utf8(name_)) name_ = fs::path(path).stem().string();
  }

  /// Whether the file is a font with outlines, not bitmaps.
  bool usable() const { return face_ != nullptr; }
  const std::string& name() const { return name_; }
  void set_size(std::int64_t pixels) { freetype().set_pixel_sizes(face_.get(), 0, static_cast<FT_UInt>(pixels)); }

  /// Loads the outline of a character, which draw() takes; false if the font has none.
  bool load(char32_t character) {
    const FT_UInt index = freetype().char_index(face_.get(), character);
    if (index == 0 || freetype().load_glyph(face_.get(), index, FT_LOAD_NO_BITMAP | FT_LOAD_NO_HINTING) != 0)
      return false;
    const FT_GlyphSlot glyph = face_->glyph;
    return glyph->format == FT_GLYPH_FORMAT_OUTLINE && glyph->outline.n_points > 0;
  }

  /// Draws the character that was loaded last into a black picture [size, size].
  void draw(const Jitter& jitter, std::int64_t size, std::uint8_t* pixels) const {
    FT_Outline& outline = face_->glyph->outline;
    const double cosine = jitter.scale * std::cos(jitter.turn), sine = jitter.scale * std::sin(jitter.turn);
    const double room = 64 * 0.92 * static_cast<double>(size);  // in 1/64 pixel, as outlines are
    FT_BBox box = transformed(outline, {cosine, cosine * jitter.slant - sine, sine, sine * jitter.slant + cosine});
    const auto width = static_cast<double>(box.xMax - box.xMin), height = static_cast<double>(box.yMax - box.yMin);
    if (const double most = std::max(width, height); most > room)
      box = transformed(outline, {room / most, 0, 0, room / most});
    const double middle = 32 * static_cast<double>(size), unit = 64 * static_cast<double>(size);
    // The character stays inside the picture.
    const double free_x = std::max(0.0, middle - 0.5 * static_cast<double>(box.xMax - box.xMin)),
                 free_y = std::max(0.0, middle - 0.5 * static_cast<double>(box.yMax - box.yMin));
    freetype().translate(
        &outline, std::lround(middle + std::clamp(unit * jitter.right, -free_x, free_x)) - (box.xMin + box.xMax) / 2,
        std::lround(middle + std::clamp(unit * jitter.up, -free_y, free_y)) - (box.yMin + box.yMax) / 2);
    FT_Bitmap bitmap{};
    bitmap.rows = bitmap.width = static_cast<unsigned>(size);
    bitmap.pitch = static_cast<int>(size);
    bitmap.buffer = pixels;
    bitmap.num_grays = 256;
    bitmap.pixel_mode = FT_PIXEL_MODE_GRAY;
    if (freetype().get_bitmap(freetype().library, &outline, &bitmap) != 0)
      base::fail_data("{}: a character cannot be drawn", name_);
  }

 private:
  static FT_BBox transformed(FT_Outline& outline, std::array<double, 4> matrix) {
    const auto fixed = [](double value) { return static_cast<FT_Fixed>(std::lround(65536 * value)); };
    const FT_Matrix by = {fixed(matrix[0]), fixed(matrix[1]), fixed(matrix[2]), fixed(matrix[3])};
    freetype().transform(&outline, &by);
    FT_BBox box{};
    freetype().get_box(&outline, &box);
    return box;
  }

  std::unique_ptr<FT_FaceRec_, decltype(&FT_Done_Face)> face_{nullptr, nullptr};
  std::string name_;
};

bool is_font_name(const fs::path& path) {
  std::string ending = path.extension().string();
  std::ranges::transform(ending, ending.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
  return ending == ".ttf" || ending == ".otf" || ending == ".ttc";
}

// The font files at these paths or in these folders, sorted.
std::vector<std::string> font_files(const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    std::error_code error;
    const std::size_t before = files.size();
    if (fs::is_directory(path, error)) {
      for (fs::recursive_directory_iterator it(path, fs::directory_options::skip_permission_denied, error), end;
           !error && it != end; it.increment(error))
        if (is_font_name(it->path()) && it->is_regular_file(error)) files.push_back(it->path().string());
      if (files.size() == before) base::fail_data("{}: holds no fonts; expected .ttf, .otf or .ttc files", path);
    } else if (fs::exists(path, error)) {
      files.push_back(path);
    } else {
      base::fail_data("{}: no such file or folder of fonts", path);
    }
  }
  std::ranges::sort(files);
  files.erase(std::unique(files.begin(), files.end()), files.end());
  return files;
}

std::vector<Font> open_fonts(const GlyphOptions& options, std::vector<std::string>& notes) {
  if (options.fonts.empty()) base::fail_usage("no fonts: give files or folders, such as --fonts /usr/share/fonts");
  std::vector<Font> fonts;
  std::vector<std::string> refused, names;
  for (const std::string& path : font_files(options.fonts)) {
    Font font(path);
    if (!font.usable()) {
      refused.push_back(path);
    } else if (std::ranges::find(names, font.name()) == names.end()) {
      font.set_size(std::lround(0.78 * static_cast<double>(options.size)));
      names.push_back(font.name());
      fonts.push_back(std::move(font));
    }
  }
  if (fonts.empty()) base::fail_data("{}: is no font of outlines that FreeType reads", refused.front());
  if (!refused.empty()) notes.push_back("not fonts of outlines, so left out: " + base::joined(refused));
  return fonts;
}

// The characters of rows 16 to 55 of GB 2312: 94 in each row but the last.
std::vector<std::string> gb2312_level_1() {
  const iconv_t converter = iconv_open("UTF-8", "GB2312");
  if (converter == reinterpret_cast<iconv_t>(-1))
    base::fail_data("the system's iconv does not know GB2312; install the package libc6, or libc-gconv-modules-extra");
  std::vector<std::string> characters;
  for (int row = 16; row <= 55; ++row)
    for (int cell = 1; cell <= 94; ++cell) {
      char code[2] = {static_cast<char>(0xa0 + row), static_cast<char>(0xa0 + cell)}, out[8];
      char *from = code, *to = out;
      std::size_t from_left = sizeof(code), to_left = sizeof(out);
      if (iconv(converter, &from, &from_left, &to, &to_left) != static_cast<std::size_t>(-1))
        characters.emplace_back(out, to);
    }
  iconv_close(converter);
  return characters;
}

void check(const GlyphOptions& options) {
  if (options.size < 16 || options.size > 128)
    base::fail_usage("characters of {} pixels; expected 16 to 128", options.size);
  if (options.count < 1) base::fail_usage("{} pictures of each character; expected at least 1", options.count);
  if (options.characters < 0) base::fail_usage("the first {} characters; expected at least 1", options.characters);
}

// A character, and the fonts that have it.
struct Character {
  std::string text;
  std::vector<std::size_t> fonts;
};

// The characters of the set that at least one font has, only the first ones if the options say how many.
std::vector<Character> available(const GlyphOptions& options, std::vector<Font>& fonts,
                                 std::vector<std::string>& notes) {
  std::vector<Character> characters;
  std::vector<std::string> missing;
  for (const std::string& text : charset_characters(options.charset)) {
    if (options.characters > 0 && std::ssize(characters) == options.characters) break;
    Character character{text, {}};
    for (std::size_t f = 0; f < fonts.size(); ++f)
      if (fonts[f].load(io::code_points(text)[0])) character.fonts.push_back(f);
    if (character.fonts.empty())
      missing.push_back(text);
    else
      characters.push_back(std::move(character));
  }
  if (characters.empty())
    base::fail_data("the fonts, such as {}, have no character of {}", fonts[0].name(), options.charset);
  if (options.characters > std::ssize(characters))
    base::fail_usage("the first {} characters of {}: it has {}", options.characters, options.charset,
                     characters.size());
  if (!missing.empty())
    notes.push_back(fmt::format("{} left out, as no font has them, such as {}",
                                base::counted(std::ssize(missing), "character"), missing.front()));
  return characters;
}

}  // namespace

std::vector<std::string> charset_characters(std::string_view charset) {
  std::vector<std::string> characters;
  const auto add = [&](char first, char last) {
    for (char c = first; c <= last; ++c) characters.emplace_back(1, c);
  };
  if (charset == "gb2312-1") return gb2312_level_1();
  if (charset == "digits") {
    add('0', '9');
  } else if (charset == "latin") {
    add('A', 'Z');
    add('a', 'z');
  } else {
    const std::vector<std::string> known = {"digits", "latin", "gb2312-1"};
    base::fail_usage("unknown charset \"{}\"{}", charset, base::did_you_mean(charset, known));
  }
  return characters;
}

Dataset make_glyphs(const GlyphOptions& options) {
  check(options);
  Dataset dataset;
  std::vector<Font> fonts = open_fonts(options, dataset.notes);
  const std::vector<Character> characters = available(options, fonts, dataset.notes);
  const std::int64_t pixels_each = options.size * options.size;
  if (options.count > kMostMadeBytes / pixels_each / std::ssize(characters))
    base::fail_usage("{} of {} each take more than {} GB", base::counted(std::ssize(characters), "character"),
                     base::counted(options.count, "picture"), kMostMadeBytes >> 30);
  dataset.items = std::ssize(characters) * options.count;
  dataset.sample_shape = {1, options.size, options.size};
  const auto pixels = std::make_shared<std::uint8_t[]>(static_cast<std::size_t>(dataset.items * pixels_each));
  std::vector<std::string> labels, names;
  const base::RandomStream random(options.seed, base::stream_of("glyphs"));
  Progress report(options.progress, "drawing characters", dataset.items);
  for (std::int64_t i = 0; i < dataset.items; ++i) {
    const Character& character = characters[static_cast<std::size_t>(i / options.count)];
    Font& font = fonts[character.fonts[static_cast<std::size_t>(i % options.count) % character.fonts.size()]];
    font.load(io::code_points(character.text)[0]);
    const auto block = 2 * static_cast<std::uint64_t>(i);
    const auto shape = random.uniforms(block), place = random.uniforms(block + 1);
    const auto centred = [](float uniform) { return 2 * static_cast<double>(uniform) - 1; };
    font.draw({.turn = centred(shape[0]) * 5 * std::numbers::pi / 180,
               .slant = 0.08 * centred(shape[1]),
               .scale = 1 + 0.08 * centred(shape[2]),
               .right = 0.04 * centred(place[0]),
               .up = 0.04 * centred(place[1])},
              options.size, pixels.get() + i * pixels_each);
    labels.push_back(character.text);
    names.push_back(font.name());
    report(i);
  }
  dataset.pixels = pixels;
  add_column(dataset, column_of_names("label", labels));
  if (fonts.size() > 1) add_column(dataset, column_of_names("font", names));
  dataset.source = dataset.name = "glyphs";
  dataset.hash = hash_of(dataset);
  return dataset;
}

}  // namespace gan::data
