// What one step of an optimiser needs besides the arrays.
#pragma once

namespace cnnfast {

struct SgdStep {
  float learning_rate;
  float momentum;  // 0: there are no velocities
  bool nesterov;
};

struct AdamStep {
  float learning_rate;           // with the step's bias corrections in it
  float mean_rate, square_rate;  // 1 - beta_1 and 1 - beta_2, subtracted in double precision
  float epsilon;
};

}  // namespace cnnfast
