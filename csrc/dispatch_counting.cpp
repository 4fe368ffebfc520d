// A kernel table in front of another one that counts the calls, so that tests can tell which kernels an operation
// reaches. Not in the way of any other call.
#include <array>
#include <atomic>

#include "dispatch.h"

namespace cnnfast {
namespace {

enum KernelIndex : size_t {
#define KERNEL(name, ...) name##_index,
#include "kernels/kernels.inc"
#undef KERNEL
  kernel_count
};

std::atomic<const KernelTable*> counted{nullptr};
std::array<std::atomic<int64_t>, kernel_count> calls;

template <auto kernel, KernelIndex index, typename Signature>
struct Counter;

template <auto kernel, KernelIndex index, typename Result, typename... Args>
struct Counter<kernel, index, Result(Args...)> {
  static Result call(Args... args) {
    calls[index].fetch_add(1, std::memory_order_relaxed);
    return (counted.load(std::memory_order_relaxed)->*kernel)(args...);
  }
};

}  // namespace

const KernelTable& counting_table(const KernelTable& table) {
  for (std::atomic<int64_t>& count : calls) count.store(0);
  counted.store(&table);
  static KernelTable counting;
  counting = KernelTable{
      table.isa,
      table.limits,
#define KERNEL(name, ...) &Counter<&KernelTable::name, name##_index, __VA_ARGS__>::call,
#include "kernels/kernels.inc"
#undef KERNEL
  };
  return counting;
}

std::vector<int64_t> kernel_calls() { return std::vector<int64_t>(calls.begin(), calls.end()); }

}  // namespace cnnfast
