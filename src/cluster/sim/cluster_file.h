// A cluster to simulate, read from a TOML file (https://toml.io, version 1.0); docs/SIMULATION.md has its schema.
#pragma once

#include <string>
#include <string_view>

#include "cluster/sim/cluster_model.h"

namespace muster {

// Throws InputError naming file, line, column and key: no such file, not TOML, an unknown key (with the nearest known
// one), a value of the wrong type or out of range.
ClusterModel read_cluster_file(const std::string& path);

// The same of text that came from `path`.
ClusterModel parse_cluster(std::string_view text, const std::string& path);

}  // namespace muster
