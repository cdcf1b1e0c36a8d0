#include "runtime/mpi/module.h"

#include <mpi.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <climits>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <thread>
#include <utility>

namespace gan::runtime {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::seconds;

constexpr std::size_t kOneRoundBytes = 65536;  // of all ranks, that each may receive whole in one round, not two
constexpr std::size_t kAlign = 16;             // elements; the part of the sum that a rank adds up begins at a multiple
constexpr std::size_t kLargest = 1u << 30;     // bytes of one message

constexpr seconds kBeat{1};       // between two heartbeats
constexpr seconds kSilence{15};   // after which a rank counts as lost
constexpr seconds kAbortTime{3};  // that MPI may take to end all ranks
constexpr int kTextTag = 0, kSumTag = 1, kBeatTag = 2;

/// Ends this process at the latest after kAbortTime, whatever MPI does.
void end_soon(int code) {
  std::thread([code] {
    std::this_thread::sleep_for(kAbortTime);
    _exit(code);
  }).detach();
}

class MpiCommunicator : public Communicator {
 public:
  explicit MpiCommunicator(const MpiHost& host) : host_(host) {
    int provided = 0;
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &provided);
    if (provided < MPI_THREAD_MULTIPLE) host_.fail("this MPI was built without support for threads");
    MPI_Comm_dup(MPI_COMM_WORLD, &work_);
    MPI_Comm_dup(MPI_COMM_WORLD, &beats_);
    MPI_Comm_set_errhandler(work_, MPI_ERRORS_RETURN);
    MPI_Comm_set_errhandler(beats_, MPI_ERRORS_RETURN);
    MPI_Comm_rank(work_, &rank_);
    MPI_Comm_size(work_, &ranks_);
    MPI_Comm here;
    MPI_Comm_split_type(work_, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &here);
    MPI_Comm_rank(here, &rank_here_);
    MPI_Comm_size(here, &ranks_here_);
    MPI_Comm_free(&here);
    learn_names();
    watch_ = std::thread([this] { watch(); });
  }

  ~MpiCommunicator() override {
    MPI_Request request;
    MPI_Ibarrier(work_, &request);
    wait({&request, 1});
    leaving_ = true;
    watch_.join();
    MPI_Comm_free(&beats_);
    MPI_Comm_free(&work_);
    MPI_Finalize();
  }

  int rank() const override { return rank_; }
  int ranks() const override { return ranks_; }
  int ranks_here() const override { return ranks_here_; }
  int rank_here() const override { return rank_here_; }

  void all_reduce(std::span<float> values) override {
    if (values.size() > INT_MAX) host_.fail("more than 2^31 values to add up");
    if (values.size_bytes() * count(ranks_) <= kOneRoundBytes)
      add_all(values);
    else
      add_shares(values);
  }

  void broadcast(std::span<std::byte> bytes) override {
    for (std::size_t begin = 0; begin < bytes.size(); begin += kLargest) {
      const std::size_t size = std::min(kLargest, bytes.size() - begin);
      MPI_Request request;
      check(MPI_Ibcast(bytes.data() + begin, static_cast<int>(size), MPI_BYTE, 0, work_, &request));
      wait({&request, 1});
    }
  }

  std::vector<std::string> gather(std::string_view bytes) override {
    std::int64_t size = static_cast<std::int64_t>(bytes.size());
    std::vector<std::int64_t> sizes(count(ranks_));
    MPI_Request request;
    check(MPI_Igather(&size, 1, MPI_INT64_T, sizes.data(), 1, MPI_INT64_T, 0, work_, &request));
    wait({&request, 1});
    if (rank_ != 0) {
      send(bytes);
      return {};
    }
    std::vector<std::string> all(count(ranks_));
    all[0] = bytes;
    for (int from = 1; from < ranks_; ++from) {
      all[count(from)].resize(static_cast<std::size_t>(sizes[count(from)]));
      receive(all[count(from)], from);
    }
    return all;
  }

  void abort(int code) override {
    end_soon(code);
    std::this_thread::sleep_for(std::chrono::milliseconds(300));  // in which the launcher passes on what was printed
    MPI_Abort(MPI_COMM_WORLD, code);
    _exit(code);
  }

 private:
  static std::size_t count(int ranks) { return static_cast<std::size_t>(ranks); }

  void check(int error) const {
    if (error == MPI_SUCCESS) return;
    char text[MPI_MAX_ERROR_STRING];
    int length = 0;
    MPI_Error_string(error, text, &length);
    host_.fail("MPI: " + std::string(text, static_cast<std::size_t>(length)));
  }

  /// Waits without taking the processor from other ranks for long. A rank that is lost ends the process (watch).
  void wait(std::span<MPI_Request> requests) const {
    for (std::int64_t turn = 0;; ++turn) {
      int done = 0;
      check(MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE));
      if (done) return;
      constexpr std::int64_t kSpins = 200, kYields = 20'000;
      if (turn > kYields)
        std::this_thread::sleep_for(std::chrono::microseconds(50));
      else if (turn > kSpins)
        std::this_thread::yield();
    }
  }

  void send(std::string_view bytes) const {
    for (std::size_t begin = 0; begin < bytes.size(); begin += kLargest) {
      const std::size_t size = std::min(kLargest, bytes.size() - begin);
      MPI_Request request;
      check(MPI_Isend(bytes.data() + begin, static_cast<int>(size), MPI_BYTE, 0, kTextTag, work_, &request));
      wait({&request, 1});
    }
  }

  void receive(std::string& bytes, int from) const {
    for (std::size_t begin = 0; begin < bytes.size(); begin += kLargest) {
      const std::size_t size = std::min(kLargest, bytes.size() - begin);
      MPI_Request request;
      check(MPI_Irecv(bytes.data() + begin, static_cast<int>(size), MPI_BYTE, from, kTextTag, work_, &request));
      wait({&request, 1});
    }
  }

  /// sum = parts of all ranks, `length` elements each, added in their order. One of them may be where the sum goes.
  static void add_in_order(std::span<const float* const> parts, std::size_t length, float* sum) {
    constexpr std::size_t kAddedAtOnce = 2048;  // elements, which stay in the cache until all parts are added
    float block[kAddedAtOnce];
    for (std::size_t begin = 0; begin < length; begin += kAddedAtOnce) {
      const std::size_t count = std::min(kAddedAtOnce, length - begin);
      std::copy_n(parts[0] + begin, count, block);
      for (const float* part : parts.subspan(1))
        for (std::size_t i = 0; i < count; ++i) block[i] += part[begin + i];
      std::copy_n(block, count, sum + begin);
    }
  }

  /// Every rank receives everything and adds it up.
  void add_all(std::span<float> values) {
    received_.resize(std::max(received_.size(), values.size() * count(ranks_)));
    const int length = static_cast<int>(values.size());
    MPI_Request request;
    check(MPI_Iallgather(values.data(), length, MPI_FLOAT, received_.data(), length, MPI_FLOAT, work_, &request));
    wait({&request, 1});
    std::vector<const float*> parts;
    for (int from = 0; from < ranks_; ++from) parts.push_back(received_.data() + count(from) * values.size());
    add_in_order(parts, values.size(), values.data());
  }

  /// Every rank adds up its share of the elements, then all receive the sums.
  void add_shares(std::span<float> values) {
    const std::size_t share = ((values.size() + count(ranks_) - 1) / count(ranks_) + kAlign - 1) / kAlign * kAlign;
    const auto share_of = [&](int rank) {
      const std::size_t begin = std::min(count(rank) * share, values.size());
      return values.subspan(begin, std::min(share, values.size() - begin));
    };
    const std::span<float> own = share_of(rank_);
    received_.resize(std::max(received_.size(), own.size() * count(ranks_ - 1)));
    std::vector<const float*> parts;
    std::vector<MPI_Request> requests;
    const auto with_others = [&](const auto& start) {
      requests.clear();
      // Each begins with the next rank, so that not all send to the same one.
      for (int step = 1; step < ranks_; ++step) start((rank_ + step) % ranks_);
      wait(requests);
    };
    float* next = received_.data();
    for (int from = 0; from < ranks_; ++from)
      parts.push_back(from == rank_ ? own.data() : std::exchange(next, next + own.size()));
    with_others([&](int other) {
      receive_floats({const_cast<float*>(parts[count(other)]), own.size()}, other, requests.emplace_back());
      send_floats(share_of(other), other, requests.emplace_back());
    });
    add_in_order(parts, own.size(), own.data());
    with_others([&](int other) {
      receive_floats(share_of(other), other, requests.emplace_back());
      send_floats(own, other, requests.emplace_back());
    });
  }

  void send_floats(std::span<const float> values, int to, MPI_Request& request) const {
    check(MPI_Isend(values.data(), static_cast<int>(values.size()), MPI_FLOAT, to, kSumTag, work_, &request));
  }
  void receive_floats(std::span<float> values, int from, MPI_Request& request) const {
    check(MPI_Irecv(values.data(), static_cast<int>(values.size()), MPI_FLOAT, from, kSumTag, work_, &request));
  }

  // ---- heartbeats ----

  /// The machines' names, for messages: rank 0 knows all, the others that of rank 0.
  void learn_names() {
    char name[MPI_MAX_PROCESSOR_NAME] = {};
    int length = 0;
    MPI_Get_processor_name(name, &length);
    machines_ = gather(std::string_view(name, static_cast<std::size_t>(length)));
    broadcast(std::as_writable_bytes(std::span(name)));
    if (rank_ != 0) machines_.emplace_back(name, strnlen(name, sizeof(name)));
  }

  /// Rank 0 and each other rank send each other a heartbeat every second. Who misses it for kSilence says so and
  /// ends all ranks: a launcher does not notice a machine that is cut off, nor a process that is stopped.
  void watch() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);  // they are for the program's own thread
    struct Peer {
      int rank;
      char heard = 0;
      MPI_Request request = MPI_REQUEST_NULL, sent = MPI_REQUEST_NULL;
      Clock::time_point last = Clock::now();
    };
    std::vector<Peer> peers;
    for (int other = rank_ == 0 ? 1 : 0; other < (rank_ == 0 ? ranks_ : 1); ++other) peers.push_back({other});
    for (Peer& peer : peers) MPI_Irecv(&peer.heard, 1, MPI_CHAR, peer.rank, kBeatTag, beats_, &peer.request);
    const char sign = 0;
    // Ranks notice the silence of rank 0 one after the other, so that the first one ends the others.
    const auto limit = kSilence + std::chrono::milliseconds(500) * std::min(rank_, 10);
    for (Clock::time_point next = Clock::now(); !leaving_;) {
      const bool beat = Clock::now() >= next;
      for (Peer& peer : peers) {
        int done = 0, gone = 0;
        MPI_Test(&peer.request, &done, MPI_STATUS_IGNORE);
        if (done) {
          peer.last = Clock::now();
          MPI_Irecv(&peer.heard, 1, MPI_CHAR, peer.rank, kBeatTag, beats_, &peer.request);
        }
        MPI_Test(&peer.sent, &gone, MPI_STATUS_IGNORE);
        if (beat && gone) MPI_Isend(&sign, 1, MPI_CHAR, peer.rank, kBeatTag, beats_, &peer.sent);
        if (Clock::now() - peer.last > limit) {
          host_.say("rank " + std::to_string(peer.rank) + " on " + machines_[count(peer.rank)] +
                    " has given no sign of life for " + std::to_string(kSilence.count()) +
                    " seconds: all ranks stop; --resume goes on from the last checkpoint");
          abort(4);
        }
      }
      if (beat) next = Clock::now() + kBeat;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    for (Peer& peer : peers) {
      MPI_Cancel(&peer.request);
      MPI_Request_free(&peer.request);
      if (peer.sent != MPI_REQUEST_NULL) MPI_Request_free(&peer.sent);
    }
  }

  MpiHost host_;
  MPI_Comm work_ = MPI_COMM_NULL, beats_ = MPI_COMM_NULL;  // messages of the program, and heartbeats
  int rank_ = 0, ranks_ = 1, rank_here_ = 0, ranks_here_ = 1;
  std::vector<std::string> machines_;  // by rank
  std::vector<float> received_;
  std::atomic<bool> leaving_ = false;
  std::thread watch_;
};

}  // namespace
}  // namespace gan::runtime

extern "C" {
__attribute__((visibility("default"))) const char* gan_mpi_version() { return GAN_VERSION; }
__attribute__((visibility("default"))) gan::runtime::Communicator* gan_mpi_open(const gan::runtime::MpiHost& host) {
  return new gan::runtime::MpiCommunicator(host);
}
}
