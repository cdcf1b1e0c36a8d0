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

/// The samples that a request asks for, and the form of the answer.
struct SampleOrder {
  std::shared_ptr<const OpenModel> model;
  draw::SampleOptions options;
  draw::SamplePlan plan;
  std::vector<float> noise;     ///< [rows, latent] that the client sent; empty: drawn by the seed
  std::string type;             ///< media type of the answer: "image/png", "application/json", ...
  int pad = 2;                  ///< pixels around each image of a picture
  bool return_latents = false;  ///< whether answers in JSON have the latents
};

struct SampleLimits {
  std::int64_t count = 4096;        ///< most samples of a request
  std::int64_t elements = 1 << 24;  ///< most elements of all its samples
  std::int64_t waiting = 512;       ///< most requests that wait to be drawn
  std::int64_t waiting_samples = 16384;
};

/// The name of the model in a body; "" if there is none.
std::string model_of(const nlohmann::ordered_json& body);

/// The order for a body of POST /v1/sample. `accept`: the header Accept. Throws a Refusal that names the field for
/// unknown fields and invalid values, 413 beyond the limits, 406 for types that the model's samples cannot have. Fields
/// in `others` are allowed beside those of sample_options.
SampleOrder make_order(const nlohmann::ordered_json& body, std::string_view accept,
                       std::shared_ptr<const OpenModel> model, const SampleLimits& limits,
                       std::initializer_list<std::string_view> others = {"columns", "pad", "return_latents"});

/// The options of a request for samples, as `gan sample` has them. Sets `noise` to the latents in the body. Fields in
/// `others` are allowed.
draw::SampleOptions sample_options(const nlohmann::ordered_json& body, const train::Model& model,
                                   std::vector<float>& noise, std::initializer_list<std::string_view> others);

/// The answer to POST /v1/interpolate: samples on the way from latent to latent, or from condition to condition.
Response interpolate(const nlohmann::ordered_json& body, std::string_view accept,
                     std::shared_ptr<const OpenModel> model, const SampleLimits& limits);

/// Draws orders on a thread of its own. Waiting orders for the same model are drawn in one batch. Sample k of a seed is
/// the same to 1e-5 in any batch.
class Drawer {
 public:
  /// `threads`: number of threads that compute a batch.
  Drawer(const SampleLimits& limits, int threads);
  /// Drops waiting orders.
  ~Drawer();
  Drawer(const Drawer&) = delete;
  Drawer& operator=(const Drawer&) = delete;

  using Finish = std::function<void(Response)>;
  using Fail = std::function<void(std::exception_ptr)>;
  /// Calls `finish` on the drawer's thread when the samples are drawn, or `fail`. False if too many orders wait.
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
