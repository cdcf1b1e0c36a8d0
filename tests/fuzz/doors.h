// The ways into the library of bytes that users bring. Fuzzers (target.cpp) and a test (fuzz_test.cpp) share them.
#pragma once

#include <zlib.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "data/cache.h"
#include "data/idx.h"
#include "data/idx_source.h"
#include "data/metadata.h"
#include "data/picture_decoder.h"
#include "data/resize.h"
#include "data/source.h"
#include "eval/classifier.h"
#include "file_helpers.h"
#include "io/npy.h"
#include "io/picture_file.h"
#include "io/safetensors.h"
#include "train/checkpoint.h"
#include "train/config.h"
#include "train/model_file.h"

namespace gan::fuzz {

/// Reports a finding. What is thrown is no base::Error, so that it ends a fuzzer and fails a test.
[[noreturn]] inline void fail(const std::string& what) { throw std::logic_error(what); }

/// Calls `read`, which may throw nothing but base::Error with a message of one plain line.
template <typename Read>
void attempt(const Read& read) {
  try {
    read();
  } catch (const base::Error& error) {
    if (!base::is_plain(error.what())) fail(std::string("a message that is not plain text: ") + error.what());
  }
}

/// Writes the bytes to a file of this name, in a folder that each call uses again.
inline std::string file_of(std::string_view bytes, const std::string& name) {
  static const test::TemporaryFolder folder;
  return test::put(folder / name, bytes);
}

/// Opens a source twice, with a cache beside it that is empty at first.
inline void open_source(const std::string& path) {
  data::SourceOptions options;
  options.cache = (std::filesystem::path(path).parent_path() / "cache").string();
  for (const char* missing : {"refuse", "drop"}) {
    options.read.missing = missing;
    attempt([&] { data::open_source(path, options); });
  }
  data::clear_cache(options.cache);
}

inline void idx(std::string_view bytes) {
  const std::string path = file_of(bytes, "a.idx");
  open_source(path);
  attempt([&] {
    const data::IdxFile labels = data::read_idx_labels(path);
    data::Dataset dataset;
    dataset.items = labels.shape[0];
    data::add_labels(dataset, path, labels, {}, "");
  });
}

inline void npy(std::string_view bytes) {
  const std::string path = file_of(bytes, "a.npy");
  open_source(path);
  attempt([&] { io::read_npy_f32(path); });
  attempt([&] { io::read_npy_i32(path); });
}

inline void npz(std::string_view bytes) {
  const std::string path = file_of(bytes, "a.npz");
  attempt([&] { data::has_test_part(path); });
  open_source(path);
}

inline void zip(std::string_view bytes) {
  const std::string path = file_of(bytes, "a.zip");
  attempt([&] { data::has_test_part(path); });
  open_source(path);
}

inline void csv(std::string_view bytes) {
  open_source(file_of(bytes, "a.csv"));
  attempt([&] { io::Csv("a.tsv", std::string(bytes), '\t'); });
}

inline void metadata(std::string_view bytes) {
  for (const char* name : {"metadata.csv", "metadata.jsonl", "dataset.json"})
    attempt([&] {
      const data::Metadata table(name, std::string(bytes));
      const std::vector<std::string> files = {"a.png", "b/c.png"};
      const data::TextColumns columns = table.columns(files, "");
      for (std::size_t column = 0; column < columns.names.size(); ++column)
        data::condition_column(columns, column, std::vector<std::uint32_t>{0, 1}, {});
    });
}

inline void picture(std::string_view bytes) {
  constexpr std::int64_t kMostFuzzed = 1 << 20;  // pixels: more take too long
  attempt([&] {
    const io::DecodedPicture header = io::read_picture_header(bytes, "a");
    if (header.height * header.width > kMostFuzzed) return;
    io::DecodedPicture picture = io::decode_picture(bytes, "a");
    if (picture.height != header.height || picture.width != header.width || picture.channels != header.channels)
      fail("the picture differs from its header");
    for (const std::int64_t channels : {4, 2, 3, 1}) data::convert_channels(picture, channels, {});
    for (const data::Fit fit : {data::Fit::crop, data::Fit::pad, data::Fit::stretch}) {
      std::array<std::uint8_t, 8 * 8> small;
      data::fit_picture(picture.bytes.get(), picture.height, picture.width, 1, fit, {}, small.data(), 8, 8);
    }
  });
}

/// The bytes with the right checksum in each chunk, since libpng refuses others at once.
inline std::string with_checksums(std::string_view bytes) {
  std::string png(bytes);
  const auto number_at = [&](std::size_t at) {
    std::size_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(png[at + i]);
    return value;
  };
  for (std::size_t at = 8; at + 12 <= png.size() && number_at(at) <= png.size() - at - 12; at += 12 + number_at(at)) {
    const std::size_t end = at + 8 + number_at(at);
    const auto sum = crc32(0, reinterpret_cast<const Bytef*>(png.data()) + at + 4, static_cast<uInt>(end - at - 4));
    for (std::size_t i = 0; i < 4; ++i) png[end + i] = static_cast<char>(sum >> (24 - 8 * i));
  }
  return png;
}

inline void png(std::string_view bytes) {
  picture(bytes);
  picture(with_checksums(bytes));
}
inline void jpeg(std::string_view bytes) { picture(bytes); }
inline void webp(std::string_view bytes) { picture(bytes); }

inline void safetensors(std::string_view bytes) {
  attempt([&] {
    const io::Safetensors file = io::read_safetensors(file_of(bytes, "a.safetensors"));
    for (const auto& [name, array] : file.tensors) io::require_finite(name, array);
  });
}

inline void toml(std::string_view bytes) {
  attempt([&] { train::preset_of_toml(bytes, "a.toml"); });
  attempt([&] { train::read_run_config(file_of(bytes, "config.toml")); });
  attempt([&] {
    train::Config config, again;
    train::apply_toml(config, bytes, "a.toml");
    try {
      train::apply_toml(again, train::to_toml(config), "a.toml");
    } catch (const base::Error& error) {
      fail(std::string("what was read is not read again: ") + error.what());
    }
    if (!train::differing_keys(config, again).empty()) fail("what was read is not read again as the same");
    train::validate(config);
  });
}

/// Writes a file without tensors; false if a value is not UTF-8.
inline bool write_metadata(const std::string& path, const std::map<std::string, std::string>& metadata) {
  try {
    io::write_safetensors(path, metadata, {});
    return true;
  } catch (const base::Error&) {
    return false;
  }
}

/// A file, or the description alone that files hold as JSON.
inline void model(std::string_view bytes) {
  const std::string path = file_of(bytes, "model.safetensors");
  attempt([&] { train::load_model(path); });
  for (const char* version : {"1", "2", "3"})
    if (bytes.starts_with('{') &&
        write_metadata(path, {{"format", "gan.cpp model"}, {"version", version}, {"model", std::string(bytes)}}))
      attempt([&] { train::load_model(path); });
}

/// A file, or the position alone that files hold as JSON.
inline void checkpoint(std::string_view bytes) {
  const std::string path = file_of(bytes, "checkpoint.safetensors");
  const std::vector<nn::Variable> variables = {{.name = "a", .shape = {2, 3}, .init = {}, .role = {}, .value = {}},
                                               {.name = "b", .shape = {}, .init = {}, .role = {}, .value = {}}};
  const auto load = [&] {
    runtime::State state;
    train::load_checkpoint(path, variables, state, [](const auto&) {});
  };
  attempt(load);
  if (bytes.starts_with('{') &&
      write_metadata(path, {{"format", "gan.cpp checkpoint"}, {"version", "1"}, {"position", std::string(bytes)}}))
    attempt(load);
}

/// A file, or the description alone that files hold as JSON.
inline void classifier(std::string_view bytes) {
  const std::string path = file_of(bytes, "classifier.safetensors");
  attempt([&] { eval::load_classifier(path); });
  if (bytes.starts_with('{') &&
      write_metadata(path, {{"format", "gan.cpp classifier"}, {"version", "1"}, {"classifier", std::string(bytes)}}))
    attempt([&] { eval::load_classifier(path); });
}

inline void cache(std::string_view bytes) {
  static const test::TemporaryFolder folder;
  std::filesystem::create_directory(folder / "decoded");
  test::put(folder / "decoded/a.pixels", bytes);
  attempt([&] { data::cache_entries(folder.path()); });
  attempt([&] {
    data::Dataset dataset;
    if (!data::read_cached(folder.path(), "a", dataset)) return;
    std::vector<float> sample(static_cast<std::size_t>(graph::element_count(dataset.sample_shape)));
    dataset.copy_sample(dataset.count() - 1, sample.data());
  });
}

/// A door by the name of its format.
struct Door {
  const char* format;
  void (*open)(std::string_view bytes);
};
inline constexpr Door kDoors[] = {
    {"idx", idx},
    {"npy", npy},
    {"npz", npz},
    {"zip", zip},
    {"csv", csv},
    {"metadata", metadata},
    {"png", png},
    {"jpeg", jpeg},
    {"webp", webp},
    {"toml", toml},
    {"safetensors", safetensors},
    {"model", model},
    {"checkpoint", checkpoint},
    {"classifier", classifier},
    {"cache", cache},
};

}  // namespace gan::fuzz
