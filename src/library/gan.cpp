#include <gan/gan.h>

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"
#include "train/model_file.h"
#include "train/sampler.h"

namespace {

using namespace gan;

thread_local std::string last_error;

/// What one call of gan_sample needs for itself.
struct Workspace {
  train::Sampler sampler;
  std::int32_t precision;  // of the sampler, a gan_precision
  int threads;             // with which its programs were compiled
  std::vector<float> latents = {};
  data::ConditionRows rows = {};
};

/// Workspaces, one for each call that works at the moment and at most one for each processor, so that memory does not
/// grow with the number of threads that draw.
class Pool {
 public:
  /// A workspace for the lifetime of the object.
  class Lease {
   public:
    Lease(Pool& pool, const train::Model& model, std::int32_t precision, int threads)
        : pool_(pool), workspace_(pool.take(model, precision, threads)) {}
    ~Lease() { pool_.give_back(std::move(workspace_)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Workspace* operator->() { return workspace_.get(); }

   private:
    Pool& pool_;
    std::unique_ptr<Workspace> workspace_;
  };

  Pool() { idle_.reserve(static_cast<std::size_t>(limit_)); }

 private:
  /// Waits until a workspace is free or may be made. The most recently used one comes first: its memory is in the
  /// caches.
  std::unique_ptr<Workspace> take(const train::Model& model, std::int32_t precision, int threads) {
    std::unique_lock lock(mutex_);
    free_.wait(lock, [&] { return !idle_.empty() || made_ < limit_; });
    const auto fits = std::find_if(idle_.rbegin(), idle_.rend(),
                                   [&](const auto& w) { return w->threads == threads && w->precision == precision; });
    if (fits != idle_.rend()) {
      std::unique_ptr<Workspace> taken = std::move(*fits);
      idle_.erase(std::next(fits).base());
      return taken;
    }
    if (made_ == limit_)
      idle_.erase(idle_.begin());
    else
      ++made_;
    lock.unlock();
    try {
      return std::make_unique<Workspace>(
          Workspace{train::Sampler(model, precision == GAN_INT16 ? "int16" : "f32"), precision, threads});
    } catch (...) {
      lock.lock();
      --made_;
      free_.notify_one();
      throw;
    }
  }
  void give_back(std::unique_ptr<Workspace> workspace) {
    {
      const std::scoped_lock lock(mutex_);
      idle_.push_back(std::move(workspace));
    }
    free_.notify_one();
  }

  const int limit_ = base::processors();
  std::mutex mutex_;
  std::condition_variable free_;
  std::vector<std::unique_ptr<Workspace>> idle_;  // the most recently used last
  int made_ = 0;                                  // idle or in use
};

}  // namespace

struct gan_model {
  explicit gan_model(train::Model opened) : model(std::move(opened)) {}

  train::Model model;
  std::vector<std::vector<std::string>> categories = {};  // their names, column by column
  mutable Pool pool;
};

namespace {

/// Runs `function`, which may throw, and returns its status.
template <typename Function>
gan_status guarded(const Function& function) noexcept {
  try {
    function();
    return GAN_OK;
  } catch (const base::Error& error) {
    last_error = error.what();
    return static_cast<gan_status>(error.kind());
  } catch (const std::bad_alloc&) {
    last_error = "out of memory";
  } catch (const std::exception& error) {
    last_error = error.what();
  }
  return GAN_FAILED;
}

void require_argument(const void* pointer, const char* name) {
  if (!pointer) base::fail_usage("{} is NULL", name);
}

template <typename Load>
gan_status open(gan_model** result, const Load& load) {
  if (result) *result = nullptr;
  return guarded([&] {
    require_argument(result, "model");
    auto made = std::make_unique<gan_model>(load());
    for (const data::ConditionColumn& column : made->model.condition.columns) {
      std::vector<std::string>& names = made->categories.emplace_back();
      for (int k = 0; k < column.categories; ++k) names.push_back(column.name_of(k));
    }
    *result = made.release();
  });
}

gan_column describe(const data::NumberColumn& number, const std::string& name) {
  return {name.c_str(), number.unit.c_str(), 0, number.minimum, number.maximum, number.period};
}

/// The element of a list at `index`.
template <typename Element>
const Element& at(const std::vector<Element>& list, std::int64_t index, const char* what) {
  if (index < 0 || index >= static_cast<std::int64_t>(list.size()))
    base::fail_usage("{} {}: the model has {}", what, index, list.size());
  return list[static_cast<std::size_t>(index)];
}

/// Brings rows [count, columns] of floats to columns, using the memory of `rows`.
void take_condition(const data::ConditionSpec& spec, const float* condition, std::int64_t count,
                    data::ConditionRows& rows) {
  const auto size = static_cast<std::size_t>(count);
  const std::size_t columns = spec.columns.size();
  rows.columns.resize(columns);
  for (std::size_t c = 0; c < columns; ++c) {
    const data::ConditionColumn& column = spec.columns[c];
    const auto value = [&](std::size_t row) { return condition[row * columns + c]; };
    if (column.is_numeric()) {
      if (!std::holds_alternative<std::vector<float>>(rows.columns[c])) rows.columns[c] = std::vector<float>();
      auto& numbers = std::get<std::vector<float>>(rows.columns[c]);
      numbers.resize(size);
      for (std::size_t row = 0; row < size; ++row) numbers[row] = value(row);
      continue;
    }
    auto& categories = std::get<std::vector<std::int32_t>>(rows.columns[c]);
    categories.resize(size);
    for (std::size_t row = 0; row < size; ++row) {
      const float position = value(row);
      if (!(position >= 0 && position < static_cast<float>(column.categories)) ||
          position != static_cast<float>(static_cast<std::int32_t>(position)))
        base::fail_usage("sample {}: {} is {}; expected a category by position, 0 to {}", row, column.name, position,
                         column.categories - 1);
      categories[row] = static_cast<std::int32_t>(position);
    }
  }
}

void sample(const gan_model& opened, const gan_request& request, std::span<float> out) {
  const train::Model& model = opened.model;
  const std::int64_t latent = model.config.model.latent, elements = graph::element_count(model.sample_shape);
  if (request.count < 0 || request.count > INT32_MAX) base::fail_usage("count {}: expected 0 or more", request.count);
  if (request.first < 0 || request.first > INT64_MAX / latent - request.count)
    base::fail_usage("first {}: expected 0 or more, and no more than latents can be numbered", request.first);
  if (request.threads < 0) base::fail_usage("threads {}: expected 0 or more", request.threads);
  if (request.precision != GAN_F32 && request.precision != GAN_INT16)
    base::fail_usage("precision {}: expected 0 (f32) or 1 (int16)", request.precision);
  if (static_cast<std::int64_t>(out.size()) < request.count * elements)
    base::fail_usage("samples: room for {} elements; {} samples of {} are wanted", out.size(), request.count, elements);
  if (request.count == 0) return;
  if (model.condition.empty() && request.condition)
    base::fail_usage("condition: the model is unconditional; expected NULL");
  if (!model.condition.empty() && !request.condition) base::fail_usage("condition is NULL; the model is conditional");
  const base::ScopedThreads team(std::max(request.threads, 1));
  Pool::Lease workspace(opened.pool, model, request.precision, team.count());
  take_condition(model.condition, request.condition, request.count, workspace->rows);
  std::span<const float> latents(request.latents,
                                 request.latents ? static_cast<std::size_t>(request.count * latent) : 0);
  if (!request.latents) {
    workspace->latents.resize(static_cast<std::size_t>(request.count * latent));
    workspace->sampler.latents(request.seed, request.first, workspace->latents, request.truncation);
    latents = workspace->latents;
  }
  out = out.first(static_cast<std::size_t>(request.count * elements));
  workspace->sampler.sample(latents, workspace->rows, out);
  workspace->sampler.require_finite(out, request.first);
  model.units.undo(out, model.sample_shape);
}

}  // namespace

gan_status gan_open(const char* path, gan_model** model) {
  return open(model, [&] {
    require_argument(path, "path");
    return train::load_model(path, train::Networks::generator);
  });
}

gan_status gan_open_memory(const void* data, size_t bytes, gan_model** model) {
  return open(model, [&] {
    require_argument(data, "data");
    base::InputFile file("the model in memory", {static_cast<const std::byte*>(data), bytes});
    return train::load_model(file, train::Networks::generator);
  });
}

gan_status gan_close(gan_model* model) {
  delete model;
  return GAN_OK;
}

const char* gan_error(void) { return last_error.c_str(); }

const char* gan_version(void) { return GAN_VERSION; }

gan_status gan_describe(const gan_model* model, gan_description* description) {
  return guarded([&] {
    require_argument(model, "model");
    require_argument(description, "description");
    const train::Model& m = model->model;
    *description = {};
    description->latent = m.config.model.latent;
    description->dimensions = static_cast<int32_t>(m.sample_shape.size());
    std::ranges::copy(m.sample_shape, description->shape);
    description->elements = graph::element_count(m.sample_shape);
    if (m.sample_shape.size() == 3) {
      description->low = m.units.bytes() ? -1 : m.units.low;
      description->high = m.units.bytes() ? 1 : m.units.high;
    }
    description->columns = static_cast<int32_t>(m.condition.columns.size());
    description->steps = m.steps;
  });
}

gan_status gan_describe_column(const gan_model* model, int32_t index, gan_column* column) {
  return guarded([&] {
    require_argument(model, "model");
    require_argument(column, "column");
    const data::ConditionColumn& found = at(model->model.condition.columns, index, "column");
    *column = describe(found.number, found.name);
    column->categories = found.categories;
  });
}

gan_status gan_describe_element(const gan_model* model, int64_t index, gan_column* element) {
  return guarded([&] {
    require_argument(model, "model");
    require_argument(element, "element");
    const train::Model& m = model->model;
    if (m.sample_shape.size() != 1) base::fail_usage("element {}: the model draws images", index);
    static const data::NumberColumn nameless;
    if (index < 0 || index >= m.sample_shape[0])
      base::fail_usage("element {}: the model has {}", index, m.sample_shape[0]);
    const data::NumberColumn& found =
        m.units.columns.empty() ? nameless : m.units.columns[static_cast<std::size_t>(index)];
    *element = describe(found, found.name);
  });
}

gan_status gan_category_name(const gan_model* model, int32_t column, int32_t category, const char** name) {
  return guarded([&] {
    require_argument(model, "model");
    require_argument(name, "name");
    *name = at(at(model->categories, column, "column"), category, "category").c_str();
  });
}

gan_status gan_sample(const gan_model* model, const gan_request* request, float* samples, size_t elements) {
  return guarded([&] {
    require_argument(model, "model");
    require_argument(request, "request");
    if (request->count > 0) require_argument(samples, "samples");
    sample(*model, *request, {samples, elements});
  });
}
