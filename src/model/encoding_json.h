// The "encoding" of model.json: how columns of a file become features.
#pragma once

#include <string>
#include <vector>

#include "data/encoding.h"
#include "model/json_fields.h"

namespace muster {

// Whether a coefficient is listed with the model: a zero of very many LIBSVM columns is not.
bool lists_coefficient(const Encoding& encoding, double value);

// The JSON text of an encoding, an object indented for its place in model.json. Names of features are not in it: they
// are those of the coefficients, in the same order. Nor are more classes than two: a model lists them itself.
std::string encoding_to_json(const Encoding& encoding);

// names: of the coefficients listed. Throws InputError naming file and key.
Encoding encoding_from_json(const JsonObject& json, const std::vector<std::string>& names);

}  // namespace muster
