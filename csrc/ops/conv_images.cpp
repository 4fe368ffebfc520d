#include "ops/conv_images.h"

#include <algorithm>

#include "dispatch.h"
#include "kernels/image_tile.h"
#include "runtime/memory.h"
#include "runtime/parallel.h"

namespace cnnfast {
namespace {

constexpr int64_t kKeptFloats = (512 << 10) / 4;  // of the input at a time: they stay in the second-level cache
constexpr int64_t kNearFloats = (128 << 10) / 4;  // of images whose rows are all kept
constexpr int kTasksPerThread = 2;
constexpr int64_t kLongestRow = 4;  // in vectors

// Which outputs [begin, end) of an axis meet tap `t` inside the input, of those in [0, count) from `first` on.
struct Span {
  int64_t begin, end;
};
Span outputs_inside(const Axis& a, int64_t t, int64_t first, int64_t count) {
  const int64_t start = first * a.stride - a.pad_before + t * a.dilation;  // what the first one meets
  const int64_t begin = start >= 0 ? 0 : (-start + a.stride - 1) / a.stride;
  const int64_t end = a.in <= start ? 0 : (a.in - start + a.stride - 1) / a.stride;
  return {std::min(begin, count), std::min(end, count)};
}

// How many pairs of an output and a tap lie inside the input.
int64_t pairs_inside(const Axis& a) {
  int64_t pairs = 0;
  for (int64_t t = 0; t < a.window; ++t) {
    const Span span = outputs_inside(a, t, 0, a.out);
    pairs += std::max<int64_t>(0, span.end - span.begin);
  }
  return pairs;
}

// The inputs [begin, end) of an axis that output `o` may meet.
Span inputs_of(const Axis& a, int64_t o) {
  const int64_t first = o * a.stride - a.pad_before, begin = std::clamp<int64_t>(first, 0, a.in);
  return {begin, std::clamp<int64_t>(first + a.reach(), begin, a.in)};
}

// What is kept of the input at a time: all planes and rows that a row of outputs needs, or of small images all rows.
struct Kept {
  int64_t planes, rows, row_floats;

  Kept(const WindowSource& source, int64_t lanes)
      : planes(std::min(source.axis[0].in, source.axis[0].reach())),
        rows(source.axis[1].in),
        row_floats(source.axis[2].in * source.channels * lanes) {
    if (floats() > kNearFloats) rows = std::min(rows, source.axis[1].reach());
  }
  int64_t floats() const { return planes * rows * row_floats; }
};

// The tiles of a row, with the taps that each meets.
struct Tile {
  int64_t first;
  int pixels;
  std::vector<ImageTapColumn> columns;
};

class ImageVectors {
 public:
  ImageVectors(const Correlation& c, const float* x, const WeightView& w, const float* bias, float* y)
      : c_(c), a_(c.source.axis), x_(x), bias_(bias), y_(y), lanes_(kernels().limits.lanes), kept_(c.source, lanes_) {
    pack_weights(w);
    make_tiles();
  }

  void run() {
    const int64_t blocks = (c_.images + lanes_ - 1) / lanes_ * a_[0].out;
    const double work = c_.flops() / kFlopsPerOperation;
    const int wanted = threads_for(INT32_MAX, work);
    int64_t rows = a_[1].out;
    const auto pieces = [&] { return (a_[1].out + rows - 1) / rows; };
    while (wanted > 1 && rows > 2 * a_[1].window && blocks * pieces() < kTasksPerThread * wanted) rows = (rows + 1) / 2;
    const int64_t tasks = blocks * pieces();
    const int threads = threads_for(tasks, work);
    const Scratch scratch(threads, static_cast<size_t>(kept_.floats()));
    parallel_tasks(tasks, threads, [&](int64_t task, int thread) {
      const int64_t begin = task % pieces() * rows, block = task / pieces();
      run_rows(block / a_[0].out * lanes_, block % a_[0].out, begin, std::min(a_[1].out, begin + rows),
               scratch.part(thread));
    });
  }

 private:
  void pack_weights(const WeightView& view) {
    weights_.reserve(static_cast<size_t>(c_.source.window_floats() * c_.out_channels));
    for (const int64_t tap : view.taps) {
      for (int64_t k = 0; k < c_.source.channels; ++k) {
        for (int64_t o = 0; o < c_.out_channels; ++o) {
          weights_.push_back(tap == kNoTap ? 0.0f
                                           : view.w[tap * view.tap_stride + k * view.in_stride + o * view.out_stride]);
        }
      }
    }
  }

  void make_tiles() {
    const int64_t at_once = image_pixels(static_cast<int>(c_.out_channels), kernels().limits.accumulators);
    for (int64_t first = 0; first < a_[2].out; first += at_once) {
      const int64_t pixels = std::min(at_once, a_[2].out - first);
      Tile& tile = tiles_.emplace_back();
      tile.first = first;
      tile.pixels = static_cast<int>(pixels);
      for (int64_t t = 0; t < a_[2].window; ++t) {
        const Span span = outputs_inside(a_[2], t, first, pixels);
        if (span.begin >= span.end) continue;
        const int64_t col = first * a_[2].stride - a_[2].pad_before + t * a_[2].dilation;
        tile.columns.push_back({col * c_.source.channels * lanes_, t * c_.source.channels * c_.out_channels,
                                static_cast<int>(span.begin), static_cast<int>(span.end)});
      }
    }
  }

  // Rows [begin, end) of plane `depth`, of the images from `image` on.
  void run_rows(int64_t image, int64_t depth, int64_t begin, int64_t end, float* kept) const {
    const int64_t images = std::min(lanes_, c_.images - image);
    ImageTile t;
    t.x = kept;
    t.x_pixel = a_[2].stride * c_.source.channels * lanes_;
    t.channels = static_cast<int>(c_.source.channels);
    t.w = weights_.data();
    t.bias = bias_;
    t.outputs = static_cast<int>(c_.out_channels);
    t.y_image = c_.y_image;
    t.y_pixel = c_.y_pixel;
    t.images = static_cast<int>(images);
    std::vector<ImageTapRow> taps;
    int64_t copied = 0;  // rows before this one are there, as far as they are needed
    for (int64_t r = begin; r < end; ++r) {
      Span needed = inputs_of(a_[1], r);
      if (kept_.rows == a_[1].in) needed.end = inputs_of(a_[1], end - 1).end;  // few copies are quicker than many
      copied = std::max(copied, needed.begin);
      copy_rows(image, images, depth, {copied, needed.end}, kept);
      copied = std::max(copied, needed.end);
      find_taps(depth, r, taps);
      t.rows = taps.data();
      t.row_count = static_cast<int>(taps.size());
      float* y = y_ + image * c_.y_image + depth * c_.y_plane + r * c_.y_row;
      for (const Tile& tile : tiles_) {
        t.columns = tile.columns.data();
        t.column_count = static_cast<int>(tile.columns.size());
        t.pixels = tile.pixels;
        t.y = y + tile.first * c_.y_pixel;
        kernels().image_tile(t);
      }
      if (c_.activation == Activation::linear) continue;
      for (int64_t i = 0; i < images; ++i) {
        activate_pixels(c_.activation, c_.alpha, y + i * c_.y_image, c_.y_pixel, a_[2].out, c_.out_channels);
      }
    }
  }

  // Where a row of the input is kept: in the place of one that no window needs any more.
  int64_t place(int64_t plane, int64_t row) const {
    return (plane % kept_.planes * kept_.rows + row % kept_.rows) * kept_.row_floats;
  }

  void copy_rows(int64_t image, int64_t images, int64_t depth, Span rows, float* kept) const {
    const Span planes = inputs_of(a_[0], depth);
    PackPanel pack;
    pack.row = 1;
    pack.col = c_.source.image_floats();
    pack.cols = static_cast<int>(images);
    pack.padded = static_cast<int>(lanes_);
    for (int64_t plane = planes.begin; plane < planes.end; ++plane) {
      for (int64_t row = rows.begin; row < rows.end;) {
        const int64_t neighbours = std::min(rows.end - row, kept_.rows - row % kept_.rows);
        const int64_t row_floats = a_[2].in * c_.source.channels;
        pack.from = x_ + ((image * a_[0].in + plane) * a_[1].in + row) * row_floats;
        pack.rows = neighbours * row_floats;
        pack.to = kept + place(plane, row);
        kernels().pack_panel(pack);
        row += neighbours;
      }
    }
  }

  void find_taps(int64_t depth, int64_t r, std::vector<ImageTapRow>& taps) const {
    const int64_t tap_row = a_[2].window * c_.source.channels * c_.out_channels;
    taps.clear();
    for (int64_t kd = 0; kd < a_[0].window; ++kd) {
      const int64_t plane = depth * a_[0].stride - a_[0].pad_before + kd * a_[0].dilation;
      if (plane < 0 || plane >= a_[0].in) continue;
      for (int64_t kh = 0; kh < a_[1].window; ++kh) {
        const int64_t row = r * a_[1].stride - a_[1].pad_before + kh * a_[1].dilation;
        if (row < 0 || row >= a_[1].in) continue;
        taps.push_back({place(plane, row), (kd * a_[1].window + kh) * tap_row});
      }
    }
  }

  const Correlation& c_;
  const std::array<Axis, 3>& a_;
  const float *x_, *bias_;
  float* y_;
  int64_t lanes_;
  Kept kept_;
  std::vector<float> weights_;
  std::vector<Tile> tiles_;
};

}  // namespace

bool images_fit(const WindowSource& source, int64_t out_channels) {
  return out_channels >= 1 && out_channels <= kMostImageOutputs && source.taps() > 1 &&
         Kept(source, kernels().limits.lanes).floats() <= kKeptFloats;
}

bool images_pay(const WindowSource& source, int64_t images, int64_t out_channels) {
  if (!images_fit(source, out_channels)) return false;
  const int64_t lanes = kernels().limits.lanes;
  const auto& a = source.axis;
  // Long rows fill vectors by themselves, and images of them lie far apart.
  if (images < lanes || a[2].out > kLongestRow * lanes) return false;
  const int64_t vectors = (images + lanes - 1) / lanes, row_vectors = (a[2].out + lanes - 1) / lanes;
  const int64_t across = vectors * pairs_inside(a[0]) * pairs_inside(a[1]) * pairs_inside(a[2]);
  const int64_t along = images * a[0].out * a[1].out * row_vectors * source.taps();
  return across <= along;
}

void correlate_images(const Correlation& c, const float* x, const WeightView& w, const float* bias, float* y) {
  ImageVectors(c, x, w, bias, y).run();
}

}  // namespace cnnfast
