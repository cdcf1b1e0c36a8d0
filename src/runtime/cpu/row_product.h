#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "runtime/cpu/product.h"

namespace gan::runtime::cpu {

/// y = tail(w x) of a frozen matrix w [outputs, k] and one row x [k], as a single sample takes it through a layer.
/// Reading w is what takes time, so w is kept as whole numbers of 16 bits with a factor for each output, and x is split
/// into two digits for every kDepth of its numbers: whole numbers are multiplied and added up without an error. Runs on
/// one thread, because waking another can cost more than all the work, and allocates nothing.
class RowProduct {
 public:
  /// Whether this is for a product: m is 1, b frozen and transposed, and weights may be rounded.
  static bool applies(const Product& product);
  /// The kernel, with the RowProduct as its detail; an empty one if the rows of w are so uneven that 16 bits lose more
  /// than 1e-4 of its norm.
  static MadeProduct make(const Product& product, Workspace& workspace);

  /// Whether x is the result of `other`, so that it may run right behind it.
  bool follows(const RowProduct& other) const {
    return spec_.a == other.tail_.results[0].data && spec_.k == other.spec_.n;
  }

  /// With `next`, which follows this one, both run in turns: as soon as kDepth results are there, `next` takes them. So
  /// the two matrices are read in one order, and backwards in the next run: of two matrices that do not fit into a
  /// cache together it then still holds what it can, where one after the other would drive each other out.
  void run(RowProduct* next = nullptr);

 private:
  static constexpr std::int64_t kDepth = 128;

  explicit RowProduct(const Product& product);
  bool pack();
  void read_row(std::int64_t depth);
  const std::int16_t* block(std::int64_t quad, std::int64_t depth) const;
  void multiply(std::int64_t quad, std::int64_t depth, const std::int16_t* next_block);
  void finish(std::int64_t part);

  BoundMatmul spec_;
  BoundChain tail_;
  std::int64_t group_;                        // outputs that share a vector
  std::int64_t groups_, quads_;               // of outputs; a quad is four groups
  std::int64_t depths_, parts_;               // of kDepth numbers of x, of kDepth outputs
  bool upwards_ = true;                       // the direction of the last run
  Buffer numbers_, factors_;                  // w in blocks [depth / 2, groups of a quad, group, 2], quad by quad
  Buffer high_, low_;                         // the digits of x
  std::vector<float> row_factors_;            // what they are multiplied by, for each depth
  Buffer partial_sums_, sums_;                // [depths, groups * group], [outputs]
  std::vector<std::function<void()>> tails_;  // for each part, from its sums to its results
};

}  // namespace gan::runtime::cpu
