// The one-dimensional Winograd transforms on vectors.
//
// For outputs y and taps g of a correlation of data d: y = At[(G g) * (Bt d)], found by evaluating polynomials at a few
// points. The gradients need the transposes: A for dy, Gt for dg. With the points {0, +-5/8, +-3/2, infinity} the six
// point transforms lose less accuracy than with small integers.
#pragma once

#include "simd/vec.h"

namespace cnnfast::CNNFAST_ISA {

struct UnitAxis {
  static constexpr int kOutputs = 1, kTaps = 1, kPoints = 1, kPitch = 1;
  CNNFAST_INLINE void data(const Vec* d, Vec* v) { v[0] = d[0]; }
  CNNFAST_INLINE void output(const Vec* m, Vec* y) { y[0] = m[0]; }
  CNNFAST_INLINE void weights(const Vec* g, Vec* u) { u[0] = g[0]; }
  CNNFAST_INLINE void output_gradient(const Vec* dy, Vec* v) { v[0] = dy[0]; }
  CNNFAST_INLINE void weights_gradient(const Vec* m, Vec* dg) { dg[0] = m[0]; }
};

// F(2, 3) over the points {0, 1, -1, infinity}.
struct AxisF2x3 {
  static constexpr int kOutputs = 2, kTaps = 3, kPoints = 4, kPitch = 4;

  CNNFAST_INLINE void data(const Vec* d, Vec* v) {
    v[0] = d[0] - d[2];
    v[1] = d[1] + d[2];
    v[2] = d[2] - d[1];
    v[3] = d[3] - d[1];
  }
  CNNFAST_INLINE void output(const Vec* m, Vec* y) {
    y[0] = m[0] + m[1] + m[2];
    y[1] = m[1] - m[2] + m[3];
  }
  CNNFAST_INLINE void weights(const Vec* g, Vec* u) {
    const Vec half = broadcast(0.5f), even = (g[0] + g[2]) * half, odd = g[1] * half;
    u[0] = g[0];
    u[1] = even + odd;
    u[2] = even - odd;
    u[3] = g[2];
  }
  CNNFAST_INLINE void output_gradient(const Vec* dy, Vec* v) {
    v[0] = dy[0];
    v[1] = dy[0] + dy[1];
    v[2] = dy[0] - dy[1];
    v[3] = dy[1];
  }
  CNNFAST_INLINE void weights_gradient(const Vec* m, Vec* dg) {
    const Vec half = broadcast(0.5f), sum = (m[1] + m[2]) * half;
    dg[0] = m[0] + sum;
    dg[1] = (m[1] - m[2]) * half;
    dg[2] = sum + m[3];
  }
};

// F(4, 2) over the points {infinity, a, -a, 0, b}, of which tiles of fewer outputs take the first, as those of six
// points below do. For windows of two taps: those of the phases of a stride.
template <int Outputs>
struct AxisF4x2 {
  static constexpr int kOutputs = Outputs, kTaps = 2, kPoints = Outputs + 1, kPitch = 5;
  static constexpr float a = 0.75f, b = -2.0f, a2 = a * a, a3 = a2 * a, b2 = b * b, b3 = b2 * b;
  // One over the derivative of the polynomial with these roots, at each of them.
  static constexpr float n0 = 1 / (a2 * b), n1 = 1 / (2 * a2 * (a - b)), n2 = -1 / (2 * a2 * (a + b)),
                         n3 = 1 / (b * (b2 - a2));

  CNNFAST_INLINE Vec times(float factor, Vec v) { return broadcast(factor) * v; }
  CNNFAST_INLINE Vec plus(Vec v, float factor, Vec w) { return fma(broadcast(factor), w, v); }

  CNNFAST_INLINE void data(const Vec* d, Vec* v) {
    if constexpr (Outputs == 4) {
      // d with the root b taken out.
      Vec e[4];
      CNNFAST_UNROLL for (int i = 0; i < 4; ++i) e[i] = plus(d[i + 1], -b, d[i]);
      v[0] = plus(e[3], -a2, e[1]);
      v[1] = plus(e[2], a, e[1]);
      v[2] = plus(e[2], -a, e[1]);
      v[3] = plus(e[2], -a2, e[0]);
      v[4] = plus(d[3], -a2, d[1]);
    } else if constexpr (Outputs == 3) {
      v[0] = plus(d[3], -a2, d[1]);
      v[1] = times(a - b, plus(d[2], a, d[1]));
      v[2] = times(-a - b, plus(d[2], -a, d[1]));
      v[3] = times(-b, plus(d[2], -a2, d[0]));
    } else if constexpr (Outputs == 2) {
      v[0] = plus(d[2], -a2, d[0]);
      v[1] = times(a * (a - b), plus(d[1], a, d[0]));
      v[2] = times(a * (a + b), plus(d[1], -a, d[0]));
    } else {
      v[0] = plus(d[1], -a, d[0]);
      v[1] = times(2 * a2 * (a - b), d[0]);
    }
  }
  CNNFAST_INLINE void output(const Vec* m, Vec* y) {
    if constexpr (Outputs == 1) {
      y[0] = m[1] + m[0];
    } else {
      const Vec sum = m[1] + m[2], difference = m[1] - m[2];
      if constexpr (Outputs == 4) {
        y[0] = m[3] + sum + m[4];
        y[1] = plus(times(a, difference), b, m[4]);
        y[2] = plus(times(a2, sum), b2, m[4]);
        y[3] = plus(plus(m[0], a3, difference), b3, m[4]);
      } else if constexpr (Outputs == 3) {
        y[0] = m[3] + sum;
        y[1] = times(a, difference);
        y[2] = plus(m[0], a2, sum);
      } else {
        y[0] = sum;
        y[1] = plus(m[0], a, difference);
      }
    }
  }
  CNNFAST_INLINE void output_gradient(const Vec* dy, Vec* v) {
    v[0] = dy[Outputs - 1];
    if constexpr (Outputs == 4) {
      const Vec even = plus(dy[0], a2, dy[2]), odd = plus(times(a, dy[1]), a3, dy[3]);
      v[1] = even + odd;
      v[2] = even - odd;
      v[3] = dy[0];
      v[4] = plus(plus(dy[0], b, dy[1]), b2, plus(dy[2], b, dy[3]));
    } else if constexpr (Outputs == 3) {
      const Vec even = plus(dy[0], a2, dy[2]), odd = times(a, dy[1]);
      v[1] = even + odd;
      v[2] = even - odd;
      v[3] = dy[0];
    } else if constexpr (Outputs == 2) {
      v[1] = plus(dy[0], a, dy[1]);
      v[2] = plus(dy[0], -a, dy[1]);
    } else {
      v[1] = dy[0];
    }
  }
  // The weights are those of whole tiles.
  CNNFAST_INLINE void weights(const Vec* g, Vec* u) {
    static_assert(Outputs == 4);
    const Vec odd = times(a, g[1]);
    u[0] = g[1];
    u[1] = times(n1, g[0] + odd);
    u[2] = times(n2, g[0] - odd);
    u[3] = times(n0, g[0]);
    u[4] = times(n3, plus(g[0], b, g[1]));
  }
  CNNFAST_INLINE void weights_gradient(const Vec* m, Vec* dg) {
    static_assert(Outputs == 4);
    const Vec m1 = times(n1, m[1]), m2 = times(n2, m[2]), m3 = times(n3, m[4]);
    dg[0] = plus(m1 + m2 + m3, n0, m[3]);
    dg[1] = plus(plus(m[0], a, m1 - m2), b, m3);
  }
};

// What the six-point transforms share: the points {infinity, a, -a, 0, b, -b}, of which tiles of fewer outputs take the
// first. The weights know all of them: what the points that are left out change in a value goes into the data.
struct SixPoints {
  static constexpr int kPitch = 6;
  static constexpr float a = 0.625f, b = 1.5f;
  static constexpr float a2 = a * a, b2 = b * b, a3 = a2 * a, b3 = b2 * b, a4 = a2 * a2, b4 = b2 * b2;
  // One over the derivative of the polynomial with these roots, at each of them.
  static constexpr float n0 = 1 / (a2 * b2), na = 1 / (2 * a2 * (a2 - b2)), nb = 1 / (2 * b2 * (b2 - a2));

  CNNFAST_INLINE Vec times(float factor, Vec v) { return broadcast(factor) * v; }
  CNNFAST_INLINE Vec plus(Vec v, float factor, Vec w) { return fma(broadcast(factor), w, v); }

  // d through the polynomials that are zero at all points but one, each times the factors (p - q) of the points q that
  // are left out.
  template <int Points>
  CNNFAST_INLINE void data(const Vec* d, Vec* v) {
    if constexpr (Points == 6) {
      const Vec even_a = plus(d[4], -b2, d[2]), odd_a = times(a, plus(d[3], -b2, d[1]));
      const Vec even_b = plus(d[4], -a2, d[2]), odd_b = times(b, plus(d[3], -a2, d[1]));
      v[0] = plus(plus(d[5], -(a2 + b2), d[3]), a2 * b2, d[1]);
      v[1] = even_a + odd_a;
      v[2] = even_a - odd_a;
      v[3] = plus(plus(d[4], -(a2 + b2), d[2]), a2 * b2, d[0]);
      v[4] = even_b + odd_b;
      v[5] = even_b - odd_b;
    } else if constexpr (Points == 5) {
      // d with the root b taken out.
      Vec e[4];
      CNNFAST_UNROLL for (int i = 0; i < 4; ++i) e[i] = plus(d[i + 1], -b, d[i]);
      v[0] = plus(e[3], -a2, e[1]);
      v[1] = times(b + a, plus(e[2], a, e[1]));
      v[2] = times(b - a, plus(e[2], -a, e[1]));
      v[3] = times(b, plus(e[2], -a2, e[0]));
      v[4] = times(2 * b, plus(d[3], -a2, d[1]));
    } else if constexpr (Points == 4) {
      v[0] = plus(d[3], -a2, d[1]);
      v[1] = times(a2 - b2, plus(d[2], a, d[1]));
      v[2] = times(a2 - b2, plus(d[2], -a, d[1]));
      v[3] = times(-b2, plus(d[2], -a2, d[0]));
    } else {
      static_assert(Points == 3);
      v[0] = plus(d[2], -a2, d[0]);
      v[1] = times(a * (a2 - b2), plus(d[1], a, d[0]));
      v[2] = times(a * (b2 - a2), plus(d[1], -a, d[0]));
    }
  }
  // The weights' values at a, -a, b and -b, from the even and odd parts of the taps' polynomial.
  CNNFAST_INLINE void spread(Vec even_a, Vec odd_a, Vec even_b, Vec odd_b, Vec* u) {
    u[1] = times(na, even_a + odd_a);
    u[2] = times(na, even_a - odd_a);
    u[4] = times(nb, even_b + odd_b);
    u[5] = times(nb, even_b - odd_b);
  }
};

template <int Outputs>
struct AxisF4x3 : SixPoints {
  static constexpr int kOutputs = Outputs, kTaps = 3, kPoints = Outputs + 2;

  CNNFAST_INLINE void data(const Vec* d, Vec* v) { SixPoints::data<kPoints>(d, v); }
  CNNFAST_INLINE void output(const Vec* m, Vec* y) {
    const Vec sum_a = m[1] + m[2], difference_a = m[1] - m[2];
    if constexpr (Outputs == 4) {
      const Vec sum_b = m[4] + m[5], difference_b = m[4] - m[5];
      y[0] = m[3] + sum_a + sum_b;
      y[1] = plus(times(a, difference_a), b, difference_b);
      y[2] = plus(times(a2, sum_a), b2, sum_b);
      y[3] = plus(plus(m[0], a3, difference_a), b3, difference_b);
    } else if constexpr (Outputs == 3) {
      y[0] = m[3] + sum_a + m[4];
      y[1] = plus(times(a, difference_a), b, m[4]);
      y[2] = plus(plus(m[0], a2, sum_a), b2, m[4]);
    } else if constexpr (Outputs == 2) {
      y[0] = m[3] + sum_a;
      y[1] = plus(m[0], a, difference_a);
    } else {
      y[0] = m[0] + sum_a;
    }
  }
  CNNFAST_INLINE void output_gradient(const Vec* dy, Vec* v) {
    v[0] = dy[Outputs - 1];
    if constexpr (Outputs == 4) {
      const Vec even_a = plus(dy[0], a2, dy[2]), odd_a = plus(times(a, dy[1]), a3, dy[3]);
      const Vec even_b = plus(dy[0], b2, dy[2]), odd_b = plus(times(b, dy[1]), b3, dy[3]);
      v[1] = even_a + odd_a;
      v[2] = even_a - odd_a;
      v[3] = dy[0];
      v[4] = even_b + odd_b;
      v[5] = even_b - odd_b;
    } else if constexpr (Outputs == 3) {
      const Vec even_a = plus(dy[0], a2, dy[2]), odd_a = times(a, dy[1]);
      v[1] = even_a + odd_a;
      v[2] = even_a - odd_a;
      v[3] = dy[0];
      v[4] = plus(plus(dy[0], b2, dy[2]), b, dy[1]);
    } else if constexpr (Outputs == 2) {
      v[1] = plus(dy[0], a, dy[1]);
      v[2] = plus(dy[0], -a, dy[1]);
      v[3] = dy[0];
    } else {
      v[1] = v[2] = dy[0];
    }
  }
  // The weights are those of whole tiles.
  CNNFAST_INLINE void weights(const Vec* g, Vec* u) {
    static_assert(Outputs == 4);
    u[0] = g[2];
    u[3] = times(n0, g[0]);
    spread(plus(g[0], a2, g[2]), times(a, g[1]), plus(g[0], b2, g[2]), times(b, g[1]), u);
  }
  CNNFAST_INLINE void weights_gradient(const Vec* m, Vec* dg) {
    static_assert(Outputs == 4);
    const Vec sum_a = times(na, m[1] + m[2]), difference_a = times(na, m[1] - m[2]);
    const Vec sum_b = times(nb, m[4] + m[5]), difference_b = times(nb, m[4] - m[5]);
    dg[0] = plus(sum_a + sum_b, n0, m[3]);
    dg[1] = plus(times(a, difference_a), b, difference_b);
    dg[2] = plus(plus(m[0], a2, sum_a), b2, sum_b);
  }
};

struct AxisF2x5 : SixPoints {
  static constexpr int kOutputs = 2, kTaps = 5, kPoints = 6;

  CNNFAST_INLINE void data(const Vec* d, Vec* v) { SixPoints::data<6>(d, v); }
  CNNFAST_INLINE void output(const Vec* m, Vec* y) {
    const Vec difference_a = m[1] - m[2], difference_b = m[4] - m[5];
    y[0] = m[3] + (m[1] + m[2]) + (m[4] + m[5]);
    y[1] = plus(plus(m[0], a, difference_a), b, difference_b);
  }
  CNNFAST_INLINE void weights(const Vec* g, Vec* u) {
    u[3] = times(n0, g[0]);
    spread(plus(plus(g[0], a2, g[2]), a4, g[4]), plus(times(a, g[1]), a3, g[3]), plus(plus(g[0], b2, g[2]), b4, g[4]),
           plus(times(b, g[1]), b3, g[3]), u);
    u[0] = g[4];
  }
  CNNFAST_INLINE void output_gradient(const Vec* dy, Vec* v) {
    const Vec odd_a = times(a, dy[1]), odd_b = times(b, dy[1]);
    v[3] = dy[0];
    v[1] = dy[0] + odd_a;
    v[2] = dy[0] - odd_a;
    v[4] = dy[0] + odd_b;
    v[5] = dy[0] - odd_b;
    v[0] = dy[1];
  }
  CNNFAST_INLINE void weights_gradient(const Vec* m, Vec* dg) {
    const Vec sum_a = times(na, m[1] + m[2]), difference_a = times(na, m[1] - m[2]);
    const Vec sum_b = times(nb, m[4] + m[5]), difference_b = times(nb, m[4] - m[5]);
    dg[0] = plus(sum_a + sum_b, n0, m[3]);
    dg[1] = plus(times(a, difference_a), b, difference_b);
    dg[2] = plus(times(a2, sum_a), b2, sum_b);
    dg[3] = plus(times(a3, difference_a), b3, difference_b);
    dg[4] = plus(plus(m[0], a4, sum_a), b4, sum_b);
  }
};

}  // namespace cnnfast::CNNFAST_ISA
