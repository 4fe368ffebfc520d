// Copies matrices into the panels that the convolution kernels read.
#include "kernels/conv.h"
#include "simd/transpose.h"
#include "simd/vec.h"

namespace cnnfast::CNNFAST_ISA {
namespace {

void copy_rows(const PackPanel& p) {
  for (int64_t r = 0; r < p.rows; ++r) {
    const float* from = p.from + r * p.row;
    float* to = p.to + r * p.padded;
    for (int j = 0; j < p.padded; j += kLanes) {
      const int left = p.cols - j;
      store(to + j, left >= kLanes ? load(from + j) : load_partial(from + j, left > 0 ? left : 0));
    }
  }
}

// In squares as wide as a vector: columns are read along, turned, and written as rows.
void copy_columns(const PackPanel& p) {
  for_each_vector(p.rows, [&](int64_t r0, int lanes) CNNFAST_INLINE_LAMBDA {
    for (int j0 = 0; j0 < p.padded; j0 += kLanes) {
      Vec square[kLanes];
      CNNFAST_UNROLL for (int j = 0; j < kLanes; ++j) {
        square[j] = j0 + j < p.cols ? load_lanes(p.from + r0 + (j0 + j) * p.col, lanes) : zero();
      }
      transpose(square);
      float* to = p.to + r0 * p.padded + j0;
      CNNFAST_UNROLL for (int r = 0; r < kLanes; ++r) {
        if (r < lanes) store(to + r * p.padded, square[r]);
      }
    }
  });
}

}  // namespace

void pack_panel(const PackPanel& p) {
  if (p.col == 1) {
    copy_rows(p);
  } else {
    copy_columns(p);
  }
}

void unpack_panels(const UnpackPanels& u) {
  for (int64_t r = 0; r < u.rows; ++r) {
    const float* from = u.from + r * u.padded;
    float* to = u.to + r * u.row;
    for_each_vector(u.cols, [&](int64_t j, int lanes) {
      Vec total = load(from + j);
      for (int part = 1; part < u.parts; ++part) total += load(from + part * u.part + j);
      store_lanes(to + j, total, lanes);
    });
  }
}

void add_runs(const AddRuns& a) {
  for (int64_t r = 0; r < a.runs; ++r) {
    const float* from = a.from + r * a.from_run;
    float* to = a.to + r * a.to_run;
    for_each_vector(a.length, [&](int64_t i, int lanes) {
      Vec total = load_lanes(from + i, lanes);
      for (int64_t p = 1; p < a.parts; ++p) total += load_lanes(from + p * a.part + i, lanes);
      store_lanes(to + i, load_lanes(to + i, lanes) + total, lanes);
    });
  }
}

}  // namespace cnnfast::CNNFAST_ISA
