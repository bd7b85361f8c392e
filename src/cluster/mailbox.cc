#include "cluster/mailbox.h"

#include <algorithm>
#include <utility>

namespace muster {

namespace {

template <class T>
bool contains(const std::vector<T>& values, T value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

bool fits(const Match& match, const Message& message) {
  const bool tag_fits = match.tags.empty() ? !is_reserved(message.tag) : contains(match.tags, message.tag);
  return tag_fits && (match.sources.empty() || contains(match.sources, message.source));
}

}  // namespace

void Mailbox::deliver(Message message) {
  messages_.push_back(std::move(message));
}

std::optional<Message> Mailbox::take(const Match& match) {
  const auto found = std::find_if(messages_.begin(), messages_.end(), [&](const Message& m) { return fits(match, m); });
  if (found == messages_.end()) return std::nullopt;
  Message message = std::move(*found);
  messages_.erase(found);
  owed_[{message.source, is_reserved(message.tag)}] += message.payload.size() + kHeaderBytes;
  return message;
}

std::size_t Mailbox::settle(int source, bool reserved, std::size_t at_least) {
  std::size_t& owed = owed_[{source, reserved}];
  if (owed == 0 || owed < at_least) return 0;
  return std::exchange(owed, 0);
}

}  // namespace muster
