// Samples of one model drawn by libgan and by ONNX Runtime, in turns, on one thread each: the time of a call, and how
// many samples a second several threads draw from one model.
//
//   onnx_runtime_bench MODEL.safetensors MODEL.onnx     the second made by gan export MODEL.safetensors --to onnx
#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "gan/sampler.h"

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// Latents and labels of one call, and room for its samples.
struct Batch {
  Batch(const gan_description& model, std::int64_t size)
      : count(size),
        z(static_cast<std::size_t>(size * model.latent)),
        condition(static_cast<std::size_t>(size)),
        labels(static_cast<std::size_t>(size)),
        out(static_cast<std::size_t>(size * model.elements)) {
    std::mt19937 generator(1);
    std::normal_distribution<float> normal;
    for (float& value : z) value = normal(generator);
    for (std::size_t i = 0; i < labels.size(); ++i) condition[i] = static_cast<float>(labels[i] = i % 10);
  }

  std::int64_t count;
  std::vector<float> z, condition;
  std::vector<std::int64_t> labels;
  std::vector<float> out;
};

/// One way to draw.
class Drawer {
 public:
  virtual ~Drawer() = default;
  virtual void draw(Batch& batch) const = 0;
};

class Ours : public Drawer {
 public:
  Ours(const std::string& path, gan_precision precision) : precision_(precision) {
    if (gan_open(path.c_str(), &model_) != GAN_OK || gan_describe(model_, &description) != GAN_OK)
      throw std::runtime_error(gan_error());
  }
  ~Ours() override { gan_close(model_); }
  Ours(const Ours&) = delete;
  Ours& operator=(const Ours&) = delete;
  void draw(Batch& batch) const override {
    gan_request request = {};
    request.count = batch.count;
    request.condition = batch.condition.data();
    request.latents = batch.z.data();
    request.precision = precision_;
    if (gan_sample(model_, &request, batch.out.data(), batch.out.size()) != GAN_OK)
      throw std::runtime_error(gan_error());
  }
  gan_description description = {};

 private:
  gan_precision precision_;
  gan_model* model_ = nullptr;
};

class Theirs : public Drawer {
 public:
  Theirs(const std::string& path, const gan_description& model)
      : model_(model), session_(environment_, path.c_str(), one_thread()) {}
  void draw(Batch& batch) const override {
    const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    const std::array<std::int64_t, 2> z_shape = {batch.count, model_.latent};
    std::vector<std::int64_t> out_shape = {batch.count};
    out_shape.insert(out_shape.end(), model_.shape, model_.shape + model_.dimensions);
    std::array<Ort::Value, 2> inputs = {
        Ort::Value::CreateTensor<float>(memory, batch.z.data(), batch.z.size(), z_shape.data(), z_shape.size()),
        Ort::Value::CreateTensor<std::int64_t>(memory, batch.labels.data(), batch.labels.size(), &batch.count, 1)};
    Ort::Value output =
        Ort::Value::CreateTensor<float>(memory, batch.out.data(), batch.out.size(), out_shape.data(), out_shape.size());
    constexpr const char* kInputs[] = {"z", "label"};
    constexpr const char* kOutputs[] = {"samples"};
    session_.Run(Ort::RunOptions{nullptr}, kInputs, inputs.data(), inputs.size(), kOutputs, &output, 1);
  }

 private:
  static Ort::SessionOptions one_thread() {
    Ort::SessionOptions options;
    options.SetIntraOpNumThreads(1);
    options.SetInterOpNumThreads(1);
    options.SetGraphOptimizationLevel(GraphOptimizationLevel::ORT_ENABLE_ALL);
    return options;
  }

  gan_description model_;
  Ort::Env environment_;
  mutable Ort::Session session_;
};

double quantile(std::vector<double> times, double share) {
  std::sort(times.begin(), times.end());
  return times[static_cast<std::size_t>(share * static_cast<double>(times.size() - 1))];
}

void compare_calls(const Ours& ours, const Theirs& theirs, std::int64_t size, int rounds, int calls) {
  Batch a(ours.description, size), b(ours.description, size);
  std::vector<double> our_times, their_times;
  const auto measure = [&](const Drawer& drawer, Batch& batch, std::vector<double>& times) {
    drawer.draw(batch);
    for (int i = 0; i < calls; ++i) {
      const Clock::time_point start = Clock::now();
      drawer.draw(batch);
      times.push_back(seconds_since(start));
    }
  };
  for (int round = 0; round < rounds; ++round) {
    measure(ours, a, our_times);
    measure(theirs, b, their_times);
  }
  float largest = 0;
  for (std::size_t i = 0; i < a.out.size(); ++i) largest = std::max(largest, std::abs(a.out[i] - b.out[i]));
  std::printf(
      "batch %4lld   libgan p50 %9.1f us, p99 %9.1f us   ONNX Runtime p50 %9.1f us, p99 %9.1f us   ratio of p50 "
      "%.2f   largest difference %.1e\n",
      static_cast<long long>(size), 1e6 * quantile(our_times, 0.5), 1e6 * quantile(our_times, 0.99),
      1e6 * quantile(their_times, 0.5), 1e6 * quantile(their_times, 0.99),
      quantile(their_times, 0.5) / quantile(our_times, 0.5), static_cast<double>(largest));
}

/// Samples a second that `count` threads draw, one at a time.
double throughput(const Drawer& drawer, const gan_description& model, int count) {
  constexpr int kCalls = 5000;
  std::vector<std::thread> threads;
  const Clock::time_point start = Clock::now();
  for (int t = 0; t < count; ++t)
    threads.emplace_back([&] {
      Batch batch(model, 1);
      for (int i = 0; i < kCalls; ++i) drawer.draw(batch);
    });
  for (std::thread& thread : threads) thread.join();
  return count * kCalls / seconds_since(start);
}

void compare_throughput(const Ours& ours, const Theirs& theirs) {
  for (const int threads : {1, 2, 4}) {
    std::vector<double> our_rates, their_rates;
    for (int round = 0; round < 5; ++round) {
      our_rates.push_back(throughput(ours, ours.description, threads));
      their_rates.push_back(throughput(theirs, ours.description, threads));
    }
    std::printf("%d threads   libgan %9.0f samples/s   ONNX Runtime %9.0f samples/s   ratio %.2f\n", threads,
                quantile(our_rates, 0.5), quantile(their_rates, 0.5),
                quantile(our_rates, 0.5) / quantile(their_rates, 0.5));
  }
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) {
    std::fprintf(stderr, "usage: onnx_runtime_bench MODEL.safetensors MODEL.onnx\n");
    return 2;
  }
  std::printf("ONNX Runtime %s\n", Ort::GetVersionString().c_str());
  for (const gan_precision precision : {GAN_F32, GAN_INT16}) {
    std::printf("libgan in %s\n", precision == GAN_F32 ? "f32" : "int16");
    const Ours ours(argv[1], precision);
    const Theirs theirs(argv[2], ours.description);
    compare_calls(ours, theirs, 1, 15, 400);
    compare_calls(ours, theirs, 1024, 9, 8);
    compare_throughput(ours, theirs);
  }
} catch (const std::exception& error) {
  std::fprintf(stderr, "onnx_runtime_bench: %s\n", error.what());
  return 1;
}
