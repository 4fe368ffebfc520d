// One instruction set's row of the dispatch table.
#include "kernels/kernels.h"
#include "simd/vec.h"

#define CNNFAST_STRINGIFY_(text) #text
#define CNNFAST_STRINGIFY(text) CNNFAST_STRINGIFY_(text)

namespace cnnfast::CNNFAST_ISA {

template <typename Signature>
using Declare = Signature;
#define KERNEL(name, ...) Declare<__VA_ARGS__> name;
#include "kernels/kernels.inc"
#undef KERNEL

extern const KernelTable table;
const KernelTable table = {
    CNNFAST_STRINGIFY(CNNFAST_ISA),
    {kLanes, kAccumulators},
#define KERNEL(name, ...) &name,
#include "kernels/kernels.inc"
#undef KERNEL
};

}  // namespace cnnfast::CNNFAST_ISA
