// Arguments of the products of a few rows with a matrix: dense layers of small batches.
//
// A matrix that so few rows meet costs as much to copy as to multiply by, so these kernels read it where it is.
#pragma once

#include <cstdint>

namespace cnnfast {

constexpr int kMostFewRows = 8;

// Some columns of y = bias + x w.
struct FewRowsForward {
  const float* x;  // [rows][in]
  const float* w;  // [in][w_row], the first `columns` of each
  int64_t w_row;
  const float* bias;  // of the columns, or null
  float* y;           // [rows][y_row], the first `columns` of each
  int64_t y_row;
  int rows;
  int64_t in;
  int64_t columns;
};

// Some elements of dx = bias + dy w^T.
struct FewRowsBackwardData {
  const float* dy;  // [rows][out]
  const float* w;   // [count][out]
  const float* bias;
  float* dx;  // [rows][dx_row], the first `count` of each
  int64_t dx_row;
  int rows;
  int64_t count;
  int64_t out;
};

// Some rows of dw = x^T dy.
struct FewRowsBackwardWeights {
  const float* x;  // [rows][x_row], the first `count` of each
  int64_t x_row;
  const float* dy;  // [rows][out]
  float* dw;        // [count][out]
  int rows;         // 1 <= rows <= kMostFewRows
  int64_t count;
  int64_t out;
};

}  // namespace cnnfast
