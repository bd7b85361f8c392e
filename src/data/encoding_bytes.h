// What load() tells besides rows, as bytes that the same build reads again.
#pragma once

#include <vector>

#include "data/agree.h"
#include "data/load.h"

namespace muster {

void pack(const Encoding& encoding, Packer& to);
Encoding unpack_encoding(Unpacker& from);

void pack(const LoadSummary& summary, Packer& to);
LoadSummary unpack_summary(Unpacker& from);

void pack(const std::vector<PowerFeature>& powers, Packer& to);
std::vector<PowerFeature> unpack_powers(Unpacker& from);

}  // namespace muster
