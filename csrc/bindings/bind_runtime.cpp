#include <pybind11/stl.h>

#include "bindings/arrays.h"
#include "bindings/bind.h"
#include "dispatch.h"
#include "ops/peak.h"
#include "runtime/memory.h"
#include "runtime/parallel.h"
#include "runtime/threads.h"

namespace cnnfast {
namespace {

void warn_from_engine(const char* message) {
  const py::gil_scoped_acquire acquire;
  if (PyErr_WarnEx(PyExc_RuntimeWarning, message, 1) != 0) PyErr_WriteUnraisable(nullptr);
}

py::dict memory_stats_dict() {
  const MemoryStats stats = memory_stats();
  py::dict result;
  result["used_bytes"] = stats.used_bytes;
  result["cached_bytes"] = stats.cached_bytes;
  result["limit_bytes"] = stats.limit_bytes;
  result["allocations"] = stats.allocations;
  result["reuses"] = stats.reuses;
  return result;
}

}  // namespace

void bind_runtime(py::module_& module) {
  module.attr("__version__") = CNNFAST_VERSION;
  module.attr("compiler") = CNNFAST_COMPILER;
  module.attr("openmp") = openmp_description();

  module.def("isa", [] { return std::string(kernels().isa); });
  module.def("available_isas", &available_isas);
  module.def("select_isa", &select_isa, "Switches kernels while nothing computes: for tests and benchmarks.");
  module.def("kernel_names", &kernel_names);
  module.def("count_kernel_calls", &count_kernel_calls,
             "Counts calls of kernels from zero until select_isa: for tests.");
  module.def("kernel_calls", &kernel_calls);
  module.def("measure_peak", &measure_peak, py::arg("seconds") = 0.2, py::call_guard<py::gil_scoped_release>());

  module.def("available_processors", &available_processors);
  module.def("get_num_threads", &num_threads);
  module.def("set_num_threads", &set_num_threads);
  module.def("mark_forked", &mark_forked);
  set_fork_warning(&warn_from_engine);

  module.def("memory_stats", &memory_stats_dict);
  module.def("trim_memory", &trim_memory, py::call_guard<py::gil_scoped_release>());
  module.def("set_memory_limit", &set_memory_limit, py::call_guard<py::gil_scoped_release>());
}

}  // namespace cnnfast
