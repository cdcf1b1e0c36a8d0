#include "runtime/communicator.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace gan::runtime {

namespace {

class OneRank : public Communicator {
 public:
  int rank() const override { return 0; }
  int ranks() const override { return 1; }
  int ranks_here() const override { return 1; }
  int rank_here() const override { return 0; }
  void all_reduce(std::span<float>) override {}
  void broadcast(std::span<std::byte>) override {}
  std::vector<std::string> gather(std::string_view bytes) override { return {std::string(bytes)}; }
  void abort(int code) override { std::exit(code); }
};

/// The first difference between the facts of a rank and those of rank 0; "" if there is none.
std::string difference(int rank, const nlohmann::json& first, const nlohmann::json& other) {
  for (std::size_t i = 0; i < first.size() && i < other.size(); ++i)
    if (first[i] != other[i] && first[i][0] == other[i][0])
      return fmt::format("rank {} has {} {}, rank 0 has {}; all ranks must have the same", rank,
                         first[i][0].get<std::string>(), other[i][1].get<std::string>(),
                         first[i][1].get<std::string>());
  return first == other ? "" : fmt::format("rank {} runs another program than rank 0", rank);
}

}  // namespace

Communicator& one_rank() {
  static OneRank alone;
  return alone;
}

std::string broadcast_text(Communicator& communicator, std::string text) {
  text.resize(of_first_rank(communicator, text.size()));
  communicator.broadcast(std::as_writable_bytes(std::span(text)));
  return text;
}

void collect_pieces(Communicator& communicator, std::span<std::byte> values, std::size_t piece, bool on_all) {
  if (communicator.ranks() == 1) return;
  const auto of_rank = [&](int rank, const auto& visit) {
    const auto step = piece * static_cast<std::size_t>(communicator.ranks());
    for (std::size_t i = piece * static_cast<std::size_t>(rank); i < values.size(); i += step)
      visit(values.subspan(i, std::min(piece, values.size() - i)));
  };
  std::string own;
  if (communicator.rank() > 0)
    of_rank(communicator.rank(),
            [&](auto bytes) { own.append(reinterpret_cast<const char*>(bytes.data()), bytes.size()); });
  const std::vector<std::string> all = communicator.gather(own);
  for (std::size_t rank = 1; rank < all.size(); ++rank) {
    const char* next = all[rank].data();
    of_rank(static_cast<int>(rank), [&](auto bytes) {
      std::memcpy(bytes.data(), next, bytes.size());
      next += bytes.size();
    });
  }
  if (on_all) communicator.broadcast(values);
}

void wait_for_all(Communicator& communicator) {
  communicator.gather("");
  of_first_rank(communicator, 0);
}

void require_agreement(Communicator& communicator, const std::vector<Fact>& facts) {
  if (communicator.ranks() == 1) return;
  const std::string own = nlohmann::json(facts).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  const std::vector<std::string> all = communicator.gather(own);
  std::string found;
  for (std::size_t rank = 1; rank < all.size() && found.empty(); ++rank)
    if (all[rank] != own)
      found = difference(static_cast<int>(rank), nlohmann::json::parse(own),
                         nlohmann::json::parse(all[rank], nullptr, /*allow_exceptions=*/false));
  found = broadcast_text(communicator, found);
  if (!found.empty()) base::fail_run("{}", found);
}

}  // namespace gan::runtime
