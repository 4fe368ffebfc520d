// Weights in the forms that the loops of a convolution read (panels, transformed panels), kept from call to call.
//
// Making a form costs a few passes over the weights. Where every weight meets thousands of outputs that is nothing, and
// the form is made anew, because it would only occupy memory. Where it meets few, as with single images in the late
// layers of a network, it takes as long as the products: then the form is kept.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "ops/conv_route.h"

namespace cnnfast {

class KeptWeights {
 public:
  // The form that these loops read. Make() returns a shared_ptr to a new one. `uses`: how many products a weight of the
  // form takes part in; `floats`: the size of the form.
  template <class Form, class Make>
  std::shared_ptr<const Form> form(const ConvRoute& route, double uses, int64_t floats, const Make& make) {
    std::shared_ptr<const void> found = find(route);
    // Made outside the lock: threads that come at the same time may each make one, and one of them is kept.
    if (found == nullptr) {
      found = make();
      if (worth_keeping(uses, floats)) keep(route, found);
    }
    return std::static_pointer_cast<const Form>(found);
  }

  // How many forms are kept.
  size_t count() const;

 private:
  struct Entry {
    const char* isa;
    ConvRoute route;
    std::shared_ptr<const void> form;
  };

  static bool worth_keeping(double uses, int64_t floats);
  std::shared_ptr<const void> find(const ConvRoute& route);
  void keep(const ConvRoute& route, std::shared_ptr<const void> form);

  mutable std::mutex mutex_;
  std::vector<Entry> entries_;  // what was used last comes last
};

// `kept` may be null: then a form lives for one call.
template <class Form, class Make>
std::shared_ptr<const Form> kept_form(KeptWeights* kept, const ConvRoute& route, double uses, int64_t floats,
                                      const Make& make) {
  return kept == nullptr ? make() : kept->form<Form>(route, uses, floats, make);
}

}  // namespace cnnfast
