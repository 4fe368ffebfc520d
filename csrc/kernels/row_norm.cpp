// Moments of rows, rows normalised by them, and the gradients.
#include "kernels/row_norm.h"

#include "simd/vec.h"

namespace cnnfast::CNNFAST_ISA {
namespace {

constexpr int kVectorsAtOnce = 4;
constexpr int kRowsAtOnce = 4;

template <int kCount>
struct RowCount {
  static constexpr int value = kCount;
};

// The sum along a row of what step(place, lanes, sum so far) adds up; four sums are under way at once.
template <typename Step>
CNNFAST_INLINE float sum_row(int64_t columns, Step step) {
  Vec total[kVectorsAtOnce] = {};
  int64_t i = 0;
  for (; i + kVectorsAtOnce * kLanes <= columns; i += kVectorsAtOnce * kLanes) {
    CNNFAST_UNROLL for (int v = 0; v < kVectorsAtOnce; ++v) total[v] = step(i + v * kLanes, kLanes, total[v]);
  }
  for (; i + kLanes <= columns; i += kLanes) total[0] = step(i, kLanes, total[0]);
  if (i < columns) total[1] = step(i, static_cast<int>(columns - i), total[1]);
  return sum((total[0] + total[1]) + (total[2] + total[3]));
}

// Lanes past the end are zero, not minus the mean.
CNNFAST_INLINE Vec centered(const float* x, float mean, int lanes) {
  if (lanes == kLanes) return load(x) - mean;
  return select(lane_index() < broadcast_int(lanes), load_partial(x, lanes) - mean, zero());
}

// Calls body(function that loads the values of columns): they may be the same for all.
template <typename Body>
CNNFAST_INLINE void with_columns(const float* values, float otherwise, Body body) {
  if (values == nullptr) {
    body([=](int64_t, int) CNNFAST_INLINE_LAMBDA { return broadcast(otherwise); });
  } else {
    body([=](int64_t i, int lanes) CNNFAST_INLINE_LAMBDA { return load_lanes(values + i, lanes); });
  }
}

CNNFAST_INLINE float mean_of(const RowNormalizer& n, int64_t row) { return n.mean == nullptr ? 0.0f : n.mean[row]; }

struct Moments {
  float mean, squares;
};

CNNFAST_INLINE Moments moments_of(const float* x, int64_t columns, bool centred) {
  Moments m = {0, 0};
  if (centred) {
    const float total = sum_row(columns, [=](int64_t i, int lanes, Vec so_far)
                                             CNNFAST_INLINE_LAMBDA { return so_far + load_lanes(x + i, lanes); });
    m.mean = total / static_cast<float>(columns);
  }
  m.squares = sum_row(columns, [=](int64_t i, int lanes, Vec so_far) CNNFAST_INLINE_LAMBDA {
    const Vec d = centered(x + i, m.mean, lanes);
    return fma(d, d, so_far);
  });
  return m;
}

template <typename Gamma, typename Beta>
CNNFAST_INLINE void normalize_row(const float* x, int64_t columns, float mean, float inverse, Gamma gamma, Beta beta,
                                  float* y) {
  for_each_vector(columns, [=](int64_t i, int lanes) CNNFAST_INLINE_LAMBDA {
    const Vec normal = (load_lanes(x + i, lanes) - mean) * inverse;
    store_lanes(y + i, fma(normal, gamma(i, lanes), beta(i, lanes)), lanes);
  });
}

// Sums along `kRows` rows from `row` on; their terms are added to the columns' sums one row after the other.
template <int kRows, typename Gamma>
CNNFAST_INLINE void add_gradients(const RowNormalizer& n, int64_t row, Gamma gamma, const float* x, const float* dy,
                                  float* sums, float* normal_sums, float* dgamma, float* dbeta) {
  const int64_t stride = n.tile.stride;
  Vec total[kRows] = {}, normal_total[kRows] = {}, mean[kRows], inverse[kRows];
  CNNFAST_UNROLL for (int r = 0; r < kRows; ++r) {
    mean[r] = broadcast(mean_of(n, row + r));
    inverse[r] = broadcast(n.inverse[row + r]);
  }
  x += row * stride;
  dy += row * stride;
  for_each_vector(n.tile.columns, [&](int64_t i, int lanes) CNNFAST_INLINE_LAMBDA {
    const Vec scale = gamma(i, lanes);
    Vec scale_gradient = load_lanes(dgamma + i, lanes), shift_gradient = load_lanes(dbeta + i, lanes);
    CNNFAST_UNROLL for (int r = 0; r < kRows; ++r) {
      // Lanes past the end add nothing: dy is zero there.
      const Vec d = load_lanes(dy + r * stride + i, lanes);
      const Vec product = d * ((load_lanes(x + r * stride + i, lanes) - mean[r]) * inverse[r]);
      shift_gradient += d;
      scale_gradient += product;
      total[r] = fma(d, scale, total[r]);
      normal_total[r] = fma(product, scale, normal_total[r]);
    }
    store_lanes(dgamma + i, scale_gradient, lanes);
    store_lanes(dbeta + i, shift_gradient, lanes);
  });
  CNNFAST_UNROLL for (int r = 0; r < kRows; ++r) {
    sums[r] = sum(total[r]);
    normal_sums[r] = sum(normal_total[r]);
  }
}

// dx = inverse * (dy * gamma - share - normal_share * (x - mean) * inverse): what the statistics took from every value
// of a row goes back in shares.
template <typename Gamma>
CNNFAST_INLINE void gradient_row(const RowNormalizer& n, int64_t row, Gamma gamma, const float* x, const float* dy,
                                 float share, float normal_share, float* dx) {
  const float mean = mean_of(n, row), inverse = n.inverse[row];
  const int64_t place = row * n.tile.stride;
  for_each_vector(n.tile.columns, [=](int64_t i, int lanes) CNNFAST_INLINE_LAMBDA {
    const Vec normal = (load_lanes(x + place + i, lanes) - mean) * inverse;
    const Vec rest = fma(normal, broadcast(-normal_share), broadcast(-share));
    store_lanes(dx + place + i, fma(load_lanes(dy + place + i, lanes), gamma(i, lanes), rest) * inverse, lanes);
  });
}

template <int kRows, typename Gamma>
CNNFAST_INLINE void whole_gradients(const RowNormalizer& n, int64_t row, bool centred, Gamma gamma, const float* x,
                                    const float* dy, float* dx, float* dgamma, float* dbeta) {
  float sums[kRows], normal_sums[kRows];
  add_gradients<kRows>(n, row, gamma, x, dy, sums, normal_sums, dgamma, dbeta);
  const float share = 1.0f / static_cast<float>(n.tile.columns);
  for (int r = 0; r < kRows; ++r) {
    gradient_row(n, row + r, gamma, x, dy, centred ? sums[r] * share : 0.0f, normal_sums[r] * share, dx);
  }
}

// Calls body(number of rows at once, first row) for all rows of a tile.
template <typename Body>
CNNFAST_INLINE void for_each_rows(int64_t rows, Body body) {
  int64_t row = 0;
  for (; row + kRowsAtOnce <= rows; row += kRowsAtOnce) body(RowCount<kRowsAtOnce>{}, row);
  for (; row < rows; ++row) body(RowCount<1>{}, row);
}

}  // namespace

// Rows that are there as a whole: y, and each row's mean and inverse deviation.
void normalize_whole_rows(const RowNormalizer& normalizer, bool centred, float epsilon, const float* x, float* mean,
                          float* inverse, float* y) {
  const RowNormalizer n = normalizer;  // a local copy: stores cannot change it
  const float count = static_cast<float>(n.tile.columns);
  with_columns(n.gamma, 1.0f, [&](auto gamma) CNNFAST_INLINE_LAMBDA {
    with_columns(n.beta, 0.0f, [&](auto beta) CNNFAST_INLINE_LAMBDA {
      for (int64_t row = 0; row < n.tile.rows; ++row) {
        const int64_t place = row * n.tile.stride;
        const Moments m = moments_of(x + place, n.tile.columns, centred);
        const float scale = 1.0f / __builtin_sqrtf(m.squares / count + epsilon);
        mean[row] = m.mean;
        inverse[row] = scale;
        normalize_row(x + place, n.tile.columns, m.mean, scale, gamma, beta, y + place);
      }
    });
  });
}

// Rows that are there as a whole: dx. dgamma and dbeta, which hold what earlier rows gave, grow by the sums down the
// columns.
void whole_row_gradients(const RowNormalizer& normalizer, bool centred, const float* x, const float* dy, float* dx,
                         float* dgamma, float* dbeta) {
  const RowNormalizer n = normalizer;
  with_columns(n.gamma, 1.0f, [&](auto gamma) CNNFAST_INLINE_LAMBDA {
    for_each_rows(n.tile.rows, [&](auto count, int64_t row) CNNFAST_INLINE_LAMBDA {
      whole_gradients<count.value>(n, row, centred, gamma, x, dy, dx, dgamma, dbeta);
    });
  });
}

// Each row's mean and its sum of squared deviations from that; where it is not `centred`, zero and the sum of squares.
void row_moments(const RowTile& tile, bool centred, const float* x, float* mean, float* squares) {
  for (int64_t row = 0; row < tile.rows; ++row) {
    const Moments m = moments_of(x + row * tile.stride, tile.columns, centred);
    mean[row] = m.mean;
    squares[row] = m.squares;
  }
}

void normalize_rows(const RowNormalizer& normalizer, const float* x, float* y) {
  const RowNormalizer n = normalizer;
  with_columns(n.gamma, 1.0f, [&](auto gamma) CNNFAST_INLINE_LAMBDA {
    with_columns(n.beta, 0.0f, [&](auto beta) CNNFAST_INLINE_LAMBDA {
      for (int64_t row = 0; row < n.tile.rows; ++row) {
        const int64_t place = row * n.tile.stride;
        normalize_row(x + place, n.tile.columns, mean_of(n, row), n.inverse[row], gamma, beta, y + place);
      }
    });
  });
}

// sums = each row's sum of dy * gamma, normal_sums that of dy * gamma * (x - mean) * inverse; dgamma and dbeta as
// above.
void row_gradient_sums(const RowNormalizer& normalizer, const float* x, const float* dy, float* sums,
                       float* normal_sums, float* dgamma, float* dbeta) {
  const RowNormalizer n = normalizer;
  with_columns(n.gamma, 1.0f, [&](auto gamma) CNNFAST_INLINE_LAMBDA {
    for_each_rows(n.tile.rows, [&](auto count, int64_t row) CNNFAST_INLINE_LAMBDA {
      add_gradients<count.value>(n, row, gamma, x, dy, sums + row, normal_sums + row, dgamma, dbeta);
    });
  });
}

void row_gradient(const RowNormalizer& normalizer, const float* x, const float* dy, const float* shares,
                  const float* normal_shares, float* dx) {
  const RowNormalizer n = normalizer;
  with_columns(n.gamma, 1.0f, [&](auto gamma) CNNFAST_INLINE_LAMBDA {
    for (int64_t row = 0; row < n.tile.rows; ++row) {
      gradient_row(n, row, gamma, x, dy, shares[row], normal_shares[row], dx);
    }
  });
}

}  // namespace cnnfast::CNNFAST_ISA
