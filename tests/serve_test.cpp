// Starts gan serve and gan studio and talks with them.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <memory>
#include <set>

#include "base/file.h"
#include "io/npy.h"
#include "io/npz.h"
#include "io/picture_file.h"
#include "serve_helpers.h"
#include "untrained_model.h"

namespace gan::test {
namespace {

namespace fs = std::filesystem;

data::ConditionSpec kind_and_angle() {
  data::ConditionSpec spec = data::label_condition(3, {"cat", "dog", "a \"b\"|c"});
  spec.columns[0].name = "kind";
  spec.columns.push_back(
      {.name = "angle", .number = {.name = "angle", .unit = "degrees", .maximum = 350, .distinct = 36, .period = 360}});
  return spec;
}

/// One server for all tests that only ask: digits, and images with a kind and an angle.
class Serve : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<Folder>();
    output_ = std::make_unique<Folder>();
    const auto save = [](const char* name, train::Model model) {
      give_random_weights(model);
      train::save_model(*folder_ / name, model);
    };
    save("digits.safetensors", untrained_model("lsgan-r1r2"));
    save("animals.safetensors", untrained_model("lsgan-r1r2", 1, kind_and_angle()));
    served_ = std::make_unique<Served>(
        *output_, Args{"serve", *folder_ / "digits.safetensors", *folder_ / "animals.safetensors", "--port", "0"});
  }
  static void TearDownTestSuite() {
    served_.reset();
    folder_.reset();
    output_.reset();
  }

  static Reply sample(const std::string& body, const std::string& accept = "application/json") {
    return served_->post("/v1/sample", body, {{"Accept", accept}});
  }

  static std::unique_ptr<Folder> folder_, output_;  // of models and commands, of the server
  static std::unique_ptr<Served> served_;
};
std::unique_ptr<Folder> Serve::folder_, Serve::output_;
std::unique_ptr<Served> Serve::served_;

TEST_F(Serve, DescribesItsModels) {
  EXPECT_EQ(served_->get("/health").json(), Json({{"status", "ok"}}));
  const Json models = served_->get("/v1/models").json()["models"];
  ASSERT_EQ(models.size(), 2u);
  EXPECT_EQ(models[0]["name"], "animals");
  EXPECT_EQ(models[1]["name"], "digits");
  const Json animals = served_->get("/v1/models/animals").json();
  EXPECT_EQ(animals["columns"][0]["categories"], Json({"cat", "dog", "a \"b\"|c"}));
  EXPECT_EQ(animals["columns"][1]["unit"], "degrees");
  EXPECT_EQ(animals["columns"][1]["period"], 360);
  EXPECT_EQ(animals["shape"], Json({1, 28, 28}));
  EXPECT_EQ(animals["kind"], "images");
  EXPECT_EQ(served_->get("/v1/models/none").status, 404);
}

/// The floats of a .npy file that `gan sample` writes.
std::vector<float> drawn_by_command(const Folder& folder, Args args) {
  args.insert(args.begin(), "sample");
  args.insert(args.end(), {"--out", folder / "drawn.npy"});
  expect_done(folder, args);
  const runtime::Array array = io::read_npy_f32(folder / "drawn.npy");
  return {array.f32().begin(), array.f32().end()};
}

void expect_near(const Json& rows, const std::vector<float>& expected) {
  std::size_t at = 0;
  for (const Json& row : rows)
    for (const Json& value : row) {
      ASSERT_LT(at, expected.size());
      ASSERT_NEAR(value.get<float>(), expected[at++], 1e-5F);
    }
  EXPECT_EQ(at, expected.size());
}

TEST_F(Serve, DrawsWhatTheCommandDraws) {
  const Reply reply = sample(R"({"model":"digits","conditions":{"label":[7,"3"]},"count":2,"seed":5,"first":40})");
  ASSERT_EQ(reply.status, 200) << reply.body;
  const std::vector<float> expected = drawn_by_command(
      *folder_, {*folder_ / "digits.safetensors", "--label", "7|3", "--count", "2", "--seed", "5", "--first", "40"});
  expect_near(reply.json()["samples"], expected);
  EXPECT_EQ(reply.json()["conditions"], Json::parse(R"([{"label":"7"},{"label":"7"},{"label":"3"},{"label":"3"}])"));
  EXPECT_EQ(reply.header("Gan-Count"), "4");

  // Names are names, whatever they hold; ranges leave out an end that is the beginning again.
  const Reply animals =
      sample(R"({"model":"animals","conditions":{"kind":["dog","a \"b\"|c"],"angle":{"from":0,"to":360,"steps":3}}})");
  ASSERT_EQ(animals.status, 200) << animals.body;
  expect_near(animals.json()["samples"],
              drawn_by_command(*folder_, {*folder_ / "animals.safetensors", "--condition", "kind=dog|\"a \"\"b\"\"|c\"",
                                          "--condition", "angle=0:360:3", "--count", "1"}));
  EXPECT_EQ(animals.json()["conditions"][4]["angle"], 120);
}

TEST_F(Serve, DrawsFromLatentsOfTheClient) {
  const Reply reply = sample(R"({"model":"digits","conditions":{"label":1},"count":3,"return_latents":true})");
  const Json latents = reply.json()["latents"];
  ASSERT_EQ(latents.size(), 3u);
  const Json body{{"model", "digits"}, {"conditions", {{"label", 1}}}, {"latents", latents}};
  const Reply again = sample(body.dump());
  ASSERT_EQ(again.status, 200) << again.body;
  std::vector<float> expected;
  const Json samples = reply.json()["samples"];
  for (const Json& row : samples)
    for (const Json& value : row) expected.push_back(value.get<float>());
  expect_near(again.json()["samples"], expected);
}

TEST_F(Serve, AnswersInTheTypeThatIsAccepted) {
  const std::string body = R"({"model":"digits","conditions":{"label":[0,1]},"count":3,"pad":1})";
  const Json json = sample(body).json();
  const auto put_body = [&](const char* name, const char* type) {
    const Reply reply = sample(body, type);
    EXPECT_EQ(reply.status, 200) << type << reply.body.substr(0, 200);
    EXPECT_EQ(reply.header("Content-Type"), type);
    put(*folder_ / name, reply.body);
    return *folder_ / name;
  };
  const runtime::Array npy = io::read_npy_f32(put_body("a.npy", "application/x-npy"));
  EXPECT_EQ(npy.type().shape, (graph::Shape{6, 1, 28, 28}));
  expect_near(json["samples"], {npy.f32().begin(), npy.f32().end()});
  const io::NpzFile npz(put_body("a.npz", "application/x-npz"));
  EXPECT_EQ(npz.names(), (std::vector<std::string>{"x", "label"}));
  const io::DecodedPicture png = io::decode_picture(get(put_body("a.png", "image/png")), "a.png");
  EXPECT_EQ(png.width, 3 * 29 + 1);
  EXPECT_EQ(png.height, 2 * 29 + 1);
  // Sample 4 is the second of the second row: one pixel of it, at (10, 12).
  const float value = json["samples"][4][10 * 28 + 12].get<float>();
  EXPECT_NEAR(png.bytes[static_cast<std::size_t>((30 + 10) * png.width + 30 + 12)], (value + 1) * 127.5F, 1);
  put_body("a.zip", "application/zip");
  const Result zip = shell(*folder_,
                           "python3 -c 'import zipfile; z = zipfile.ZipFile(\"a.zip\"); z.testzip(); "
                           "print(z.namelist()[:2], z.read(\"metadata.csv\").decode())'");
  EXPECT_NE(zip.out.find("['0-0.png', '0-1.png'] file_name,label,seed,index,model\n0-0.png,0,1,0,digits"),
            std::string::npos)
      << zip.out << zip.err;
  EXPECT_EQ(sample(body, "text/csv").status, 406);
  EXPECT_EQ(sample(body, "*/*").header("Content-Type"), "image/png");
}

TEST_F(Serve, InterpolatesAsTheCommandDoes) {
  const Reply reply = served_->post(
      "/v1/interpolate",
      R"({"model":"animals","conditions":{"kind":"cat","angle":[10,80]},"between":"condition","steps":4,"seed":3})",
      {{"Accept", "application/x-npy"}});
  ASSERT_EQ(reply.status, 200) << reply.body;
  put(*folder_ / "way.npy", reply.body);
  const runtime::Array way = io::read_npy_f32(*folder_ / "way.npy");
  const std::vector<float> expected =
      drawn_by_command(*folder_, {*folder_ / "animals.safetensors", "--condition", "kind=cat", "--condition",
                                  "angle=10|80", "--interpolate", "condition", "--steps", "4", "--seed", "3"});
  ASSERT_EQ(way.f32().size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(way.f32()[i], expected[i], 1e-5F);
}

/// Every route that openapi.json describes is there, takes its methods alone, and refuses a wrong body.
TEST_F(Serve, DoesWhatItsDescriptionSays) {
  const Json paths = served_->get("/openapi.json").json()["paths"];
  ASSERT_GT(paths.size(), 15u);
  for (const auto& [form, methods] : paths.items()) {
    std::string path = form;
    for (std::size_t at; (at = path.find('{')) != std::string::npos;) path.replace(at, path.find('}') - at + 1, "1");
    for (const std::string method : {"GET", "POST", "DELETE"}) {
      std::string lower = method;
      for (char& c : lower) c = static_cast<char>(c | 0x20);
      const bool described = methods.contains(lower);
      if (described && methods[lower]["responses"]["200"]["content"].contains("text/event-stream")) continue;
      const Reply reply = method == "POST" ? served_->post(path, "[1]") : served_->send(method, path);
      if (!described) {
        EXPECT_EQ(reply.status, 405) << method << " " << path;
      } else if (method == "POST") {
        EXPECT_EQ(reply.status, 400) << path << reply.body;
      } else {
        EXPECT_NE(reply.status, 405) << path;
        EXPECT_NE(reply.status, 500) << path << reply.body;
        EXPECT_EQ(reply.body.find("nothing at that address"), std::string::npos) << path;
      }
    }
    // Bodies with each field of the wrong type: 400 that names it, never a sample or a failure.
    if (!methods.contains("post")) continue;
    const Json schema = methods["post"]["requestBody"]["content"]["application/json"]["schema"];
    for (const auto& [field, type] : schema["properties"].items()) {
      const Reply reply = served_->post(path, Json{{field, Json::array({Json::object(), nullptr})}}.dump());
      EXPECT_TRUE(reply.status >= 400 && reply.status < 500) << path << " " << field << reply.status << reply.body;
    }
  }
}

TEST_F(Serve, BadInputIsRefusedByTheNameOfTheField) {
  const struct {
    const char *body, *field, *message;
    int status = 400;
  } cases[] = {
      {"nonsense", "", "no JSON object"},
      {"[]", "", "no JSON object"},
      {R"({"model":"none"})", "model", "no model of that name", 404},
      {R"({})", "model", "several models are served"},
      {R"({"model":"digits","size":3})", "size", "no field of that name: size"},
      {R"({"model":"digits","conditions":{"colour":1}})", "conditions.colour", "no such column, but 10 classes"},
      {R"({"model":"digits","conditions":{"label":99}})", "conditions.label", "expected 0 to 9"},
      {R"({"model":"digits","conditions":{"label":1.5}})", "conditions.label", "not a whole number"},
      {R"({"model":"digits","conditions":{"label":[]}})", "conditions.label", "expected a number, a name"},
      {R"({"model":"digits","conditions":{"label":{"from":0}}})", "conditions.label", "expected a number, a name"},
      {R"({"model":"digits","conditions":[1]})", "conditions", "expected an object"},
      {R"({"model":"animals","conditions":{"angle":{"from":0,"to":9,"steps":9999999}}})", "conditions.angle",
       "1 to 10,000 steps"},
      {R"({"model":"animals","conditions":{"kind":"cow"}})", "conditions.kind", "cow"},
      {R"({"model":"digits","count":0})", "count", "expected a whole number"},
      {R"({"model":"digits","count":1.5})", "count", "expected a whole number"},
      {R"({"model":"digits","count":1000})", "count", "are too many for one answer", 413},
      {R"({"model":"digits","seed":-1})", "seed", "expected a whole number"},
      {R"({"model":"digits","first":1e30})", "first", "expected a whole number"},
      {R"({"model":"digits","truncation":0.01})", "truncation", "at least 0.05"},
      {R"({"model":"digits","latents":[[1,2]]})", "latents", "rows of 64 numbers between"},
      {R"({"model":"digits","latents":[]})", "latents", "rows of 64 numbers between"},
      {R"({"model":"digits","pad":1000})", "pad", "from 0 to 64"},
      {R"({"model":"digits","same_latents":1})", "same_latents", "true or false"},
  };
  for (const auto& [body, field, message, status] : cases) {
    const Reply reply = sample(body);
    EXPECT_EQ(reply.status, status) << body << reply.body;
    EXPECT_NE(reply.json().value("error", "").find(message), std::string::npos) << body << reply.body;
    EXPECT_EQ(reply.json().value("field", ""), field) << body;
  }
  const std::string deep(100, '[');
  EXPECT_EQ(sample("{\"model\":" + deep + std::string(100, ']') + "}").status, 400);
  EXPECT_EQ(sample(std::string((8 << 20) + 1, ' ')).status, 413);
}

TEST_F(Serve, BadInputThatIsNoHttpEndsTheConnectionAlone) {
  for (const std::string text : {"nonsense\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\x16\x03\x01\x02",
                                 "GET /health HTTP/1.1\r\nContent-Length: many\r\n\r\n"}) {
    Connection connection(served_->port);
    connection.send(text + "\r\n\r\n");
    EXPECT_EQ(read_reply(connection).status, 400) << text;
  }
  Connection large(served_->port);
  large.send("GET /health HTTP/1.1\r\nX: " + std::string(20'000, 'a') + "\r\n\r\n");
  EXPECT_EQ(read_reply(large).status, 431);
  for (int i = 0; i < 50; ++i) {  // clients that break off
    Connection broken(served_->port);
    broken.send("POST /v1/sample HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{");
  }
  EXPECT_EQ(served_->get("/health").status, 200);
}

TEST_F(Serve, AnswersManyRequestsOfAConnection) {
  Connection connection(served_->port);
  for (int i = 0; i < 20; ++i) {
    connection.send(request_text("GET", "/health"));
    EXPECT_EQ(read_reply(connection).status, 200);
  }
  connection.send(request_text("HEAD", "/v1/server"));
  EXPECT_EQ(read_reply(connection, false).status, 200);
  connection.send(request_text("GET", "/health"));
  EXPECT_EQ(read_reply(connection).status, 200);
}

TEST_F(Serve, BodiesThatAreOnTheirWayTogetherAreBounded) {
  constexpr std::size_t kLargest = 8 << 20, kAll = 256 << 20;
  const Headers headers = {
      {"Content-Type", "application/json"}, {"Content-Length", std::to_string(kLargest)}, {"Expect", "100-continue"}};
  std::vector<std::unique_ptr<Connection>> clients;
  const auto ask = [&] {
    clients.push_back(std::make_unique<Connection>(served_->port));
    clients.back()->send(request_text("POST", "/v1/sample", "", headers));
    return read_reply(*clients.back(), false).status;
  };
  for (std::size_t i = 0; i < kAll / kLargest; ++i) ASSERT_EQ(ask(), 100) << i;
  EXPECT_EQ(ask(), 503);
  EXPECT_EQ(served_->get("/health").status, 200) << "requests without a body are answered";
  clients.clear();
  EXPECT_TRUE(wait_for([&] { return served_->post("/v1/sample", R"({"model":"digits","count":1})").status == 200; }));
}

/// The different answers to 64 requests for one sample, sent at once.
std::set<std::string> answers_together(const Served& served) {
  std::vector<std::unique_ptr<Connection>> connections;
  const std::string body = R"({"model":"digits","conditions":{"label":4},"first":9})";
  for (int i = 0; i < 64; ++i) {
    connections.push_back(std::make_unique<Connection>(served.port));
    connections.back()->send(request_text("POST", "/v1/sample", body,
                                          {{"Content-Type", "application/json"}, {"Accept", "application/x-npy"}}));
  }
  std::set<std::string> different;
  for (const auto& connection : connections) different.insert(read_reply(*connection).body);
  return different;
}

TEST_F(Serve, DrawsRequestsThatComeTogetherInOneBatch) {
  const double batches = served_->metric("gan_batches_total"), samples = served_->metric("gan_samples_total");
  EXPECT_LE(answers_together(*served_).size(), 8u) << "one sample, to 1e-5, in at most as many sizes of batches";
  EXPECT_EQ(served_->metric("gan_samples_total") - samples, 64);
  EXPECT_LT(served_->metric("gan_batches_total") - batches, 64);
}

TEST_F(Serve, DrawsTheSameBytesInAnyBatchWithSixteenBits) {
  const Folder output;
  const Served served(output, {"serve", *folder_ / "digits.safetensors", "--port", "0", "--precision", "int16"});
  const Reply way =
      served.post("/v1/interpolate", R"({"conditions":{"label":4},"between":"latent","steps":5,"seed":3})",
                  {{"Accept", "application/x-npy"}});
  ASSERT_EQ(way.status, 200) << way.body;
  put(*folder_ / "way.npy", way.body);
  const std::vector<float> expected =
      drawn_by_command(*folder_, {*folder_ / "digits.safetensors", "--label", "4", "--interpolate", "latent", "--steps",
                                  "5", "--seed", "3", "--precision", "int16"});
  EXPECT_TRUE(std::ranges::equal(io::read_npy_f32(*folder_ / "way.npy").f32(), expected));
  EXPECT_EQ(answers_together(served).size(), 1u);
  EXPECT_LT(served.metric("gan_batches_total"), 64);
}

TEST_F(Serve, RefusesPagesOfOthers) {
  const struct {
    Headers headers;
    int status;
  } cases[] = {
      {{{"Host", "127.0.0.1:8090"}}, 200},
      {{{"Host", "localhost"}}, 200},
      {{{"Host", "evil.example"}}, 421},
      {{{"Host", "127.0.0.1.evil.example"}}, 421},
      {{{"Host", ""}}, 421},
      {{{"Host", "127.0.0.1:1"}, {"Origin", "http://127.0.0.1:1"}}, 200},
      {{{"Host", "127.0.0.1:1"}, {"Origin", "http://127.0.0.1:2"}}, 403},
      {{{"Origin", "http://evil.example"}}, 403},
      {{{"Origin", "null"}}, 403},
      {{{"Sec-Fetch-Site", "same-origin"}}, 200},
      {{{"Sec-Fetch-Site", "none"}, {"Sec-Fetch-Mode", "navigate"}, {"Sec-Fetch-Dest", "document"}}, 200},
      {{{"Sec-Fetch-Site", "same-site"}}, 403},
      {{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Mode", "no-cors"}, {"Sec-Fetch-Dest", "image"}}, 403},
      {{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Mode", "navigate"}, {"Sec-Fetch-Dest", "document"}}, 403},
  };
  for (const auto& [headers, status] : cases)
    EXPECT_EQ(served_->get("/v1/models", headers).status, status) << headers[0].second;
  for (const std::string type : {"text/plain", "application/x-www-form-urlencoded", "multipart/form-data"})
    EXPECT_EQ(served_->send("POST", "/v1/sample", R"({"model":"digits"})", {{"Content-Type", type}}).status, 415);
  EXPECT_EQ(served_->get("/").status, 404) << "gan serve has no pages";
  EXPECT_EQ(served_->get("/health").header("X-Content-Type-Options"), "nosniff");
}

TEST(ServeAccess, AsksForAKey) {
  const Folder folder;
  train::Model model = untrained_model("tutorial-lsgan");
  give_random_weights(model);
  train::save_model(folder / "m.safetensors", model);
  put(folder / "key", "correct horse\n");
  const Served served(folder, {"serve", folder / "m.safetensors", "--port", "0", "--api-key", folder / "key"});
  EXPECT_EQ(served.get("/health").status, 200);
  EXPECT_EQ(served.get("/v1/models").status, 401);
  EXPECT_EQ(served.get("/v1/models", {{"Authorization", "Bearer correct horses"}}).status, 401);
  EXPECT_EQ(served.get("/v1/models", {{"Authorization", "Bearer "}}).status, 401);
  EXPECT_EQ(served.get("/v1/models", {{"Authorization", "Bearer correct horse"}}).status, 200);
  EXPECT_EQ(served.get("/v1/models", {{"X-API-Key", "correct horse"}}).status, 200);
  EXPECT_EQ(served.get("/v1/models", {{"Cookie", "a=b; gan_key=correct%20horse"}}).status, 200);
  // Large bodies of strangers are refused before they are read.
  const Headers large = {{"Content-Type", "application/json"}, {"Content-Length", "8000000"}};
  Connection stranger(served.port);
  stranger.send(request_text("POST", "/v1/sample", "", large));
  EXPECT_EQ(read_reply(stranger).status, 401);
}

TEST(ServeAccess, LetsABrowserInByALink) {
  const Folder folder, output;
  put(folder / "key", "correct+horse");
  const Served served(
      output, {"studio", folder.path(), "--port", "0", "--api-key", folder / "key", "--allow-host", "Example.org"});
  EXPECT_EQ(served.get("/").status, 401);
  EXPECT_EQ(served.get("/", {{"Host", "EXAMPLE.org"}, {"X-API-Key", "correct+horse"}}).status, 200);
  // A link in a letter, by a browser that has an older key.
  const Reply reply = served.get("/?key=correct%2Bhorse", {{"Sec-Fetch-Site", "cross-site"},
                                                           {"Sec-Fetch-Mode", "navigate"},
                                                           {"Sec-Fetch-Dest", "document"},
                                                           {"Cookie", "gan_key=wrong"}});
  EXPECT_EQ(reply.status, 303);
  EXPECT_EQ(reply.header("Location"), "/");
  const std::string cookie = reply.header("Set-Cookie");
  EXPECT_NE(cookie.find("HttpOnly"), std::string::npos);
  EXPECT_EQ(served.get("/", {{"Cookie", cookie.substr(0, cookie.find(';'))}}).status, 200);
  EXPECT_EQ(served.get("/?key=wrong").status, 401);
}

TEST(ServeBadInput, CommandLinesThatCannotBe) {
  const Folder folder;
  put(folder / "bad.safetensors", "no model");
  put(folder / "short", "abc");
  expect_refused(folder, {"serve"}, 2, "nothing to serve");
  expect_refused(folder, {"serve", folder / "none", "--port", "0"}, 3, "none");
  expect_refused(folder, {"serve", folder / "bad.safetensors", "--port", "0"}, 3, "bad.safetensors");
  expect_refused(folder, {"serve", "--root", folder / "none"}, 2, "no such folder");
  expect_refused(folder, {"serve", "--root", folder.path(), "--host", "0.0.0.0"}, 2, "--api-key");
  expect_refused(folder, {"serve", "--root", folder.path(), "--port", "70000"}, 2, "--port");
  expect_refused(folder, {"serve", "--root", folder.path(), "--api-key", folder / "short"}, 2, "8 characters");
  expect_refused(folder,
                 {"serve", "--root", folder.path(), "--host", "no.such.host.invalid", "--api-key",
                  folder / "bad.safetensors", "--port", "0"},
                 4, "cannot listen");
  const Result result = run(folder, {"serve", "--root", folder.path()}, {{"GAN_SERVE_PORTS", "1"}});
  EXPECT_EQ(result.code, 2) << "a variable that is no option";
}

// ---- runs ----

/// The events that come until `done(name, data)` says that it is enough.
std::vector<std::pair<std::string, Json>> listen(Connection& connection, std::string& last_id,
                                                 const std::function<bool(const std::string&, const Json&)>& done) {
  std::vector<std::pair<std::string, Json>> events;
  for (;;) {
    const std::string text = connection.read_until("\n\n");
    if (text.empty()) return events;
    std::istringstream lines(text);
    std::string name, data;
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("id: ")) last_id = line.substr(4);
      if (line.starts_with("event: ")) name = line.substr(7);
      if (line.starts_with("data: ")) data = line.substr(6);
    }
    if (name.empty()) continue;
    events.emplace_back(name, Json::parse(data, nullptr, false));
    if (done(name, events.back().second)) return events;
  }
}

class ServeRuns : public testing::Test {
 protected:
  ServeRuns() {
    fs::create_directories(folder_ / "root");
    fs::create_directories(folder_ / "outside/secret");
    write_data(folder_);
    fs::rename(folder_ / "x.idx", folder_ / "root/x.idx");
    put(folder_ / "outside/secret/config.toml", "");
    fs::create_directory_symlink(folder_ / "outside/secret", folder_ / "root/link");
    served_ = std::make_unique<Served>(output_, args(), Environment{{"XDG_CACHE_HOME", output_ / "cache"}});
  }
  Args args() const { return {"studio", folder_ / "root", "--port", "0"}; }

  /// Starts a training without end on pictures of 8 x 8.
  Reply start(const std::string& name, const std::string& more = "") {
    return served_->post(
        "/v1/runs",
        R"({"name":")" + name +
            R"(","data":"x.idx","preset":"lsgan-r1r2","steps":1000000,)"
            R"("set":{"model.g.widths":[8],"model.d.widths":[8],"train.batch":8,"train.log_every":5,"train.threads":1,)"
            R"("watchdog.every":0,"train.sample_every":50)" +
            more + "}}");
  }
  std::string state(const std::string& name) {
    const Json runs = served_->get("/v1/runs").json()["runs"];
    for (const Json& run : runs)
      if (run["name"] == name) return run["state"];
    return "none";
  }

  Folder folder_, output_;
  std::unique_ptr<Served> served_;
};

TEST_F(ServeRuns, StartsWatchesStopsAndResumes) {
  const Reply check = served_->post("/v1/runs", R"({"name":"a b","data":"x.idx","time":"3m","check":true,"seed":4})");
  ASSERT_EQ(check.status, 200) << check.body;
  EXPECT_EQ(check.json()["command"].get<std::string>().rfind("gan train --data ", 0), 0u) << check.body;
  EXPECT_NE(check.body.find("'"), std::string::npos) << "quoted for a shell";
  EXPECT_FALSE(fs::exists(folder_ / "root/a b"));

  const Reply started = start("deep/a b");
  ASSERT_EQ(started.status, 201) << started.body;
  EXPECT_EQ(start("deep/a b").status, 409);
  Connection stream(served_->port);
  stream.send(request_text("GET", "/v1/runs/deep%2Fa%20b/events"));
  EXPECT_NE(stream.read_until("\r\n\r\n").find("text/event-stream"), std::string::npos);
  std::string id;
  int metrics = 0, pictures = 0;
  bool training = false;
  auto events = listen(stream, id, [&](const std::string& name, const Json& data) {
    metrics += name == "metrics";
    training = training || (name == "state" && data["state"] == "training");
    return (pictures += name == "picture") >= 1 && metrics >= 20 && training;
  });
  EXPECT_TRUE(training);
  // A reader who comes back with the last id misses nothing and gets nothing twice.
  Connection again(served_->port);
  again.send(request_text("GET", "/v1/runs/deep%2Fa%20b/events", "", {{"Last-Event-ID", id}}));
  again.read_until("\r\n\r\n");
  EXPECT_EQ(served_->post("/v1/runs/deep%2Fa%20b/stop", "{}").status, 202);
  const auto rest = listen(again, id, [](const std::string& name, const Json& data) {
    return name == "state" && data["state"] == "stopped";
  });
  std::vector<std::int64_t> steps;
  for (const auto& list : {events, rest})
    for (const auto& [name, data] : list)
      if (name == "metrics") steps.push_back(data["step"].get<std::int64_t>());
  EXPECT_EQ(steps, logged_steps(folder_ / "root/deep/a b/metrics.jsonl"));
  EXPECT_EQ(served_->post("/v1/runs/deep%2Fa%20b/stop", "{}").status, 409);

  const Json run = served_->get("/v1/runs/deep%2Fa%20b").json();
  EXPECT_EQ(run["state"], "stopped");
  EXPECT_EQ(run["steps"], steps.back());
  EXPECT_EQ(run["config"]["train.batch"], "8");
  const std::string shown = run["report"]["samples"]["pictures"][0]["url"];
  EXPECT_EQ(served_->get(shown).body.substr(1, 3), "PNG") << shown;

  // A million steps are done, says the resumed run, if so many are enough.
  const Reply resumed =
      served_->post("/v1/runs/deep%2Fa%20b/resume", R"({"steps":")" + std::to_string(steps.back() + 60) + "\"}");
  EXPECT_EQ(resumed.status, 202) << resumed.body;
  EXPECT_TRUE(wait_for([&] { return state("deep/a b") == "finished"; })) << state("deep/a b");
  EXPECT_EQ(served_->post("/v1/sample", R"({"model":"deep/a b","count":2})").status, 200);
  // The rows nearest to a sample are in the data of its run.
  const Json near = served_->post("/v1/neighbours", R"({"model":"deep/a b","k":3})").json();
  ASSERT_EQ(near["neighbours"].size(), 3u) << near.dump();
  EXPECT_LE(near["neighbours"][0]["distance"], near["neighbours"][2]["distance"]);
  EXPECT_LT(near["neighbours"][0]["index"], 64);
}

TEST_F(ServeRuns, OutliveTheirServer) {
  ASSERT_EQ(start("a").status, 201);
  served_->process().signal(SIGKILL);
  served_->process().wait();
  const std::size_t before = logged_steps(folder_ / "root/a/metrics.jsonl").size();
  EXPECT_TRUE(wait_for([&] { return logged_steps(folder_ / "root/a/metrics.jsonl").size() > before + 3; }));
  const Folder output;
  served_ = std::make_unique<Served>(output, args());
  EXPECT_EQ(state("a"), "training");
  EXPECT_EQ(served_->post("/v1/runs/a/stop", "{}").status, 202);
  EXPECT_TRUE(wait_for([&] { return state("a") == "stopped"; })) << state("a");
  served_.reset();
}

TEST_F(ServeRuns, BadInputStartsNothing) {
  const struct {
    const char *body, *message;
    int status = 400;
  } cases[] = {
      {R"({"name":"b","data":"none.idx","steps":10})", "there is no such file"},
      {R"({"name":"b","data":"../x.idx","steps":10})", "there is no such file"},
      {R"({"name":"b","data":"/etc/passwd","steps":10})", "there is no such file"},
      {R"({"name":"b","data":"link","steps":10})", "there is no such file"},
      {R"({"name":"../b","data":"x.idx","steps":10})", "name: expected one such as"},
      {R"({"name":"/b","data":"x.idx","steps":10})", "name: expected one such as"},
      {R"({"name":".b","data":"x.idx","steps":10})", "name: expected one such as"},
      {R"({"name":"b\n","data":"x.idx","steps":10})", "control characters"},
      {R"({"name":"link/b","data":"x.idx","steps":10})", "nothing of that name", 404},
      {R"({"name":"x.idx","data":"x.idx","steps":10})", "of that name", 409},
      {R"({"name":"b","data":"x.idx","steps":10,"preset":"lsgan"})", "lsgan"},
      {R"({"name":"b","data":"x.idx","steps":-3})", "train.steps"},
      {R"({"name":"b","data":"x.idx","steps":10,"set":{"train.batches":1}})", "train.batch"},
      {R"({"name":"b","data":"x.idx","steps":10,"set":{"train.batch":{}}})", "expected a number"},
      {R"({"name":"b","data":"x.idx","steps":10,"out":"/tmp"})", "no field of that name: out"},
      {R"({"name":"b","data":"x.idx","steps":10,"init":"../outside"})", "nothing of that name", 404},
      {R"({"name":"b","data":"x.idx","steps":10,"condition":"--threads"})", "--threads"},
      {R"({"name":"b","data":"x.idx","steps":10,"condition":"colour"})", "colour"},
  };
  for (const auto& [body, message, status] : cases) {
    const Reply reply = served_->post("/v1/runs", body);
    EXPECT_EQ(reply.status, status) << body << reply.body;
    EXPECT_NE(reply.body.find(message), std::string::npos) << body << reply.body;
    EXPECT_EQ(reply.body.find(folder_.path()), std::string::npos) << "tells no paths: " << reply.body;
  }
  EXPECT_FALSE(fs::exists(folder_ / "root/b"));
}

/// Broken files in a root break neither the server nor the answers about other runs.
TEST_F(ServeRuns, BadInputInTheRootStaysWhereItIs) {
  expect_done(folder_, {"train", "--data", "ring8", "--steps", "20", "--out", folder_ / "root/good", "--set",
                        "train.log_every=10", "--set", "model.g.widths=[8]", "--set", "model.d.widths=[8]", "--quiet"});
  const auto copy = [&](const std::string& name) {
    fs::copy(folder_ / "root/good", folder_ / ("root/" + name), fs::copy_options::recursive);
    return folder_ / ("root/" + name + "/");
  };
  const std::string pipe = copy("pipe");
  for (const char* file : {"metrics.jsonl", "train.log"}) {
    fs::remove(pipe + file);
    ASSERT_EQ(mkfifo((pipe + file).c_str(), 0600), 0);
  }
  put(copy("config") + "config.toml", "nonsense");
  put(copy("model") + "model.safetensors", "nonsense");
  const std::string link = copy("link2");
  put(folder_ / "outside/secret.png", "secret");
  fs::create_directories(link + "samples");
  fs::create_symlink(folder_ / "outside/secret.png", link + "samples/5.png");
  fs::create_symlink(folder_ / "outside/secret.png", link + "train.log");
  fs::remove(link + "model.safetensors");
  fs::create_symlink("model.safetensors", link + "model.safetensors");  // leads to itself

  Connection stream(served_->port);
  stream.send(request_text("GET", "/v1/runs/pipe/events"));
  stream.read_until("\r\n\r\n");
  EXPECT_EQ(state("good"), "finished");
  EXPECT_EQ(state("config"), "failed");
  for (const std::string target :
       {"/v1/runs", "/v1/models", "/v1/runs/good", "/v1/runs/config", "/v1/runs/model", "/v1/runs/link2",
        "/v1/runs/link2/pictures/5.png", "/v1/models/model", "/v1/runs/good%2F", "/v1/runs/good%2F.", "/health"}) {
    const Reply reply = served_->get(target);
    const bool fine = target == "/v1/runs" || target == "/v1/models" || target == "/v1/runs/good" ||
                      target == "/v1/runs/model" || target == "/health" || target == "/v1/runs/link2";
    EXPECT_EQ(reply.status == 200, fine) << target << " " << reply.status << reply.body.substr(0, 300);
    EXPECT_EQ(reply.body.find("\"error\":\"/"), std::string::npos) << target << reply.body.substr(0, 300);
    EXPECT_EQ(reply.body.find("secret"), std::string::npos) << target;
  }
  // A wrong request is no failure of the run.
  EXPECT_EQ(served_->post("/v1/runs/good/resume", R"({"time":"soon"})").status, 400);
  EXPECT_EQ(state("good"), "finished");
  const std::string metrics = folder_ / "root/good/metrics.jsonl";
  put(metrics, base::read_file(metrics) + "{\"step\":9,\"watch.warnings\":[\"one\",\"two\"]}\n");
  const Json runs = served_->get("/v1/runs").json()["runs"];
  const auto good = std::ranges::find_if(runs, [](const Json& run) { return run["name"] == "good"; });
  ASSERT_NE(good, runs.end());
  EXPECT_EQ((*good)["warnings"], 2);
  EXPECT_EQ(served_->post("/v1/runs", R"({"name":"x","data":"ring8","steps":5,"check":1})").status, 400);
  // Bodies that would take long to read are refused at once.
  std::string keys = "{\"model\":\"good\"";
  for (int i = 0; i < 100'000; ++i) keys += ",\"" + std::to_string(i) + "\":1";
  EXPECT_EQ(served_->post("/v1/sample", keys + "}").status, 400);
  std::string objects = "{\"latents\":[{}";
  for (int i = 0; i < 100'000; ++i) objects += ",{}";
  EXPECT_EQ(served_->post("/v1/sample", objects + "]}").status, 400);
}

/// A training has no part in the server's port.
TEST_F(ServeRuns, LeaveThePortToTheNextServer) {
  ASSERT_EQ(start("a").status, 201);
  const int port = served_->port;
  served_->process().signal(SIGTERM);
  EXPECT_EQ(served_->process().wait(), 0);
  const Folder output;
  served_ = std::make_unique<Served>(output, Args{"studio", folder_ / "root", "--port", std::to_string(port)});
  EXPECT_EQ(served_->port, port);
  EXPECT_EQ(state("a"), "training");
  served_->post("/v1/runs/a/stop", "{}");
  EXPECT_TRUE(wait_for([&] { return state("a") == "stopped"; }));
  served_.reset();
}

TEST_F(ServeRuns, PathsStayBelowTheRoot) {
  put(folder_ / "outside/secret/model.safetensors", "secret");
  for (const std::string name : {"..", "../outside", "..%2Foutside%2Fsecret", "%2e%2e%2foutside", "link", "link%2f.",
                                 "%2Fetc", "a%00b", "%", "%zz", ".", "..%5C", "%252e%252e%252foutside"}) {
    for (const std::string& target :
         {"/v1/runs/" + name, "/v1/runs/" + name + "/events", "/v1/models/" + name,
          "/v1/runs/" + name + "/pictures/1.png", "/studio/" + name, "/v1/runs/" + name + "/eval/samples.png"}) {
      const Reply reply = served_->get(target);
      EXPECT_TRUE(reply.status == 404 || reply.status == 400) << target << reply.status << reply.body;
      EXPECT_EQ(reply.body.find(folder_.path()), std::string::npos) << target;
      EXPECT_EQ(reply.body.find("secret"), std::string::npos) << target;
    }
  }
  EXPECT_EQ(served_->get("/studio/").status, 404) << "no list of files";
  EXPECT_EQ(served_->get("/v1/runs").json()["runs"].size(), 0u) << "links are not followed";
}

TEST_F(ServeRuns, PagesLoadNothingFromElsewhere) {
  const Reply page = served_->get("/");
  EXPECT_EQ(page.status, 200);
  const std::string policy = page.header("Content-Security-Policy");
  EXPECT_NE(policy.find("default-src 'none'"), std::string::npos);
  EXPECT_EQ(policy.find("unsafe"), std::string::npos) << "no scripts or styles inside of pages";
  EXPECT_EQ(page.body.find("://"), std::string::npos);
  EXPECT_EQ(page.body.find(" style="), std::string::npos);
  const Reply script = served_->get("/studio/studio.js");
  EXPECT_EQ(script.status, 200);
  EXPECT_EQ(script.header("Content-Type"), "text/javascript; charset=utf-8");
  EXPECT_EQ(served_->get("/studio/studio.js", {{"If-None-Match", script.header("ETag")}}).status, 304);
  EXPECT_EQ(served_->get("/studio/report.html").status, 404);
}

TEST(ServeJobs, FoldersOfKilledServersAreRemoved) {
  const Folder folder;
  const fs::path place = folder / "tmp";
  const auto names = [&] {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(place)) found.push_back(entry.path().filename().string());
    std::ranges::sort(found);
    return found;
  };
  for (const char* name : {"gan-jobs-killed", "gan-jobs-in-use", "gan-jobs-new", "other"}) {
    fs::create_directories(place / name);
    put((place / name / "1.npz").string(), "x");
    if (name != std::string("gan-jobs-new"))
      fs::last_write_time(place / name, fs::file_time_type::clock::now() - std::chrono::hours(2));
  }
  const base::FolderLock lock((place / "gan-jobs-in-use").string());
  fs::create_directory(folder / "root");
  {
    Served server(folder, {"studio", folder / "root", "--port", "0"}, {{"TMPDIR", place.string()}});
    const std::vector<std::string> found = names();
    EXPECT_EQ(found.size(), 4u) << "its own is the fourth";
    EXPECT_EQ(std::ranges::count(found, "gan-jobs-killed"), 0);
    server.process().signal(SIGTERM);
    EXPECT_EQ(server.process().wait(), 0);
  }
  EXPECT_EQ(names(), (std::vector<std::string>{"gan-jobs-in-use", "gan-jobs-new", "other"}));
}

TEST_F(ServeRuns, JobsDrawMuchAndEvaluate) {
  ASSERT_EQ(start("a").status, 201);
  ASSERT_TRUE(wait_for([&] { return fs::exists(folder_ / "root/a/samples/50.png"); }));
  served_->post("/v1/runs/a/stop", "{}");
  ASSERT_TRUE(wait_for([&] { return state("a") == "stopped"; }));
  const std::string picture = "/v1/runs/a/pictures/50.png";
  const Reply whole = served_->get(picture), head = served_->send("HEAD", picture);
  EXPECT_EQ(head.header("Content-Type"), "image/png");
  EXPECT_EQ(head.header("Content-Length"), std::to_string(whole.body.size()));
  const Reply added = served_->post("/v1/jobs", R"({"kind":"sample","model":"a","count":5000,"format":"npy"})");
  ASSERT_EQ(added.status, 202) << added.body;
  const std::string job = "/v1/jobs/" + added.json()["id"].get<std::string>();
  EXPECT_TRUE(wait_for([&] { return served_->get(job).json()["state"] == "done"; })) << served_->get(job).body;
  EXPECT_EQ(served_->get(job + "/result").body.size(), 128u + 5000 * 64 * 4);
  // Jobs that are cancelled while they wait never run.
  Json ids = Json::array();
  const std::string long_job =
      served_->post("/v1/jobs", R"({"kind":"sample","model":"a","count":1000000})").json()["id"];
  double progress = 0;
  EXPECT_TRUE(wait_for([&] {
    const Json now = served_->get("/v1/jobs/" + long_job).json();
    progress = now["progress"].is_number() ? now["progress"].get<double>() : 0.0;
    return progress > 0;
  })) << "how much of it is done";
  EXPECT_EQ(served_->send("DELETE", "/v1/jobs/" + long_job).status, 202);
  for (int i = 0; i < 3; ++i)
    ids.push_back(served_->post("/v1/jobs", R"({"kind":"sample","model":"a","count":1000000})").json()["id"]);
  for (const Json& id : ids) EXPECT_EQ(served_->send("DELETE", "/v1/jobs/" + id.get<std::string>()).status, 202);
  for (const Json& id : ids) {
    EXPECT_EQ(served_->get("/v1/jobs/" + id.get<std::string>()).json()["state"], "cancelled");
    EXPECT_EQ(served_->get("/v1/jobs/" + id.get<std::string>() + "/result").status, 409);
  }
  const std::string judged =
      "/v1/jobs/" + served_->post("/v1/jobs", R"({"kind":"evaluate","run":"a"})").json()["id"].get<std::string>();
  bool counted = false;
  EXPECT_TRUE(wait_for([&] {
    const Json now = served_->get(judged).json();
    counted |= now["state"] == "running" && now["progress"].is_number();
    return now["state"] == "done";
  })) << served_->get(judged).body;
  EXPECT_TRUE(counted) << "how much of the classifier's training is done";
  EXPECT_TRUE(fs::exists(folder_ / "root/a/eval/eval.json"));
  EXPECT_EQ(served_->post("/v1/jobs", R"({"kind":"evaluate","run":"none"})").status, 404);
  EXPECT_EQ(served_->post("/v1/jobs", R"({"kind":"dig"})").status, 400);
}

TEST_F(ServeRuns, TrainingsAreBounded) {
  for (const char* name : {"a", "b", "c", "d"}) ASSERT_EQ(start(name).status, 201) << name;
  EXPECT_EQ(start("e").status, 429);
  EXPECT_FALSE(fs::exists(folder_ / "root/e"));
  EXPECT_EQ(served_->post("/v1/runs/a/stop", "{}").status, 202);
  // The run has stopped a moment before its process has ended.
  EXPECT_TRUE(wait_for([&] { return start("e").status == 201; }));
}

TEST_F(ServeRuns, EventStreamsAreBounded) {
  std::vector<std::unique_ptr<Connection>> streams;
  int refused = 0;
  for (int i = 0; i < 70; ++i) {
    streams.push_back(std::make_unique<Connection>(served_->port));
    streams.back()->send(request_text("GET", "/v1/events"));
    refused += streams.back()->read_until("\r\n").find("429") != std::string::npos;
  }
  EXPECT_EQ(refused, 6);
  EXPECT_EQ(served_->get("/health").status, 200);
  streams.clear();
  EXPECT_TRUE(wait_for([&] { return served_->metric("gan_event_streams") == 0; }))
      << served_->metric("gan_event_streams");
}

TEST_F(ServeRuns, ReadOnlyChangesNothing) {
  Folder other;
  const Served served(other, {"studio", folder_ / "root", "--port", "0", "--read-only"});
  for (const char* target : {"/v1/runs", "/v1/runs/a/stop", "/v1/runs/a/resume", "/v1/jobs"})
    EXPECT_EQ(served.post(target, "{}").status, 403) << target;
  EXPECT_EQ(served.send("DELETE", "/v1/jobs/1").status, 403);
  EXPECT_EQ(served.get("/v1/server").json()["read_only"], true);
}

TEST_F(ServeRuns, EndsWithWhatWasAskedAnswered) {
  ASSERT_EQ(start("a", R"(,"model.g.widths":[2048,2048,2048])").status, 201);
  ASSERT_TRUE(wait_for([&] { return fs::exists(folder_ / "root/a/samples/50.png"); }));
  served_->post("/v1/runs/a/stop", "{}");
  ASSERT_TRUE(wait_for([&] { return state("a") == "stopped"; }));
  Connection stream(served_->port), draw(served_->port);
  stream.send(request_text("GET", "/v1/events"));
  stream.read_until("\n\n");
  draw.send(request_text("POST", "/v1/sample", R"({"model":"a","count":1500})",
                         {{"Content-Type", "application/json"}, {"Accept", "application/x-npy"}}));
  EXPECT_EQ(served_->get("/health").status, 200);  // by now the requests before it have been read
  served_->process().signal(SIGTERM);
  const Reply reply = read_reply(draw);
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body.size(), 128u + 1500 * 64 * 4);
  EXPECT_EQ(served_->process().wait(), 0);
}

}  // namespace
}  // namespace gan::test
