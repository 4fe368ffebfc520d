#include "ops/row_norm.h"

#include <algorithm>
#include <cmath>

#include "dispatch.h"
#include "ops/reduce.h"
#include "ops/two_passes.h"
#include "runtime/memory.h"

namespace cnnfast {
namespace {

// Longer runs are cut into pieces of so many values: threads share them, and sums stay accurate. Shorter ones are
// finished one by one.
constexpr int64_t kPiece = 4096;
// Values of a block of rows, the least that a thread is given.
constexpr int64_t kBlock = 8192;
// The gradient's blocks have sums of columns of their own: rows enough that these are few against x.
constexpr int64_t kGradientBlock = 16384, kFewestGradientRows = 32;

// Blocks of rows, of one run each, and pieces of their columns. The partition depends on the shape alone.
struct Grid {
  const RowNorm& norm;
  int64_t rows_at_once;
  int64_t blocks;
  int64_t pieces;

  Grid(const RowNorm& n, int64_t rows)
      : norm(n), rows_at_once(rows), blocks((n.rows + rows - 1) / rows), pieces((n.columns + kPiece - 1) / kPiece) {}

  double work(double per_value) const {
    return per_value * static_cast<double>(norm.rows) * static_cast<double>(norm.stride());
  }
  TwoPasses passes(double work_per_value) const { return {blocks * norm.groups, pieces, work(work_per_value)}; }
  // Calls body(block) for all blocks of whole runs in parallel.
  template <typename Body>
  void run_whole(double work_per_value, Body body) const {
    const int64_t tasks = blocks * norm.groups;
    parallel_tasks(tasks, threads_for(tasks, work(work_per_value)), [&](int64_t block, int) { body(block); });
  }

  int64_t first_row(int64_t block) const { return block / norm.groups * rows_at_once; }
  int64_t rows(int64_t block) const { return std::min(rows_at_once, norm.rows - first_row(block)); }
  int64_t columns(int64_t piece) const { return std::min(kPiece, norm.columns - piece * kPiece); }
  RowTile tile(int64_t block, int64_t piece) const { return {rows(block), columns(piece), norm.stride()}; }
  // Where a piece begins in a row, in x, and where a block's rows begin in a list with a place for every run.
  int64_t column(int64_t block, int64_t piece) const { return block % norm.groups * norm.columns + piece * kPiece; }
  int64_t place(int64_t block, int64_t piece) const { return first_row(block) * norm.stride() + column(block, piece); }
  int64_t run(int64_t block) const { return block % norm.groups * norm.rows + first_row(block); }
  int64_t runs() const { return norm.rows * norm.groups; }

  RowNormalizer normalizer(int64_t block, int64_t piece, const float* statistics) const {
    const auto from = [&](const float* values) { return values == nullptr ? nullptr : values + column(block, piece); };
    const float* mean = statistics + run(block);
    return {tile(block, piece), norm.centred ? mean : nullptr, mean + runs(), from(norm.gamma), from(norm.beta)};
  }
};

// A run's mean and its inverse deviation from the moments of its pieces, which lie `step` apart: in double precision,
// where a sum of few numbers is as good as exact.
void combine_moments(const Grid& grid, const float* means, const float* squares, int64_t step, float* mean,
                     float* inverse) {
  const double count = static_cast<double>(grid.norm.columns);
  double sum = 0, total = 0;
  for (int64_t p = 0; p < grid.pieces; ++p) sum += static_cast<double>(grid.columns(p)) * means[p * step];
  const double center = sum / count;
  for (int64_t p = 0; p < grid.pieces; ++p) {
    const double off = means[p * step] - center;
    total += squares[p * step] + static_cast<double>(grid.columns(p)) * off * off;
  }
  *mean = static_cast<float>(center);
  *inverse = static_cast<float>(1 / std::sqrt(total / count + static_cast<double>(grid.norm.epsilon)));
}

void forward_in_pieces(const Grid& grid, const float* x, float* y, float* statistics) {
  const int64_t runs = grid.runs();
  const Scratch means(static_cast<size_t>(runs * grid.pieces)), squares(static_cast<size_t>(runs * grid.pieces));
  grid.passes(4).run([](int64_t, int) {},
                     [&](int64_t block, int64_t piece, int) {
                       const int64_t to = piece * runs + grid.run(block);
                       kernels().row_moments(grid.tile(block, piece), grid.norm.centred, x + grid.place(block, piece),
                                             means.data() + to, squares.data() + to);
                     },
                     [&](int64_t block, int) {
                       for (int64_t run = grid.run(block), end = run + grid.rows(block); run < end; ++run) {
                         combine_moments(grid, means.data() + run, squares.data() + run, runs, statistics + run,
                                         statistics + runs + run);
                       }
                     },
                     [&](int64_t block, int64_t piece, int) {
                       const int64_t place = grid.place(block, piece);
                       kernels().normalize_rows(grid.normalizer(block, piece, statistics), x + place, y + place);
                     });
}

// Rows of dgamma and dbeta, one for each block of rows; zeros where a piece of a block begins.
class ParameterRows {
 public:
  explicit ParameterRows(const Grid& grid)
      : grid_(grid), width_(grid.norm.stride()), memory_(static_cast<size_t>(2 * grid.blocks * width_)) {}

  float* cleared(int64_t block, int64_t piece) const {
    float* scale = memory_.data() + block / grid_.norm.groups * 2 * width_ + grid_.column(block, piece);
    std::fill(scale, scale + grid_.columns(piece), 0.0f);
    std::fill(scale + width_, scale + width_ + grid_.columns(piece), 0.0f);
    return scale;
  }

  void sum(float* dgamma, float* dbeta) const {
    const Scratch total(static_cast<size_t>(2 * width_));
    channel_sums(memory_.data(), grid_.blocks, 2 * width_, total.data());
    std::copy_n(total.data(), width_, dgamma);
    std::copy_n(total.data() + width_, width_, dbeta);
  }

 private:
  const Grid& grid_;
  int64_t width_;
  Scratch memory_;
};

void backward_in_pieces(const Grid& grid, const float* x, const float* dy, const float* statistics,
                        const ParameterRows& parameters, float* dx) {
  const RowNorm& norm = grid.norm;
  const int64_t runs = grid.runs(), width = norm.stride();
  const Scratch sums(static_cast<size_t>(runs * grid.pieces)), normal_sums(static_cast<size_t>(runs * grid.pieces));
  const float share = 1.0f / static_cast<float>(norm.columns);
  grid.passes(8).run([](int64_t, int) {},
                     [&](int64_t block, int64_t piece, int) {
                       const int64_t place = grid.place(block, piece), to = piece * runs + grid.run(block);
                       float* scale = parameters.cleared(block, piece);
                       kernels().row_gradient_sums(grid.normalizer(block, piece, statistics), x + place, dy + place,
                                                   sums.data() + to, normal_sums.data() + to, scale, scale + width);
                     },
                     [&](int64_t block, int) {
                       for (int64_t run = grid.run(block), end = run + grid.rows(block); run < end; ++run) {
                         float *sum = sums.data() + run, *normal_sum = normal_sums.data() + run;
                         for (int64_t p = 1; p < grid.pieces; ++p) {
                           *sum += sum[p * runs];
                           *normal_sum += normal_sum[p * runs];
                         }
                         *sum = norm.centred ? *sum * share : 0.0f;
                         *normal_sum *= share;
                       }
                     },
                     [&](int64_t block, int64_t piece, int) {
                       const int64_t place = grid.place(block, piece), run = grid.run(block);
                       kernels().row_gradient(grid.normalizer(block, piece, statistics), x + place, dy + place,
                                              sums.data() + run, normal_sums.data() + run, dx + place);
                     });
}

}  // namespace

void row_norm_forward(const RowNorm& norm, const float* x, float* y, float* statistics) {
  if (norm.rows == 0 || norm.stride() == 0) return;
  const Grid grid(norm, norm.columns > kPiece ? 1 : std::max<int64_t>(1, kBlock / norm.columns));
  if (grid.pieces > 1) return forward_in_pieces(grid, x, y, statistics);
  grid.run_whole(4, [&](int64_t block) {
    const int64_t place = grid.place(block, 0);
    float* means = statistics + grid.run(block);
    kernels().normalize_whole_rows(grid.normalizer(block, 0, statistics), norm.centred, norm.epsilon, x + place, means,
                                   means + grid.runs(), y + place);
  });
}

void row_norm_backward(const RowNorm& norm, const float* x, const float* dy, const float* statistics, float* dx,
                       float* dgamma, float* dbeta) {
  if (norm.stride() == 0) return;
  const Grid grid(norm, std::max(kFewestGradientRows, kGradientBlock / norm.columns));
  const ParameterRows parameters(grid);
  if (grid.pieces > 1) {
    backward_in_pieces(grid, x, dy, statistics, parameters, dx);
  } else {
    grid.run_whole(8, [&](int64_t block) {
      const int64_t place = grid.place(block, 0);
      float* scale = parameters.cleared(block, 0);
      kernels().whole_row_gradients(grid.normalizer(block, 0, statistics), norm.centred, x + place, dy + place,
                                    dx + place, scale, scale + norm.stride());
    });
  }
  parameters.sum(dgamma, dbeta);
}

}  // namespace cnnfast
