#include "engine/part_results.h"

#include <fmt/format.h>

namespace muster {
namespace {

template <class Range, class Predicate>
bool any(const Range& range, Predicate predicate) {
  return std::any_of(range.begin(), range.end(), predicate);
}

void add(WorkerReport& worker, const WorkerReport& other) {
  worker.rows += other.rows;
  worker.columns += other.columns;
  worker.compute_seconds += other.compute_seconds;
  worker.wait_seconds += other.wait_seconds;
  worker.communicate_seconds += other.communicate_seconds;
  worker.bytes_sent += other.bytes_sent;
  worker.messages_sent += other.messages_sent;
  worker.updates += other.updates;
  worker.waited_for_seconds += other.waited_for_seconds;
}

bool trains(const Report& report, int rank) {
  return any(report.parts,
             [rank](const PartReport& part) { return std::binary_search(part.nodes.begin(), part.nodes.end(), rank); });
}

}  // namespace

void note_losses(const std::vector<LostRank>& all, std::vector<std::string>& notes) {
  for (const LostRank& lost : all) {
    const std::string heir = lost.rows_taken_over_by < 0
                                 ? ""
                                 : fmt::format(", and its rows were taken over by rank {}", lost.rows_taken_over_by);
    notes.push_back(fmt::format("rank {} was lost on the way{}: {}", lost.rank, heir, lost.sentence));
  }
}

// What a part does not know of is 0 in its report.
void add_part(Report& whole, const Report& part) {
  whole.parts.push_back(part.parts.front());
  whole.train_seconds = std::max(whole.train_seconds, part.train_seconds);
  for (std::size_t r = 0; r < whole.workers.size(); ++r) add(whole.workers[r], part.workers[r]);
  std::vector<double>& distance = whole.network->consensus_distance;
  for (std::size_t r = 0; r < distance.size(); ++r) distance[r] += part.network->consensus_distance[r];
  for (const std::string& note : part.notes)
    if (std::find(whole.notes.begin(), whole.notes.end(), note) == whole.notes.end()) whole.notes.push_back(note);
  for (const LostRank& lost : part.lost) {
    const auto same = [&](const LostRank& known) { return known.rank == lost.rank; };
    const auto known = std::find_if(whole.lost.begin(), whole.lost.end(), same);
    if (known == whole.lost.end())
      whole.lost.push_back(lost);
    else if (trains(part, lost.rows_taken_over_by))  // an heir that died later is known to its own part alone
      *known = lost;
  }
}

void complete_parts(Report& whole, const std::vector<LostRank>& failed) {
  for (int rank = 0; rank < static_cast<int>(whole.workers.size()); ++rank) {
    const auto is_it = [rank](const LostRank& lost) { return lost.rank == rank; };
    if (trains(whole, rank) || any(whole.lost, is_it)) continue;
    const auto why = std::find_if(failed.begin(), failed.end(), is_it);
    whole.lost.push_back(why != failed.end() ? *why
                                             : LostRank{rank, fmt::format("rank {} was lost with its part", rank), -1});
  }
  for (LostRank& lost : whole.lost) {
    if (!trains(whole, lost.rows_taken_over_by)) lost.rows_taken_over_by = -1;
    whole.workers[static_cast<std::size_t>(lost.rank)].role = "lost";
  }
  std::sort(whole.lost.begin(), whole.lost.end(), [](const LostRank& a, const LostRank& b) { return a.rank < b.rank; });
  note_losses(whole.lost, whole.notes);
}

}  // namespace muster
