#include "ops/kept_weights.h"

#include <algorithm>

#include "dispatch.h"

namespace cnnfast {
namespace {

constexpr size_t kMostForms = 3;         // of a layer that sees inputs of several sizes: panels and two transforms
constexpr double kMostUses = 1000;       // beyond that, making a form takes less than a few percent of a call
constexpr int64_t kSmallFloats = 16384;  // little memory, and making it is a parallel region of its own

bool same(const ConvRoute& a, const ConvRoute& b) {
  return a.loops == b.loops && a.kind.vertical == b.kind.vertical && a.kind.horizontal == b.kind.horizontal &&
         a.panel_vectors == b.panel_vectors;
}

}  // namespace

bool KeptWeights::worth_keeping(double uses, int64_t floats) { return uses <= kMostUses || floats <= kSmallFloats; }

std::shared_ptr<const void> KeptWeights::find(const ConvRoute& route) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return entry.isa == kernels().isa && same(entry.route, route);
  });
  if (found == entries_.end()) return nullptr;
  std::rotate(found, found + 1, entries_.end());
  return entries_.back().form;
}

void KeptWeights::keep(const ConvRoute& route, std::shared_ptr<const void> form) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const Entry& entry : entries_) {
    if (entry.isa == kernels().isa && same(entry.route, route)) return;
  }
  if (entries_.size() == kMostForms) entries_.erase(entries_.begin());
  entries_.push_back({kernels().isa, route, std::move(form)});
}

size_t KeptWeights::count() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return entries_.size();
}

}  // namespace cnnfast
