#include "ops/prelu.h"

#include <algorithm>

#include "dispatch.h"
#include "ops/reduce.h"
#include "runtime/memory.h"

namespace cnnfast {
namespace {

// Longer rows are cut into pieces of so many columns, which threads share.
constexpr int64_t kPiece = 4096;

// Blocks of rows and pieces of columns, whose partition depends on the shape alone, and the slopes as tiles.
class Blocks {
 public:
  explicit Blocks(const Prelu& prelu)
      : prelu_(prelu),
        pieces_((prelu.columns + kPiece - 1) / kPiece),
        tile_(pieces_ > 1 ? Columns{kPiece, 1} : columns_of(prelu.columns)),
        rows_(reduction_chunk(tile_)),
        width_(pieces_ > 1 ? prelu.columns : prelu.columns * tile_.repeat),
        copies_(static_cast<size_t>(tile_.repeat > 1 ? width_ : 0)) {
    for (int64_t i = 0; i < tile_.repeat && tile_.repeat > 1; ++i) {
      std::copy_n(prelu.alpha, prelu.columns, copies_.data() + i * prelu.columns);
    }
  }

  int64_t count() const { return (prelu_.rows + rows_ - 1) / rows_; }

  // Calls body(block, columns of the piece, its first column, its slopes, place in x, rows, stride) in parallel.
  template <typename Body>
  void run(double work_per_value, Body body) const {
    const double work = work_per_value * static_cast<double>(prelu_.rows) * static_cast<double>(prelu_.columns);
    const int64_t tasks = count() * pieces_;
    parallel_tasks(tasks, threads_for(tasks, work), [&](int64_t task, int) {
      const int64_t block = task / pieces_, first = task % pieces_ * kPiece, row = block * rows_;
      const Columns columns = {pieces_ > 1 ? std::min(kPiece, prelu_.columns - first) : tile_.count, tile_.repeat};
      body(block, columns, first, (tile_.repeat > 1 ? copies_.data() : prelu_.alpha) + first,
           row * prelu_.columns + first, std::min(rows_, prelu_.rows - row), width_);
    });
  }

 private:
  const Prelu& prelu_;
  int64_t pieces_;
  Columns tile_;
  int64_t rows_;
  int64_t width_;
  Scratch copies_;
};

}  // namespace

void prelu_forward(const Prelu& prelu, const float* x, float* y) {
  if (prelu.rows == 0 || prelu.columns == 0) return;
  Blocks(prelu).run(
      2, [&](int64_t, Columns columns, int64_t, const float* alpha, int64_t place, int64_t rows, int64_t stride) {
        if (columns.count == prelu.columns) {
          kernels().prelu_forward(columns, alpha, x + place, y + place, rows * columns.count);
          return;
        }
        for (int64_t row = 0; row < rows; ++row, place += stride) {
          kernels().prelu_forward(columns, alpha, x + place, y + place, columns.count);
        }
      });
}

void prelu_backward(const Prelu& prelu, const float* x, const float* dy, float* dx, float* dalpha) {
  if (prelu.columns == 0) return;
  const Blocks blocks(prelu);
  const Scratch sums(static_cast<size_t>(blocks.count() * prelu.columns));
  blocks.run(4, [&](int64_t block, Columns columns, int64_t first, const float* alpha, int64_t place, int64_t rows,
                    int64_t stride) {
    kernels().prelu_backward(columns, stride, alpha, x + place, dy + place, rows, dx + place,
                             sums.data() + block * prelu.columns + first);
  });
  channel_sums(sums.data(), blocks.count(), prelu.columns, dalpha);
}

}  // namespace cnnfast
