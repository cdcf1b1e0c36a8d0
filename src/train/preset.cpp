#include "train/preset.h"

#include <toml++/toml.h>

#include "base/error.h"
#include "base/text.h"

namespace gan::train {

const EmbeddedPreset& find_preset(std::string_view name) {
  std::vector<std::string> names;
  for (const EmbeddedPreset& preset : embedded_presets()) {
    if (preset.name == name) return preset;
    names.emplace_back(preset.name);
  }
  base::fail_usage("unknown preset \"{}\"{}", name, base::did_you_mean(name, names));
}

std::string_view default_preset(const graph::Shape& sample) { return sample.size() == 3 ? "lsgan-r1r2" : "vector"; }

std::string describe_preset(const EmbeddedPreset& preset) {
  return toml::parse(preset.text)["description"].value_or(std::string());
}

Config load_preset(std::string_view name) {
  const EmbeddedPreset& preset = find_preset(name);
  Config config;
  apply_toml(config, preset.text, "preset " + std::string(name));
  config.preset = name;
  return config;
}

}  // namespace gan::train
