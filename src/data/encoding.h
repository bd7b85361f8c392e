// How columns of a file become features, decided once at training and kept with the model, so that prediction does the
// same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "muster/options.h"

namespace muster {

struct Feature {
  enum class Kind { numeric, level, power };
  std::string name;    // "carat", "cut=Ideal", "x1^2"
  std::string column;  // the column it comes from
  Kind kind = Kind::numeric;
  std::string level;  // kind level: 1 where the column has it, else 0
  int degree = 1;     // kind power
};

struct CategoricalColumn {
  std::string column;
  std::vector<std::string> levels;  // sorted bytewise; the first is the reference and has no feature
};

// What load() saw of the files, for load_part(). Not kept with a model.
struct LoadedFrom {
  std::uint64_t files = 0;         // hash of their paths and sizes
  bool target_is_text = false;     // its cells were read as levels, even where these are spelled as numbers
  std::vector<std::string> folds;  // labels of the fold column, sorted bytewise; empty: there is no such column
};

struct Encoding {
  Format format = Format::csv;      // libsvm: features are indices, there are no columns
  std::vector<Feature> features;    // in input order; a column's levels or powers follow at its place. Not of LIBSVM:
  std::size_t libsvm_features = 0;  // there may be tens of millions, and their count and base say everything
  std::vector<CategoricalColumn> categoricals;
  std::string target;          // column name; empty for LIBSVM
  std::string weight, offset;  // column names, or empty
  // Texts of the target's levels, as in the file: a row's target is the place of its level here. Logistic: the negative
  // one, then the positive. Empty for regression.
  std::vector<std::string> classes;
  MissingPolicy missing = MissingPolicy::error;
  std::map<std::string, double> fill;  // missing == mean: column -> its training mean
  int libsvm_base = 1;                 // index of the first feature in the files
  LoadedFrom loaded_from;

  std::size_t feature_count() const { return format == Format::libsvm ? libsvm_features : features.size(); }
  std::string feature_name(std::size_t feature) const {
    if (format != Format::libsvm) return features[feature].name;
    return std::to_string(static_cast<std::size_t>(libsvm_base) + feature);
  }
};

}  // namespace muster
