// The asynchronous form: no rounds; every node takes steps at its own pace, and averages with one neighbour at a time
// (pairwise_rule.h).
//
// An exchange is atomic. The asker sends its copy and changes nothing of its own until it has the answer; the asked,
// when it next looks (after the gradient it is computing), does its half at once and answers with its copy as it was.
// Both then know the same difference, and the instant of the answer is that of the exchange.
//
// No deadlock. A node that waits for an answer itself is asked meanwhile: an asker of lower rank it refuses at once,
// one of higher rank it lets wait until its own answer is there. So whoever waits because of another's waiting waits
// for a lower rank, and no circle can close. Refused, a node asks somebody else or takes its next step.
//
// Each at its own pace. A node asks those alone that are not much slower than itself, so it waits for about one of its
// own gradients at most; slower ones will ask it. A node that was asked since its last step need not ask. Who is much
// faster is asked after every step beside: it answers soon, and might else meet nobody. A node that has taken
// kMostStepsAhead steps in one phase of the agreement (phased_maxima.h) waits for its neighbours to go on: what is
// older may be a node that is lost, and to wait is to find out.
//
// Compressed, δ is taken from the public copies (public_copy.h) of the two, one pair of copies for each edge: the same
// numbers on both sides, so the means are kept whatever a message loses.
//
// Stopping: the same decision by all, from the same maxima (decentralized_stop.h). Then a node says goodbye to its
// neighbours and refuses until it has theirs; after that no message is under way.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "train/decentralized_stage.h"
#include "train/decentralized_stop.h"
#include "train/pairwise_messages.h"
#include "train/pairwise_rule.h"
#include "train/phased_maxima.h"

namespace muster {

class PairwiseStage final : public Stage {
 public:
  // context's members outlive this.
  PairwiseStage(const StageContext& context, std::vector<double> start);
  ~PairwiseStage() override;

  Ending train() override;
  void tighten() override;
  const std::vector<double>& w() const override { return broken_ ? best_ : rule_->w(); }

 private:
  // What this node knows of a neighbour.
  struct Link {
    double weight = 0;            // in W
    PublicCopy own, theirs;       // of what each has told the other
    double distance = 0;          // at the last exchange, squared, of the copies as told
    double scaled_distance = -1;  // likewise, as the estimate of the gradient is scaled; -1: none yet
    std::int64_t last = 0;        // exchange of this node's
    double pace_seconds = 0;
    double waited_seconds = 0;
    bool gone = false;  // said goodbye
  };

  void begin(std::vector<double> start);
  bool may_step() const;
  void step();
  void measure(double value);

  // --- exchanges ---
  void exchange_with_neighbours();
  bool ask(int neighbour);
  void answer(int asker, const PairMessage& message, std::span<const std::byte> copy);
  void average(Link& link, const PairMessage& message, PairwiseRule::Role role);
  PairMessage say(PairMessage::Kind kind) const;

  // --- messages ---
  void hear_all();
  void hear(Message message);
  Message receive();

  // --- the agreement ---
  void advance();
  void tell_maxima();
  PhasedMaxima::Maxima seen();
  void decide();
  void leave();

  StageContext context_;
  std::vector<int> neighbours_;
  std::map<int, Link> links_;
  Codec codec_;
  std::unique_ptr<PairwiseRule> rule_;
  double step_, dual_step_ = 0.5, consensus_step_;
  int shortened_ = 0;
  std::int64_t generation_ = 0, exchanges_ = 0;
  std::int64_t steps_since_exchange_ = 0, steps_in_phase_ = 0;
  bool exchanged_since_step_ = false;
  double pace_seconds_ = 0;
  int asked_ = -1;                 // whose answer this node waits for
  std::vector<Message> deferred_;  // asks meanwhile
  std::vector<double> gradient_, difference_, before_, at_opening_, best_;
  std::array<double, StopAgreement::kMeans> means_{};
  double last_value_ = 0, last_energy_ = 0;  // as added to the means
  double square_ = 0, moved_ = 0;
  bool measured_ = false;  // since it began anew, or came back from a meeting
  bool broken_ = false;    // a number was not finite: this node stands still until all have agreed on that
  PhasedMaxima phases_;
  NetworkStop stop_;
  std::int64_t windows_ = 0, diameter_ = 1;
  std::optional<Ending> ending_;
};

}  // namespace muster
