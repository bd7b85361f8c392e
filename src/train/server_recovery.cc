// How a run goes on after a loss (server_session.h): who is left, who reads the lost rows, where lost ranges come from.
#include <fmt/format.h>

#include <algorithm>
#include <exception>

#include "base/check.h"
#include "cluster/endpoint_decorator.h"
#include "muster/error.h"
#include "train/server_session.h"

namespace muster {
namespace {

// The survivors' endpoint with those it was made from, which must outlive it.
class SurvivorsEndpoint final : public EndpointDecorator {
 public:
  SurvivorsEndpoint(std::unique_ptr<Endpoint> before, std::unique_ptr<Endpoint> now)
      : EndpointDecorator(*now), before_(std::move(before)), now_(std::move(now)) {}
  std::unique_ptr<Endpoint> split(int color, int key) override { return now_->split(color, key); }
  std::unique_ptr<Endpoint> shrink(Deadline deadline) override { return now_->shrink(deadline); }
  std::unique_ptr<Endpoint> subset(std::vector<int> members) override { return now_->subset(std::move(members)); }
  void broadcast(std::span<double> values, int root, Deadline deadline) override {
    now_->broadcast(values, root, deadline);
  }
  void reduce(std::span<double> values, ReduceOp op, int root, Deadline deadline) override {
    now_->reduce(values, op, root, deadline);
  }
  void allreduce(std::span<double> values, ReduceOp op, Deadline deadline) override {
    now_->allreduce(values, op, deadline);
  }
  std::vector<Buffer> gather(Buffer mine, int root, Deadline deadline) override {
    return now_->gather(std::move(mine), root, deadline);
  }
  void barrier(Deadline deadline) override { now_->barrier(deadline); }

 private:
  std::unique_ptr<Endpoint> before_, now_;  // destroyed from the last to the first
};

}  // namespace

// Collective over the survivors. sentence: what this rank was told of the loss, or empty.
void ServerSession::recover(const std::string& sentence) {
  if (server_) server_->tell_membership();
  const std::vector<int> before = endpoint().members();
  std::unique_ptr<Endpoint> now = endpoint().shrink(Deadline::never());
  survivors_ = std::make_unique<SurvivorsEndpoint>(std::move(survivors_), std::move(now));
  std::vector<int> lost;
  std::set_difference(before.begin(), before.end(), endpoint().members().begin(), endpoint().members().end(),
                      std::back_inserter(lost));
  const std::string agreed = agree_on_sentence(sentence);
  std::vector<LostRank>& losses = result_.session.lost;
  const std::size_t first = losses.size();
  for (const int rank : lost)
    losses.push_back({rank, lost.size() == 1 ? agreed : fmt::format("rank {} was lost: {}", rank, agreed), -1});
  const int lowest = endpoint().members().front(), highest = endpoint().members().back();
  for (std::size_t i = first; i < losses.size(); ++i) {
    if (lowest >= first_server_) end_by_name(losses[i], "no worker is left");
    if (highest < first_server_) end_by_name(losses[i], "no server is left");
  }
  if (worker_) {
    result_.session.compute_seconds += worker_->compute_seconds();
    result_.session.updates[static_cast<std::size_t>(rank())] += worker_->updates();
  }
  if (coordinator_) absorb_gate();
  for (std::size_t i = first; i < losses.size(); ++i)
    if (losses[i].rank < first_server_) take_over_rows(losses[i]);
  take_over_ranges(std::span<const LostRank>(losses).subspan(first));
  worker_.reset();
  server_.reset();
  formed_ = false;
}

void ServerSession::end_by_name(const LostRank& lost, const std::string& why) const {
  throw PeerLost(lost.rank, fmt::format("{} ({})", lost.sentence, why));
}

// That of the lowest rank that has one.
std::string ServerSession::agree_on_sentence(const std::string& mine) {
  double speaker = mine.empty() ? static_cast<double>(first_.size()) : rank();
  endpoint().allreduce({&speaker, 1}, ReduceOp::min, Deadline::never());
  if (speaker >= first_.size()) return "a rank was lost";
  auto length = static_cast<double>(mine.size());
  endpoint().broadcast({&length, 1}, static_cast<int>(speaker), Deadline::never());
  std::vector<double> letters(mine.begin(), mine.end());
  letters.resize(static_cast<std::size_t>(length));
  endpoint().broadcast(letters, static_cast<int>(speaker), Deadline::never());
  std::string agreed;
  for (const double letter : letters) agreed.push_back(static_cast<char>(letter));
  return agreed;
}

// By the living worker with the fewest rows.
void ServerSession::take_over_rows(LostRank& lost) {
  const double rows = plan_.rows[plan_.place(lost.rank)];
  if (rows == 0) return;
  if (!options_.session.adopt) end_by_name(lost, "nobody can read its rows again");
  std::size_t adopter = plan_.workers.size();
  const std::vector<int>& living = endpoint().members();
  for (std::size_t k = 0; k < plan_.workers.size(); ++k) {
    if (!std::binary_search(living.begin(), living.end(), plan_.workers[k])) continue;
    if (adopter == plan_.workers.size() || plan_.rows[k] < plan_.rows[adopter]) adopter = k;
  }
  std::exception_ptr failure;
  if (plan_.workers[adopter] == rank()) {
    try {
      options_.session.adopt(lost.rank);
      for (const LostRank& earlier : result_.session.lost)  // what the lost one had taken over itself
        if (earlier.rows_taken_over_by == lost.rank) options_.session.adopt(earlier.rank);
    } catch (const Error&) {
      failure = std::current_exception();
    }
  }
  double failed = failure ? 1 : 0;
  endpoint().allreduce({&failed, 1}, ReduceOp::max, Deadline::never());
  if (failure) std::rethrow_exception(failure);
  if (failed > 0) end_by_name(lost, "its rows could not be read again");
  plan_.rows[adopter] += rows;
  for (LostRank& earlier : result_.session.lost)
    if (earlier.rows_taken_over_by == lost.rank) earlier.rows_taken_over_by = plan_.workers[adopter];
  lost.rows_taken_over_by = plan_.workers[adopter];
}

// The whole state on every rank: each range from its owner, else from a server that has a replica, else all from the
// restart point.
void ServerSession::take_over_ranges(std::span<const LostRank> losses) {
  const std::size_t servers = plan_.servers.size();
  std::vector<double> holder(servers, -1);  // the highest rank that has the range, owners before replicas
  double columns = server_ ? static_cast<double>(server_->rule().columns().size()) : 0;
  endpoint().allreduce({&columns, 1}, ReduceOp::max, Deadline::never());
  for (std::size_t s = 0; s < servers && server_; ++s) {
    if (plan_.servers[s] == rank()) holder[s] = rank() + first_.size();
    if (server_->replica(plan_.servers[s]) != nullptr) holder[s] = rank();
  }
  endpoint().allreduce(holder, ReduceOp::max, Deadline::never());
  for (std::size_t s = 0; s < servers; ++s)
    if (holder[s] < 0) return restore(losses, plan_.servers[s]);
  Columns state(static_cast<std::size_t>(columns), std::vector<double>(w_.size()));
  for (std::size_t s = 0; s < servers; ++s) {
    const KeyRange range = plan_.ranges[s];
    const int from = static_cast<int>(holder[s]) % first_.size();
    Columns part(state.size(), std::vector<double>(range.size()));
    if (from == rank())
      part = plan_.servers[s] == rank() ? server_->rule().columns() : *server_->replica(plan_.servers[s]);
    for (std::size_t c = 0; c < state.size() && range.size() > 0; ++c) {
      endpoint().broadcast(part[c], from, Deadline::never());
      std::copy(part[c].begin(), part[c].end(), state[c].begin() + static_cast<std::ptrdiff_t>(range.begin));
    }
  }
  columns_ = std::move(state);
}

// Asked of the lowest living server.
void ServerSession::restore(std::span<const LostRank> losses, int lost_server) {
  const std::vector<int>& living = endpoint().members();
  const int asked = *std::lower_bound(living.begin(), living.end(), first_server_);
  std::optional<std::vector<double>> w;
  if (asked == rank() && options_.restore) w = options_.restore();
  double found = w ? 1 : 0;
  endpoint().broadcast({&found, 1}, asked, Deadline::never());
  for (const LostRank& lost : losses)
    if (lost.rank == lost_server && found == 0)
      end_by_name(lost, "its range of the parameters had no replica and no checkpoint");
  MUSTER_CHECK(found > 0 && (!w || w->size() == w_.size()), "a restart point has one value for each coordinate");
  if (!w) w.emplace(w_.size());
  endpoint().broadcast(*w, asked, Deadline::never());
  columns_ = {std::move(*w)};
}

}  // namespace muster
