// Reductions over every axis but the last.
#pragma once

#include <cstdint>

#include "kernels/reduce.h"
#include "runtime/parallel.h"

namespace cnnfast {

// How the kernels of the instruction set in use see rows of `channels` values.
Columns columns_of(int64_t channels);

// Whether a result of so many values is met for the first time in every line: smaller ones come from memory that was
// used shortly before, and to fetch them ahead is an instruction too many.
inline bool outgrows_caches(int64_t values) { return values >= int64_t{4} << 20; }

// Rows that one task of a reduction takes: a chunk that stays in a core's cache. Depends on the shape and the
// instruction set only, so that sums are the same bits for any number of threads.
int64_t reduction_chunk(const Columns& columns);

// Calls sum(first row, rows, where its sums go) for chunks of the rows, in parallel, and adds their sums up as a tree.
void sums_of_chunks(int64_t rows, int64_t channels, float* sums,
                    FunctionRef<void(int64_t first, int64_t rows, float* sums)> sum);

// sums[c] = sum over the rows of x[row, c]; zero for no rows. Added up as a tree of chunks.
void channel_sums(const float* x, int64_t rows, int64_t channels, float* sums);

}  // namespace cnnfast
