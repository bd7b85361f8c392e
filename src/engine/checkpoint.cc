#include "engine/checkpoint.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "model/loss_names.h"
#include "muster/error.h"

namespace muster {

namespace {

constexpr const char* kFormat = "muster-checkpoint-2";

// Values at their places among so many zeros.
void spread(const std::vector<std::size_t>& places, std::size_t count, const std::string& path,
            std::vector<double>& values) {
  std::vector<double> all(count, 0.0);
  bool good = places.size() == values.size();
  for (std::size_t i = 0; good && i < places.size(); ++i) {
    good = places[i] < count;
    if (good) all[places[i]] = values[i];
  }
  if (!good) throw InputError(fmt::format("{}: damaged checkpoint: coefficients without a place", path));
  values = std::move(all);
}

}  // namespace

std::string serialise(const Checkpoint& checkpoint) {
  nlohmann::ordered_json json;
  json["format"] = kFormat;
  json["loss"] = name(checkpoint.loss);
  json["round"] = checkpoint.round;
  json["has_intercept"] = checkpoint.intercept;
  json["intercepts"] = checkpoint.model.intercepts;
  json["classes"] = checkpoint.classes;
  if (!checkpoint.indices) {
    json["features"] = checkpoint.features;
    json["coefficients"] = checkpoint.model.w;
    return json.dump() + "\n";
  }
  json["first_index"] = checkpoint.indices->first;
  json["indices"] = checkpoint.indices->count;
  std::vector<std::size_t> places;  // of those that are not 0, of columns × outputs
  std::vector<double> values;
  for (std::size_t i = 0; i < checkpoint.model.w.size(); ++i) {
    if (checkpoint.model.w[i] == 0) continue;
    places.push_back(i);
    values.push_back(checkpoint.model.w[i]);
  }
  json["places"] = places;
  json["coefficients"] = values;
  return json.dump() + "\n";
}

Checkpoint parse_checkpoint(const std::string& text, const std::string& path) {
  try {
    const nlohmann::json json = nlohmann::json::parse(text);
    if (json.at("format") != kFormat) {
      throw InputError(
          fmt::format("{}: not a checkpoint of this version of Muster (format {})", path, json.at("format").dump()));
    }
    Checkpoint checkpoint;
    const std::string loss = json.at("loss");
    const std::optional<Loss> known = loss_from_name(loss);
    if (!known) throw InputError(fmt::format("{}: damaged checkpoint: there is no loss '{}'", path, loss));
    checkpoint.loss = *known;
    checkpoint.round = json.at("round");
    checkpoint.intercept = json.at("has_intercept");
    checkpoint.model.intercepts = json.at("intercepts").get<std::vector<double>>();
    checkpoint.classes = json.at("classes").get<std::vector<std::string>>();
    const std::size_t outputs = checkpoint.model.outputs();
    checkpoint.model.w = json.at("coefficients").get<std::vector<double>>();
    if (json.contains("indices")) {
      checkpoint.indices = {json.at("first_index").get<int>(), json.at("indices").get<std::size_t>()};
      spread(json.at("places").get<std::vector<std::size_t>>(), checkpoint.indices->count * outputs, path,
             checkpoint.model.w);
      return checkpoint;
    }
    checkpoint.features = json.at("features").get<std::vector<std::string>>();
    if (outputs == 0 || checkpoint.model.w.size() != checkpoint.features.size() * outputs) {
      throw InputError(fmt::format("{}: damaged checkpoint: {} coefficients for {} features", path,
                                   checkpoint.model.w.size(), checkpoint.features.size()));
    }
    return checkpoint;
  } catch (const nlohmann::json::exception& error) {
    throw InputError(fmt::format("{}: damaged checkpoint: {}", path, error.what()));
  }
}

void check_compatible(const Checkpoint& checkpoint, const Encoding& encoding, const ProblemOptions& problem,
                      const std::string& path) {
  if (checkpoint.loss != problem.loss) {
    throw InputError(fmt::format("{}: the checkpoint is of a run with --loss {}, this one has --loss {}", path,
                                 name(checkpoint.loss), name(problem.loss)));
  }
  if (checkpoint.intercept != problem.intercept) {
    throw InputError(fmt::format("{}: the checkpoint is of a run {} --no-intercept, this one is {} it", path,
                                 checkpoint.intercept ? "without" : "with", problem.intercept ? "without" : "with"));
  }
  if (checkpoint.classes != encoding.classes) {
    throw InputError(fmt::format("{}: the checkpoint is of a target of the levels {}, the data have {}", path,
                                 fmt::join(checkpoint.classes, ", "), fmt::join(encoding.classes, ", ")));
  }
  const std::size_t outputs = problem.loss == Loss::softmax ? encoding.classes.size() : 1;
  if (checkpoint.model.outputs() != outputs) {
    throw InputError(fmt::format("{}: damaged checkpoint: {} intercepts where the model has {}", path,
                                 checkpoint.model.outputs(), outputs));
  }
  const std::size_t count = checkpoint.indices ? checkpoint.indices->count : checkpoint.features.size();
  if (count != encoding.feature_count()) {
    throw InputError(
        fmt::format("{}: the checkpoint has {} features, the data have {}", path, count, encoding.feature_count()));
  }
  if (checkpoint.indices.has_value() != (encoding.format == Format::libsvm)) {
    throw InputError(fmt::format("{}: the checkpoint is of {}, the data are {}", path,
                                 checkpoint.indices ? "a LIBSVM file" : "named columns",
                                 checkpoint.indices ? "named columns" : "a LIBSVM file"));
  }
  if (checkpoint.indices && checkpoint.indices->first != encoding.libsvm_base) {
    throw InputError(fmt::format("{}: the indices of the checkpoint start at {}, those of the data at {}", path,
                                 checkpoint.indices->first, encoding.libsvm_base));
  }
  for (std::size_t j = 0; j < checkpoint.features.size(); ++j) {
    if (checkpoint.features[j] != encoding.features[j].name) {
      throw InputError(fmt::format("{}: feature {} is '{}' in the checkpoint and '{}' in the data", path, j + 1,
                                   checkpoint.features[j], encoding.features[j].name));
    }
  }
}

std::string checkpoint_path(const std::string& directory) {
  return (std::filesystem::path(directory) / "checkpoint.json").string();
}

void make_checkpoint_directory(const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) throw InputError(fmt::format("cannot make the checkpoint directory {}: {}", directory, error.message()));
}

std::optional<std::string> read_checkpoint(const std::string& directory) {
  const std::string path = checkpoint_path(directory);
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    if (errno == ENOENT) return std::nullopt;
    throw InputError(fmt::format("cannot read {}: {}", path, std::strerror(errno)));
  }
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

}  // namespace muster
