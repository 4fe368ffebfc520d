// Runs the C++ checks: all, or those whose names contain the first argument.
#include <exception>

#include "check.h"
#include "dispatch.h"
#include "runtime/threads.h"

namespace {

void run(const check::Case& item, const std::string& where) {
  check::context() = std::string(item.name) + where;
  try {
    item.run();
  } catch (const std::exception& error) {
    check::fail(__FILE__, __LINE__, std::string("threw ") + error.what());
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string wanted = argc > 1 ? argv[1] : "";
  const int default_threads = cnnfast::num_threads();
  int ran = 0;
  for (const check::Case& item : check::cases()) {
    if (std::string(item.name).find(wanted) == std::string::npos) continue;
    ++ran;
    if (!item.on_every_engine) {
      run(item, "");
      continue;
    }
    for (const std::string& isa : cnnfast::available_isas()) {
      for (int threads : {1, 2, 7}) {
        cnnfast::select_isa(isa);
        cnnfast::set_num_threads(threads);
        run(item, " [" + isa + ", " + std::to_string(threads) + " threads]");
      }
    }
    cnnfast::select_isa_from_environment();
    cnnfast::set_num_threads(default_threads);
  }
  std::cout << ran << " cases, " << check::failures() << " failed checks, instruction sets:";
  for (const std::string& isa : cnnfast::available_isas()) std::cout << " " << isa;
  std::cout << std::endl;
  return check::failures() == 0 && ran > 0 ? 0 : 1;
}
