// Arithmetic of arrays of the same shape, values held between bounds, and arrays joined and taken apart along an axis;
// all threaded.
#pragma once

#include <cstdint>
#include <vector>

namespace cnnfast {

// y = a + b and y = a * b over `count` values; y may be a or b.
void add(const float* a, const float* b, float* y, int64_t count);
void multiply(const float* a, const float* b, float* y, int64_t count);

// y = min(max(x, low), high); NaN stays NaN. The gradient is dy where x lies between the bounds or on one, else zero.
void clip(float low, float high, const float* x, float* y, int64_t count);
void clip_gradient(float low, float high, const float* x, const float* dy, float* dx, int64_t count);

// `outer` rows of `whole` on one side and, on the other, for each part the same number of rows of its own width; the
// widths add up to whole's. Concatenation along an axis is this copy with outer = the product of the dimensions before
// the axis and width = the product of those from the axis on.
void concatenate_rows(const std::vector<const float*>& parts, const std::vector<int64_t>& widths, float* whole,
                      int64_t outer);
void split_rows(const float* whole, const std::vector<float*>& parts, const std::vector<int64_t>& widths,
                int64_t outer);

}  // namespace cnnfast
