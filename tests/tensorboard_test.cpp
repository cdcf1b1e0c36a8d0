#include <gtest/gtest.h>

#include <bit>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "program.h"

namespace gan::test {
namespace {

namespace fs = std::filesystem;

/// CRC-32C, bit by bit.
std::uint32_t crc32c(std::string_view bytes) {
  std::uint32_t crc = 0xffffffff;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
  }
  return ~crc;
}

std::uint64_t little_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

/// The fields of a message of Protocol Buffers, in order: numbers as their bytes, varints as 8 bytes.
std::multimap<int, std::string> fields_of(std::string_view bytes) {
  std::multimap<int, std::string> fields;
  const auto varint = [&] {
    std::uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes.at(0));
      bytes.remove_prefix(1);
      value |= std::uint64_t{byte & 0x7fU} << shift;
      if (byte < 0x80) return value;
    }
  };
  while (!bytes.empty()) {
    const std::uint64_t tag = varint(), type = tag & 7;
    const std::uint64_t number = type == 0 || type == 2 ? varint() : 0;
    std::string value(reinterpret_cast<const char*>(&number), sizeof number);
    if (type != 0) {
      const std::size_t length = type == 2 ? number : type == 1 ? 8 : 4;
      EXPECT_TRUE(type == 1 || type == 2 || type == 5) << type;
      value = bytes.substr(0, length);
      bytes.remove_prefix(length);
    }
    fields.emplace(static_cast<int>(tag >> 3), value);
  }
  return fields;
}

/// The values of the Summary messages of an event file, by step and tag. Checks lengths and checksums.
std::map<std::pair<std::uint64_t, std::string>, std::multimap<int, std::string>> values_of(std::string_view file) {
  std::map<std::pair<std::uint64_t, std::string>, std::multimap<int, std::string>> values;
  const auto take = [&](std::size_t bytes) {
    const std::string_view taken = file.substr(0, bytes);
    EXPECT_EQ(taken.size(), bytes);
    file.remove_prefix(taken.size());
    return taken;
  };
  const auto check = [&](std::string_view bytes) {
    const std::uint32_t crc = crc32c(bytes);
    EXPECT_EQ(little_endian(take(4)), (crc >> 15 | crc << 17) + 0xa282ead8U);
  };
  for (bool first = true; !file.empty(); first = false) {
    const std::string_view length = take(8);
    check(length);
    const std::string_view data = take(little_endian(length));
    check(data);
    const auto event = fields_of(data);
    EXPECT_GT(std::bit_cast<double>(little_endian(event.find(1)->second)), 1.7e9) << "seconds since 1970";
    EXPECT_EQ(event.count(3), first ? 1U : 0U);
    if (first) {
      EXPECT_EQ(event.find(3)->second, "brain.Event:2");
      continue;
    }
    const auto summary = fields_of(event.find(5)->second);
    const auto value = fields_of(summary.find(1)->second);
    values[{little_endian(event.find(2)->second), value.find(1)->second}] = value;
  }
  return values;
}

/// The scalar of a tag in the run's only event file.
float scalar_in(const fs::path& run, std::uint64_t step, const std::string& tag) {
  const auto values = values_of(base::read_file(fs::directory_iterator(run / "tensorboard")->path().string()));
  return std::bit_cast<float>(static_cast<std::uint32_t>(little_endian(values.at({step, tag}).find(2)->second)));
}

TEST(TensorBoard, EventsHoldScoresAndWhatTheWatchdogMeasures) {
  const Folder folder;
  expect_done(folder, {"train", "--data", "ring8", "--out", folder / "a", "--steps", "20", "--quiet", "--eval-every",
                       "10", "--tensorboard", "--set", "train.batch=16", "watchdog.every=10", "train.log_every=10"});
  const auto last = [&](const char* file) {
    const std::string text = base::read_file(folder / (std::string("a/") + file)),
                      lines = text.substr(0, text.size() - 1);
    return nlohmann::json::parse(lines.substr(lines.rfind('\n') + 1));
  };
  for (const char* score : {"score", "high_quality", "modes_found"})
    EXPECT_EQ(scalar_in(folder / "a", 20, std::string("score/") + score), last("scores.jsonl").at(score).get<float>());
  EXPECT_EQ(scalar_in(folder / "a", 20, "watch/d_wins"), last("metrics.jsonl").at("watch.d_wins").get<float>());
}

TEST(TensorBoard, EventsHoldMetricsPicturesAndValues) {
  const Folder folder;
  write_data(folder);
  expect_done(folder, train_args(folder, "a", {"--steps", "25", "--quiet", "--tensorboard"}));
  const fs::path events = folder / "a/tensorboard";
  ASSERT_EQ(std::distance(fs::directory_iterator(events), {}), 1);
  const std::string path = fs::directory_iterator(events)->path().string();
  EXPECT_NE(path.find("events.out.tfevents."), std::string::npos);
  const auto values = values_of(base::read_file(path));

  std::istringstream metrics(base::read_file(folder / "a/metrics.jsonl"));
  int lines = 0;
  for (std::string line; std::getline(metrics, line); ++lines) {
    const auto json = nlohmann::json::parse(line);
    const auto scalar = [&](const char* tag) {
      const auto& value = values.at({json["step"].get<std::uint64_t>(), tag});
      return std::bit_cast<float>(static_cast<std::uint32_t>(little_endian(value.find(2)->second)));
    };
    EXPECT_EQ(scalar("loss/g"), json["loss_g"].get<float>());
    EXPECT_EQ(scalar("verdict/fake"), json["d_fake"].get<float>());
    EXPECT_EQ(scalar("gradient norm/d"), json["grad_norm_d"].get<float>());
  }
  EXPECT_EQ(lines, 3);

  const std::string png = base::read_file(folder / "a/samples/25.png");
  const auto image = fields_of(values.at({25, "samples"}).find(4)->second);
  EXPECT_EQ(image.find(4)->second, png);
  for (const auto& [field, at] : {std::pair{1, 20U}, std::pair{2, 16U}}) {  // height and width, big-endian in PNG
    const std::string in_png = png.substr(at, 4);
    EXPECT_EQ(little_endian(image.find(field)->second), little_endian(std::string(in_png.rbegin(), in_png.rend())));
  }
  const auto text = fields_of(values.at({0, "config"}).find(8)->second);
  EXPECT_NE(text.find(8)->second.find(base::read_file(folder / "a/config.toml")), std::string::npos);
}

TEST(TensorBoard, FolderThatCannotBeWrittenIsNoted) {
  const Folder folder;
  write_data(folder);
  const Args args = train_args(folder, "a", {"--steps", "25", "--tensorboard"});
  fs::create_directory(folder / "a");
  put(folder / "a/tensorboard", "a file");
  const Result result = run(folder, args);
  EXPECT_EQ(result.code, 0) << result.err;
  const std::size_t at = result.out.find("no more is written for TensorBoard");
  EXPECT_NE(at, std::string::npos) << result.out;
  EXPECT_EQ(result.out.find("no more is written for TensorBoard", at + 1), std::string::npos) << "once";
}

}  // namespace
}  // namespace gan::test
