// Messages that have arrived and wait to be received: the matching rule of Endpoint::receive, written once for every
// transport, and the byte account behind credits.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <optional>

#include "cluster/endpoint.h"

namespace muster {

// Bytes a message weighs in credits and in Traffic beside its payload: its header on the wire.
inline constexpr std::size_t kHeaderBytes = 32;

inline bool is_reserved(Tag tag) {
  return tag >= kFirstReservedTag;
}

// The receiving end. Credits are counted apart for messages of trainers and of collectives, so that neither kind, left
// unreceived, holds up the other.
class Mailbox {
 public:
  // Messages of one source must be delivered in the order they were sent.
  void deliver(Message message);

  // The earliest delivered message that fits, if any.
  std::optional<Message> take(const Match& match);

  // Bytes taken from a source and not yet given back to it as credit, if they reach at_least; then owes nothing.
  std::size_t settle(int source, bool reserved, std::size_t at_least);

  std::size_t queued() const { return messages_.size(); }

 private:
  std::list<Message> messages_;
  std::map<std::pair<int, bool>, std::size_t> owed_;
};

// The sending end: what one peer has not yet received from here.
class CreditAccount {
 public:
  bool allows(std::size_t bytes, std::size_t credit) const { return unreceived_ == 0 || unreceived_ + bytes <= credit; }
  void sent(std::size_t bytes) { unreceived_ += bytes; }
  void received(std::size_t bytes) { unreceived_ -= bytes < unreceived_ ? bytes : unreceived_; }

 private:
  std::size_t unreceived_ = 0;
};

}  // namespace muster
