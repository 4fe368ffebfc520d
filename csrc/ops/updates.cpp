#include "ops/updates.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <stdexcept>
#include <string>

#include "dispatch.h"
#include "runtime/parallel.h"

namespace cnnfast {
namespace {

constexpr int64_t kBlock = 8192;
constexpr double kWorkPerValue = 8;

struct Block {
  size_t parameter;
  int64_t begin, end;
};

struct Span {
  const float* begin;
  const float* end;
};

// Two threads must never write to the same memory.
void require_disjoint(const char* op, std::vector<Span>& written) {
  const std::less<const float*> before;
  std::sort(written.begin(), written.end(), [&](const Span& a, const Span& b) { return before(a.begin, b.begin); });
  for (size_t i = 1; i < written.size(); ++i) {
    if (before(written[i].begin, written[i - 1].end)) {
      throw std::invalid_argument(std::string(op) + ": an array appears twice among those to be updated");
    }
  }
}

// Calls body(parameter, begin, end) for blocks of every parameter.
template <typename Parameter, typename Body>
void for_each_block(const std::vector<Parameter>& parameters, const Body& body) {
  std::vector<Block> blocks;
  int64_t total = 0;
  for (size_t i = 0; i < parameters.size(); ++i) {
    for (int64_t begin = 0; begin < parameters[i].count; begin += kBlock) {
      blocks.push_back({i, begin, std::min(begin + kBlock, parameters[i].count)});
    }
    total += parameters[i].count;
  }
  const auto tasks = static_cast<int64_t>(blocks.size());
  parallel_tasks(tasks, threads_for(tasks, kWorkPerValue * static_cast<double>(total)), [&](int64_t task, int) {
    const Block& block = blocks[static_cast<size_t>(task)];
    body(parameters[block.parameter], block.begin, block.end);
  });
}

}  // namespace

void sgd_update(const std::vector<SgdParameter>& parameters, double learning_rate, double momentum, bool nesterov) {
  std::vector<Span> written;
  for (const SgdParameter& p : parameters) {
    written.push_back({p.weights, p.weights + p.count});
    if (p.velocity != nullptr) written.push_back({p.velocity, p.velocity + p.count});
  }
  require_disjoint("sgd_update", written);
  const SgdStep step = {static_cast<float>(learning_rate), static_cast<float>(momentum), nesterov};
  for_each_block(parameters, [&](const SgdParameter& p, int64_t begin, int64_t end) {
    float* velocity = p.velocity == nullptr ? nullptr : p.velocity + begin;
    kernels().sgd_update(step, p.gradient + begin, velocity, p.weights + begin, end - begin);
  });
}

void adam_update(const std::vector<AdamParameter>& parameters, int64_t step, double learning_rate, double beta_1,
                 double beta_2, double epsilon) {
  std::vector<Span> written;
  for (const AdamParameter& p : parameters) {
    for (const float* array : {p.weights, p.mean, p.square}) written.push_back({array, array + p.count});
  }
  require_disjoint("adam_update", written);
  const auto steps = static_cast<double>(step);
  const double alpha = learning_rate * std::sqrt(1 - std::pow(beta_2, steps)) / (1 - std::pow(beta_1, steps));
  const AdamStep settings = {static_cast<float>(alpha), static_cast<float>(1 - beta_1), static_cast<float>(1 - beta_2),
                             static_cast<float>(epsilon)};
  for_each_block(parameters, [&](const AdamParameter& p, int64_t begin, int64_t end) {
    kernels().adam_update(settings, p.gradient + begin, p.mean + begin, p.square + begin, p.weights + begin,
                          end - begin);
  });
}

}  // namespace cnnfast
