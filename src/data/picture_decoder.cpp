#include "data/picture_decoder.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/parallel_each.h"
#include "base/sha256.h"
#include "base/text.h"
#include "data/cache.h"
#include "data/progress.h"

namespace gan::data {

namespace {

using Colour = std::array<std::uint8_t, 3>;
using Size = std::pair<std::int64_t, std::int64_t>;  // height and width

std::string text_of(const Size& size) { return fmt::format("{}x{}", size.first, size.second); }

bool has_alpha(std::int64_t channels) { return channels == 2 || channels == 4; }

const char* name_of(std::int64_t channels) {
  constexpr const char* kChannelNames[] = {"grey", "grey with alpha", "RGB", "RGB with alpha"};
  return kChannelNames[channels - 1];
}

std::uint8_t luma(int red, int green, int blue) {
  return static_cast<std::uint8_t>((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16);
}

void transpose(io::DecodedPicture& picture) {
  const std::int64_t channels = picture.channels;
  io::DecodedPicture turned{picture.width, picture.height, channels, nullptr};
  if (picture.bytes) {
    turned.bytes = std::make_unique_for_overwrite<std::uint8_t[]>(
        static_cast<std::size_t>(picture.height * picture.width * channels));
    std::uint8_t* dst = turned.bytes.get();
    for (std::int64_t x = 0; x < picture.width; ++x)
      for (std::int64_t y = 0; y < picture.height; ++y)
        dst = std::copy_n(picture.bytes.get() + (y * picture.width + x) * channels, channels, dst);
  }
  picture = std::move(turned);
}

}  // namespace

PicturePlan::PicturePlan(const ReadOptions& options)
    : fit(fit_of(options.fit)),
      channels(options.channels),
      transpose(options.transpose),
      skip_broken(options.skip_broken) {
  constexpr std::int64_t kMostSide = 16'384;
  if (!options.size.empty()) {
    const std::string_view size = options.size;
    const std::size_t x = std::min(size.find('x'), size.size());
    height = base::parse_number<std::int64_t>(size.substr(0, x)).value_or(0);
    width = x < size.size() ? base::parse_number<std::int64_t>(size.substr(x + 1)).value_or(0) : 0;
    if (height < 1 || width < 1 || height > kMostSide || width > kMostSide)
      base::fail_usage("size \"{}\": expected HEIGHTxWIDTH in pixels, such as 64x64, up to {}", size, kMostSide);
  }
  if (channels < 0 || channels > 4)
    base::fail_usage("channels {}: expected 1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGBA)", channels);
  if (options.background.empty()) return;
  const auto rgb = base::parse_number<std::uint32_t>(std::string_view(options.background).substr(1), /*base=*/16);
  if (options.background.size() != 7 || options.background[0] != '#' || !rgb)
    base::fail_usage("background \"{}\": expected a colour such as #ffffff", options.background);
  background = Colour{static_cast<std::uint8_t>(*rgb >> 16), static_cast<std::uint8_t>(*rgb >> 8 & 255),
                      static_cast<std::uint8_t>(*rgb & 255)};
  if (has_alpha(channels))
    base::fail_usage("channels {} keep alpha, which a background replaces: give one of the two", channels);
}

void convert_channels(io::DecodedPicture& picture, std::int64_t channels, const std::optional<Colour>& background) {
  const std::int64_t from = picture.channels, pixels = picture.height * picture.width;
  const bool lay = has_alpha(from) && (background || !has_alpha(channels));
  if (from == channels && !lay) return;
  const Colour under = background.value_or(Colour{0, 0, 0});
  auto bytes = std::make_unique_for_overwrite<std::uint8_t[]>(static_cast<std::size_t>(pixels * channels));
  std::uint8_t* dst = bytes.get();
  for (const std::uint8_t *src = picture.bytes.get(), *end = src + pixels * from; src < end; src += from) {
    int colour[3] = {src[0], src[from > 2 ? 1 : 0], src[from > 2 ? 2 : 0]};
    const int alpha = has_alpha(from) ? src[from - 1] : 255;
    for (std::size_t c = 0; c < 3 && lay; ++c) colour[c] = (colour[c] * alpha + under[c] * (255 - alpha) + 127) / 255;
    if (channels < 3)
      *dst++ = luma(colour[0], colour[1], colour[2]);
    else
      for (const int value : colour) *dst++ = static_cast<std::uint8_t>(value);
    if (has_alpha(channels)) *dst++ = static_cast<std::uint8_t>(lay ? 255 : alpha);
  }
  picture.bytes = std::move(bytes);
  picture.channels = channels;
}

namespace {

constexpr std::uint64_t kMostFileBytes = std::uint64_t{1} << 30;

// The result of reading a file.
struct Outcome {
  Size size = {};             // before fitting
  std::int64_t channels = 0;  // before conversion; 0: the picture is broken
  std::string problem = {};   // why it is broken
  std::string digest = {};    // SHA-256 of the sample; "" if only the header was read
};

// Where decoded pixels go: the cache, or memory if the cache cannot be written.
class Sink {
 public:
  Sink(const SourceOptions& options, const std::string& key, std::uint64_t bytes, std::vector<std::string>& notes) {
    try {
      writer_.emplace(options.cache, key, bytes);
    } catch (const base::Error& error) {
      constexpr std::uint64_t kMostInMemory = std::uint64_t{1} << 31;
      if (bytes > kMostInMemory)
        throw base::Error(error.kind(),
                          error.what() + std::string("; --cache gives another folder for decoded pictures"));
      notes.push_back(fmt::format("{}; decoded pictures stay in memory and are decoded again each time", error.what()));
      memory_.reset(new std::uint8_t[bytes]);
    }
  }

  void write(const std::uint8_t* pixels, std::size_t bytes) {
    if (writer_)
      writer_->write(pixels, bytes);
    else
      std::memcpy(memory_.get() + written_, pixels, bytes);
    written_ += bytes;
  }

  void commit(Dataset& dataset) {
    if (writer_)
      writer_->commit(dataset);
    else
      dataset.pixels = std::move(memory_);
  }

 private:
  std::optional<CacheWriter> writer_;
  std::shared_ptr<std::uint8_t[]> memory_;
  std::size_t written_ = 0;
};

class Decoder {
 public:
  Decoder(const PictureFolder& folder, const PicturePlan& plan, const SourceOptions& options)
      : folder_(folder),
        plan_(plan),
        options_(options),
        sized_(plan.height > 0),
        report_(options.progress, "decoding pictures", std::ssize(folder.files)) {}

  // Reads some of the pictures to set the size and the channels that the plan leaves open.
  void look_ahead() {
    constexpr std::size_t kLooks = 16;
    const std::size_t count = folder_.files.size(), stride = (count + kLooks - 1) / kLooks;
    std::array<std::int64_t, 5> channels{};
    std::string problem;
    bool found = false;
    const auto look_at = [&](std::size_t i) {
      const Outcome outcome = process(i, /*header_only=*/true, nullptr);
      if (outcome.channels == 0) {
        if (problem.empty()) problem = outcome.problem;
        return;
      }
      if (!found && !sized_) std::tie(plan_.height, plan_.width) = outcome.size;
      // In that case only headers are read from now on, to count the sizes for the message.
      if (!sized_ && outcome.size != Size{plan_.height, plan_.width}) sizes_differ_ = true;
      found = true;
      ++channels[static_cast<std::size_t>(kept_channels(outcome.channels))];
    };
    for (std::size_t i = 0; i < count; i += stride) look_at(i);
    for (std::size_t i = 0; i < count && !found; ++i) look_at(i);
    if (!found)
      base::fail_data("{}: none of {} can be read; the first: {}", folder_.path,
                      base::counted(static_cast<std::int64_t>(count), "picture"), problem);
    if (plan_.channels == 0) plan_.channels = most_common(channels);
  }

  // Decodes all files into the sink. Returns the number of channels that most pictures have; if it differs from
  // channels(), everything must be decoded again.
  std::int64_t run(Sink& sink) {
    const auto count = static_cast<std::int64_t>(folder_.files.size());
    const std::int64_t bytes = sample_bytes();
    constexpr std::int64_t kChunkBytes = std::int64_t{1} << 25, kChunkPictures = 4096;
    const std::int64_t chunk = std::min({count, std::max<std::int64_t>(kChunkBytes / bytes, 1), kChunkPictures});
    const auto pixels = std::make_unique_for_overwrite<std::uint8_t[]>(static_cast<std::size_t>(chunk * bytes));
    std::vector<Outcome> outcomes(static_cast<std::size_t>(chunk));
    for (std::int64_t first = 0; first < count; first += chunk) {
      const std::int64_t size = std::min(chunk, count - first);
      decode_chunk(first, size, pixels.get(), outcomes);
      std::int64_t kept = 0;
      for (std::int64_t i = 0; i < size; ++i) {
        Outcome& outcome = outcomes[static_cast<std::size_t>(i)];
        if (!add(outcome)) continue;
        if (kept < i)
          std::memcpy(pixels.get() + kept * bytes, pixels.get() + i * bytes, static_cast<std::size_t>(bytes));
        ++kept;
        files_.push_back(static_cast<std::uint32_t>(first + i));
      }
      if (is_fine()) sink.write(pixels.get(), static_cast<std::size_t>(kept * bytes));
    }
    refuse();
    return options_.read.channels > 0 ? plan_.channels : most_common(channels_);
  }

  std::int64_t channels() const { return plan_.channels; }
  std::int64_t sample_bytes() const { return plan_.height * plan_.width * plan_.channels; }

  void finish(Dataset& dataset) {
    dataset.sample_shape = {plan_.channels, plan_.height, plan_.width};
    dataset.items = static_cast<std::int64_t>(files_.size());
    dataset.hash = hash_.finish();
    add_notes(dataset.notes);
  }

  const std::vector<std::uint32_t>& files() const { return files_; }

 private:
  // The number of channels that a picture has after it was blended with the background.
  std::int64_t kept_channels(std::int64_t channels) const {
    return plan_.background && has_alpha(channels) ? channels - 1 : channels;
  }

  // The most common number of channels; if several are equally common, the largest.
  static std::int64_t most_common(const std::array<std::int64_t, 5>& counts) {
    return 4 - (std::ranges::max_element(counts.rbegin(), counts.rend()) - counts.rbegin());
  }

  // Decodes a file and writes its sample to `dst`.
  Outcome process(std::size_t i, bool header_only, std::uint8_t* dst) {
    const PictureFile& file = folder_.files[i];
    const std::string path = folder_.path + "/" + file.path;
    Outcome outcome;
    try {
      if (file.bytes > kMostFileBytes)
        base::fail_data("{}: has {} bytes, expected at most {}", path, base::grouped(file.bytes),
                        base::grouped(kMostFileBytes));
      const std::string content = folder_.read(folder_.part + file.path);
      io::DecodedPicture picture =
          header_only ? io::read_picture_header(content, path) : io::decode_picture(content, path);
      if (plan_.transpose) transpose(picture);
      outcome.size = {picture.height, picture.width};
      outcome.channels = picture.channels;
      if (header_only || (!sized_ && outcome.size != Size{plan_.height, plan_.width})) return outcome;
      convert_channels(picture, plan_.channels, plan_.background);
      fit_picture(picture.bytes.get(), picture.height, picture.width, plan_.channels, plan_.fit, fill(), dst,
                  plan_.height, plan_.width);
      outcome.digest = base::sha256({reinterpret_cast<const char*>(dst), static_cast<std::size_t>(sample_bytes())});
    } catch (const base::Error& error) {
      outcome.problem = error.what();
    }
    return outcome;
  }

  // The colour around padded pictures: the background; without one, black, transparent if alpha is a channel.
  std::array<std::uint8_t, 4> fill() const {
    if (!plan_.background) return {};
    const auto [red, green, blue] = *plan_.background;
    if (plan_.channels == 1) return {luma(red, green, blue)};
    return {red, green, blue};
  }

  void decode_chunk(std::int64_t first, std::int64_t size, std::uint8_t* pixels, std::vector<Outcome>& outcomes) {
    report_(first);
    std::atomic<std::int64_t> done = first;
    // A broken picture is no exception but an outcome; only a lack of memory throws.
    base::parallel_for_each(size, /*grain=*/1, [&](std::int64_t i, bool calling_thread) {
      Outcome& outcome = outcomes[static_cast<std::size_t>(i)];
      outcome = process(static_cast<std::size_t>(first + i), sizes_differ_, pixels + i * sample_bytes());
      if (!sized_ && outcome.channels > 0 && outcome.size != Size{plan_.height, plan_.width}) sizes_differ_ = true;
      const std::int64_t now = ++done;
      if (calling_thread) report_(now);
    });
  }

  // Counts the outcome of a file. Returns whether it becomes a sample.
  bool add(const Outcome& outcome) {
    if (outcome.channels == 0 || !outcome.problem.empty()) {
      if (++broken_ == 1) first_broken_ = outcome.problem;
      return false;
    }
    ++sizes_[outcome.size];
    ++channels_[static_cast<std::size_t>(kept_channels(outcome.channels))];
    if (has_alpha(outcome.channels) && !has_alpha(plan_.channels)) ++laid_;
    hash_.update(outcome.digest.data(), outcome.digest.size());
    return !outcome.digest.empty();
  }

  bool is_fine() const { return !sizes_differ_ && (broken_ == 0 || plan_.skip_broken); }

  void refuse() const {
    const auto count = static_cast<std::int64_t>(folder_.files.size());
    if (broken_ > 0 && !plan_.skip_broken)
      base::fail_data("{}{}; --skip-broken leaves such pictures out", first_broken_,
                      broken_ > 1
                          ? fmt::format("; {} of {} are broken", base::grouped(static_cast<std::uint64_t>(broken_)),
                                        base::counted(count, "picture"))
                          : "");
    if (broken_ == count)
      base::fail_data("{}: none of {} can be read; the first: {}", folder_.path, base::counted(count, "picture"),
                      first_broken_);
    if (!sizes_differ_) return;
    constexpr std::size_t kShown = 4;
    constexpr std::int64_t kSmallSide = 256;
    const std::vector<std::pair<std::int64_t, Size>> order = common_sizes();
    std::string list;
    for (std::size_t i = 0; i < std::min(order.size(), kShown); ++i)
      list += fmt::format("{}{} of {}", i == 0 ? "" : ", ", base::grouped(static_cast<std::uint64_t>(order[i].first)),
                          text_of(order[i].second));
    if (order.size() > kShown)
      list += fmt::format(", and {} more", base::counted(static_cast<std::int64_t>(order.size() - kShown), "size"));
    const Size common = order.front().second;
    base::fail_data("{}: the pictures have {} sizes (height x width): {}; give one, such as --size {} --fit crop",
                    folder_.path, order.size(), list,
                    std::max(common.first, common.second) <= kSmallSide ? text_of(common) : "64x64");
  }

  // The sizes, the most common first.
  std::vector<std::pair<std::int64_t, Size>> common_sizes() const {
    std::vector<std::pair<std::int64_t, Size>> order;
    for (const auto& [size, count] : sizes_) order.emplace_back(count, size);
    std::ranges::stable_sort(order, std::greater(), &std::pair<std::int64_t, Size>::first);
    return order;
  }

  void add_notes(std::vector<std::string>& notes) const {
    const auto of_all = [&](std::int64_t count) {
      return fmt::format("{} of {}", base::grouped(static_cast<std::uint64_t>(count)),
                         base::counted(static_cast<std::int64_t>(folder_.files.size()), "picture"));
    };
    if (broken_ > 0)
      notes.push_back(fmt::format("{} left out, since they are broken; the first: {}", of_all(broken_), first_broken_));
    const auto samples = static_cast<std::int64_t>(files_.size());
    const auto same = sizes_.find({plan_.height, plan_.width});
    const std::int64_t resized = samples - (same == sizes_.end() ? 0 : same->second);
    const char* const how = plan_.fit == Fit::crop  ? "crop: what stands out on two sides is cut off"
                            : plan_.fit == Fit::pad ? "pad: the rest is filled"
                                                    : "stretch: shapes change";
    if (resized > 0)
      notes.push_back(
          fmt::format("{} resized to {} (--fit {})", of_all(resized), text_of({plan_.height, plan_.width}), how));
    const std::int64_t converted = samples - channels_[static_cast<std::size_t>(plan_.channels)];
    if (converted > 0) notes.push_back(fmt::format("{} converted to {}", of_all(converted), name_of(plan_.channels)));
    if (laid_ > 0)
      notes.push_back(
          fmt::format("{} with alpha laid on {}", of_all(laid_),
                      plan_.background ? options_.read.background : "black (--background gives another colour)"));
  }

  const PictureFolder& folder_;
  PicturePlan plan_;
  const SourceOptions& options_;
  bool sized_;  // whether the options give the size
  std::atomic<bool> sizes_differ_ = false;
  Progress report_;
  std::vector<std::uint32_t> files_;  // indices of those that are samples
  base::Sha256 hash_;                 // of the digests of samples
  std::map<Size, std::int64_t> sizes_;
  std::array<std::int64_t, 5> channels_{};
  std::int64_t broken_ = 0, laid_ = 0;
  std::string first_broken_;
};

// SHA-256 of the samples' hash and the condition.
std::string hash_with_condition(const Dataset& dataset) {
  base::Sha256 hash;
  const auto update = [&](std::string_view text) { hash.update(text.data(), text.size()); };
  update(dataset.hash + graph::to_string(dataset.sample_shape));
  for (std::size_t c = 0; c < dataset.condition.columns.size(); ++c) {
    const ConditionColumn& column = dataset.condition.columns[c];
    update(column.name);
    for (const std::string& name : column.names) update('\0' + name);
    std::visit([&](const auto& values) { hash.update(values.data(), values.size() * sizeof(values[0])); },
               dataset.rows.columns[c]);
  }
  return hash.finish();
}

}  // namespace

Dataset decode_pictures(const PictureFolder& folder, PicturePlan plan, const SourceOptions& options,
                        const std::string& cache_key, const SetCondition& set_condition) {
  for (;;) {
    Decoder decoder(folder, plan, options);
    decoder.look_ahead();
    Dataset dataset;
    dataset.source = folder.path;
    Sink sink(options, cache_key, folder.files.size() * static_cast<std::uint64_t>(decoder.sample_bytes()),
              dataset.notes);
    plan.channels = decoder.run(sink);
    if (plan.channels != decoder.channels()) continue;
    decoder.finish(dataset);
    set_condition(decoder.files(), dataset);
    dataset.hash = hash_with_condition(dataset);
    sink.commit(dataset);
    return dataset;
  }
}

}  // namespace gan::data
