#include "cli/tensorboard.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "exchange/protobuf.h"

namespace gan::cli {

using exchange::Message;

namespace {

// Field numbers of tensorflow/core/util/event.proto and tensorflow/core/framework/summary.proto.
constexpr int kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5;            // Event
constexpr int kValue = 1;                                                          // Summary
constexpr int kTag = 1, kSimpleValue = 2, kImage = 4, kTensor = 8, kMetadata = 9;  // Summary.Value

double seconds_since_1970() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::uint32_t masked(std::uint32_t crc) { return (crc >> 15 | crc << 17) + 0xa282ead8U; }

std::string little_endian(std::uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> 8 * i & 0xff);
  return out;
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  static const std::array<std::uint32_t, 256> table = [] {
    constexpr std::uint32_t kPolynomial = 0x82f63b78;  // reflected
    std::array<std::uint32_t, 256> made{};
    for (std::uint32_t i = 0; i < made.size(); ++i) {
      made[i] = i;
      for (int bit = 0; bit < 8; ++bit) made[i] = made[i] >> 1 ^ (made[i] & 1 ? kPolynomial : 0);
    }
    return made;
  }();
  std::uint32_t crc = ~0U;
  for (const char byte : bytes) crc = table[(crc ^ static_cast<unsigned char>(byte)) & 0xff] ^ crc >> 8;
  return ~crc;
}

EventFile::EventFile(const std::filesystem::path& folder) {
  base::create_folder(folder.string());
  path_ = (folder / fmt::format("events.out.tfevents.{:.6f}.gan", seconds_since_1970())).string();
  file_.open(path_, std::ios::binary);
  add_event(0, kFileVersion, "brain.Event:2");
}

void EventFile::add_event(std::int64_t step, int field, std::string_view message) {
  const Message event = Message().number(kWallTime, seconds_since_1970()).integer(kStep, step).text(field, message);
  const std::string length = little_endian(event.bytes().size(), 8);
  file_ << length << little_endian(masked(crc32c(length)), 4) << event.bytes()
        << little_endian(masked(crc32c(event.bytes())), 4) << std::flush;
  if (!file_) base::fail_data("{}: cannot be written", path_);
}

void EventFile::add_scalar(std::int64_t step, std::string_view tag, double value) {
  const Message scalar = Message().text(kTag, tag).number(kSimpleValue, static_cast<float>(value));
  add_event(step, kSummary, Message().message(kValue, scalar).bytes());
}

void EventFile::add_picture(std::int64_t step, std::string_view tag, std::string_view png, std::int64_t height,
                            std::int64_t width) {
  constexpr int kColours = 3;
  const Message image = Message().integer(1, height).integer(2, width).integer(3, kColours).text(4, png);
  add_event(step, kSummary, Message().message(kValue, Message().text(kTag, tag).message(kImage, image)).bytes());
}

void EventFile::add_text(std::int64_t step, std::string_view tag, std::string_view text) {
  constexpr int kString = 7;  // DataType
  const Message tensor =
      Message().integer(1, kString).message(2, Message().message(2, Message().integer(1, 1))).text(8, text);
  const Message metadata = Message().message(1, Message().text(1, "text"));
  add_event(step, kSummary,
            Message()
                .message(kValue, Message().text(kTag, tag).message(kTensor, tensor).message(kMetadata, metadata))
                .bytes());
}

/// Opens the file at the first call, when the run's folder is there.
template <typename Write>
void TensorBoard::write(const Write& write) {
  if (failed_) return;
  try {
    if (!file_) {
      file_.emplace(run_ / "tensorboard");
      file_->add_text(0, "config", "```\n" + base::read_file((run_ / "config.toml").string()) + "```\n");
    }
    write(*file_);
  } catch (const base::Error& error) {
    failed_ = true;
    note_(fmt::format("{}; no more is written for TensorBoard", error.what()));
  }
}

void TensorBoard::add(const train::Progress& progress) {
  write([&](EventFile& file) {
    const std::pair<const char*, double> scalars[] = {{"loss/g", progress.loss_g},
                                                      {"loss/d", progress.loss_d},
                                                      {"verdict/real", progress.d_real},
                                                      {"verdict/fake", progress.d_fake},
                                                      {"gradient norm/g", progress.grad_norm_g},
                                                      {"gradient norm/d", progress.grad_norm_d},
                                                      {"samples per second", progress.images_per_second}};
    for (const auto& [tag, value] : scalars) file.add_scalar(progress.step, tag, value);
    if (!progress.watch) return;
    for (const auto& [name, value] : train::figures(*progress.watch))
      file.add_scalar(progress.step, "watch/" + name, value);
  });
}

void TensorBoard::add_scores(const std::string& line) {
  write([&](EventFile& file) {
    const auto scores = nlohmann::json::parse(line);
    const auto step = scores.at("step").get<std::int64_t>();
    const auto add = [&](const std::string& tag, const nlohmann::json& values) {
      for (const auto& [name, value] : values.items())
        if (value.is_number() && name != "step" && name != "elapsed_seconds" && name != "fd_few")
          file.add_scalar(step, tag + name, value.get<double>());
    };
    add("score/", scores);
    if (scores.contains("numbers")) add("error/", scores["numbers"]);
  });
}

void TensorBoard::add_picture(std::int64_t step, const std::string& path) {
  write([&](EventFile& file) {
    constexpr std::size_t kWidth = 16, kHeight = 20;  // where a PNG file has them
    const std::string png = base::read_file(path);
    const auto number = [&](std::size_t at) { return static_cast<std::int64_t>(base::big_endian(png.substr(at, 4))); };
    file.add_picture(step, "samples", png, number(kHeight), number(kWidth));
  });
}

}  // namespace gan::cli
