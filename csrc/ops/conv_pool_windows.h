// Convolutions of small windows whose outputs are pooled by windows of 2x2 before they leave the registers.
#pragma once

#include "ops/conv.h"
#include "ops/max_pool.h"

namespace cnnfast {

// Whether these loops can run, and are quicker than rows of outputs that are pooled afterwards.
bool conv_pool_windows_pay(const ConvShape& shape, const PoolShape& pool, Activation activation);

// max_pool(activation(conv(x) + bias)) and, unless `winners` is null, the winners: the same bits as the direct loops
// and a pooling of what they make.
void conv_pool_windows(const ConvShape& shape, const PoolShape& pool, const float* x, const float* w, const float* bias,
                       Activation activation, float alpha, float* y, uint8_t* winners);

// The same where a vector holds pixels rather than channels: for what runs along rows of pixels, or would add up in the
// same order if it did.
bool conv_pool_lines_pay(const ConvShape& shape, const PoolShape& pool, Activation activation);
void conv_pool_lines(const ConvShape& shape, const PoolShape& pool, const float* x, const float* w, const float* bias,
                     Activation activation, float alpha, float* y, uint8_t* winners);

}  // namespace cnnfast
