#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string_view>

#include "muster/error.h"
#include "train/graph.h"

namespace muster {
namespace {

constexpr double kSlack = 1e-9;  // decimals of a file sum to 1 within this
constexpr int kMostNodes = 1'000'000;

struct Word {
  std::string_view text;
  std::size_t column = 0;  // from 1
};

std::vector<Word> words_of(std::string_view line) {
  line = line.substr(0, line.find('#'));
  constexpr std::string_view kBlanks = " \t\r,";
  std::vector<Word> words;
  for (std::size_t at = line.find_first_not_of(kBlanks); at != std::string_view::npos;) {
    const std::size_t end = std::min(line.find_first_of(kBlanks, at), line.size());
    words.push_back({line.substr(at, end - at), at + 1});
    at = line.find_first_not_of(kBlanks, end);
  }
  return words;
}

class GraphReader {
 public:
  GraphReader(const std::string& path, int nodes) : path_(path), nodes_(nodes) {}

  GraphSequence read() {
    std::error_code unseen;
    if (std::filesystem::is_directory(path_, unseen)) throw InputError(path_ + ": is a directory");
    std::ifstream file(path_);
    if (!file) throw InputError(fmt::format("{}: {}", path_, std::strerror(errno)));
    std::string text;
    for (line_ = 1; std::getline(file, text); ++line_) take(words_of(text));
    if (file.bad()) throw InputError(path_ + ": cannot be read");
    if (!first_) throw InputError(path_ + ": there is no edge");
    return finished();
  }

 private:
  [[noreturn]] void refuse(std::size_t column, const std::string& why) const {
    throw InputError(fmt::format("{}:{}:{}: {}", path_, line_, column, why));
  }

  void take(const std::vector<Word>& words) {
    if (words.empty()) return;
    if (words.front().text.front() >= 'a' && words.front().text.front() <= 'z') return take_header(words);
    if (words.size() < 2 || words.size() > 3)
      refuse(words.size() > 3 ? words[3].column : words.back().column, "an edge is 'a b' or 'a b weight'");
    const int a = node(words[0]), b = node(words[1]);
    const bool weighted = words.size() == 3;
    if (!first_) first_ = line_, weighted_ = weighted;
    if (weighted != weighted_)
      refuse(words.back().column, fmt::format("this edge has {} weight, and line {} has {}", weighted ? "a" : "no",
                                              *first_, weighted ? "none" : "one"));
    add(a, b, weighted ? weight(words[2]) : 0, words[0].column);
  }

  void take_header(const std::vector<Word>& words) {
    const std::string_view kind = words[0].text;
    if (kind != "directed" && kind != "undirected")
      refuse(words[0].column, fmt::format("'{}' is neither a node nor 'directed' or 'undirected'", kind));
    if (first_ || headed_) refuse(words[0].column, fmt::format("'{}' comes once, before the edges", kind));
    headed_ = true;
    graph_.directed = kind == "directed";
    if (words.size() == 1) return;
    if (!graph_.directed || words.size() > 2 || words[1].text != "columns")
      refuse(words[1].column, "after 'directed' may follow 'columns', and nothing else");
    graph_.by_column = true;
  }

  int node(const Word& word) const {
    int number = 0;
    const auto [rest, error] = std::from_chars(word.text.data(), word.text.data() + word.text.size(), number);
    if (error != std::errc() || rest != word.text.data() + word.text.size() || number < 0 || number >= kMostNodes)
      refuse(word.column, fmt::format("'{}' is not a node: nodes are numbered from 0", word.text));
    if (nodes_ > 0 && number >= nodes_)
      refuse(word.column, fmt::format("there is no node {} among {}: they are numbered from 0", number, nodes_));
    return number;
  }

  double weight(const Word& word) const {
    double number = 0;
    const auto [rest, error] = std::from_chars(word.text.data(), word.text.data() + word.text.size(), number);
    if (error != std::errc() || rest != word.text.data() + word.text.size() || !(number >= 0 && number <= 1 + kSlack))
      refuse(word.column, fmt::format("'{}' is not a weight, a number from 0 to 1", word.text));
    return number;
  }

  void add(int a, int b, double w, std::size_t column) {
    if (a == b && !weighted_) refuse(column, fmt::format("node {} is joined to itself, which needs a weight", a));
    if (a != b && weighted_ && w == 0) refuse(column, "an edge of weight 0 is none");
    const bool turn = !graph_.directed && a > b;
    const Edge edge{turn ? b : a, turn ? a : b};
    const auto [before, fresh] = lines_.insert({{edge.from, edge.to}, line_});
    if (!fresh) refuse(column, fmt::format("the edge {} {} is also on line {}", a, b, before->second));
    last_ = std::max({last_, a, b});
    if (a == b) {
      selves_[a] = w;
    } else {
      edges_.push_back(edge);
      if (weighted_) graph_.weights.push_back(w);
    }
    touched_[graph_.by_column ? a : b] = {line_, column};
    if (!graph_.directed) touched_[a] = {line_, column};
  }

  // What a node's own weight must be for its row (or column) to sum to 1, and whether the file agrees.
  void close_sums() {
    std::vector<double> sums(static_cast<std::size_t>(graph_.nodes), 0.0);
    for (std::size_t e = 0; e < edges_.size(); ++e) {
      sums[static_cast<std::size_t>(graph_.by_column ? edges_[e].from : edges_[e].to)] += graph_.weights[e];
      if (!graph_.directed) sums[static_cast<std::size_t>(edges_[e].from)] += graph_.weights[e];
    }
    for (const auto& [k, place] : touched_) {
      const double others = sums[static_cast<std::size_t>(k)];
      const auto self = selves_.find(k);
      const double sum = others + (self == selves_.end() ? 0 : self->second);
      if (self == selves_.end() ? sum <= 1 + kSlack : std::abs(sum - 1) <= kSlack) continue;
      line_ = place.first;
      refuse(place.second, fmt::format("the weights of {} {} sum to {:.10g}, not 1 (this is the last of them)",
                                       graph_.by_column ? "column" : "row", k, sum));
    }
    for (double sum : sums) graph_.selves.push_back(1 - sum);
  }

  GraphSequence finished() {
    graph_.name = "file:" + path_;
    graph_.nodes = nodes_ > 0 ? nodes_ : last_ + 1;
    if (weighted_) close_sums();
    graph_.rounds.push_back(std::move(edges_));
    return std::move(graph_);
  }

  const std::string& path_;
  int nodes_;
  std::size_t line_ = 0;
  std::optional<std::size_t> first_;  // line of the first edge
  bool weighted_ = false, headed_ = false;
  int last_ = 0;
  GraphSequence graph_;
  std::vector<Edge> edges_;
  std::map<int, double> selves_;
  std::map<std::pair<int, int>, std::size_t> lines_;            // edge -> its line
  std::map<int, std::pair<std::size_t, std::size_t>> touched_;  // row or column of W -> its last line and column
};

}  // namespace

GraphSequence read_graph(const std::string& path, int nodes) {
  if (path.empty()) throw InputError("file takes a path, as in file:graph.txt");
  return GraphReader(path, nodes).read();
}

}  // namespace muster
