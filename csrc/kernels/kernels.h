// The table of kernels that one instruction set provides.
//
// A kernel is a single-threaded loop on raw pointers. It knows nothing of tensors beyond its tile, allocates nothing
// and throws nothing.
#pragma once

#include <cstdint>

#include "kernels/activation.h"
#include "kernels/conv.h"
#include "kernels/few_rows.h"
#include "kernels/grouped.h"
#include "kernels/image_tile.h"
#include "kernels/lines.h"
#include "kernels/local_response.h"
#include "kernels/pool.h"
#include "kernels/pooled_conv.h"
#include "kernels/reduce.h"
#include "kernels/row_norm.h"
#include "kernels/updates.h"
#include "kernels/winograd.h"

namespace cnnfast {

// How wide an instruction set's vectors are and how many accumulators fit into its registers: what the blocking in
// ops/ needs to know.
struct KernelLimits {
  int lanes;
  int accumulators;
};

// Lets a signature such as void(int) be written as one macro argument.
template <typename Signature>
struct KernelPointer {
  using type = Signature*;
};

struct KernelTable {
  const char* isa;
  KernelLimits limits;
#define KERNEL(name, ...) KernelPointer<__VA_ARGS__>::type name;
#include "kernels/kernels.inc"
#undef KERNEL
};

}  // namespace cnnfast
