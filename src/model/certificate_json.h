// Certificates and stop reasons as JSON, the same in model.json and report.json.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string_view>

#include "model/json_fields.h"
#include "muster/report.h"

namespace muster {

// Numbers that are not finite, as of a diverged run, become null.
nlohmann::ordered_json certificate_to_json(const Certificate& certificate);
Certificate certificate_from_json(const JsonObject& json);

std::optional<StopReason> stop_reason_from_name(std::string_view text);

}  // namespace muster
