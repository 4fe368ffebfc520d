// Which instruction set's kernels run: chosen once when the library loads, forced by CNNFAST_ISA.
#pragma once

#include <string>
#include <vector>

#include "kernels/kernels.h"

namespace cnnfast {

// The kernels in use.
const KernelTable& kernels();

// What this machine can run of what was compiled in, best first.
std::vector<std::string> available_isas();

// Makes `name` the instruction set in use; throws std::invalid_argument that lists what there is. "scalar" is another
// name for the baseline. Not to be called while another thread computes.
void select_isa(const std::string& name);

// The choice at load: CNNFAST_ISA where it is set and not empty, else the best available.
void select_isa_from_environment();

// The names in kernels.inc, in order.
std::vector<std::string> kernel_names();

// For tests: from here to the next select_isa, calls of kernels are counted from zero. Not to be called while another
// thread computes.
void count_kernel_calls();

// How often each of kernel_names() was called while calls were counted last.
std::vector<int64_t> kernel_calls();

// A table that counts the calls and hands them on to `table`.
const KernelTable& counting_table(const KernelTable& table);

}  // namespace cnnfast
