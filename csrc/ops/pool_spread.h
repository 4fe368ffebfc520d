// The table by which outputs of few channels are spread over dx in whole vectors.
#pragma once

#include <vector>

#include "ops/pool_shape.h"

namespace cnnfast {

class SpreadTable {
 public:
  // Empty where channels fill vectors by themselves, where windows overlap along the width, or where a vector of dx
  // would need values from more than two vectors of dy.
  explicit SpreadTable(const PoolShape& shape);

  // Null where the table is empty; valid as long as the table.
  const PoolSpread* get() const { return bases_.empty() ? nullptr : &view_; }

 private:
  std::vector<int32_t> bases_, places_, taps_;
  PoolSpread view_{};
};

}  // namespace cnnfast
