#include "train/config.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "train/preset.h"

namespace gan::train {
namespace {

using Settings = std::vector<std::string>;

/// The message of the usage error that `action` throws; "" if it throws none.
template <typename Action>
std::string message_of(const Action& action, base::ErrorKind kind = base::ErrorKind::usage) {
  try {
    action();
  } catch (const base::Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << "one line: " << error.what();
    return error.what();
  }
  return "";
}

Config with(const Settings& settings) {
  Config config;
  apply_settings(config, settings);
  return config;
}

TEST(Config, SettingsReachTheirFields) {
  const Config config = with({"model.g.widths=[8, 16]", "model.d.widths=4,5", "model.g.activation=tanh",
                              "model.g.batch_norm=true", "optim.beta1=0.5", "train.seed=7", "data.source=a=b"});
  EXPECT_EQ(config.model.g.widths, (std::vector<std::int64_t>{8, 16}));
  EXPECT_EQ(config.model.d.widths, (std::vector<std::int64_t>{4, 5}));
  EXPECT_EQ(config.model.g.activation, "tanh");
  EXPECT_TRUE(config.model.g.batch_norm);
  EXPECT_EQ(config.optim.beta1, 0.5);
  EXPECT_EQ(config.train.seed, 7);
  EXPECT_EQ(config.data.source, "a=b");
}

TEST(Config, OneLearningRateSetsBothAndEitherMayDiffer) {
  const Config both = with({"optim.lr=0.01"});
  EXPECT_EQ(both.optim.g.lr, 0.01);
  EXPECT_EQ(both.optim.d.lr, 0.01);
  // In TOML the general key comes first wherever it stands.
  Config config;
  apply_toml(config, "[optim]\nd.lr = 0.5\nlr = 0.25\n", "x.toml");
  EXPECT_EQ(config.optim.g.lr, 0.25);
  EXPECT_EQ(config.optim.d.lr, 0.5);
}

TEST(Config, CodingAndTargetsFollowEachOther) {
  const Config pearson = with({"loss.coding=pearson"});
  EXPECT_EQ(pearson.loss.a, -1);
  EXPECT_EQ(pearson.loss.b, 1);
  EXPECT_EQ(pearson.loss.c, 0);
  const Config custom = with({"loss.c=0.9"});
  EXPECT_EQ(custom.loss.coding, "custom");
  EXPECT_EQ(custom.loss.b, 1);
  EXPECT_EQ(with({"loss.a=-1", "loss.c=0"}).loss.coding, "pearson");
}

TEST(Config, OneBudgetReplacesAnother) {
  Config config = with({"train.steps=100"});
  apply_settings(config, Settings{"train.time=1h30m"});
  EXPECT_EQ(config.train.steps, 0);
  EXPECT_EQ(config.train.time, 5400);
  apply_settings(config, Settings{"train.epochs=2"});
  EXPECT_EQ(config.train.time, 0);
  EXPECT_NE(message_of([&] { apply_settings(config, Settings{"train.steps=1", "train.time=1s"}); }), "");
  EXPECT_NE(message_of([&] { apply_toml(config, "[train]\nsteps = 1\nepochs = 1\n", "x.toml"); }), "");
  const Config none;
  EXPECT_NE(message_of([&] { validate(none); }), "") << "no budget at all";
}

TEST(Config, Durations) {
  EXPECT_EQ(parse_duration("90"), 90);
  EXPECT_EQ(parse_duration("90s"), 90);
  EXPECT_EQ(parse_duration("3m"), 180);
  EXPECT_EQ(parse_duration("1h30m"), 5400);
  EXPECT_EQ(parse_duration("1.5h"), 5400);
  for (const char* wrong : {"", "m", "3x", "30m1h", "1h30", "-3m", "nan", "inf", "3m3m", "1e999"}) {
    EXPECT_FALSE(parse_duration(wrong)) << wrong;
  }
}

TEST(Config, TomlReadsBackTheSame) {
  for (const EmbeddedPreset& preset : embedded_presets()) {
    Config config = load_preset(preset.name);
    apply_settings(config, Settings{"data.source=a \"b\"\\c", "optim.g.lr=1e-7", "loss.c=0.3", "train.time=0.5"});
    Config read;
    apply_toml(read, to_toml(config), "x.toml");
    EXPECT_EQ(differing_keys(config, read), Settings{}) << to_toml(config);
    EXPECT_EQ(to_toml(config), to_toml(read));
  }
}

TEST(Config, JsonReadsBackTheModelAndKeepsNoPathTimeOrInterval) {
  const Config config = with({"data.source=/home/me/x", "train.time=3m", "train.log_every=3", "train.threads=2",
                              "train.checkpoint_every=9", "train.sample_every=9", "model.latent=5", "optim.lr=0.5"});
  const nlohmann::ordered_json json = to_json(config);
  const std::string text = json.dump();
  for (const char* absent : {"/home", "time", "_every", "threads", "train.steps", "epochs"}) {
    EXPECT_EQ(text.find(absent), std::string::npos) << absent;
  }
  const Config read = config_of_json(nlohmann::ordered_json::parse(text), "x");
  EXPECT_EQ(read.model.latent, 5);
  EXPECT_EQ(read.optim.d.lr, 0.5);
  EXPECT_EQ(to_json(read), json);
}

TEST(Config, JsonBadInput) {
  for (const char* wrong :
       {R"([])", R"({"model.latnt": 1})", R"({"model.latent": "1"})", R"({"model.latent": 0})",
        R"({"model.latent": 18446744073709551615})", R"({"optim.beta1": 1e999})", R"({"model.g.widths": [1.5]})",
        R"({"model.g.widths": {}})", R"({"model.kind": null})", R"({"loss.name": "wgan"})"}) {
    EXPECT_NE(message_of(
                  [&] {
                    // 1e999 already fails in the parser, as any broken header does.
                    const auto json = nlohmann::ordered_json::parse(wrong, nullptr, false);
                    config_of_json(json, "model.safetensors");
                  },
                  base::ErrorKind::data),
              "")
        << wrong;
  }
}

TEST(Config, ResumeNamesWhatDiffers) {
  const Config saved = with({"train.steps=100"});
  Config wanted = saved;
  apply_settings(wanted, Settings{"train.time=3m", "train.threads=1", "train.log_every=1", "train.checkpoint_every=1",
                                  "train.sample_every=1"});
  EXPECT_NO_THROW(require_resumable(saved, wanted));
  apply_settings(wanted, Settings{"train.batch=32"});
  EXPECT_NE(message_of([&] { require_resumable(saved, wanted); }).find("train.batch = 32"), std::string::npos);
}

TEST(Config, PresetsAreWhatTheySay) {
  const Config lsgan = load_preset("tutorial-lsgan");
  EXPECT_EQ(lsgan.preset, "tutorial-lsgan");
  EXPECT_EQ(lsgan.model.g.widths, (std::vector<std::int64_t>{64, 128, 256, 512, 1024}));
  EXPECT_TRUE(lsgan.model.g.spectral_norm);
  EXPECT_FALSE(lsgan.model.g.gain);
  EXPECT_FALSE(lsgan.model.d.spectral_norm);
  EXPECT_TRUE(lsgan.loss.sigmoid);
  EXPECT_EQ(lsgan.loss.a, 0);
  EXPECT_EQ(lsgan.loss.c, 1);
  EXPECT_EQ(load_preset("tutorial-bce").loss.name, "bce");
  EXPECT_TRUE(load_preset("gan").data.unconditional);
  // The default for pictures is the last row of the table that was measured.
  const Config best = load_preset("lsgan-r1r2");
  EXPECT_EQ(best.loss.name, "least_squares");
  EXPECT_FALSE(best.loss.sigmoid);
  EXPECT_EQ(best.penalty.weight("r1"), 0.3);
  EXPECT_EQ(best.optim.beta1, 0);
  for (const EmbeddedPreset& preset : embedded_presets()) {
    EXPECT_NO_THROW(validate(load_preset(preset.name))) << preset.name;
    EXPECT_NE(describe_preset(preset), "") << preset.name;
  }
  EXPECT_NO_THROW(load_preset(default_preset({2})));
  EXPECT_NE(message_of([] { load_preset("tutorial-lsgam"); }).find("\"tutorial-lsgan\""), std::string::npos);
}

// Each setting is refused, and the message holds the text beside it.
struct Refused {
  const char* setting;
  const char* message;
};
const Refused kRefused[] = {
    {"optim.lrr=1", "did you mean \"optim.lr\""},
    {"train.batch", "key=value"},
    {"train.batch=0", "train.batch = 0: expected a whole number, from 1 to 1000000"},
    {"train.batch=6.5", "train.batch"},
    {"train.batch=many", "train.batch = \"many\""},
    {"train.batch=", "train.batch"},
    {"train.batch=99999999999999999999", "train.batch"},
    {"model.g.widths=", "model.g.widths"},
    {"model.g.widths=[]", "model.g.widths"},
    {"model.g.widths=[64, 0]", "model.g.widths = [64, 0]"},
    {"model.g.widths=[64,]", "model.g.widths"},
    {"model.g.activation=rellu", "did you mean \"relu\""},
    {"model.g.batch_norm=yes", "true or false"},
    {"optim.name=adm", "did you mean \"adam\""},
    {"optim.beta1=1", "from 0 to below 1"},
    {"optim.beta1=-0.1", "optim.beta1"},
    {"optim.epsilon_final=-1", "optim.epsilon_final = -1"},
    {"optim.beta1=nan", "optim.beta1 = nan"},
    {"optim.lr=inf", "optim.lr = inf"},
    {"optim.lr=1e999", "optim.lr"},
    {"optim.lr=-1", "optim.lr"},
    {"penalty.r1=nan", "penalty.r1"},
    {"loss.a=1e9", "loss.a"},
    {"train.time=3 weeks", "90s, 3m, 1h30m"},
    {"train.steps=-5", "train.steps"},
    {"train.seed=-1", "at least 0"},
    {"train.precision=fp16", "auto, f32 or bf16"},
    {"train.log_every=0", "train.log_every"},
    {"preset=gan", "preset"},
    {"description=x", "description"},
};

TEST(Config, SettingsBadInput) {
  for (const Refused& refused : kRefused) {
    const std::string message = message_of([&] { with({refused.setting}); });
    EXPECT_NE(message.find(refused.message), std::string::npos) << refused.setting << " -> " << message;
  }
}

TEST(Config, ValuesThatDoNotGoTogetherBadInput) {
  const Settings wrong[] = {
      {"train.steps=1", "loss.name=least_squares", "loss.sigmoid=true", "loss.coding=pearson"},
      {"train.steps=1", "loss.name=least_squares", "loss.saturating=true"},
      {"train.steps=1", "loss.name=least_squares", "loss.a=1"},
      {"train.steps=1", "model.g.gain=true"},
      {"train.steps=1", "model.d.gain=true"},
      {"train.steps=1", "model.g.batch_norm=true", "train.batch=1"},
      {"train.steps=0"},
  };
  for (const Settings& settings : wrong) {
    EXPECT_NE(message_of([&] { validate(with(settings)); }), "") << settings.back();
  }
  const std::string reason = message_of([&] { validate(with(wrong[0])); });
  EXPECT_NE(reason.find("Sigmoid"), std::string::npos) << reason;
  EXPECT_NO_THROW(validate(with({"train.steps=1", "loss.name=least_squares", "loss.sigmoid=true"})));
}

TEST(Config, TomlMayHoldLettersInTexts) {
  Config config;
  apply_toml(config, "# \xc3\xb6 'a\npreset = \"\\\"\xc3\xb6\" # \"\n[data]\nsource = '''\xc3\xb6\n'\xc3\xb6'''\n",
             "x.toml");
  EXPECT_EQ(config.preset, "\"\xc3\xb6");
  EXPECT_EQ(config.data.source, "\xc3\xb6\n'\xc3\xb6");
}

TEST(Config, TomlBadInput) {
  const Refused refused[] = {
      {"[train]\nbatch = 1\nbatsh = 2\n", "x.toml:3: unknown key \"train.batsh\"; did you mean \"train.batch\"?"},
      {"[train]\n\nbatch = \"64\"\n", "x.toml:3: train.batch = \"64\""},
      {"[train\n", "x.toml:1: "},
      {"a = 1979-05-27\n", "x.toml:1: "},
      {"[train]\nseed = 1979-05-27\n", "x.toml:2: train.seed"},
      {"[model.g]\nwidths = [1, \"2\"]\n", "x.toml:2: model.g.widths"},
      {"[[train]]\nbatch = 1\n", "train"},
      {"train = 3\n", "unknown key \"train\""},
      {"[optim]\nlr = nan\n", "optim.lr = nan"},
      {"[train.description]\nx = 1\n", "train.description.x"},
      {"\xff\xfe", "x.toml"},
      {"[train]\n\xc3\xb6 = 1\n", "x.toml:2: a character beyond ASCII outside quotes"},
      {"preset = \"\"\"a\"\"\"\"\" \xc3\xb6\n", "x.toml:1: a character beyond ASCII"},
      {"preset = \"\"\"a\\\n \xc3\xb6\"\"\"\n", "x.toml:2: a character beyond ASCII"},
  };
  for (const Refused& text : refused) {
    const std::string message = message_of([&] {
      Config config;
      apply_toml(config, text.setting, "x.toml");
    });
    EXPECT_NE(message.find(text.message), std::string::npos) << text.setting << " -> " << message;
  }
}

}  // namespace
}  // namespace gan::train
