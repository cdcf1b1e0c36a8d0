#include "metrics/rows.h"

#include <algorithm>
#include <map>
#include <memory>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/parallel.h"
#include "base/random.h"
#include "compiler/compile.h"
#include "ops/ops.h"

namespace gan::metrics {

namespace {

constexpr std::int64_t kRowsOfBlock = 512;         // rows of a
constexpr std::int64_t kRowsOfPiece = 2048;        // rows of b: 4 MB of products, which stay in the cache
constexpr std::int64_t kElementsAtOnce = 1 << 24;  // of a or b held at a time, a limit for wide rows

std::vector<double> mean_row(const Rows& rows) {
  std::vector<double> mean(static_cast<std::size_t>(rows.width));
  for (std::int64_t i = 0; i < rows.count(); ++i)
    for (std::size_t c = 0; c < mean.size(); ++c) mean[c] += static_cast<double>(rows.row(i)[c]);
  for (double& value : mean) value /= static_cast<double>(rows.count());
  return mean;
}

/// Copies rows minus `centre` to dst.
void copy_centred(const Rows& rows, std::span<const float> centre, std::span<float> dst) {
  const auto width = static_cast<std::size_t>(rows.width);
  for (std::size_t i = 0; i < rows.values.size(); ++i) dst[i] = rows.values[i] - centre[i % width];
}

std::vector<float> squared_norms(const Rows& rows, std::span<const float> centre) {
  std::vector<float> norms(static_cast<std::size_t>(rows.count()));
  for (std::size_t i = 0; i < norms.size(); ++i)
    norms[i] = static_cast<float>(squared_distance(rows.row(static_cast<std::int64_t>(i)), centre));
  return norms;
}

/// A compiled program for the product a b^T of a block of rows of each; its arrays may be in the memory of a device.
struct BlockProduct {
  BlockProduct(std::int64_t rows, std::int64_t columns, std::int64_t width, const runtime::Backend* backend) {
    graph::Graph graph;
    const auto input = [&](const char* name, std::int64_t count) {
      return graph.input(name, {graph::DType::f32, {count, width}});
    };
    graph.output("product", ops::matmul(input("a", rows), input("b", columns), false, /*transpose_b=*/true));
    program = std::make_unique<runtime::Program>(compiler::compile(graph, {.backend = backend}, state, arena));
  }

  void set(const char* name, const Rows& rows, std::span<const float> centre) {
    runtime::Array& to = state.at(name);
    if (to.memory().is_host()) return copy_centred(rows, centre, to.f32());
    on_host.resize(rows.values.size());
    copy_centred(rows, centre, on_host);
    to.memory().write(on_host.data(), to.bytes(), to.size_bytes());
  }

  runtime::State state;
  runtime::Arena arena;
  std::unique_ptr<runtime::Program> program;
  std::int64_t first_of_b = -1;  // of the piece of b in its input
  std::vector<float> on_host;    // on its way to a device
};

/// The rows of this width that are held at a time.
std::int64_t most_rows(std::int64_t width) { return std::max<std::int64_t>(kElementsAtOnce / width, 16); }

/// for_each_product of rows minus `centre`.
void for_each_centred_product(const Rows& a, const Rows& b, std::span<const float> centre, const VisitRow& visit,
                              const runtime::Communicator& ranks, const runtime::Backend* backend) {
  require_same_width(a, b);
  const std::int64_t block = block_of(a), piece = std::min({kRowsOfPiece, b.count(), most_rows(b.width)});
  std::map<std::pair<std::int64_t, std::int64_t>, std::unique_ptr<BlockProduct>> products;  // by size
  for (std::int64_t first = 0; first < b.count(); first += piece) {
    const std::int64_t columns = std::min(piece, b.count() - first);
    for (std::int64_t row = block * ranks.rank(); row < a.count(); row += block * ranks.ranks()) {
      const std::int64_t rows = std::min(block, a.count() - row);
      std::unique_ptr<BlockProduct>& product = products[{rows, columns}];
      if (!product) product = std::make_unique<BlockProduct>(rows, columns, a.width, backend);
      if (std::exchange(product->first_of_b, first) != first) product->set("b", b.slice(first, columns), centre);
      product->set("a", a.slice(row, rows), centre);
      product->program->run();
      const runtime::Array product_on_host = product->state.at("product").on_host();
      const std::span<const float> results = product_on_host.f32();
      base::parallel_for(rows, 16, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i)
          visit(row + i, first,
                results.subspan(static_cast<std::size_t>(i * columns), static_cast<std::size_t>(columns)));
      });
    }
  }
}

}  // namespace

std::int64_t block_of(const Rows& a) { return std::min({kRowsOfBlock, a.count(), most_rows(a.width)}); }

void require_same_width(const Rows& a, const Rows& b) {
  if (a.width < 1 || a.width != b.width || a.count() < 1 || b.count() < 1)
    base::fail_usage("[{}, {}] and [{}, {}] elements; expected rows of one width", a.width < 1 ? 0 : a.count(), a.width,
                     b.width < 1 ? 0 : b.count(), b.width);
}

void for_each_product(const Rows& a, const Rows& b, const VisitRow& visit) {
  for_each_centred_product(a, b, std::vector<float>(static_cast<std::size_t>(a.width)), visit, runtime::one_rank(),
                           nullptr);
}

void for_each_distance(const Rows& a, const Rows& b, const VisitRow& visit, const runtime::Communicator& ranks,
                       const runtime::Backend* backend) {
  require_same_width(a, b);
  const std::vector<double> mean = mean_row(b);
  const std::vector<float> centre(mean.begin(), mean.end());
  const std::vector<float> of_a = squared_norms(a, centre), of_b = squared_norms(b, centre);
  for_each_centred_product(
      a, b, centre,
      [&](std::int64_t i, std::int64_t first, std::span<const float> products) {
        thread_local std::vector<float> squared;
        squared.resize(products.size());
        const float norm = of_a[static_cast<std::size_t>(i)];
        const float* norms = of_b.data() + first;
        for (std::size_t j = 0; j < products.size(); ++j)
          squared[j] = std::max(0.0f, norm + norms[j] - 2 * products[j]);
        visit(i, first, squared);
      },
      ranks, backend);
}

double squared_distance(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t c = 0; c < a.size(); ++c) {
    const double difference = static_cast<double>(a[c]) - static_cast<double>(b[c]);
    sum += difference * difference;
  }
  return sum;
}

std::vector<float> choose_rows(const Rows& rows, std::int64_t count, std::uint64_t seed) {
  const auto all = static_cast<std::size_t>(rows.count());
  const std::size_t chosen = std::min(all, static_cast<std::size_t>(count));
  const base::RandomStream random(seed, base::stream_of("choose_rows"));
  std::vector<std::size_t> order(all);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::vector<float> values;
  values.reserve(chosen * static_cast<std::size_t>(rows.width));
  for (std::size_t i = 0; i < chosen; ++i) {
    std::swap(order[i], order[i + random.below(all - i, i)]);
    const std::span<const float> row = rows.row(static_cast<std::int64_t>(order[i]));
    values.insert(values.end(), row.begin(), row.end());
  }
  return values;
}

}  // namespace gan::metrics
