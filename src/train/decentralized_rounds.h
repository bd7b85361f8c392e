// The synchronous rules: rounds without a barrier, since a node waits for its neighbours' messages alone.
//
// How all stop in the same round without a server: what a node has seen of its own (an estimate of the gradient, the
// distance to its neighbours' copies, a wish to stop) spreads with the messages as a maximum over neighbours. After as
// many exchanges as the diameter, a window, all have the same maxima, and so come to the same decision.
#pragma once

#include <memory>
#include <optional>

#include "train/decentralized_rules.h"
#include "train/decentralized_stage.h"
#include "train/decentralized_stop.h"
#include "train/gossip.h"

namespace muster {

class RoundsStage final : public Stage {
 public:
  // context's members outlive this.
  RoundsStage(const StageContext& context, std::vector<double> start);
  ~RoundsStage() override;

  Ending train() override;
  void tighten() override;
  const std::vector<double>& w() const override { return broken_ ? best_ : rule_->w(); }

 private:
  void begin(std::vector<double> start);
  void round();
  void add_waits();
  void measure(std::span<const double> before, double value);
  void open_window();
  std::optional<Ending> decide();
  std::optional<Ending> shorten_step();

  StageContext context_;
  std::unique_ptr<Rule> rule_;
  std::unique_ptr<Gossip> gossip_;
  double step_, consensus_step_;
  int shortened_ = 0;
  std::int64_t window_exchanges_ = 1, window_begin_ = 0, rounds_ = 0;
  std::vector<double> gradient_, message_, mixed_, at_opening_, best_;
  StopAgreement agreement_;
  double last_value_ = 0;  // as added to the averaged quantities
  double square_ = 0, moved_ = 0, weight_ = 1;
  bool broken_ = false;  // a number was not finite: this node stands still until all have agreed on that
  NetworkStop stop_;
  bool measured_ = false;  // before the window began
};

}  // namespace muster
