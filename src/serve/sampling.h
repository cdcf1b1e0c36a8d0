#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "draw/plan.h"
#include "serve/http.h"
#include "serve/models.h"

namespace gan::serve {

/// Samples to draw, and what is to be made of them.
struct SampleOrder {
  std::shared_ptr<const OpenModel> model;
  draw::SampleOptions options;
  draw::SamplePlan plan;
  std::vector<float> noise;     ///< [rows, latent] of the client, or empty: those of the seed
  std::string type;             ///< of the answer: "image/png", "application/json", ...
  int pad = 2;                  ///< pixels around each image of a picture
  bool return_latents = false;  ///< in JSON
};

struct SampleLimits {
  std::int64_t count = 4096;        ///< samples of a request
  std::int64_t elements = 1 << 24;  ///< of all its samples
  std::int64_t waiting = 512;       ///< requests that wait to be drawn
  std::int64_t waiting_samples = 16384;
};

/// The model that a body names; "" if it names none.
std::string model_of(const nlohmann::ordered_json& body);

/// The order that a body of POST /v1/sample makes. `accept`: the header of that name. Throws a Refusal that names the
/// field for unknown ones and for values that cannot be, 413 beyond the limits, 406 for types that the model's samples
/// cannot have. Fields in `others` are allowed beside those of sample_options.
SampleOrder make_order(const nlohmann::ordered_json& body, std::string_view accept,
                       std::shared_ptr<const OpenModel> model, const SampleLimits& limits,
                       std::initializer_list<std::string_view> others = {"columns", "pad", "return_latents"});

/// The options of a sample request: --condition and so on as `gan sample` takes them. Fields in `others` are allowed.
draw::SampleOptions sample_options(const nlohmann::ordered_json& body, const train::Model& model,
                                   std::vector<float>& noise, std::initializer_list<std::string_view> others);

/// The answer with the way of an order's samples from latent to latent or condition to condition: POST /v1/interpolate.
Response interpolate(const nlohmann::ordered_json& body, std::string_view accept,
                     std::shared_ptr<const OpenModel> model, const SampleLimits& limits);

/// Draws orders on a thread of its own; those of one model that wait together are drawn in one batch. Sample number k
/// of a seed is the same to 1e-5 whatever is drawn with it.
class Drawer {
 public:
  /// `threads`: for products.
  Drawer(const SampleLimits& limits, int threads);
  /// Orders that wait are dropped.
  ~Drawer();
  Drawer(const Drawer&) = delete;
  Drawer& operator=(const Drawer&) = delete;

  using Finish = std::function<void(Response)>;
  using Fail = std::function<void(std::exception_ptr)>;
  /// Calls one of the functions on the drawer's thread when the samples are drawn. False if too many wait.
  bool add(SampleOrder order, Finish finish, Fail fail);

  std::int64_t waiting() const { return waiting_; }
  std::uint64_t samples() const { return samples_; }
  std::uint64_t batches() const { return batches_; }

 private:
  struct Waiting {
    SampleOrder order;
    Finish finish;
    Fail fail;
  };
  void run();
  void draw(std::vector<Waiting>& together);

  const SampleLimits limits_;
  const int threads_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Waiting> queue_;
  std::int64_t queued_samples_ = 0;
  bool ending_ = false;
  std::atomic<std::int64_t> waiting_ = 0;
  std::atomic<std::uint64_t> samples_ = 0, batches_ = 0;
  std::vector<float> z_, drawn_;
  std::jthread thread_;
};

}  // namespace gan::serve
