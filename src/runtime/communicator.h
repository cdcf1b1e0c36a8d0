#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gan::runtime {

/// The processes that work on one task, called ranks, as one of them sees them. All ranks call the same functions in
/// the same order; each call waits for the ranks that it needs. A rank that fails or falls silent is a run error.
class Communicator {
 public:
  virtual ~Communicator() = default;

  /// The number of this rank, from 0 to ranks() - 1.
  virtual int rank() const = 0;
  virtual int ranks() const = 0;
  /// How many of the ranks run on this machine, at least 1, and the number of this one among them, from 0.
  virtual int ranks_here() const = 0;
  virtual int rank_here() const = 0;

  /// Replaces `values`, as many on every rank, by their sums over all ranks, added in the order of the ranks, which
  /// gives the same bits on every rank and in every run.
  virtual void all_reduce(std::span<float> values) = 0;
  /// Copies the bytes of rank 0 to all ranks, whose spans have the same size.
  virtual void broadcast(std::span<std::byte> bytes) = 0;
  /// The bytes of all ranks, of any size, by rank. Ranks but 0 get nothing.
  virtual std::vector<std::string> gather(std::string_view bytes) = 0;
  /// Ends the processes of all ranks, this one with an exit code. Called by a rank that fails alone, which has said
  /// why.
  [[noreturn]] virtual void abort(int code) = 0;
};

/// A process alone.
Communicator& one_rank();

/// A fact on which all ranks must agree, such as the version of the program.
using Fact = std::pair<std::string, std::string>;

/// Throws the same run error on all ranks if the facts of one, which all list in the same order, are not those of rank
/// 0. It names the first rank and the first fact that differ, and both values.
void require_agreement(Communicator& communicator, const std::vector<Fact>& facts);

/// The text of rank 0, on all ranks.
std::string broadcast_text(Communicator& communicator, std::string text);

/// Completes values that the ranks have computed in turn: of pieces of `piece` > 0 bytes, the last one shorter, rank r
/// has filled number r, r + ranks(), and so on. Rank 0 gets the others'; with on_all all ranks do.
void collect_pieces(Communicator& communicator, std::span<std::byte> values, std::size_t piece, bool on_all);

/// Returns when all ranks have called it.
void wait_for_all(Communicator& communicator);

/// The value of rank 0, on all ranks.
template <typename Value>
Value of_first_rank(Communicator& communicator, Value value) {
  static_assert(std::is_trivially_copyable_v<Value>);
  if (communicator.ranks() > 1) communicator.broadcast(std::as_writable_bytes(std::span(&value, 1)));
  return value;
}

}  // namespace gan::runtime
