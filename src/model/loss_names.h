// Losses by the names they have in files and options.
#pragma once

#include <optional>
#include <string_view>

#include "muster/options.h"

namespace muster {

std::string_view name(Loss loss);
std::optional<Loss> loss_from_name(std::string_view text);

}  // namespace muster
