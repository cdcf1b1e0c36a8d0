// Looks at the studio's pages as a browser shows them, and uses them as a user would.
#include <gtest/gtest.h>

#include <filesystem>

#include "program.h"

namespace gan {
namespace {

using namespace test;

TEST(Studio, WorksInABrowser) {
  const Folder folder;
  write_data(folder);
  const std::string root = folder / "root";
  std::filesystem::create_directory(root);
  std::string table = "label,x,y\n";
  for (int i = 0; i < 200; ++i)
    table += std::string(i % 2 ? "left" : "right") + "," + std::to_string(i % 2 ? -1 : 1) + "." + std::to_string(i) +
             ",0." + std::to_string(i % 7) + "\n";
  put(root + "/points.csv", table);
  expect_done(folder,
              train_args(folder, "root/digits", {"--steps", "60", "--quiet", "--set", "train.sample_every=20"}));
  expect_done(folder, {"train", "--data", "ring8", "--out", root + "/points", "--steps", "40", "--quiet", "--threads",
                       "2", "--set", "train.log_every=10"});
  const Result result = shell(folder, "exec node " GAN_STUDIO_DIR "/check_studio.cjs \"$GAN\" '" + root + "'");
  EXPECT_EQ(result.code, 0) << result.out << result.err << "(scripts/deps.sh --test installs what this needs)";
}

}  // namespace
}  // namespace gan
