#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "graph/chain.h"
#include "graph/spec.h"
#include "graph/target.h"
#include "runtime/array.h"

namespace gan::runtime {

class Profile;

/// What one kernel computes and where its operands and results lie: a Spec, a Chain, or a Spec and the Chain that
/// follows it. Addresses are of the backend's memory.
struct Launch {
  std::optional<graph::Spec> spec;
  std::optional<graph::Chain> chain;
  std::vector<const std::byte*> inputs;    ///< of the spec
  std::vector<const std::byte*> operands;  ///< of the chain; null where its access is `product`
  std::vector<std::byte*> results;         ///< of the chain; without one, the spec's
  std::byte* workspace = nullptr;          ///< as many bytes as Backend::workspace says, shared with other kernels
  /// Of each input: whether it holds already what it holds in every run, so that the kernel may keep another form of
  /// it.
  std::vector<bool> frozen = {};
  /// Frozen weights may be rounded to 16 bits, within 1e-4 of their norm, where one row is multiplied by them.
  bool compact = false;
};

/// One step of a program.
struct Kernel {
  std::string name;
  double operations = 0;  ///< floating-point, a multiply-add counts two
  double bytes = 0;       ///< read and written
  std::function<void()> run;
  std::string shape = {};             ///< what tells kernels of one name apart, for people
  bool contraction = false;           ///< counts by its operations; others by their bytes
  std::string row = {}, reason = {};  ///< of products: the row of the backend's table that was taken, and why
  std::shared_ptr<void> detail = {};  ///< what the backend wants to know of it when it finishes a program
};

/// Kernels that run one after the other.
class Executable {
 public:
  explicit Executable(std::vector<Kernel> kernels) : kernels_(std::move(kernels)) {}
  virtual ~Executable() = default;

  /// Runs every kernel once. With a profile each is timed, by the clock that fits the backend.
  virtual void run(Profile* profile) = 0;
  /// Whether what the kernels were made for (threads) is available here and now.
  virtual bool can_run_here() const { return true; }

  const std::vector<Kernel>& kernels() const { return kernels_; }

 protected:
  std::vector<Kernel> kernels_;
};

/// What makes kernels and owns the memory that they work on. To add one: a class, nothing else in the tree knows it.
class Backend {
 public:
  virtual ~Backend() = default;

  /// What its kernels compute together, for schedulers.
  virtual graph::Target target() const = 0;
  /// Whether it multiplies bf16, and whether that is faster than f32. Measured where it differs from device to device.
  virtual bool has_bf16() const = 0;
  virtual bool has_fast_bf16() const = 0;
  /// The processor or device in a word, such as "avx512_core_bf16".
  virtual std::string describe() const = 0;
  /// What the precision "auto" is here, and why, for people.
  virtual std::string describe_precision() const = 0;

  /// Where its arrays lie.
  virtual Memory& memory() const = 0;

  /// Bytes of workspace that the kernel of a launch needs, known before any address is (addresses are null).
  virtual std::size_t workspace(const Launch& launch) const = 0;
  /// The kernel of a launch. Throws a run error if there is none.
  virtual Kernel kernel(const Launch& launch) const = 0;
  /// A kernel that copies bytes within its memory.
  virtual Kernel copy(const std::byte* from, std::byte* to, std::size_t bytes) const = 0;
  /// Makes kernels a program; may join some.
  virtual std::unique_ptr<Executable> finish(std::vector<Kernel> kernels) const = 0;
};

/// The backend of this process: its processor. `disabled`: names of rows of the table of products and of other parts
/// (backend_parts) that are left out, to see what they are worth.
std::shared_ptr<Backend> make_cpu_backend(const std::set<std::string>& disabled = {});
/// The one with nothing left out.
Backend& default_backend();

/// A part of the CPU backend that can be left out.
struct BackendPart {
  std::string name, summary;
};
std::vector<BackendPart> backend_parts();

/// Leaves AVX-512 and what came after it unused from now on, to see what other x86 processors get. Must be called
/// before anything is computed; throws a usage error on processors that have no AVX2.
void pretend_avx2();

}  // namespace gan::runtime
