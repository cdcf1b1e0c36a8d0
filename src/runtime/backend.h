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
#include "runtime/communicator.h"

namespace gan::runtime {

class Profile;

/// The work of one kernel: a Spec, a Chain, or a Spec with a Chain as its epilogue, and the addresses of operands and
/// results in the memory of the backend.
struct Launch {
  std::optional<graph::Spec> spec;
  std::optional<graph::Chain> chain;
  std::vector<const std::byte*> inputs;    ///< of the spec
  std::vector<const std::byte*> operands;  ///< of the chain; null where its access is `product`
  std::vector<std::byte*> results;         ///< of the chain, or of the spec if there is no chain
  std::byte* workspace = nullptr;          ///< Backend::workspace bytes, shared with other kernels
  /// For each input of the spec: whether it has its final value when the kernel is made, so that the kernel may keep it
  /// in another layout.
  std::vector<bool> frozen = {};
  /// Products of at most so many rows, which are not frozen, by frozen weights may round these to 16 bits, with an
  /// error of at most 1e-4 of their norm, and compute each row as if it were alone.
  std::int64_t compact_rows = 0;
};

/// One step of a program, with what profiles show of it.
struct Kernel {
  std::string name;
  double operations = 0;  ///< floating-point operations; a multiply-add counts two
  double bytes = 0;       ///< read and written
  std::function<void()> run;
  std::string shape = {};             ///< types of the operands, to tell apart kernels of one name
  bool contraction = false;           ///< rated by operations and bytes; other kernels by bytes only
  std::string row = {}, reason = {};  ///< products only: the row of the table of products that was chosen, and why
  bool blocks_signals = false;        ///< no signal handler may run meanwhile (base::ScopedSignalBlock)
  std::shared_ptr<void> detail = {};  ///< data for Backend::finish
};

/// Kernels that run one after the other.
class Executable {
 public:
  explicit Executable(std::vector<Kernel> kernels) : kernels_(std::move(kernels)) {}
  virtual ~Executable() = default;

  /// Starts every kernel once, in order. May return before they are done: Memory::read waits for them, and throws their
  /// errors. With a profile, each is timed by the clock of the backend.
  virtual void run(Profile* profile) = 0;
  /// Whether the resources that the kernels were made for (threads) are available now.
  virtual bool can_run_here() const { return true; }

  const std::vector<Kernel>& kernels() const { return kernels_; }
  /// How often the host starts something in a run, not counting the first.
  virtual std::size_t launches() const { return kernels_.size(); }

 protected:
  std::vector<Kernel> kernels_;
};

/// Makes kernels and owns the memory that they use. A new backend is a derived class, and a name in devices.cpp.
class Backend {
 public:
  virtual ~Backend() = default;

  /// The fusions that its kernels support.
  virtual graph::Target target() const = 0;
  /// Whether it multiplies bf16, and whether that is faster than f32, measured where it depends on the device.
  virtual bool has_bf16() const = 0;
  virtual bool has_fast_bf16() const = 0;
  /// The CPU's instruction set as oneDNN names it ("avx512_core_bf16"), or a GPU's name and compute capability.
  virtual std::string describe() const = 0;
  /// The versions of the libraries on which the bits of a device's results depend, "" for the processor.
  virtual std::string versions() const { return ""; }
  /// A sentence for users: the precision that "auto" selects, and why.
  virtual std::string describe_precision() const = 0;

  /// The memory of its arrays.
  virtual Memory& memory() const = 0;

  /// Bytes of workspace that the kernel of a launch needs. The launch has no addresses yet (null pointers).
  virtual std::size_t workspace(const Launch& launch) const = 0;
  /// The kernel of a launch. Throws a run error if there is none.
  virtual Kernel kernel(const Launch& launch) const = 0;
  /// A kernel that copies bytes within its memory.
  virtual Kernel copy(const std::byte* from, std::byte* to, std::size_t bytes) const = 0;
  /// Makes an executable of kernels; may merge some.
  virtual std::unique_ptr<Executable> finish(std::vector<Kernel> kernels) const = 0;
};

/// A CPU backend. `disabled` names parts (backend_parts) to leave out, to measure their effect. `communicator` has the
/// ranks over which its kernels of AllReduce add up, and must outlive them; null: this process alone.
std::shared_ptr<Backend> make_cpu_backend(const std::set<std::string>& disabled = {},
                                          Communicator* communicator = nullptr);
/// The CPU backend with all parts.
Backend& default_backend();

/// A part of a backend that can be disabled: a row of the CPU's table of products, an optimization, or cuBLASLt.
struct BackendPart {
  std::string name, summary;
  bool replaces_onednn = false;  ///< multiplies matrices where oneDNN could, too
};
std::vector<BackendPart> backend_parts();
/// The part that runs chains as machine code.
inline constexpr const char* kMachineCode = "machine-code";
/// The part of a GPU that multiplies matrices; generated kernels do so without it.
inline constexpr const char* kCublasLt = "cublaslt";

/// Disables all instruction sets newer than AVX2, to test or time what other x86 processors run. Must be called before
/// anything is computed; throws a usage error on processors without AVX2.
void pretend_avx2();

}  // namespace gan::runtime
