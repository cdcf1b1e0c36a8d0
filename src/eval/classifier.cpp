#include "eval/classifier.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>

#include "autodiff/gradient.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/parallel.h"
#include "base/random.h"
#include "base/sha256.h"
#include "base/text.h"
#include "compiler/compile.h"
#include "data/condition_json.h"
#include "data/mnist.h"
#include "data/repeats.h"
#include "data/shuffle.h"
#include "eval/periodic.h"
#include "nn/layers.h"
#include "optim/optimizer.h"
#include "train/variables_file.h"

namespace gan::eval {

using namespace ops;
using nn::Scope;
using nn::Variable;
using nn::Variables;

namespace {

constexpr const char* kClassifierFormat = "gan.cpp classifier";
constexpr const char* kClassifierVersion = "1";  // must be increased with every change of the network or its training

constexpr std::int64_t kEpochs = 3;
constexpr std::int64_t kEpochsOfSmall = 30, kFewestSteps = 60, kStepsOfSmall = 300,
                       kSmallestBatch = 16;  // all four for small data
constexpr std::int64_t kManyClasses = 100, kStepsOfAClass = 6, kMostStepsOfClasses = 12'000;
constexpr std::int64_t kMostExemplars = 256, kFewestExemplars = 10, kBatchOfExemplars = 64;
constexpr int kReports = 10;
constexpr double kRate = 3e-3, kRateOfManyClasses = 5e-4;  // at 3e-3, 1,000 classes were not learnt
constexpr std::int64_t kSmallestMap = 4, kLargestSide = 1024;

Shape batch_shape(std::int64_t batch, const Shape& sample) { return {batch, sample[1], sample[2], sample[0]}; }

/// Batch sizes for training and for embedding; smaller for large images, whose activations take memory.
std::int64_t training_batch(const Shape& sample) {
  return std::clamp<std::int64_t>((1 << 19) / (sample[1] * sample[2]), 16, 128);
}
std::int64_t embedding_batch(const Shape& sample) {
  return std::clamp<std::int64_t>((1 << 18) / (sample[1] * sample[2]), 4, 250);
}

const char* noun_of(const Classifier& classifier) {
  return classifier.exemplars ? "classifier without labels" : classifier.classes > 0 ? "classifier" : "regressor";
}

Schedule schedule_of(const Classifier& kind, const data::Dataset& images) {
  if (!kind.exemplars) return classifier_schedule(images);
  const std::int64_t batch = std::min({kBatchOfExemplars, training_batch(images.sample_shape), images.count()});
  return {batch, images.count() / batch, std::max(kStepsOfAClass * images.count(), kStepsOfSmall)};
}

/// The largest shift of images in training, in pixels.
std::int64_t reach_of(const Classifier& kind) {
  const std::int64_t side = std::min(kind.sample_shape[1], kind.sample_shape[2]);
  return kind.exemplars ? side / 8 : kind.classes > 0 ? side / 14 : 0;  // of 28 pixels: 3 and 2
}

struct Outputs {
  Tensor features, head;
};

/// Adds the network: x [N, H, W, C] to features [N, 128], and to logits [N, classes] or features of numbers. Pairs of
/// convolutions, the first of which halves the sides, follow each other until the sides are 4 or less.
Outputs network(Variables& variables, Tensor x, const Classifier& kind) {
  Scope s(variables, kClassifierScope);
  const auto convolve = [&](Tensor h, std::int64_t width, std::int64_t stride) {
    h = nn::conv2d(s.next("conv", 1), h, width, {.kernel = 3, .stride = stride, .padding = 1, .bias = false});
    return relu(nn::batch_norm(s.next("conv", 2), h));
  };
  Tensor h = x;
  std::int64_t width = 32;
  while (true) {
    h = convolve(h, width, 2);
    if (std::max(h.dim(1), h.dim(2)) <= kSmallestMap) break;
    h = convolve(h, width, 1);
    width = std::min<std::int64_t>(2 * width, 128);
  }
  h = reshape(h, {h.dim(0), h.elements() / h.dim(0)});
  const Tensor features = relu(nn::linear(s / "features", h, kFeatures));
  const Tensor kept = kind.classes > 0 ? nn::dropout(s / "dropout", features, 0.3) : features;
  return {features, nn::linear(s / "head", kept, kind.outputs())};
}

/// Builds the graph of a training step. The learning rate falls linearly to nearly 0; the weights' running average
/// spans about a tenth of the steps.
std::vector<Variable> build_training(Graph& graph, const Classifier& kind, std::int64_t batch, std::int64_t steps) {
  Variables variables(graph, /*training=*/true);
  const Tensor step = graph.input("step", {DType::i32, {1}});
  variables.set_random({graph.input(nn::kRandomKey, {DType::i32, {2}}), step});
  const Tensor x = graph.input("x", {DType::f32, batch_shape(batch, kind.sample_shape)});
  const Tensor head = network(variables, x, kind).head;
  const Tensor loss = kind.classes > 0
                          ? nn::softmax_cross_entropy(head, graph.input("y", {DType::i32, {batch}}))
                          : mean(square(sub(head, graph.input("y", {DType::f32, {batch, kind.outputs()}}))));
  const std::vector<Variable> parameters = variables.select(kClassifierScope, nn::Role::parameter);
  std::vector<Tensor> values;
  for (const Variable& parameter : parameters) values.push_back(parameter.value);
  const auto total = static_cast<double>(steps);
  optim::OptimizerSpec spec;
  spec.lr = kind.exemplars || kind.classes >= kManyClasses ? kRateOfManyClasses : kRate;
  spec.schedule = {.name = "linear", .start = 0, .steps = total, .final = 0.01, .warmup = total / 20};
  const Tensor t = cast(reshape(step, {}), DType::f32);
  optim::find_optimizer("adam").apply(variables, spec, parameters, autodiff::gradient(loss, values), t);
  optim::average(variables, parameters, 1 - 10 / total, /*warmup=*/true, t);
  optim::average(variables, variables.select(kClassifierScope, nn::Role::statistic), 1 - 10 / total, /*warmup=*/true,
                 t);
  graph.output("loss", loss);
  variables.finish();
  return variables.all();
}

std::vector<Variable> build_embedding(Graph& graph, const Classifier& kind, std::int64_t batch) {
  const Tensor x = graph.input("x", {DType::f32, batch_shape(batch, kind.sample_shape)});
  const ReadImages read = build_classifier(graph, kind, x);
  graph.output("features", read.features);
  graph.output("head", read.head);
  return read.variables;
}

/// Writes image `index`, [H, W, C] in [-1, 1], shifted by (dy, dx), to dst; the gap is filled by repeating the edge.
void copy_shifted(const data::Dataset& images, std::int64_t index, std::int64_t dy, std::int64_t dx, float* dst) {
  const std::int64_t channels = images.sample_shape[0], height = images.sample_shape[1], width = images.sample_shape[2];
  const std::uint8_t* src = images.pixels.get() + index * channels * height * width;
  for (std::int64_t y = 0; y < height; ++y) {
    const std::uint8_t* row = src + std::clamp<std::int64_t>(y - dy, 0, height - 1) * width * channels;
    for (std::int64_t x = 0; x < width; ++x) {
      const std::uint8_t* pixel = row + std::clamp<std::int64_t>(x - dx, 0, width - 1) * channels;
      for (std::int64_t c = 0; c < channels; ++c) *dst++ = static_cast<float>(pixel[c]) / 127.5f - 1.0f;
    }
  }
}

/// Trains a classifier on the images' labels, or a regressor on the columns in Classifier::numbers.
class Training {
 public:
  Training(const data::Dataset& images, Classifier kind, std::uint64_t seed)
      : images_(images),
        trained_(std::move(kind)),
        seed_(seed),
        schedule_(schedule_of(trained_, images)),
        shuffle_(static_cast<std::uint32_t>(images.count()), seed) {}

  Classifier run(const Log& log) {
    const runtime::Program program = compile();
    for (std::int64_t step = 0, report = 1; step < schedule_.steps; ++step) {
      fill_batch(step);
      program.run();
      if (step + 1 < schedule_.steps * report / kReports) continue;
      const double loss = static_cast<double>(state_.at("loss").f32()[0]);
      if (!std::isfinite(loss))
        base::fail_run("{}: the {} diverged (loss {})", images_.source, noun_of(trained_), loss);
      if (log) log(fmt::format("{:5}%  loss {:.4f}", 100 * report / kReports, loss));
      ++report;
    }
    Graph graph;
    for (const Variable& variable : build_embedding(graph, trained_, 1))
      trained_.weights[variable.name] =
          runtime::Array(variable.shape, state_.at(optim::average_of(variable.name)).f32());
    return std::move(trained_);
  }

 private:
  runtime::Program compile() {
    Graph graph;
    const std::vector<Variable> variables = build_training(graph, trained_, schedule_.batch, schedule_.steps);
    nn::initialize(variables, seed_, state_);
    runtime::Program program =
        compiler::compile(graph, {.precision = compiler::choose_precision("auto"), .disabled = {}}, state_, arena_);
    nn::set_random_key(seed_, state_);
    return program;
  }

  void fill_batch(std::int64_t step) {
    const std::span<const std::uint32_t> chosen = shuffle_.batch(step, schedule_.batch);
    const std::int64_t size = graph::element_count(images_.sample_shape);
    const std::int64_t reach = reach_of(trained_);
    const auto places = static_cast<std::uint64_t>(2 * reach + 1);
    const base::RandomStream random(seed_, base::stream_of("shift"), static_cast<std::uint32_t>(step));
    float* x = state_.at("x").f32().data();
    base::parallel_for(schedule_.batch, 16, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        const std::uint32_t index = chosen[static_cast<std::size_t>(row)];
        const auto shift = [&](std::uint64_t number) {
          return static_cast<std::int64_t>(random.below(places, number)) - reach;
        };
        const auto number = static_cast<std::uint64_t>(2 * row);
        copy_shifted(images_, index, shift(number), shift(number + 1), x + row * size);
        write_target(index, row);
      }
    });
    state_.at("step").i32()[0] = static_cast<std::int32_t>(step);
  }

  /// Writes the target of the network for image `index`: its label, or the features of its numbers.
  void write_target(std::uint32_t index, std::int64_t row) {
    if (trained_.classes > 0) {
      state_.at("y").i32()[static_cast<std::size_t>(row)] = images_.label(index);
      return;
    }
    float* dst = state_.at("y").f32().data() + row * trained_.outputs();
    for (const data::NumberColumn& number : trained_.numbers) {
      const auto column = static_cast<std::size_t>(images_.condition.find(number.name));
      number.copy_features(static_cast<double>(images_.rows.numbers(column)[index]), dst);
      dst += number.features();
    }
  }

  const data::Dataset& images_;
  Classifier trained_;
  std::uint64_t seed_;
  Schedule schedule_;
  data::Shuffle shuffle_;
  runtime::State state_;
  runtime::Arena arena_;
};

/// A network without weights, for the labels or the numbers of `images`.
Classifier untrained(const data::Dataset& images) {
  Classifier kind;
  kind.sample_shape = images.sample_shape;
  kind.data_name = images.name;
  kind.data_hash = images.hash;
  return kind;
}

Classifier untrained_classifier(const data::Dataset& labelled) {
  if (const std::string why = why_no_classifier(labelled); !why.empty())
    base::fail_usage("{}: a classifier cannot be trained: {}", labelled.source, why);
  Classifier kind = untrained(labelled);
  kind.classes = labelled.classes();
  return kind;
}

bool is_constant(std::span<const float> values) {
  return std::ranges::adjacent_find(values, std::not_equal_to()) == values.end();
}

Classifier untrained_regressor(const data::Dataset& images) {
  if (const std::string why = why_no_regressor(images); !why.empty())
    base::fail_usage("{}: a regressor cannot be trained: {}", images.source, why);
  Classifier kind = untrained(images);
  for (std::size_t c = 0; c < images.condition.columns.size(); ++c) {
    const data::ConditionColumn& column = images.condition.columns[c];
    if (!column.is_numeric() || is_constant(images.rows.numbers(c))) continue;
    // The scaling is chosen from the data, because that of the condition need not suit the training of a network.
    data::NumberColumn number = data::number_column(column.name, images.rows.numbers(c), "", images.source);
    number.unit = column.number.unit;
    number.period = column.number.period;
    kind.numbers.push_back(std::move(number));
  }
  return kind;
}

Classifier untrained_exemplars(const data::Dataset& exemplars) {
  Classifier kind = untrained(exemplars);
  kind.classes = exemplars.classes();
  kind.exemplars = true;
  return kind;
}

/// Different images, each with its own label. why_no_exemplars must be "" for `images`.
data::Dataset exemplars_of(const data::Dataset& images) {
  const std::vector<std::uint32_t> different = data::distinct_samples(images);
  data::Shuffle shuffle(static_cast<std::uint32_t>(different.size()), 0);
  std::vector<std::uint32_t> some;
  for (const std::uint32_t i : shuffle.epoch(0).first(std::min<std::size_t>(different.size(), kMostExemplars)))
    some.push_back(different[i]);
  data::Dataset exemplars = data::subset(images, some);
  std::vector<std::int32_t> labels(some.size());
  std::iota(labels.begin(), labels.end(), 0);
  exemplars.condition = data::label_condition(static_cast<int>(some.size()));
  exemplars.rows = std::move(labels);
  return exemplars;
}

/// Decodes features to a number, clamped to the range seen, or within the period.
float number_of(const data::NumberColumn& column, const float* features) {
  if (column.period > 0)
    return static_cast<float>(
        value_of_direction(column, static_cast<double>(features[0]), static_cast<double>(features[1])));
  return static_cast<float>(
      std::clamp(column.scaling.undo(static_cast<double>(features[0])), column.minimum, column.maximum));
}

}  // namespace

ReadImages build_classifier(Graph& graph, const Classifier& classifier, Tensor x) {
  Variables variables(graph, /*training=*/false);
  const Outputs outputs = network(variables, x, classifier);
  return {outputs.features, outputs.head, variables.all()};
}

std::int64_t Classifier::outputs() const {
  std::int64_t count = classes;
  for (const data::NumberColumn& number : numbers) count += number.features();
  return count;
}

Schedule classifier_schedule(const data::Dataset& dataset) {
  const std::int64_t most = training_batch(dataset.sample_shape), count = dataset.count();
  const std::int64_t of_small = std::max(count * kEpochsOfSmall / kStepsOfSmall, kSmallestBatch);
  const std::int64_t batch = std::min({most, of_small, count}), epoch_steps = count / batch;
  const std::int64_t of_classes = std::min(kStepsOfAClass * dataset.classes(), kMostStepsOfClasses);
  return {batch, epoch_steps,
          std::max({kEpochs * epoch_steps, std::clamp(kEpochsOfSmall * epoch_steps, kFewestSteps, kStepsOfSmall),
                    dataset.classes() >= kManyClasses ? of_classes : 0})};
}

namespace {

/// The reason why no network can be trained on samples of this shape; "" if one can.
std::string why_no_network(const data::Dataset& dataset) {
  if (!dataset.is_image())
    return fmt::format("samples have shape {}, but it is for images", graph::to_string(dataset.sample_shape));
  if (std::max(dataset.sample_shape[1], dataset.sample_shape[2]) > kLargestSide)
    return fmt::format("images have shape {}, but it is for at most {} pixels a side",
                       graph::to_string(dataset.sample_shape), kLargestSide);
  return "";
}

}  // namespace

std::string why_no_classifier(const data::Dataset& dataset) {
  constexpr const char* kEmbeddingAdvice = "; gan eval --embedding FILE uses another classifier";
  if (const std::string why = why_no_network(dataset); !why.empty()) return why;
  const data::Dataset labelled = with_classes(dataset);
  if (labelled.classes() == 0) return std::string("no labels to train it by") + kEmbeddingAdvice;
  if (labelled.classes() == 1) return std::string("one class to train it by, but it needs two") + kEmbeddingAdvice;
  std::vector<std::int64_t> counts(static_cast<std::size_t>(labelled.classes()));
  for (const std::int32_t label : labelled.labels()) ++counts[static_cast<std::size_t>(label)];
  for (std::size_t k = 0; k < counts.size(); ++k)
    if (counts[k] == 0)
      return fmt::format(
          "class {}{} has no images to train it by{}", k,
          labelled.condition.class_names().empty() ? "" : " (" + labelled.condition.class_names()[k] + ")",
          kEmbeddingAdvice);
  return "";
}

std::string why_no_exemplars(const data::Dataset& dataset) {
  if (const std::string why = why_no_network(dataset); !why.empty()) return why;
  const auto distinct = static_cast<std::int64_t>(data::distinct_samples(dataset).size());
  if (distinct >= kFewestExemplars) return "";
  return fmt::format("too few different images to train it by: {}, needs {}", distinct, kFewestExemplars);
}

std::string why_no_regressor(const data::Dataset& dataset) {
  if (const std::string why = why_no_network(dataset); !why.empty()) return why;
  bool numeric = false;
  for (std::size_t c = 0; c < dataset.condition.columns.size(); ++c) {
    if (!dataset.condition.columns[c].is_numeric()) continue;
    if (!is_constant(dataset.rows.numbers(c))) return "";
    numeric = true;
  }
  return numeric ? "the numbers of its condition are constant" : "its condition has no numbers";
}

Classifier train_classifier(const data::Dataset& dataset, std::uint64_t seed, const Log& log) {
  const data::Dataset labelled = with_classes(dataset);
  return Training(labelled, untrained_classifier(labelled), seed).run(log);
}

Classifier train_regressor(const data::Dataset& dataset, std::uint64_t seed, const Log& log) {
  return Training(dataset, untrained_regressor(dataset), seed).run(log);
}

Classifier train_exemplars(const data::Dataset& dataset, std::uint64_t seed, const Log& log) {
  if (const std::string why = why_no_exemplars(dataset); !why.empty())
    base::fail_usage("{}: a network cannot be trained: {}", dataset.source, why);
  const data::Dataset exemplars = exemplars_of(dataset);
  return Training(exemplars, untrained_exemplars(exemplars), seed).run(log);
}

void save_classifier(const std::string& path, const Classifier& classifier) {
  std::vector<io::NamedArray> tensors;
  for (const auto& [name, array] : classifier.weights) tensors.push_back({name, &array});
  nlohmann::ordered_json json{{"sample_shape", classifier.sample_shape},
                              {"classes", classifier.classes},
                              {"data", {{"name", classifier.data_name}, {"sha256", classifier.data_hash}}}};
  if (classifier.exemplars) json["exemplars"] = true;
  data::ConditionSpec numbers;
  for (const data::NumberColumn& number : classifier.numbers)
    numbers.columns.push_back({.name = number.name, .number = number});
  if (!numbers.empty()) json["numbers"] = data::to_json(numbers);
  io::write_safetensors(path,
                        {{"format", kClassifierFormat},
                         {"library", train::kLibrary},
                         {"version", kClassifierVersion},
                         {"classifier", json.dump()}},
                        tensors);
}

bool is_classifier(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return false;
  const std::map<std::string, std::string> metadata = io::read_metadata(path);
  const auto format = metadata.find("format");
  return format != metadata.end() && format->second == kClassifierFormat;
}

Classifier load_classifier(const std::string& path) {
  io::Safetensors file = io::read_safetensors(path);
  if (file.metadata["format"] != kClassifierFormat)
    base::fail_data("{}: not a classifier of gan.cpp (format \"{}\")", path, file.metadata["format"]);
  if (file.metadata["version"] != kClassifierVersion)
    base::fail_data("{}: classifier version {}, this program reads {}", path, file.metadata["version"],
                    kClassifierVersion);
  Classifier classifier;
  try {
    const auto json = nlohmann::ordered_json::parse(file.metadata["classifier"]);
    classifier.sample_shape = json.at("sample_shape").get<Shape>();
    classifier.classes = json.at("classes").get<int>();
    classifier.data_name = json.at("data").at("name").get<std::string>();
    classifier.data_hash = json.at("data").at("sha256").get<std::string>();
    classifier.exemplars = json.value("exemplars", false);
    if (json.contains("numbers"))
      for (const data::ConditionColumn& column : data::condition_of_json(json.at("numbers"), path).columns) {
        if (!column.is_numeric() || column.number.fourier > 0)
          base::fail_data("{}: a regressor of {}, expected numbers", path, column.name);
        classifier.numbers.push_back(column.number);
      }
  } catch (const nlohmann::json::exception& error) {
    base::fail_data("{}: the description of the classifier cannot be read: {}", path, base::reason_of(error));
  }
  const Shape& shape = classifier.sample_shape;
  const auto fits = [](std::int64_t side) { return side >= 1 && side <= kLargestSide; };
  if (shape.size() != 3 || !std::ranges::all_of(shape, fits) || graph::element_count(shape) > train::kLargestSample ||
      classifier.classes < 0 || classifier.classes == 1 || classifier.classes > 65536 ||
      (classifier.classes == 0) != !classifier.numbers.empty())
    base::fail_data("{}: a classifier of images {} in {}; expected [C, H, W], and 2 to 65,536 classes or else numbers",
                    path, graph::to_string(shape), base::counted(classifier.classes, "class", "classes"));
  Graph graph;
  train::take_variables(path, file, build_embedding(graph, classifier, 1), classifier.weights);
  return classifier;
}

namespace {

/// A network like `kind`: read from the cache, or trained on `images` and kept there.
Classifier read_or_train(const data::Dataset& images, Classifier kind, const std::string& cache, const Log& log) {
  const std::filesystem::path folder =
      std::filesystem::path(cache.empty() ? data::default_cache() : cache) / "classifiers";
  // The hash is that of the whole source, so the key also has the number of training images. For small data and
  // many classes it has the schedule too, since older versions trained them with other schedules, which gives other
  // scores; and it names what is read, unless that is the only label.
  std::string trained_on = fmt::format("{} {}", images.hash, images.count());
  const Schedule schedule = schedule_of(kind, images);
  const bool small =
      schedule.steps < kStepsOfSmall || schedule.batch < std::min(training_batch(images.sample_shape), images.count());
  if (small || kind.classes >= kManyClasses) trained_on += fmt::format(" {} {}", schedule.steps, schedule.batch);
  // Which exemplars there are depends on the share that is held out, too, which their number does not tell.
  if (kind.exemplars) {
    const auto bytes = static_cast<std::size_t>(images.count() * graph::element_count(images.sample_shape));
    trained_on += " exemplars " + base::sha256({reinterpret_cast<const char*>(images.pixels.get()), bytes});
  }
  if (kind.classes > 0 && images.condition.columns[0].name != data::ConditionColumn().name)
    trained_on += " " + images.condition.columns[0].name;
  for (const data::NumberColumn& number : kind.numbers)
    trained_on += fmt::format(" {}:{} {}", number.name, number.period, number.scaling.kind);
  const std::string key = base::sha256(trained_on).substr(0, 16);
  const std::string path = (folder / (key + ".safetensors")).string();
  const auto say = [&](const std::string& line) {
    if (log) log(line);
  };
  const char* noun = noun_of(kind);
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) {
    try {
      Classifier classifier = load_classifier(path);
      if (classifier.data_hash == images.hash && classifier.sample_shape == images.sample_shape &&
          classifier.classes == kind.classes && classifier.exemplars == kind.exemplars &&
          classifier.numbers == kind.numbers)
        return classifier;
      say(fmt::format("{}: the {} of other data; training it again", path, noun));
    } catch (const base::Error& error) {
      say(fmt::format("{}; training it again", error.what()));
    }
  }
  say(fmt::format("training a {} for evaluation on {} of {}, once", noun, base::counted(images.count(), "image"),
                  images.source));
  Classifier classifier = Training(images, std::move(kind), 0).run(log);
  try {
    base::create_folder(folder.string());
    base::remove_leftovers(path);
    save_classifier(path, classifier);
    say(fmt::format("kept in {}", path));
  } catch (const base::Error& error) {
    say(fmt::format("the {} could not be kept: {}", noun, error.what()));
  }
  return classifier;
}

/// Reads or trains the network on rank 0 and sends it to all ranks.
Classifier cached(const data::Dataset& images, Classifier kind, const std::string& cache, const Log& log,
                  runtime::Communicator& ranks) {
  if (ranks.rank() == 0) kind = read_or_train(images, std::move(kind), cache, log);
  if (ranks.ranks() == 1) return kind;
  kind.data_name = runtime::broadcast_text(ranks, kind.data_name);
  kind.data_hash = runtime::broadcast_text(ranks, kind.data_hash);
  Graph graph;
  for (const Variable& variable : build_embedding(graph, kind, 1)) {
    runtime::Array& weights = kind.weights[variable.name];
    if (ranks.rank() > 0) weights = runtime::Array({graph::DType::f32, variable.shape});
    ranks.broadcast(std::as_writable_bytes(weights.f32()));
  }
  return kind;
}

}  // namespace

Classifier cached_classifier(const Reference& reference, const std::string& cache, const Log& log,
                             runtime::Communicator& ranks) {
  const data::Dataset labelled = with_classes(reference.train);
  return cached(labelled, untrained_classifier(labelled), cache, log, ranks);
}

Classifier cached_regressor(const Reference& reference, const std::string& cache, const Log& log,
                            runtime::Communicator& ranks) {
  return cached(reference.train, untrained_regressor(reference.train), cache, log, ranks);
}

Networks cached_networks(const Reference& reference, const std::string& cache, const Log& log,
                         runtime::Communicator& ranks) {
  Networks networks;
  if (why_no_classifier(reference.train).empty()) networks.embedding = cached_classifier(reference, cache, log, ranks);
  if (why_no_regressor(reference.train).empty()) networks.regressor = cached_regressor(reference, cache, log, ranks);
  if (!networks.embedding && !networks.regressor && why_no_exemplars(reference.train).empty()) {
    const data::Dataset exemplars = exemplars_of(reference.train);
    networks.embedding = cached(exemplars, untrained_exemplars(exemplars), cache, log, ranks);
  }
  return networks;
}

Embedder::Embedder(const Classifier& classifier, const runtime::Backend* backend)
    : sample_shape_(classifier.sample_shape),
      classes_(classifier.classes),
      numbers_(classifier.numbers),
      outputs_(classifier.outputs()) {
  Graph graph;
  for (const Variable& variable : build_embedding(graph, classifier, embedding_batch(sample_shape_)))
    state_[variable.name] = runtime::Array(variable.shape, classifier.weights.at(variable.name).f32());
  program_ = std::make_unique<runtime::Program>(
      compiler::compile(graph, {.precision = compiler::Precision::f32, .backend = backend}, state_, arena_));
}

Embedded Embedder::embed(const data::Dataset& images, runtime::Communicator& ranks) {
  if (images.sample_shape != sample_shape_)
    base::fail_usage("{}: images of shape {}; the embedding's classifier is for {}", images.source,
                     graph::to_string(images.sample_shape), graph::to_string(sample_shape_));
  const std::int64_t size = graph::element_count(sample_shape_), batch = embedding_batch(sample_shape_);
  const auto columns = static_cast<std::int64_t>(numbers_.size());
  const auto of_each = [&](std::int64_t width) { return static_cast<std::size_t>(images.count() * width); };
  Embedded result;
  result.features.resize(of_each(kFeatures));
  result.classes.resize(classes_ > 0 ? of_each(1) : 0);
  result.numbers.resize(of_each(columns));
  for (std::int64_t first = batch * ranks.rank(); first < images.count(); first += batch * ranks.ranks()) {
    const std::int64_t rows = std::min(batch, images.count() - first);
    {
      const runtime::Writing input(state_.at("x"));
      float* const x = input.f32().data();
      base::parallel_for(rows, 16, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row) copy_shifted(images, first + row, 0, 0, x + row * size);
      });
    }
    program_->run();
    const runtime::Array in_host[] = {state_.at("features").on_host(), state_.at("head").on_host()};
    const std::span<const float> features = in_host[0].f32(), head = in_host[1].f32();
    std::copy_n(features.begin(), rows * kFeatures, result.features.begin() + first * kFeatures);
    for (std::int64_t row = 0; row < rows; ++row) {
      const auto own = head.subspan(static_cast<std::size_t>(row * outputs_), static_cast<std::size_t>(outputs_));
      const auto place = static_cast<std::size_t>(first + row);
      if (classes_ > 0) result.classes[place] = static_cast<std::int32_t>(std::ranges::max_element(own) - own.begin());
      const float* predicted = own.data();
      for (std::size_t c = 0; c < numbers_.size(); ++c) {
        result.numbers[place * numbers_.size() + c] = number_of(numbers_[c], predicted);
        predicted += numbers_[c].features();
      }
    }
  }
  const auto collect = [&](auto& values, std::int64_t width) {
    runtime::collect_pieces(ranks, std::as_writable_bytes(std::span(values)),
                            static_cast<std::size_t>(batch * width) * sizeof(values[0]), /*on_all=*/true);
  };
  collect(result.features, kFeatures);
  if (classes_ > 0) collect(result.classes, 1);
  if (columns > 0) collect(result.numbers, columns);
  return result;
}

}  // namespace gan::eval
