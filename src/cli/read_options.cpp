#include "cli/read_options.h"

#include "train/config.h"

namespace gan::cli {

std::vector<std::string> ReadFlags::settings() const {
  std::vector<std::string> settings;
  for (const auto& [key, text] : texts)
    if (!text.empty()) settings.push_back(key + "=" + text);
  if (transpose) settings.emplace_back("data.transpose=true");
  if (skip_broken) settings.emplace_back("data.skip_broken=true");
  return settings;
}

data::ReadOptions ReadFlags::apply(const data::ReadOptions& start) const {
  train::Config config;
  static_cast<data::ReadOptions&>(config.data) = start;
  train::apply_settings(config, settings());
  return config.data;
}

std::shared_ptr<ReadFlags> add_read_flags(CLI::App& app) {
  struct Text {
    const char *option, *key, *type, *help;
  };
  static constexpr Text kTexts[] = {
      {"--condition", "data.condition", "COLUMN,...", "Columns of the condition (default: the class label)"},
      {"--target", "data.target", "COLUMN,...", "Columns of a table to generate (default: the numbers that are left)"},
      {"--categorical", "data.categorical", "COLUMN,...", "Columns of numbers that are categories"},
      {"--periodic", "data.periodic", "COLUMN:PERIOD,...", "Columns with a period, such as angle:360"},
      {"--scaling", "data.scaling", "COLUMN:KIND,...", "none, standard, log or minmax (default: by the data)"},
      {"--missing", "data.missing", "refuse|drop", "Rows with missing values (default: refuse)"},
      {"--size", "data.size", "HxW", "Bring pictures to this size"},
      {"--fit", "data.fit", "crop|pad|stretch", "How pictures come to that size (default: crop)"},
      {"--channels", "data.channels", "1|2|3|4", "Grey, grey + alpha, RGB, RGBA (default: as most pictures)"},
      {"--background", "data.background", "#RRGGBB", "Lay pictures with alpha on this colour"}};
  constexpr const char* kReadingGroup = "Reading data";
  auto flags = std::make_shared<ReadFlags>();
  flags->texts.reserve(std::size(kTexts));  // options keep addresses of the values
  for (const Text& text : kTexts) {
    flags->texts.emplace_back(text.key, "");
    app.add_option(text.option, flags->texts.back().second, text.help)->type_name(text.type)->group(kReadingGroup);
  }
  app.add_flag("--transpose", flags->transpose, "Swap the axes of images (EMNIST)")->group(kReadingGroup);
  app.add_flag("--skip-broken", flags->skip_broken, "Leave out pictures that cannot be read")->group(kReadingGroup);
  return flags;
}

}  // namespace gan::cli
