// Writes reports of tiny runs and looks at them as a browser draws them.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>

#include "io/png.h"
#include "program.h"

namespace gan {
namespace {

namespace fs = std::filesystem;
using namespace test;
using Json = nlohmann::ordered_json;

/// What `gan eval` and `gan train --eval-every` leave, made up for three classes.
void put_scores(const std::string& run) {
  fs::create_directories(run + "/eval");
  const Json eval{{"steps", 30},
                  {"reference", {{"name", "test"}, {"count", 64}}},
                  {"samples", 300},
                  {"embedding", {{"hash", "0123456789abcdef"}, {"accuracy", 0.99}, {"width", 8}}},
                  {"label_accuracy", 0.9},
                  {"per_class", {{{"class", 0}, {"accuracy", 0.9}, {"fd", 1.5}}, {{"class", 1}, {"accuracy", 0.8}}}},
                  {"confusion", {{90, 10, 0}, {5, 80, 15}, {0, 0, 100}}},
                  {"fd", 12.5},
                  {"fd_curve", {{{"samples", 100}, {"fd", 20}}, {{"samples", 300}, {"fd", 12.5}}}},
                  {"kid", {{"mean", 0.01}, {"se", 0.001}}},
                  {"coverage", nullptr},
                  {"modes", {{"found", 8}, {"list", {1, 2, 3}}}}};
  put(run + "/eval/eval.json", eval.dump());
  const std::vector<float> images(std::size_t{4} * 8 * 8, 0.5F);
  io::write_grid(run + "/eval/samples.png", images, {4, 1, 8, 8}, 2);
  io::write_grid(run + "/eval/neighbours.png", images, {4, 1, 8, 8}, 2);
  put(run + "/scores.jsonl",
      R"({"step":10,"label_accuracy":0.3,"fd":100,"precision":0.5,"recall":0.1,"density":1.1,"coverage":0.2,"score":1}
{"step":20,"label_accuracy":0.6,"fd":50,"precision":0.6,"recall":0.2,"density":1.2,"coverage":null,"score":2}
)");
}

/// What the page shows after its scripts ran, themselves left out; no network is there.
std::string drawn(const Folder& folder, const std::string& html) {
  Process browser(
      folder,
      {"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
       "--host-resolver-rules=MAP * ~NOTFOUND", "--user-data-dir=" + (folder / "browser"), "--window-size=1280,2000",
       "--virtual-time-budget=10000", "--dump-dom", "file://" + html},
      "chromium");
  const int code = browser.wait();
  EXPECT_NE(code, 127)
      << "chromium is missing, and with it the only eye of this test; scripts/deps.sh --test brings it";
  EXPECT_EQ(code, 0) << browser.err();
  const std::string page = browser.out();
  return page.substr(0, page.find("<script"));
}

/// The value of an attribute that the page gives its root element when it is drawn.
std::string status(const std::string& page, const std::string& name) {
  std::smatch match;
  const std::regex pattern("<html[^>]* data-" + name + "=\"([^\"]*)\"");
  return std::regex_search(page, match, pattern) ? match[1].str() : "missing";
}

/// Expects a page without an error, with this many plots and pictures, none of them empty.
void expect_drawn(const std::string& page, std::size_t plots, const std::string& pictures) {
  EXPECT_EQ(status(page, "status"), "drawn");
  EXPECT_EQ(status(page, "errors"), "");
  EXPECT_EQ(status(page, "pictures"), pictures);
  std::istringstream ink(status(page, "ink"));
  std::vector<int> coloured;
  for (int count; ink >> count;) coloured.push_back(count);
  EXPECT_EQ(coloured.size(), plots) << status(page, "ink");
  for (const int count : coloured) EXPECT_GT(count, 50) << status(page, "ink");
}

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(Report, IsDrawnByABrowser) {
  const Folder folder;
  write_data(folder);
  const std::string wicked = "</script><b id=wicked>";
  put(folder / "classes.txt", "top\n" + wicked + "\nbottom\n");
  expect_done(folder, train_args(folder, "run", {"--steps", "30", "--quiet", "--set", "train.sample_every=10"}));
  put_scores(folder / "run");
  const Result result = run(folder, {"report", folder / "run"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(std::regex_match(result.out, std::regex("wrote .*/run/report.html: [0-9.]+ [kM]B\n"))) << result.out;

  std::string html = get(folder / "run/report.html");
  const std::size_t library = html.find("<script>\n/*!");
  ASSERT_NE(library, std::string::npos);
  html.erase(library, html.find("</script>", library) - library);  // its licence names its home page
  for (const char* reach : {"://", "src=", "@import", "url("}) EXPECT_FALSE(holds(html, reach)) << reach;

  const std::string page = drawn(folder, folder / "run/report.html");
  // Losses, outputs, norms, speed; shares, distance, score; distance by count. Slider, final, scored, neighbours.
  expect_drawn(page, 8, "4/4");
  EXPECT_TRUE(holds(page, ">&lt;/script&gt;&lt;b id=wicked&gt;</")) << "names are text";
  EXPECT_FALSE(holds(page, "<b id=")) << "and no HTML";
  EXPECT_TRUE(holds(page, "max=\"2\"")) << "three pictures on the slider";
  EXPECT_TRUE(holds(page, "drawn for top, predicted top: 90.0%"));
  EXPECT_TRUE(holds(page, "'model.g.widths=[24,24]'")) << "the command";
  EXPECT_TRUE(holds(page, "latent = 5")) << "the configuration";
  EXPECT_FALSE(holds(page, "gan eval")) << "nothing is missing";
}

TEST(Report, SaysHowToGetWhatIsMissing) {
  const Folder folder;
  write_data(folder);
  std::string colours;
  for (int i = 0; i < 32 * 6 * 5 * 3; ++i) colours += static_cast<char>(i * 7);
  put(folder / "c.idx", idx({32, 6, 5, 3}, colours));
  expect_done(folder, {"train", "vector", "--data", folder / "c.idx", "--out", folder / "colour", "--steps", "20",
                       "--batch", "8", "--quiet", "--set", "train.log_every=10"});
  expect_done(folder, {"train", "--data", "ring8", "--out", folder / "points", "--steps", "40", "--quiet", "--set",
                       "train.log_every=10", "train.sample_every=20"});
  expect_done(folder, {"report", folder / "colour", "--out", folder / "c.html"});
  const std::string colour = drawn(folder, folder / "c.html");
  expect_drawn(colour, 4, "1/1");
  EXPECT_TRUE(holds(colour, "gan eval " + (folder / "colour") + " --data " + (folder / "c.idx") + " --out "));
  EXPECT_TRUE(holds(colour, " --out " + (folder / "colour-2") + " --eval-every 500"));
  EXPECT_FALSE(holds(colour, "Confusion")) << "it takes no labels";

  expect_done(folder, {"report", folder / "points"});
  const std::string points = drawn(folder, folder / "points/report.html");
  expect_drawn(points, 4, "2/2");
  EXPECT_TRUE(holds(points, "No confusion matrix was made"));

  // A run that was killed before anything happened.
  fs::create_directory(folder / "empty");
  fs::copy_file(folder / "points/config.toml", folder / "empty/config.toml");
  expect_done(folder, {"report", folder / "empty"});
  const std::string empty = drawn(folder, folder / "empty/report.html");
  expect_drawn(empty, 0, "0/0");
  EXPECT_TRUE(holds(empty, "gan train --resume --out " + (folder / "empty")));
}

TEST(Report, BrokenLinesAreLeftOutAndCountedBadInput) {
  const Folder folder;
  write_data(folder);
  expect_done(folder, train_args(folder, "run", {"--steps", "30", "--quiet"}));
  const std::string run_folder = folder / "run", metrics = get(run_folder + "/metrics.jsonl");
  const struct {
    std::string file, text, note;
  } broken[] = {
      {"metrics.jsonl", "{\"step\":10,\n" + metrics,
       "a line is left out (line 1: not a JSON object with a \\\"step\\\")"},
      {"metrics.jsonl", metrics + "{\"stop\":30}\n\n" + metrics,
       "2 lines are left out (the first is line 4: not a JSON"},
      {"metrics.jsonl", metrics + "{\"step\":30,\"loss_g\":\"nan\"}\n", "(line 4: \\\"loss_g\\\" is not a number)"},
      {"metrics.jsonl", std::string(100'000, '[') + "\n" + metrics, "a line is left out (line 1: not a JSON object"},
      {"scores.jsonl", "[]\n{\"step\":10,\"fd\":1}\n", "a line is left out (line 1: not a JSON object"},
      {"scores.jsonl", "[]\n", "a line is left out (line 1: not a JSON object"},
  };
  for (const auto& [file, text, note] : broken) {
    const std::string path = run_folder + "/" + file, before = fs::exists(path) ? get(path) : "";
    put(path, text);
    expect_done(folder, {"report", run_folder});
    EXPECT_TRUE(holds(get(run_folder + "/report.html"), note)) << note;
    EXPECT_TRUE(holds(get(run_folder + "/report.html"), "\"step\":[10,20,30")) << "the other lines are there";
    if (before.empty())
      fs::remove(path);
    else
      put(path, before);
  }
  // As a browser shows it, with the curves of the good lines.
  put(run_folder + "/metrics.jsonl", "{\"step\":10,\n" + metrics);
  expect_done(folder, {"report", run_folder});
  const std::string page = drawn(folder, run_folder + "/report.html");
  expect_drawn(page, 4, "1/1");
  EXPECT_TRUE(holds(page, "metrics.jsonl: a line is left out (line 1: not a JSON object with a \"step\")."));
}

TEST(Report, SaysWhyScoresAreMissing) {
  const Folder folder;
  write_data(folder);
  expect_done(folder, train_args(folder, "run", {"--steps", "30", "--quiet"}));
  put_scores(folder / "run");
  Json eval = Json::parse(get(folder / "run/eval/eval.json"));
  eval.erase("fd");
  eval["missing"] = {{"fd", "reference has 6 images, needs 129"}, {"per_class.fd", "<b id=wicked>"}};
  eval["reference"]["in_training"] = 3;
  put(folder / "run/eval/eval.json", eval.dump());
  put(folder / "run/scores.jsonl", R"({"step":10,"label_accuracy":0.3,"missing":{"score":"needs coverage"}})"
                                   "\n");
  expect_done(folder, {"report", folder / "run"});
  const std::string page = drawn(folder, folder / "run/report.html");
  EXPECT_EQ(status(page, "status"), "drawn");
  EXPECT_TRUE(holds(page,
                    "<th class=\"\">Fréchet distance</th><td class=\"\">–</td><td class=\"\">reference has 6 images, "
                    "needs 129</td>"));
  EXPECT_TRUE(holds(page, "&lt;b id=wicked&gt;")) << "reasons are text";
  EXPECT_FALSE(holds(page, "<b id="));
  EXPECT_TRUE(holds(page, "No score: needs coverage."));
  EXPECT_TRUE(holds(page, "3 of these rows are in the training part, too"));
}

TEST(Report, BrokenRunsBadInput) {
  const Folder folder;
  write_data(folder);
  expect_done(folder, train_args(folder, "run", {"--steps", "20", "--quiet"}));
  const std::string run_folder = folder / "run", metrics = get(run_folder + "/metrics.jsonl");
  const Args args = {"report", run_folder};
  expect_refused(folder, {"report"}, 2, "RUNDIR");
  expect_refused(folder, {"report", folder / "none"}, 3, "no such folder");
  expect_refused(folder, {"report", folder / "x.idx"}, 3, "no such folder");
  fs::create_directory(folder / "bare");
  expect_refused(folder, {"report", folder / "bare"}, 3, "no config.toml");
  expect_refused(folder, {"report", run_folder, "--out", folder / "none/x.html"}, 3, "none/x.html");
  fs::create_symlink("/dev/full", folder / "full.html");
  expect_refused(folder, {"report", run_folder, "--out", folder / "full.html"}, 3, "full.html");

  put(run_folder + "/metrics.jsonl", metrics + "{\"step\":30,\"loss_g\":0.");
  expect_done(folder, args);
  EXPECT_TRUE(holds(get(run_folder + "/report.html"), "the last line was cut short"));
  fs::remove(run_folder + "/report.html");
  const struct {
    std::string file, text, message;
  } broken[] = {
      {"eval/eval.json", "", "eval.json: not a JSON object; make it again with: gan eval "},
      {"eval/eval.json", "{\"fd\":1", "eval.json: not a JSON object"},
      {"eval/eval.json", "{\"modes\":" + std::string(100, '[') + std::string(100, ']') + "}", "not a JSON object"},
      {"eval/eval.json", "{\"fd\":\"low\"}", "\"fd\" is not a number"},
      {"eval/eval.json", "{\"confusion\":[[1,2],[3]]}", "\"confusion\" is not a square table"},
      {"eval/eval.json", "{\"confusion\":[[1,\"x\"],[3,4]]}", "\"confusion\" is not a square table"},
      {"eval/eval.json", "{\"per_class\":[1]}", "\"per_class\" is not a list of objects"},
      {"eval/eval.json", "{\"missing\":{\"fd\":1}}", "\"missing\" is not an object of texts"},
      {"eval/samples.png", "no picture", "samples.png: not a PNG file"},
      {"samples/20.png", "", "20.png: not a PNG file"},
      {"model.safetensors", "12345678", "model.safetensors"},
  };
  fs::create_directory(run_folder + "/eval");
  for (const auto& [file, text, message] : broken) {
    const fs::path path = fs::path(run_folder) / file;
    const std::string before = fs::exists(path) ? get(path.string()) : "";
    put(path.string(), text);
    expect_refused(folder, args, 3, message);
    if (before.empty())
      fs::remove(path);
    else
      put(path.string(), before);
  }
  EXPECT_FALSE(fs::exists(run_folder + "/report.html")) << "a refused report leaves nothing";
  put(run_folder + "/config.toml", "[train]\nbatsh = 2\n");
  expect_refused(folder, args, 3, "config.toml:2: unknown key");
  put(run_folder + "/config.toml", "");
  expect_refused(folder, args, 3, "config.toml: data.source is missing");
}

}  // namespace
}  // namespace gan
