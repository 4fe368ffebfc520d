// Convolutions to few channels of many small images: vectors run across the images.
//
// Rows of pixels that are shorter than vectors leave lanes empty, and the padding's products count as much as others;
// with an image in each lane all lanes are full and taps outside the image are left out.
#pragma once

#include "ops/correlation.h"

namespace cnnfast {

// Whether this many images fill vectors better than rows of pixels do. `source` is of one group.
bool images_pay(const WindowSource& source, int64_t images, int64_t out_channels);

// Whether these loops can run, if not always quickly.
bool images_fit(const WindowSource& source, int64_t out_channels);

// As correlate() where images_fit().
void correlate_images(const Correlation& c, const float* x, const WeightView& w, const float* bias, float* y);

}  // namespace cnnfast
