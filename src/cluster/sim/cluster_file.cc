#include "cluster/sim/cluster_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>

#include "cluster/sim/toml_fields.h"
#include "muster/error.h"

namespace muster {

namespace {

using Range = TomlFields::Range;

constexpr std::int64_t kMostNodes = 1'000'000;

// A number, a list of numbers, or a table that names its distribution.
void read_distribution(TomlFields& fields, const std::string& key, Distribution& result) {
  const toml::node* node = fields.raw(key);
  if (node == nullptr) return;
  if (node->is_number()) {
    double value = 1;
    fields.number(key, value, Range::not_negative);
    result = Distribution::constant(value);
    return;
  }
  if (node->is_array()) {
    std::vector<double> values;
    fields.numbers(key, values, Range::not_negative);
    result = Distribution::empirical(values);
    return;
  }
  if (!node->is_table())
    fields.fail(*node, fmt::format("'{}' in {} must be a number, a list, or a table", key, fields.name()));
  TomlFields own(*node->as_table(), fields.path(), fields.dotted(key));
  std::string name;
  if (!own.text("distribution", name)) own.fail(fmt::format("{} must say its 'distribution'", own.name()));
  const auto need = [&own](const std::string& parameter, double& value, Range range) {
    if (!own.number(parameter, value, range)) own.fail(fmt::format("'{}' is missing in {}", parameter, own.name()));
  };
  result = {};
  if (name == "constant") {
    need("value", result.a, Range::not_negative);
  } else if (name == "uniform") {
    result.kind = Distribution::Kind::uniform;
    need("low", result.a, Range::not_negative);
    need("high", result.b, Range::not_negative);
    if (result.b < result.a) own.fail(fmt::format("'high' is below 'low' in {}", own.name()));
  } else if (name == "exponential") {
    result.kind = Distribution::Kind::exponential;
    need("mean", result.a, Range::not_negative);
  } else if (name == "lognormal") {
    result.kind = Distribution::Kind::lognormal;
    own.number("median", result.a, Range::not_negative);
    need("sigma", result.b, Range::not_negative);
  } else if (name == "pareto") {
    result.kind = Distribution::Kind::pareto;
    own.number("minimum", result.a, Range::not_negative);
    need("shape", result.b, Range::positive);
  } else if (name == "empirical") {
    result.kind = Distribution::Kind::empirical;
    if (!own.numbers("values", result.values, Range::not_negative))
      own.fail(fmt::format("'values' is missing in {}", own.name()));
  } else {
    own.fail(fmt::format("distribution '{}' is unknown: constant, uniform, exponential, lognormal, pareto, empirical",
                         name));
  }
  own.finish();
}

void read_link(TomlFields& fields, LinkModel& link) {
  fields.number("latency_seconds", link.latency_seconds, Range::not_negative);
  fields.number("jitter_seconds", link.jitter_seconds, Range::not_negative);
  fields.number("bandwidth", link.bandwidth, Range::positive);
  fields.number("send_overhead_seconds", link.send_overhead_seconds, Range::not_negative);
  fields.number("receive_overhead_seconds", link.receive_overhead_seconds, Range::not_negative);
}

class Reader {
 public:
  Reader(const toml::table& table, const std::string& path) : root_(table, path, "") {}

  ClusterModel read() {
    std::int64_t seed = 0, tie_seed = 0;
    model_.name = root_.path();
    root_.text("name", model_.name);
    if (root_.integer("seed", seed, 0)) model_.seed = static_cast<std::uint64_t>(seed);
    if (root_.integer("tie_seed", tie_seed, 0)) model_.tie_seed = static_cast<std::uint64_t>(tie_seed);
    root_.number("silence_seconds", model_.silence_seconds, Range::positive);
    root_.number("header_bytes", model_.header_bytes, Range::not_negative);
    root_.number("poll_seconds", model_.poll_seconds, Range::positive);
    if (std::optional<TomlFields> node = root_.table("node")) {
      read_node(*node, defaults_);
      node->finish();
    }
    model_.default_node = defaults_.node;
    model_.default_host = defaults_.host;
    root_.tables("nodes", [this](TomlFields& fields) { read_nodes(fields); });
    read_links();
    read_failures();
    root_.finish();
    return std::move(model_);
  }

 private:
  struct Described {
    NodeModel node;
    HostModel host;
  };

  int site(const std::string& name) {
    const auto found = std::find(sites_.begin(), sites_.end(), name);
    if (found != sites_.end()) return static_cast<int>(found - sites_.begin());
    sites_.push_back(name);
    return static_cast<int>(sites_.size()) - 1;
  }

  void read_node(TomlFields& fields, Described& into) {
    fields.number("flops_per_second", into.node.flops_per_second, Range::positive);
    fields.number("bytes_per_second", into.node.bytes_per_second, Range::positive);
    read_distribution(fields, "factor", into.node.factor);
    read_distribution(fields, "round_factor", into.node.round_factor);
    fields.number("out_bandwidth", into.host.out_bandwidth, Range::positive);
    fields.number("in_bandwidth", into.host.in_bandwidth, Range::positive);
    std::string site_name;
    if (fields.text("site", site_name)) into.host.site = site(site_name);
  }

  void read_nodes(TomlFields& fields) {
    Described described = defaults_;
    read_node(fields, described);
    std::int64_t count = 1, per_host = 1;
    std::string name = "node";
    fields.integer("count", count, 1);
    fields.integer("per_host", per_host, 1);
    fields.text("host", name);
    if (count > kMostNodes) fields.fail("a simulated cluster has at most a million nodes");
    for (std::int64_t k = 0; k < count; ++k) {
      if (k % per_host == 0) {
        HostModel host = described.host;
        host.name = fmt::format("{}{}", name, hosts_named_[name]++);
        model_.hosts.push_back(host);
      }
      described.node.host = static_cast<int>(model_.hosts.size()) - 1;
      model_.nodes.push_back(described.node);
    }
  }

  void read_links() {
    std::optional<TomlFields> links = root_.table("links");
    if (!links) return;
    if (std::optional<TomlFields> inter = links->table("inter_host")) {
      read_link(*inter, model_.inter_host);
      inter->finish();
    }
    if (std::optional<TomlFields> intra = links->table("intra_host")) {
      read_link(*intra, model_.intra_host);
      intra->finish();
    }
    links->tables("between", [this](TomlFields& fields) {
      SiteLink link;
      link.link = model_.inter_host;
      std::vector<std::string> names;
      if (!fields.texts("sites", names) || names.size() != 2 || names[0] == names[1]) {
        fields.fail("'sites' in [[links.between]] must name two sites");
      }
      for (const std::string& name : names) {
        if (std::find(sites_.begin(), sites_.end(), name) == sites_.end()) {
          fields.fail(fmt::format("no node is at the site '{}'", name));
        }
      }
      link.first = site(names[0]);
      link.second = site(names[1]);
      read_link(fields, link.link);
      model_.site_links.push_back(link);
    });
    links->finish();
  }

  int node_number(TomlFields& fields) {
    std::int64_t node = 0;
    if (!fields.integer("node", node, 0)) fields.fail(fmt::format("'node' is missing in {}", fields.name()));
    check_node(fields, node);
    return static_cast<int>(node);
  }
  void check_node(TomlFields& fields, std::int64_t node) {
    const auto count = static_cast<std::int64_t>(model_.nodes.size());
    if (count != 0 && node >= count) {
      fields.fail(fmt::format("there is no node {}: the cluster has nodes 0 to {}", node, count - 1));
    }
  }

  void read_failures() {
    std::optional<TomlFields> failures = root_.table("failures");
    if (!failures) return;
    failures->number("deaths_per_second", model_.deaths_per_second, Range::not_negative);
    failures->number("pauses_per_second", model_.pauses_per_second, Range::not_negative);
    read_distribution(*failures, "pause_seconds", model_.pause_seconds);
    failures->tables("deaths", [this](TomlFields& fields) {
      NodeDeath death{.node = node_number(fields)};
      fields.number("at", death.at, Range::not_negative);
      model_.deaths.push_back(death);
    });
    failures->tables("pauses", [this](TomlFields& fields) {
      NodePause pause{.node = node_number(fields)};
      fields.number("at", pause.at, Range::not_negative);
      if (!fields.number("seconds", pause.seconds, Range::positive))
        fields.fail("'seconds' is missing in [[failures.pauses]]");
      model_.pauses.push_back(pause);
    });
    failures->tables("links", [this](TomlFields& fields) { read_link_fault(fields); });
    failures->finish();
  }

  void read_link_fault(TomlFields& fields) {
    LinkFault fault;
    fields.integers("nodes", fault.nodes);
    fields.integers("others", fault.others);
    for (const int node : fault.nodes) check_node(fields, node);
    for (const int node : fault.others) check_node(fields, node);
    fields.number("at", fault.at, Range::not_negative);
    fields.number("until", fault.until, Range::positive);
    fields.flag("cut", fault.cut);
    fields.number("loss", fault.loss, Range::chance);
    fields.number("retransmit_seconds", fault.retransmit_seconds, Range::positive);
    fields.number("delay_seconds", fault.delay_seconds, Range::not_negative);
    if (fault.loss == 1 && fault.retransmit_seconds < kForever) {
      fields.fail("'loss' of 1 never lets a message pass: use 'cut', or 'retransmit_seconds' = inf");
    }
    if (!fault.cut && fault.loss == 0 && fault.delay_seconds == 0) {
      fields.fail("a link fault needs 'cut', 'loss' or 'delay_seconds'");
    }
    model_.link_faults.push_back(fault);
  }

  TomlFields root_;
  ClusterModel model_;
  Described defaults_;
  std::vector<std::string> sites_{""};  // 0: of nodes that name none
  std::map<std::string, int> hosts_named_;
};

}  // namespace

ClusterModel parse_cluster(std::string_view text, const std::string& path) {
  try {
    const toml::table table = toml::parse(text, path);
    return Reader(table, path).read();
  } catch (const toml::parse_error& error) {
    const toml::source_position where = error.source().begin;
    throw InputError(fmt::format("{}:{}:{}: {}", path, where.line, where.column, error.description()));
  }
}

ClusterModel read_cluster_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file) throw InputError(fmt::format("{}: {}", path, std::strerror(errno)));
  return parse_cluster(text, path);
}

}  // namespace muster
