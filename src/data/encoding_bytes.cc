#include "data/encoding_bytes.h"

namespace muster {
namespace {

template <class T>
void put(T value, Packer& to) {
  to.number(static_cast<std::uint64_t>(value));
}
template <class T>
void get(T& value, Unpacker& from) {
  value = static_cast<T>(from.number());
}
void get(std::string& value, Unpacker& from) {
  value = from.text();
}

void put_texts(const std::vector<std::string>& texts, Packer& to) {
  to.number(texts.size());
  for (const std::string& text : texts) to.text(text);
}
void get_texts(std::vector<std::string>& texts, Unpacker& from) {
  texts.resize(from.number());
  for (std::string& text : texts) text = from.text();
}

}  // namespace

void pack(const Encoding& e, Packer& to) {
  put(e.format, to);
  to.number(e.features.size());
  for (const Feature& feature : e.features) {
    for (const std::string* text : {&feature.name, &feature.column, &feature.level}) to.text(*text);
    put(feature.kind, to);
    put(feature.degree, to);
  }
  to.number(e.libsvm_features);
  to.number(e.categoricals.size());
  for (const CategoricalColumn& column : e.categoricals) {
    to.text(column.column);
    put_texts(column.levels, to);
  }
  for (const std::string* text : {&e.target, &e.weight, &e.offset}) to.text(*text);
  put_texts(e.classes, to);
  put(e.missing, to);
  to.number(e.fill.size());
  for (const auto& [column, mean] : e.fill) {
    to.text(column);
    to.real(mean);
  }
  put(e.libsvm_base, to);
  to.number(e.loaded_from.files);
  put(e.loaded_from.target_is_text, to);
  put_texts(e.loaded_from.folds, to);
}

Encoding unpack_encoding(Unpacker& from) {
  Encoding e;
  get(e.format, from);
  e.features.resize(from.number());
  for (Feature& feature : e.features) {
    for (std::string* text : {&feature.name, &feature.column, &feature.level}) get(*text, from);
    get(feature.kind, from);
    get(feature.degree, from);
  }
  get(e.libsvm_features, from);
  e.categoricals.resize(from.number());
  for (CategoricalColumn& column : e.categoricals) {
    get(column.column, from);
    get_texts(column.levels, from);
  }
  for (std::string* text : {&e.target, &e.weight, &e.offset}) get(*text, from);
  get_texts(e.classes, from);
  get(e.missing, from);
  for (std::uint64_t n = from.number(); n > 0; --n) {
    std::string column;
    get(column, from);
    e.fill[column] = from.real();
  }
  get(e.libsvm_base, from);
  get(e.loaded_from.files, from);
  get(e.loaded_from.target_is_text, from);
  get_texts(e.loaded_from.folds, from);
  return e;
}

void pack(const LoadSummary& summary, Packer& to) {
  for (const std::int64_t n : {summary.rows_in_files, summary.rows_read, summary.rows_dropped, summary.cells_filled})
    put(n, to);
  put_texts(summary.notes, to);
}

LoadSummary unpack_summary(Unpacker& from) {
  LoadSummary summary;
  for (std::int64_t* n : {&summary.rows_in_files, &summary.rows_read, &summary.rows_dropped, &summary.cells_filled})
    get(*n, from);
  get_texts(summary.notes, from);
  return summary;
}

void pack(const std::vector<PowerFeature>& powers, Packer& to) {
  to.number(powers.size());
  for (const PowerFeature& power : powers) {
    to.number(power.feature);
    to.number(power.base);
    put(power.degree, to);
  }
}

std::vector<PowerFeature> unpack_powers(Unpacker& from) {
  std::vector<PowerFeature> powers(from.number());
  for (PowerFeature& power : powers) {
    get(power.feature, from);
    get(power.base, from);
    get(power.degree, from);
  }
  return powers;
}

}  // namespace muster
