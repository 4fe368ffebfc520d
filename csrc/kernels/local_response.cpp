// Sums over neighbouring channels are sums of vectors that begin a channel apart, in memory with zeros between rows.
#include "kernels/local_response.h"

#include "simd/math.h"
#include "simd/vec.h"

namespace cnnfast::CNNFAST_ISA {
namespace {

// Rows of x or dy go `channels` apart, those of scratch memory `step`.
CNNFAST_INLINE float* padded_row(const LocalResponse& l, float* padded, int64_t row) {
  return padded + row * l.step + l.radius;
}

CNNFAST_INLINE void store_squares(const LocalResponse& l, const float* x, int64_t rows, float* squares) {
  for (int64_t row = 0; row < rows; ++row) {
    const float* from = x + row * l.channels;
    float* to = padded_row(l, squares, row);
    for_each_vector(l.channels, [=](int64_t i, int lanes) CNNFAST_INLINE_LAMBDA {
      const Vec v = load_lanes(from + i, lanes);
      store_lanes(to + i, v * v, lanes);
    });
  }
}

// The sum of the values up to `radius` channels away from those at `p`.
CNNFAST_INLINE Vec neighbours(const float* p, int64_t radius, int lanes) {
  Vec total = load_lanes(p, lanes);
  for (int64_t t = 1; t <= radius; ++t) total += load_lanes(p - t, lanes) + load_lanes(p + t, lanes);
  return total;
}

CNNFAST_INLINE Vec base_of(const LocalResponse& l, const float* squares, int lanes) {
  return fma(neighbours(squares, l.radius, lanes), broadcast(l.alpha), broadcast(l.bias));
}

// Calls body(function that takes the base to the power of -beta): the usual powers without logarithms.
template <typename Body>
CNNFAST_INLINE void with_power(float beta, Body body) {
  if (beta == 0.75f) {
    body([](Vec base) CNNFAST_INLINE_LAMBDA {
      const Vec root = sqrt(base);
      return 1.0f / (root * sqrt(root));
    });
  } else if (beta == 0.5f) {
    body([](Vec base) CNNFAST_INLINE_LAMBDA { return 1.0f / sqrt(base); });
  } else {
    body([=](Vec base) CNNFAST_INLINE_LAMBDA { return exp(log(base) * -beta); });
  }
}

}  // namespace

// `squares` is scratch memory: zeros where no row's channels lie.
void local_response_forward(const LocalResponse& response, const float* x, int64_t rows, float* squares, float* y) {
  const LocalResponse l = response;  // a local copy: stores cannot change it
  store_squares(l, x, rows, squares);
  with_power(l.beta, [=](auto power) CNNFAST_INLINE_LAMBDA {
    for (int64_t row = 0; row < rows; ++row) {
      const float *from = x + row * l.channels, *near = padded_row(l, squares, row);
      float* to = y + row * l.channels;
      for_each_vector(l.channels, [=](int64_t i, int lanes) CNNFAST_INLINE_LAMBDA {
        store_lanes(to + i, load_lanes(from + i, lanes) * power(base_of(l, near + i, lanes)), lanes);
      });
    }
  });
}

// `shares`, scratch memory too, gets dy * y / base: what a value's neighbours took from it.
void local_response_backward(const LocalResponse& response, const float* x, const float* dy, int64_t rows,
                             float* squares, float* shares, float* dx) {
  const LocalResponse l = response;
  store_squares(l, x, rows, squares);
  with_power(l.beta, [=](auto power) CNNFAST_INLINE_LAMBDA {
    for (int64_t row = 0; row < rows; ++row) {
      const float *from = x + row * l.channels, *arrived = dy + row * l.channels;
      const float* near = padded_row(l, squares, row);
      float *to = dx + row * l.channels, *share = padded_row(l, shares, row);
      for_each_vector(l.channels, [=](int64_t i, int lanes) CNNFAST_INLINE_LAMBDA {
        const Vec base = base_of(l, near + i, lanes);
        const Vec direct = load_lanes(arrived + i, lanes) * power(base);
        store_lanes(to + i, direct, lanes);
        store_lanes(share + i, direct * load_lanes(from + i, lanes) / base, lanes);
      });
    }
  });
  const Vec factor = broadcast(-2.0f * l.alpha * l.beta);
  for (int64_t row = 0; row < rows; ++row) {
    const float *from = x + row * l.channels, *near = padded_row(l, shares, row);
    float* to = dx + row * l.channels;
    for_each_vector(l.channels, [=](int64_t i, int lanes) CNNFAST_INLINE_LAMBDA {
      const Vec taken = load_lanes(from + i, lanes) * factor;
      store_lanes(to + i, fma(taken, neighbours(near + i, l.radius, lanes), load_lanes(to + i, lanes)), lanes);
    });
  }
}

}  // namespace cnnfast::CNNFAST_ISA
