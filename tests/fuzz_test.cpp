#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "file_helpers.h"
#include "fuzz/doors.h"

namespace gan::fuzz {
namespace {

namespace fs = std::filesystem;

const fs::path kFolder = fs::path(GAN_DATA_DIR).parent_path() / "fuzz";

class FuzzBadInput : public testing::TestWithParam<Door> {};

// What fuzzers start from, and what they found.
TEST_P(FuzzBadInput, InputsPassTheDoor) {
  std::size_t inputs = 0;
  for (const char* folder : {"corpus", "regressions"}) {
    const fs::path of_format = kFolder / folder / GetParam().format;
    if (!fs::exists(of_format)) continue;
    for (const fs::directory_entry& entry : fs::directory_iterator(of_format)) {
      SCOPED_TRACE(entry.path());
      GetParam().open(test::get(entry.path().string()));
      ++inputs;
    }
  }
  EXPECT_GT(inputs, 0u);
}

INSTANTIATE_TEST_SUITE_P(Doors, FuzzBadInput, testing::ValuesIn(kDoors),
                         [](const auto& info) { return std::string(info.param.format); });

TEST(FuzzBadInputFolders, BelongToDoors) {
  std::set<std::string> formats;
  for (const Door& door : kDoors) formats.insert(door.format);
  for (const char* folder : {"corpus", "regressions"})
    for (const fs::directory_entry& entry : fs::directory_iterator(kFolder / folder))
      EXPECT_TRUE(formats.contains(entry.path().filename().string())) << entry.path();
}

}  // namespace
}  // namespace gan::fuzz
