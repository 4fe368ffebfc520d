// Shapes as lists of sizes, and how messages show them.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace cnnfast {

using Dims = std::vector<int64_t>;

// "(8, 28, 28, 4)"
inline std::string dims_text(const Dims& dims) {
  std::string text = "(";
  for (size_t i = 0; i < dims.size(); ++i) text += (i ? ", " : "") + std::to_string(dims[i]);
  return text + (dims.size() == 1 ? ",)" : ")");
}

// Elements of a shape; throws std::invalid_argument where they could not be addressed.
inline int64_t checked_size(const Dims& dims) {
  int64_t count = 1;
  bool empty = false, overflow = false;
  for (int64_t dim : dims) {
    if (dim < 0) throw std::invalid_argument("negative dimension in shape " + dims_text(dims));
    empty |= dim == 0;
    overflow |= __builtin_mul_overflow(count, dim == 0 ? 1 : dim, &count);
  }
  if (empty) return 0;
  if (overflow || count > (int64_t{1} << 46)) {
    throw std::invalid_argument("an array of shape " + dims_text(dims) + " is larger than this machine can address");
  }
  return count;
}

}  // namespace cnnfast
