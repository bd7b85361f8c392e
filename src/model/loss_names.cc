#include "model/loss_names.h"

namespace muster {

std::string_view name(Loss loss) {
  switch (loss) {
    case Loss::logistic:
      return "logistic";
    case Loss::softmax:
      return "softmax";
    case Loss::squared:
      break;
  }
  return "squared";
}

std::optional<Loss> loss_from_name(std::string_view text) {
  for (const Loss loss : {Loss::squared, Loss::logistic, Loss::softmax})
    if (text == name(loss)) return loss;
  return std::nullopt;
}

}  // namespace muster
