// Column sums and batch normalisation: one walk over contiguous memory each, whatever the number of channels.
#include "kernels/reduce.h"

#include "kernels/bent.h"
#include "kernels/column_walks.h"
#include "simd/vec.h"

namespace cnnfast::CNNFAST_ISA {
namespace {

CNNFAST_INLINE Vec normalized(const Normalizer& n, int64_t place, int lanes, Vec centered) {
  return fma(centered, load_lanes(n.scale + place, lanes), load_lanes(n.shift + place, lanes));
}

// Calls body(place, column, lanes) for all values as for_each_tile does. If asked to, it fetches for writing what it
// comes to soon: a store to a line that no cache has waits until it was read.
template <typename Body>
CNNFAST_INLINE void for_each_written(const Normalizer& n, int64_t count, const float* to, Body body) {
  constexpr int64_t kAhead = 512;  // floats
  if (!n.fetch_ahead) return for_each_tile(tile_width(n.columns), count, body);
  for_each_tile(tile_width(n.columns), count, [=](int64_t place, int64_t column, int lanes) CNNFAST_INLINE_LAMBDA {
    __builtin_prefetch(to + place + kAhead, 1);
    body(place, column, lanes);
  });
}

// Takes a block of rows into the mean and the squares of those before it, by the formula of Chan, Golub and LeVeque:
// each vector of columns is summed twice while its rows are in the nearest cache.
template <int kVectors>
CNNFAST_INLINE void add_moments(const float* x, const WalkedRows& rows, int64_t column, int lanes, float* mean,
                                float* m2) {
  const float* from = x + rows.first * rows.stride + column;
  Vec center[kVectors] = {}, total[kVectors] = {};
  const auto walk = [&](auto step) CNNFAST_INLINE_LAMBDA {
    for (int64_t r = 0; r < rows.whole; ++r) {
      CNNFAST_UNROLL for (int v = 0; v < kVectors; ++v) {
        step(v, load_lanes(from + r * rows.stride + v * kLanes, kVectors > 1 ? kLanes : lanes));
      }
    }
  };
  walk([&](int v, Vec value) CNNFAST_INLINE_LAMBDA { center[v] += value; });
  const float count = static_cast<float>(rows.whole), before = static_cast<float>(rows.first);
  CNNFAST_UNROLL for (int v = 0; v < kVectors; ++v) center[v] *= 1.0f / count;
  walk([&](int v, Vec value) CNNFAST_INLINE_LAMBDA {
    const Vec d = value - center[v];
    total[v] = fma(d, d, total[v]);
  });
  const float share = count / (before + count);
  CNNFAST_UNROLL for (int v = 0; v < kVectors; ++v) {
    float *mean_to = mean + column + v * kLanes, *m2_to = m2 + column + v * kLanes;
    if (rows.first > 0) {
      const Vec so_far = load_lanes(mean_to, lanes), delta = center[v] - so_far;
      total[v] = fma(delta * delta, broadcast(before * share), total[v] + load_lanes(m2_to, lanes));
      center[v] = fma(delta, broadcast(share), so_far);
    }
    store_lanes(mean_to, center[v], lanes);
    store_lanes(m2_to, total[v], lanes);
  }
}

}  // namespace

void column_sums(Columns columns, const float* x, int64_t rows, float* sums) {
  float* const into[1] = {sums};
  sum_columns<1>(columns, rows, tile_width(columns), into,
                 [&](int64_t place, int64_t, int lanes, Vec(&total)[1]) { total[0] += load_lanes(x + place, lanes); });
}

void column_moments(Columns columns, const float* x, int64_t rows, float* mean, float* m2) {
  if (columns.repeat == 1) {
    for_each_block(columns, rows, columns.count, [&](const WalkedRows& part) CNNFAST_INLINE_LAMBDA {
      for_each_column(
          columns.count,
          [&](int64_t column) CNNFAST_INLINE_LAMBDA { add_moments<kVectorsAtOnce>(x, part, column, kLanes, mean, m2); },
          [&](int64_t column, int lanes) CNNFAST_INLINE_LAMBDA { add_moments<1>(x, part, column, lanes, mean, m2); });
    });
    return;
  }
  column_sums(columns, x, rows, mean);
  const Vec share = broadcast(1.0f / static_cast<float>(rows));
  for_each_vector(columns.count,
                  [&](int64_t i, int lanes) { store_lanes(mean + i, load_lanes(mean + i, lanes) * share, lanes); });
  float tile[kTileLimit];
  for (int64_t i = 0; i < tile_width(columns); ++i) tile[i] = i < columns.count ? mean[i] : tile[i - columns.count];
  float* const into[1] = {m2};
  sum_columns<1>(columns, rows, tile_width(columns), into,
                 [&](int64_t place, int64_t column, int lanes, Vec(&total)[1]) {
                   const Vec d = load_lanes(x + place, lanes) - load_lanes(tile + column, lanes);
                   total[0] = fma(d, d, total[0]);
                 });
}

void activation_gradient_sums(Columns columns, Activation kind, float alpha, const float* y, const float* dy,
                              int64_t rows, float* dz, float* sums) {
  float* const into[1] = {sums};
  for_bend(kind, [=](auto bend) CNNFAST_INLINE_LAMBDA {
    sum_columns<1>(columns, rows, tile_width(columns), into,
                   [=](int64_t place, int64_t, int lanes, Vec(&total)[1]) CNNFAST_INLINE_LAMBDA {
                     const Vec d = gradient_before_bend(bend.kind, alpha, load_lanes(y + place, lanes),
                                                        load_lanes(dy + place, lanes));
                     store_lanes(dz + place, d, lanes);
                     total[0] += d;
                   });
  });
}

// `residual` may be null, else it is added before the activation.
void normalize(const Normalizer& normalizer, const float* x, const float* residual, float* y, int64_t count) {
  const Normalizer n = normalizer;  // a local copy: stores to y cannot change it
  for_bend(n.activation, [=](auto b) CNNFAST_INLINE_LAMBDA {
    const auto run = [=](auto add) CNNFAST_INLINE_LAMBDA {
      for_each_written(n, count, y, [=](int64_t place, int64_t column, int lanes) CNNFAST_INLINE_LAMBDA {
        const Vec centered = load_lanes(x + place, lanes) - load_lanes(n.center + column, lanes);
        store_lanes(y + place, bend(b.kind, 0, add(normalized(n, column, lanes, centered), place, lanes)), lanes);
      });
    };
    if (residual == nullptr) {
      run([](Vec v, int64_t, int) CNNFAST_INLINE_LAMBDA { return v; });
    } else {
      run([=](Vec v, int64_t place, int lanes)
              CNNFAST_INLINE_LAMBDA { return v + load_lanes(residual + place, lanes); });
    }
  });
}

// sum_dz = the sum of dz, the gradient before the activation, sum_dz_x = that of dz * (x - center), down each column.
// Where the forward pass added a residual, its result y tells where the activation was flat, and dz is stored. Else
// both are null and the value is computed again as the forward pass did.
void normalize_gradient_sums(const Normalizer& normalizer, const float* x, const float* y, const float* dy, float* dz,
                             int64_t rows, float* sum_dz, float* sum_dz_x) {
  const Normalizer n = normalizer;
  float* const into[2] = {sum_dz, sum_dz_x};
  for_bend(n.activation, [=](auto b) CNNFAST_INLINE_LAMBDA {
    const auto run = [=](auto gradient) CNNFAST_INLINE_LAMBDA {
      sum_columns<2>(n.columns, rows, tile_width(n.columns), into,
                     [=](int64_t place, int64_t column, int lanes, Vec(&total)[2]) CNNFAST_INLINE_LAMBDA {
                       const Vec centered = load_lanes(x + place, lanes) - load_lanes(n.center + column, lanes);
                       const Vec d = gradient(centered, place, column, lanes);
                       total[0] += d;
                       total[1] = fma(d, centered, total[1]);
                     });
    };
    if (y == nullptr) {
      run([=](Vec centered, int64_t place, int64_t column, int lanes) CNNFAST_INLINE_LAMBDA {
        return gradient_before_bend(b.kind, 0, normalized(n, column, lanes, centered), load_lanes(dy + place, lanes));
      });
    } else {
      run([=](Vec, int64_t place, int64_t, int lanes) CNNFAST_INLINE_LAMBDA {
        const Vec d = gradient_before_bend(b.kind, 0, load_lanes(y + place, lanes), load_lanes(dy + place, lanes));
        store_lanes(dz + place, d, lanes);
        return d;
      });
    }
  });
}

void normalize_gradient(const Normalizer& normalizer, const float* x, const float* dy, float* dx, int64_t count) {
  const Normalizer n = normalizer;
  for_bend(n.activation, [=](auto b) CNNFAST_INLINE_LAMBDA {
    for_each_written(n, count, dx, [=](int64_t place, int64_t column, int lanes) CNNFAST_INLINE_LAMBDA {
      const Vec centered = load_lanes(x + place, lanes) - load_lanes(n.center + column, lanes);
      const Vec d =
          gradient_before_bend(b.kind, 0, normalized(n, column, lanes, centered), load_lanes(dy + place, lanes));
      const Vec rest = fma(centered, load_lanes(n.slope + column, lanes), load_lanes(n.constant + column, lanes));
      store_lanes(dx + place, fma(d, load_lanes(n.scale + column, lanes), rest), lanes);
    });
  });
}

}  // namespace cnnfast::CNNFAST_ISA
