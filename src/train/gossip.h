// Talk between neighbours: one round's message to every out-neighbour, one from every in-neighbour, and their average
// by the mixing weights. Nobody else is spoken to.
//
// In front of its numbers every message carries what lets the network agree without a server: quantities whose maximum
// spreads hop by hop, so that after as many exchanges as the diameter every node has the same; and quantities averaged
// by W, whose mean over the nodes is preserved (dynamic average consensus: M. Zhu, S. Martínez, Automatica 46 (2010)).
//
// Compressed, the nodes average public copies x̂ that sender and receivers keep alike, and only differences travel:
//     x̂_k ← x̂_k + C(x_k − x̂_k),   result = x_k + γ Σ_j W_kj (x̂_j − x̂_k)
// which preserves the mean whatever C loses, and what is lost stays in x_k − x̂_k, to be sent later (error feedback).
// A. Koloskova, S. Stich, M. Jaggi, "Decentralized stochastic optimization and gossip algorithms with compressed
// communication", ICML 2019 (CHOCO).
//
// Accelerated, a round has several exchanges, and the average is T_K(W/λ)/T_K(1/λ) instead of W, T_K: Chebyshev's
// polynomial, λ = |λ₂|. W. Auzinger, J. Melenk, "Iterative solution of large linear systems" (2011), and K. Scaman et
// al., "Optimal algorithms for smooth and strongly convex distributed optimization in networks", ICML 2017.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "cluster/endpoint.h"
#include "muster/error.h"
#include "train/codec.h"
#include "train/public_copy.h"
#include "train/topology.h"

namespace muster {

inline constexpr Tag kGossipTag = 0x6701;      // a round's message
inline constexpr Tag kGossipLossTag = 0x6702;  // a neighbour is lost: leave for the meeting of the survivors

struct StopAgreement {
  enum Maximum {
    kGradient,
    kDisagreement,
    kMinusValue,
    kMoved,
    kCancelled,
    kOutOfTime,
    kOutOfRounds,
    kNotFinite,
    kMaxima
  };
  enum Mean { kValue, kEnergy, kMeans };
  std::array<double, kMaxima> maxima{};
  std::array<double, kMeans> means{};
};
inline constexpr std::size_t kAgreementBytes = sizeof(StopAgreement);

struct GossipOptions {
  std::size_t copy = 0;            // of a message, the numbers that are a copy of the model (a divisor of the size)
  std::size_t message = 0;         // all numbers of a message
  bool push = false;               // the message's last number is the weight the copy is multiplied by
  std::vector<double> scale = {};  // of the squares in disagreement(), length copy
  MessageCompression compression = {};
  double consensus_step = 1;  // γ
  double chebyshev = 0;       // λ; 0: not accelerated
};

// γ to begin with: rounding to few digits contracts enough for 1; the k largest of n contract by k/n only, and its
// square is what held.
double first_consensus_step(const MessageCompression& compression, std::size_t dimension);

// Tells `peers` that a peer was lost: they leave for the meeting of the survivors.
void tell_loss(Endpoint& endpoint, std::span<const int> peers, const PeerLost& lost);
// The PeerLost that a message of tell_loss carries.
PeerLost read_loss(const Message& message);

class Gossip {
 public:
  // topology and endpoint outlive this.
  Gossip(Endpoint& endpoint, const Topology& topology, GossipOptions options);

  // Collective over neighbours. Throws PeerLost for a neighbour, or for whom a neighbour has lost.
  void mix(std::span<const double> mine, std::span<double> mixed, StopAgreement& agreement);

  std::int64_t exchanges() const { return exchanges_; }
  // Of the last mix: the largest Σ (scale_j (x_neighbour − x)_j)², and ½ Σ W_kj |x_j − x_k|².
  double disagreement() const { return disagreement_; }
  double energy() const { return energy_; }
  double waited_seconds(int node) const;
  void set_consensus_step(double step) { options_.consensus_step = step; }

 private:
  void exchange(std::span<const double> mine, std::span<double> mixed, StopAgreement& agreement);
  std::vector<std::byte> write(std::span<const double> mine, const StopAgreement& agreement);
  void hear(const WeightedNeighbour& from, std::span<const double> mine, std::span<double> mixed,
            StopAgreement& mixing);
  std::span<const double> read(int from, const Buffer& payload, StopAgreement& theirs);
  void observe(std::span<const double> mine, std::span<const double> theirs, double weight);
  bool compressed() const { return options_.compression.kind != MessageCompression::Kind::none; }

  Endpoint& endpoint_;
  const Topology& topology_;
  GossipOptions options_;
  Codec codec_;
  std::int64_t exchanges_ = 0;
  int chebyshev_exchanges_ = 1;
  double disagreement_ = 0, energy_ = 0;
  std::map<int, PublicCopy> public_;  // by node, the own one too
  std::vector<double> scratch_, before_, last_;
  std::map<int, double> waited_seconds_;
};

}  // namespace muster
