#include "train/config.h"

#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "train/config_keys.h"

namespace gan::train {
namespace {

const Key* find_key(std::string_view name) {
  for (const Key& key : keys()) {
    if (key.name == name) return &key;
  }
  return nullptr;
}

/// Throws a usage error if there is no such key; `where` begins the message.
const Key& key_named(std::string_view name, std::string_view where) {
  if (const Key* key = find_key(name)) return *key;
  base::fail_usage("{}unknown key \"{}\"{}", where, name, base::did_you_mean(name, config_keys()));
}

std::string number_text(double value) {
  std::string text = fmt::format("{}", value);
  // TOML distinguishes 1 from 1.0, so real numbers are printed with a point.
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

std::string toml_string(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      result += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      result += c;
    }
  }
  return result + '"';
}

std::string list_text(const Integers& values) {
  std::string text = "[";
  for (std::size_t i = 0; i < values.size(); ++i) text += fmt::format("{}{}", i > 0 ? ", " : "", values[i]);
  return text + "]";
}

/// The value as TOML writes it.
struct Print {
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(std::int64_t value) const { return std::to_string(value); }
  std::string operator()(double value) const { return number_text(value); }
  std::string operator()(const std::string& value) const { return toml_string(value); }
  std::string operator()(const Integers& value) const { return list_text(value); }
};

std::string print(const Value& value) { return std::visit(Print{}, value); }

Value get(const Key& key, Config& config) {
  return std::visit([](auto* field) { return Value(*field); }, key.field(config));
}

/// 1000000 as "1000000", 0.5 as "0.5".
std::string limit_text(double limit) {
  return std::abs(limit) < 1e15 && limit == std::floor(limit) ? std::to_string(static_cast<std::int64_t>(limit))
                                                              : fmt::format("{}", limit);
}

std::string range_text(const Key& key) {
  const bool low = std::isfinite(key.minimum), high = std::isfinite(key.maximum);
  if (low && high) {
    return fmt::format(", from {} to {}{}", limit_text(key.minimum), key.open ? "below " : "", limit_text(key.maximum));
  }
  if (low) return fmt::format(", at least {}", limit_text(key.minimum));
  return "";
}

/// The values that a key allows, for messages.
std::string expected(const Key& key, Config& config) {
  struct Describe {
    const Key& key;
    std::string operator()(bool*) const { return "true or false"; }
    std::string operator()(std::int64_t*) const { return "a whole number" + range_text(key); }
    std::string operator()(double*) const {
      return (key.duration ? "seconds or a text such as 90s, 3m, 1h30m" : "a number") + range_text(key);
    }
    std::string operator()(std::string*) const {
      if (key.choices.empty()) return "a text";
      std::string text = key.choices.front();
      for (std::size_t i = 1; i < key.choices.size(); ++i) {
        text += (i + 1 < key.choices.size() ? ", " : " or ") + key.choices[i];
      }
      return text;
    }
    std::string operator()(Integers*) const { return "a list of whole numbers, such as [256, 512]" + range_text(key); }
  };
  return std::visit(Describe{key}, key.field(config));
}

bool in_range(const Key& key, double value) {
  return std::isfinite(value) && value >= key.minimum && (key.open ? value < key.maximum : value <= key.maximum);
}

/// Checks a value and stores it in the key's field; messages begin with `where`.
void assign(Config& config, const Key& key, const Value& value, const std::string& where) {
  const auto refuse = [&] {
    std::string hint;
    if (const auto* text = std::get_if<std::string>(&value); text && !key.choices.empty()) {
      const std::string near = base::nearest(*text, key.choices);
      if (!near.empty()) hint = fmt::format("; did you mean \"{}\"?", near);
    }
    base::fail_usage("{}{} = {}: expected {}{}", where, key.name, print(value), expected(key, config), hint);
  };
  struct Store {
    const Key& key;
    const Value& value;
    bool operator()(bool* field) const {
      const bool* given = std::get_if<bool>(&value);
      if (given) *field = *given;
      return given;
    }
    bool operator()(std::int64_t* field) const {
      const std::int64_t* given = std::get_if<std::int64_t>(&value);
      if (!given || !in_range(key, static_cast<double>(*given))) return false;
      *field = *given;
      return true;
    }
    bool operator()(double* field) const {
      double given = 0;
      if (const double* real = std::get_if<double>(&value)) {
        given = *real;
      } else if (const std::int64_t* integer = std::get_if<std::int64_t>(&value)) {
        given = static_cast<double>(*integer);
      } else if (const std::string* text = std::get_if<std::string>(&value); text && key.duration) {
        const std::optional<double> seconds = parse_duration(*text);
        if (!seconds) return false;
        given = *seconds;
      } else {
        return false;
      }
      if (!in_range(key, given)) return false;
      *field = given == 0 ? 0 : given;  // turns -0 into 0
      return true;
    }
    bool operator()(std::string* field) const {
      const std::string* given = std::get_if<std::string>(&value);
      if (!given) return false;
      if (!key.choices.empty() && std::ranges::find(key.choices, *given) == key.choices.end()) return false;
      *field = *given;
      return true;
    }
    bool operator()(Integers* field) const {
      const Integers* given = std::get_if<Integers>(&value);
      if (!given || given->empty() || given->size() > 64) return false;
      if (!std::ranges::all_of(*given, [&](std::int64_t i) { return in_range(key, static_cast<double>(i)); })) {
        return false;
      }
      *field = *given;
      return true;
    }
  };
  if (!std::visit(Store{key, value}, key.field(config))) refuse();
  if (key.after) key.after(config);
}

/// The text of `--set key=value` as a value of the key's type; other text stays a string, which assign() refuses.
Value parse_text(const Key& key, Config& config, std::string_view text) {
  struct Parse {
    std::string_view text;
    Value operator()(bool*) const {
      if (text == "true" || text == "false") return text == "true";
      return std::string(text);
    }
    Value operator()(std::int64_t*) const {
      if (const auto number = base::parse_number<std::int64_t>(text)) return *number;
      return std::string(text);
    }
    Value operator()(double*) const {
      if (const auto number = base::parse_number<double>(text)) return *number;
      return std::string(text);
    }
    Value operator()(std::string*) const {
      const bool quotes =
          text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.front() == text.back();
      return std::string(quotes ? text.substr(1, text.size() - 2) : text);
    }
    Value operator()(Integers*) const {
      std::string_view rest = text;
      if (rest.size() >= 2 && rest.front() == '[' && rest.back() == ']') rest = rest.substr(1, rest.size() - 2);
      Integers values;
      while (true) {
        const auto comma = rest.find(',');
        const auto number = base::parse_number<std::int64_t>(base::trimmed(rest.substr(0, comma)));
        if (!number) return std::string(text);
        values.push_back(*number);
        if (comma == std::string_view::npos) return values;
        rest.remove_prefix(comma + 1);
      }
    }
  };
  return std::visit(Parse{base::trimmed(text)}, key.field(config));
}

/// The value of a TOML node; nullopt if no key has such a type.
std::optional<Value> value_of_node(const toml::node& node) {
  if (const auto* boolean = node.as_boolean()) return Value(boolean->get());
  if (const auto* integer = node.as_integer()) return Value(integer->get());
  if (const auto* real = node.as_floating_point()) return Value(real->get());
  if (const auto* text = node.as_string()) return Value(text->get());
  if (const auto* array = node.as_array()) {
    Integers values;
    for (const toml::node& element : *array) {
      if (!element.is_integer()) return std::nullopt;
      values.push_back(element.as_integer()->get());
    }
    return Value(std::move(values));
  }
  return std::nullopt;
}

std::string place(const std::string& where, const toml::source_region& source) {
  return source.begin.line > 0 ? fmt::format("{}:{}: ", where, source.begin.line) : where + ": ";
}

/// The end of the string in quotes that begins at `at`, as far as toml++ reads it without looking for blanks.
std::size_t end_of_string(std::string_view text, std::size_t at) {
  const char quote = text[at];
  const bool lines = text.substr(at, 3) == std::string(3, quote);
  const std::string_view end = text.substr(at, lines ? 3 : 1);
  for (at += end.size(); at < text.size(); ++at) {
    if (text.substr(at).starts_with(end)) {
      at += end.size();
      // The last of up to five quotes are the end.
      for (int more = 0; lines && more < 2 && at < text.size() && text[at] == quote; ++more) ++at;
      return at;
    }
    if (text[at] == '\n' && !lines) return at;
    if (text[at] != '\\' || quote != '"') continue;
    ++at;
    if (at < text.size() && base::kBlanks.find(text[at]) == std::string_view::npos) continue;
    at = std::min(text.find_first_not_of(base::kBlanks, at), text.size());
    if (at < text.size() && static_cast<unsigned char>(text[at]) > 127) return at;
    --at;
  }
  return text.size();
}

/// Refuses what toml++ cannot take: keys with many dots overflow the stack of its recursive parser, and where it looks
/// for blanks, letters beyond ASCII are undefined behaviour. They are allowed in comments and strings alone.
void require_parsable(std::string_view text, const std::string& where) {
  constexpr int kDeepest = 1000;
  int dots = 0;
  for (std::size_t at = text.size() - base::without_byte_order_mark(text).size(); at < text.size();) {
    const char c = text[at];
    if (static_cast<unsigned char>(c) > 127)
      base::fail_usage("{}:{}: a character beyond ASCII outside quotes", where,
                       1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
    if (c == '.' && ++dots > kDeepest) base::fail_usage("{}: a key of more than {} parts", where, kDeepest);
    if (std::string_view("=,\n").find(c) != std::string_view::npos) dots = 0;
    if (c == '"' || c == '\'')
      at = end_of_string(text, at);
    else if (c == '#')
      at = std::min(text.find('\n', at), text.size());
    else
      ++at;
  }
}

toml::table parse_toml(std::string_view text, const std::string& where) {
  require_parsable(text, where);
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& error) {
    base::fail_usage("{}{}", place(where, error.source()), error.description());
  }
}

/// Calls visit(dotted key, node) for every value in the table.
template <typename Visit>
void for_each_value(const toml::table& table, const std::string& prefix, const Visit& visit) {
  for (const auto& [name, node] : table) {
    const std::string key = prefix + std::string(name.str());
    if (const toml::table* inner = node.as_table()) {
      for_each_value(*inner, key + ".", visit);
    } else {
      visit(key, node);
    }
  }
}

bool is_budget(std::string_view name) { return std::ranges::find(kBudgets, name) != std::end(kBudgets); }

/// Throws a usage error if two of steps, epochs and time are given above 0, since it is unclear which is meant.
void require_one_budget(const std::vector<std::string>& budgets, const std::string& where) {
  if (budgets.size() > 1) base::fail_usage("{}{} and {} are both given: give only one", where, budgets[0], budgets[1]);
}

bool above_zero(const Key& key, Config& config) {
  const Value value = get(key, config);
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return *integer > 0;
  const auto* real = std::get_if<double>(&value);
  return real && *real > 0;
}

}  // namespace

void apply_toml(Config& config, std::string_view text, const std::string& where) {
  const toml::table table = parse_toml(text, where);
  struct Found {
    const toml::node* node;
    std::string place;
  };
  std::map<std::string, Found, std::less<>> found;
  for_each_value(table, "", [&](const std::string& name, const toml::node& node) {
    if (name == "description") return;
    const std::string at = place(where, node.source());
    key_named(name, at);
    found.emplace(name, Found{&node, at});
  });
  // Keys are set in the table's order, so that optim.lr comes before optim.g.lr and loss.coding before loss.a.
  std::vector<std::string> budgets;
  for (const Key& key : keys()) {
    const auto it = found.find(key.name);
    if (it == found.end()) continue;
    const std::optional<Value> value = value_of_node(*it->second.node);
    if (!value) base::fail_usage("{}{}: expected {}", it->second.place, key.name, expected(key, config));
    assign(config, key, *value, it->second.place);
    if (is_budget(key.name) && above_zero(key, config)) budgets.emplace_back(key.name);
    require_one_budget(budgets, it->second.place);
  }
}

void apply_settings(Config& config, std::span<const std::string> settings) {
  std::vector<std::string> budgets;
  for (const std::string& setting : settings) {
    const auto equals = setting.find('=');
    if (equals == std::string::npos) {
      base::fail_usage("setting \"{}\": expected key=value, such as train.batch=128", setting);
    }
    const Key& key = key_named(base::trimmed(std::string_view(setting).substr(0, equals)), "");
    if (key.name == "preset") base::fail_usage("setting \"{}\": a preset is chosen by its name alone", setting);
    assign(config, key, parse_text(key, config, std::string_view(setting).substr(equals + 1)), "");
    const bool known = std::ranges::find(budgets, key.name) != budgets.end();
    if (is_budget(key.name) && !known && above_zero(key, config)) budgets.emplace_back(key.name);
    require_one_budget(budgets, "");
  }
}

Config read_run_config(const std::string& path) { return run_config_of(base::read_file(path), path); }

Config run_config_of(std::string_view text, const std::string& path) {
  Config config;
  try {
    apply_toml(config, text, path);
  } catch (const base::Error& error) {
    base::fail_data("{}", error.what());
  }
  if (config.data.source.empty()) base::fail_data("{}: data.source is missing; this is not a run's file", path);
  return config;
}

std::string preset_of_toml(std::string_view text, const std::string& where) {
  return parse_toml(text, where)["preset"].value_or(std::string());
}

void validate(const Config& config) {
  if (!base::is_utf8(config.data.source))
    base::fail_usage("data.source = {}: the name is not UTF-8, as config.toml must be; rename the file or its folder",
                     config.data.source);
  const auto& loss = config.loss;
  if (config.train.steps <= 0 && config.train.epochs <= 0 && config.train.time <= 0) {
    base::fail_usage("nothing says how long to train: give --steps, --epochs or --time");
  }
  if (loss.name == "least_squares") {
    if (loss.saturating) base::fail_usage("loss.saturating = true is for bce only, but loss.name = least_squares");
    if (loss.a == loss.b) {
      base::fail_usage("loss.a = loss.b = {}: the discriminator's targets for fakes and real data must differ", loss.a);
    }
    if (loss.sigmoid && loss.a < 0) {
      base::fail_usage(
          "loss.sigmoid = true with loss.a = {}: after a Sigmoid D's output is in (0, 1) and cannot reach a, and with "
          "the coding (-1, 1, 0) its best output for a fake and the generator's target are both 0, so the generator "
          "learns nothing; set loss.sigmoid=false or loss.coding=zero-one",
          loss.a);
    }
  }
  if (config.train.stop_when > 0 && config.train.eval_every == 0)
    base::fail_usage("train.stop_when = {} without evaluations: give --eval-every, too", config.train.stop_when);
  // A value without effect is refused as a mistake.
  if (loss.name == "bce" && loss.sigmoid)
    base::fail_usage("loss.sigmoid = true: bce always has a Sigmoid; the setting applies to least_squares only");
  if (loss.name != "least_squares" && (loss.a != 0 || loss.b != 1 || loss.c != 1))
    base::fail_usage("loss.a, loss.b and loss.c are targets of least_squares, but loss.name = {}", loss.name);
  if (config.optim.name == "adam" && config.optim.momentum != 0)
    base::fail_usage("optim.momentum = {} is for sgd only; adam has optim.beta1", config.optim.momentum);
  if (config.model.g.gain && !config.model.g.spectral_norm) {
    base::fail_usage("model.g.gain = true needs model.g.spectral_norm = true: the gain scales the normalized layer");
  }
  if (config.model.d.gain && !config.model.d.spectral_norm) {
    base::fail_usage("model.d.gain = true needs model.d.spectral_norm = true: the gain scales the normalized layer");
  }
  if (loss.name != "bce" && loss.smoothing != 0)
    base::fail_usage("loss.smoothing = {} is for bce only; least_squares has loss.b", loss.smoothing);
  if (loss.name != "least_squares" && loss.name != "bce" && (loss.sigmoid || loss.saturating))
    base::fail_usage("loss.{0} = true is for least_squares or bce, but loss.name = {1}; set loss.{0}=false, too",
                     loss.sigmoid ? "sigmoid" : "saturating", loss.name);
  if (config.optim.name != "sgd" && config.optim.momentum_steps != 0)
    base::fail_usage("optim.momentum_steps = {} is for sgd only; adam has optim.beta1", config.optim.momentum_steps);
  const bool penalized =
      std::ranges::any_of(config.penalty.weights, [](const auto& entry) { return entry.second > 0; });
  if (config.penalty.every > 1 && !penalized)
    base::fail_usage("penalty.every = {} without a penalty: set one, such as penalty.r1", config.penalty.every);
  if (config.train.ema_warmup && config.train.ema == 0)
    base::fail_usage(
        "train.ema_warmup = true with train.ema = 0: there is no average to warm up; set it to false, too");
  if (config.model.g.condition == "batch_norm" && !config.model.g.batch_norm)
    base::fail_usage("model.g.condition = batch_norm needs model.g.batch_norm = true");
  if (config.model.pack > 1) {
    if (config.train.batch % config.model.pack != 0)
      base::fail_usage("train.batch = {} does not divide into packs of {} (model.pack)", config.train.batch,
                       config.model.pack);
    if (config.model.d.condition == "projection" || config.model.d.condition == "auxiliary")
      base::fail_usage(
          "model.pack = {} with model.d.condition = {}: a pack has several labels; use embedding or one_hot",
          config.model.pack, config.model.d.condition);
  }
  if (config.train.batch % (config.train.parts * config.model.pack) != 0)
    base::fail_usage("train.batch = {} does not divide into {} equal parts{} (train.parts)", config.train.batch,
                     config.train.parts,
                     config.model.pack > 1 ? fmt::format(" of whole packs of {}", config.model.pack) : "");
  if (config.model.g.batch_norm && config.train.batch < 2) {
    base::fail_usage(
        "train.batch = 1 with model.g.batch_norm = true: the variance of one row is 0; use at least 2 rows, or set "
        "model.g.batch_norm=false");
  }
}

std::string to_toml(const Config& config) {
  Config copy = config;
  struct Line {
    std::string section, text;
    std::string_view help;
  };
  std::vector<Line> lines;
  std::size_t width = 0;
  for (const Key& key : keys()) {
    if (key.alias) continue;
    const auto dot = key.name.rfind('.');
    const std::string section = dot == std::string::npos ? "" : key.name.substr(0, dot);
    const std::string name = dot == std::string::npos ? key.name : key.name.substr(dot + 1);
    lines.push_back({section, fmt::format("{} = {}", name, print(get(key, copy))), key.help});
    width = std::max(width, lines.back().text.size());
  }
  width = std::min<std::size_t>(width, 40);
  std::string text, section;
  for (const Line& line : lines) {
    if (line.section != section) {
      section = line.section;
      text += fmt::format("\n[{}]\n", section);
    }
    text += fmt::format("{:<{}}  # {}\n", line.text, width, line.help);
  }
  return text;
}

nlohmann::ordered_json to_json(const Config& config) {
  Config copy = config;
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const Key& key : keys()) {
    if (key.alias || !key.in_model) continue;
    std::visit([&](const auto& value) { json[std::string(key.name)] = value; }, get(key, copy));
  }
  return json;
}

Config config_of_json(const nlohmann::ordered_json& json, const std::string& where) {
  if (!json.is_object()) base::fail_data("{}: the configuration is not a JSON object", where);
  Config config;
  try {
    for (const auto& [name, _] : json.items()) key_named(name, "");
    for (const Key& key : keys()) {
      const auto it = json.find(std::string(key.name));
      if (it == json.end()) continue;
      Value value;
      if (it->is_boolean()) {
        value = it->get<bool>();
      } else if (it->is_number_unsigned() && it->get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max()) {
        base::fail_usage("{}: {} is too large", key.name, it->dump());
      } else if (it->is_number_integer()) {
        value = it->get<std::int64_t>();
      } else if (it->is_number()) {
        value = it->get<double>();
      } else if (it->is_string()) {
        value = it->get<std::string>();
      } else if (it->is_array() && std::ranges::all_of(*it, [](const auto& e) { return e.is_number_integer(); })) {
        value = it->get<Integers>();
      } else {
        base::fail_usage("{}: expected {}", key.name, expected(key, config));
      }
      assign(config, key, value, "");
    }
  } catch (const base::Error& error) {
    base::fail_data("{}: {}", where, error.what());
  }
  return config;
}

std::vector<std::string> differing_keys(const Config& a, const Config& b) {
  Config left = a, right = b;
  std::vector<std::string> names;
  for (const Key& key : keys()) {
    if (!key.alias && get(key, left) != get(key, right)) names.emplace_back(key.name);
  }
  return names;
}

std::vector<std::string> fixed_differences(const Config& saved, const Config& wanted) {
  std::vector<std::string> names = differing_keys(saved, wanted);
  std::erase_if(names, [](const std::string& name) { return find_key(name)->resumable; });
  return names;
}

void require_resumable(const Config& saved, const Config& wanted) {
  for (const std::string& name : fixed_differences(saved, wanted))
    base::fail_usage("{} = {}, but the run was started with {}: with --resume {}; start another run in another folder",
                     name, value_of(wanted, name), value_of(saved, name), kResumable);
}

std::string value_of(const Config& config, std::string_view key) {
  Config copy = config;
  return print(get(key_named(key, ""), copy));
}

std::vector<std::string> config_keys() {
  std::vector<std::string> names;
  for (const Key& key : keys()) names.emplace_back(key.name);
  return names;
}

std::optional<double> parse_duration(std::string_view text) {
  text = base::trimmed(text);
  if (const auto seconds = base::parse_number<double>(text)) {
    return std::isfinite(*seconds) && *seconds >= 0 ? seconds : std::nullopt;
  }
  // Units go from large to small, each at most once: 1h30m, not 30m1h.
  double total = 0;
  std::string_view units = "hms";
  constexpr double kSeconds[] = {3600, 60, 1};
  std::size_t next = 0;
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    const auto end = text.find_first_not_of("0123456789.");
    if (end == std::string_view::npos) return std::nullopt;
    const auto amount = base::parse_number<double>(text.substr(0, end));
    const auto unit = units.find(text[end]);
    if (!amount || unit == std::string_view::npos || unit < next) return std::nullopt;
    total += *amount * kSeconds[unit];
    next = unit + 1;
    text.remove_prefix(end + 1);
  }
  return total;
}

}  // namespace gan::train
