// Normalisation along rows: what layer normalisation computes with.
#pragma once

#include <cstdint>

namespace cnnfast {

// Rows of `columns` values each, `stride` floats from one to the next: a matrix, or a piece of every row of one.
struct RowTile {
  int64_t rows;
  int64_t columns;
  int64_t stride;
};

// y = (x - mean) * inverse * gamma + beta: mean and inverse are one value a row, gamma and beta one a column. A null
// mean or beta stands for zeros, a null gamma for ones.
struct RowNormalizer {
  RowTile tile;
  const float* mean;
  const float* inverse;
  const float* gamma;
  const float* beta;
};

}  // namespace cnnfast
