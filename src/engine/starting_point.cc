#include "engine/starting_point.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "data/agree.h"
#include "data/csv_text.h"
#include "engine/checkpoint.h"
#include "model/loss_names.h"
#include "muster/error.h"

namespace muster {
namespace {

constexpr std::size_t kMostNamed = 5;

// The columns of an encoding by their features' names, with no table of them where names are indices.
class ColumnsByName {
 public:
  explicit ColumnsByName(const Encoding& encoding) : encoding_(encoding) {
    if (encoding.format == Format::libsvm) return;
    for (std::size_t j = 0; j < encoding.features.size(); ++j) columns_.emplace(encoding.features[j].name, j);
  }

  std::optional<std::size_t> find(std::string_view name) const {
    if (encoding_.format == Format::libsvm) return place_of_index(name);
    const auto found = columns_.find(name);
    return found == columns_.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  std::optional<std::size_t> place_of_index(std::string_view name) const {
    std::size_t index = 0;
    const auto first = static_cast<std::size_t>(encoding_.libsvm_base);
    const auto [rest, error] = std::from_chars(name.data(), name.data() + name.size(), index);
    if (error != std::errc() || rest != name.data() + name.size() || (name.size() > 1 && name[0] == '0')) return {};
    if (index < first || index - first >= encoding_.libsvm_features) return {};
    return index - first;
  }

  const Encoding& encoding_;
  std::unordered_map<std::string_view, std::size_t> columns_;
};

std::size_t features_in_common(const Encoding& a, const Encoding& b) {
  if (a.format == Format::libsvm && b.format == Format::libsvm) {
    const auto first = [](const Encoding& e) { return static_cast<std::size_t>(e.libsvm_base); };
    const std::size_t end = std::min(first(a) + a.libsvm_features, first(b) + b.libsvm_features);
    const std::size_t begin = std::max(first(a), first(b));
    return end > begin ? end - begin : 0;
  }
  const Encoding& named = a.format == Format::libsvm ? b : a;
  const ColumnsByName others(a.format == Format::libsvm ? a : b);
  return static_cast<std::size_t>(std::count_if(named.features.begin(), named.features.end(),
                                                [&](const Feature& f) { return others.find(f.name).has_value(); }));
}

// Output k of the data is `sign` times output `from[k]` of the model; none: it begins at 0.
struct OutputMap {
  std::vector<std::optional<std::size_t>> from = {0};
  double sign = 1;
};

std::string listed(const std::vector<std::string>& names, std::size_t count) {
  std::vector<std::string> quoted;
  for (std::size_t i = 0; i < std::min(names.size(), kMostNamed); ++i)
    quoted.push_back(fmt::format("'{}'", shown(names[i])));
  return fmt::format("{}{}", fmt::join(quoted, ", "), count > quoted.size() ? ", …" : "");
}

std::string in_brackets(const std::string& names) {
  return names.empty() ? "" : fmt::format(" ({})", names);
}

void note_unknown(std::string_view what, const std::string& path, std::size_t count, const std::string& names,
                  std::vector<std::string>& notes) {
  if (count > 0)
    notes.push_back(fmt::format("{} of the data that begin at 0, as the start, {}, does not have them: {}{}", what,
                                path, count, in_brackets(names)));
}

void note_left_out(std::string_view what, const std::string& path, std::size_t count, const std::string& names,
                   std::vector<std::string>& notes) {
  if (count > 0)
    notes.push_back(fmt::format("{} of the start, {}, left out, as the data do not have them: {}{}", what, path, count,
                                in_brackets(names)));
}

// Of the logistic loss, whose margin is that of its second class.
OutputMap map_two_classes(const Model& model, const std::string& path, const Encoding& encoding) {
  const std::vector<std::string>&theirs = model.encoding->classes, &ours = encoding.classes;
  if (ours == theirs) return {};
  if (ours == std::vector<std::string>(theirs.rbegin(), theirs.rend())) return {.sign = -1};
  throw InputError(
      fmt::format("{}: this model is of the levels {}, the data have {}: drop --warm-start, or give a model "
                  "of these levels",
                  path, listed(theirs, theirs.size()), listed(ours, ours.size())));
}

OutputMap map_many_classes(const Model& model, const std::string& path, const Encoding& encoding,
                           std::vector<std::string>& notes) {
  const auto place = [](const std::vector<std::string>& classes, const std::string& name) {
    const auto found = std::find(classes.begin(), classes.end(), name);
    return found == classes.end() ? std::nullopt : std::optional<std::size_t>(found - classes.begin());
  };
  OutputMap map{.from = {}};
  std::vector<std::string> fresh, gone;
  for (const std::string& level : encoding.classes) {
    map.from.push_back(place(model.classes, level));
    if (!map.from.back()) fresh.push_back(level);
  }
  for (const std::string& level : model.classes)
    if (!place(encoding.classes, level)) gone.push_back(level);
  if (fresh.size() == encoding.classes.size())
    throw InputError(
        fmt::format("{}: this model is of the classes {}, the data have {}: drop --warm-start, or give a "
                    "model of these classes",
                    path, listed(model.classes, model.classes.size()), listed(fresh, fresh.size())));
  note_unknown("classes", path, fresh.size(), listed(fresh, fresh.size()), notes);
  note_left_out("classes", path, gone.size(), listed(gone, gone.size()), notes);
  return map;
}

OutputMap map_outputs(const Model& model, const std::string& path, const Encoding& encoding,
                      std::vector<std::string>& notes) {
  switch (model.loss) {
    case Loss::logistic:
      return map_two_classes(model, path, encoding);
    case Loss::softmax:
      return map_many_classes(model, path, encoding, notes);
    case Loss::squared:
      break;
  }
  return {};
}

void note_features(const Model& model, const std::string& path, const Encoding& encoding,
                   const std::vector<std::string>& gone, std::vector<std::string>& notes) {
  const std::size_t common = features_in_common(*model.encoding, encoding);
  const std::size_t theirs = model.encoding->feature_count(), ours = encoding.feature_count();
  if (common == 0)
    throw InputError(
        fmt::format("{}: none of this model's features is among those of the data: give a model of columns "
                    "such as these, or drop --warm-start",
                    path));
  note_unknown("features", path, ours - common, "", notes);
  note_left_out("features", path, theirs - common, listed(gone, theirs - common), notes);
}

// What --resume or --warm-start names, on the rank that reads it.
StartingPoint read_start(const TrainOptions& options, const Encoding& encoding) {
  if (options.checkpoint.resume) return {last_checkpoint(options, encoding)};
  return start_from(Model::load(options.warm_start), options.warm_start, encoding, options.problem);
}

std::string pack(const StartingPoint& start) {
  Packer packer;
  packer.number(start.model ? start.model->outputs() : 0);
  if (start.model) {
    for (const double b : start.model->intercepts) packer.real(b);
    packer.number(start.model->w.size());
    for (const double w : start.model->w) packer.real(w);
  }
  packer.number(start.notes.size());
  for (const std::string& note : start.notes) packer.text(note);
  return packer.take();
}

StartingPoint unpack(const std::string& bytes) {
  Unpacker from(bytes);
  StartingPoint start;
  if (const std::uint64_t outputs = from.number(); outputs > 0) {
    start.model.emplace().intercepts.resize(outputs);
    for (double& b : start.model->intercepts) b = from.real();
    start.model->w.resize(from.number());
    for (double& w : start.model->w) w = from.real();
  }
  for (std::uint64_t n = from.number(); n > 0; --n) start.notes.emplace_back(from.text());
  return start;
}

}  // namespace

StartingPoint start_from(const Model& model, const std::string& path, const Encoding& encoding,
                         const ProblemOptions& problem) {
  if (model.loss != problem.loss)
    throw InputError(
        fmt::format("{}: this model is of --loss {}, the run of --loss {}: change --loss, or drop "
                    "--warm-start",
                    path, name(model.loss), name(problem.loss)));
  StartingPoint start;
  const OutputMap map = map_outputs(model, path, encoding, start.notes);
  const std::size_t outputs = map.from.size();
  LinearModel& found = start.model.emplace();
  found.intercepts.assign(outputs, 0.0);
  found.w.assign(encoding.feature_count() * outputs, 0.0);
  const bool many = model.loss == Loss::softmax;
  const ColumnsByName columns(encoding);
  std::vector<std::string> gone;  // the first few
  for (const Coefficient& coefficient : model.coefficients) {
    const std::optional<std::size_t> j = columns.find(coefficient.feature);
    if (!j && gone.size() < kMostNamed) gone.push_back(coefficient.feature);
    for (std::size_t k = 0; j && k < outputs; ++k)
      if (map.from[k])
        found.w[*j * outputs + k] = map.sign * (many ? coefficient.values[*map.from[k]] : coefficient.value);
  }
  note_features(model, path, encoding, gone, start.notes);
  for (std::size_t k = 0; problem.intercept && k < outputs; ++k)
    if (map.from[k]) found.intercepts[k] = map.sign * (many ? model.intercepts[*map.from[k]] : model.intercept);
  if (model.has_intercept && !problem.intercept)
    start.notes.push_back(fmt::format("the intercept of the start, {}, was left out, as --no-intercept says", path));
  return start;
}

std::optional<LinearModel> last_checkpoint(const TrainOptions& options, const Encoding& encoding) {
  if (options.checkpoint.directory.empty()) return std::nullopt;
  const std::optional<std::string> text = read_checkpoint(options.checkpoint.directory);
  if (!text) return std::nullopt;
  const std::string path = checkpoint_path(options.checkpoint.directory);
  Checkpoint checkpoint = parse_checkpoint(*text, path);
  check_compatible(checkpoint, encoding, options.problem, path);
  return std::move(checkpoint.model);
}

StartingPoint find_starting_point(const TrainOptions& options, const Encoding& encoding, Peers& peers) {
  if (!options.checkpoint.resume && options.warm_start.empty()) return {};
  const auto read = [&] { return peers.rank() == 0 ? pack(read_start(options, encoding)) : std::string(); };
  return unpack(gather_or_throw(peers, read).front());
}

}  // namespace muster
