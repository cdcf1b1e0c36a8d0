#pragma once

#include <algorithm>
#include <barrier>
#include <cstring>
#include <exception>
#include <functional>
#include <thread>
#include <vector>

#include "runtime/communicator.h"

namespace gan::test {

/// Ranks that are threads of this process.
class ThreadRanks {
 public:
  explicit ThreadRanks(int ranks) : barrier_(ranks), floats_(ranks), bytes_(ranks), texts_(ranks) {
    for (int rank = 0; rank < ranks; ++rank) members_.emplace_back(*this, rank);
  }

  /// Calls work on every rank. Throws what a rank has thrown; the others must have thrown, too.
  void run(const std::function<void(runtime::Communicator&)>& work) {
    std::vector<std::thread> threads;
    std::vector<std::exception_ptr> thrown(members_.size());
    for (std::size_t rank = 0; rank < members_.size(); ++rank)
      threads.emplace_back([&, rank] {
        try {
          work(members_[rank]);
        } catch (...) {
          thrown[rank] = std::current_exception();
        }
      });
    for (std::thread& thread : threads) thread.join();
    for (const std::exception_ptr& exception : thrown)
      if (exception) std::rethrow_exception(exception);
  }

 private:
  class Member : public runtime::Communicator {
   public:
    Member(ThreadRanks& all, int rank) : all_(all), rank_(static_cast<std::size_t>(rank)) {}
    int rank() const override { return static_cast<int>(rank_); }
    int ranks() const override { return static_cast<int>(all_.members_.size()); }
    int ranks_here() const override { return ranks(); }
    int rank_here() const override { return rank(); }
    void all_reduce(std::span<float> values) override {
      all_.floats_[rank_] = values;
      all_.barrier_.arrive_and_wait();
      std::vector<float> sums(all_.floats_[0].begin(), all_.floats_[0].end());
      for (std::size_t other = 1; other < all_.floats_.size(); ++other)
        for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += all_.floats_[other][i];
      all_.barrier_.arrive_and_wait();
      std::ranges::copy(sums, values.begin());
      ++exchanges;
    }
    void broadcast(std::span<std::byte> bytes) override {
      all_.bytes_[rank_] = bytes;
      all_.barrier_.arrive_and_wait();
      if (rank_ > 0) std::ranges::copy(all_.bytes_[0], bytes.begin());
      all_.barrier_.arrive_and_wait();
    }
    std::vector<std::string> gather(std::string_view bytes) override {
      all_.texts_[rank_] = bytes;
      all_.barrier_.arrive_and_wait();
      const std::vector<std::string> texts = rank_ == 0 ? all_.texts_ : std::vector<std::string>();
      all_.barrier_.arrive_and_wait();
      return texts;
    }
    void abort(int) override { std::terminate(); }

    int exchanges = 0;  // all_reduces so far

   private:
    ThreadRanks& all_;
    std::size_t rank_;
  };

  std::barrier<> barrier_;
  std::vector<std::span<float>> floats_;
  std::vector<std::span<std::byte>> bytes_;
  std::vector<std::string> texts_;
  std::vector<Member> members_;

 public:
  /// How often a rank has added up.
  int exchanges(int rank) const { return members_[static_cast<std::size_t>(rank)].exchanges; }
};

}  // namespace gan::test
