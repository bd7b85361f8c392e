// The reserved tags, and the words for what a rank is doing.
#pragma once

#include <cstdint>
#include <string>

#include "cluster/endpoint.h"

namespace muster {

// Collectives: matched in the mailbox like any message.
inline constexpr Tag kBroadcastTag = kFirstReservedTag + 1;
inline constexpr Tag kReduceTag = kFirstReservedTag + 2;
inline constexpr Tag kAllreduceTag = kFirstReservedTag + 3;
inline constexpr Tag kGatherTag = kFirstReservedTag + 4;
inline constexpr Tag kBarrierTag = kFirstReservedTag + 5;

// Control: handled on arrival, never queued.
inline constexpr Tag kFirstControlTag = 0xF000'0000;
inline constexpr Tag kPingTag = kFirstControlTag + 0;
inline constexpr Tag kPongTag = kFirstControlTag + 1;
inline constexpr Tag kCreditTag = kFirstControlTag + 2;      // bytes received, given back to their sender
inline constexpr Tag kWantCreditTag = kFirstControlTag + 3;  // a sender is blocked
inline constexpr Tag kLostTag = kFirstControlTag + 4;        // the sender has found a rank lost
inline constexpr Tag kReportedTag = kFirstControlTag + 5;    // the sender has told the user why the run ends
// These three keep their place among the data of their sender.
inline constexpr Tag kClosedTag = kFirstControlTag + 6;  // an endpoint was closed
inline constexpr Tag kDoneTag = kFirstControlTag + 7;    // a rank's main has ended
inline constexpr Tag kShrinkTag = kFirstControlTag + 8;  // a round of shrink()

inline bool overtakes_data(Tag tag) {
  return tag >= kPingTag && tag <= kReportedTag;
}

// What a rank does, sent along with each of its messages so that its last sign of life says something.
enum class Doing : std::uint8_t {
  starting,
  sending,
  receiving,
  broadcast,
  reduce,
  allreduce,
  gather,
  barrier,
  splitting,
  shrinking,
  flushing,
  finishing,
};

struct Activity {
  Doing doing = Doing::starting;
  bool computing = false;  // after that, outside the endpoint
};

inline std::uint32_t encode(Activity activity) {
  return static_cast<std::uint32_t>(activity.doing) * 2 + (activity.computing ? 1 : 0);
}
inline Activity decode_activity(std::uint32_t code) {
  return {static_cast<Doing>(code / 2), code % 2 != 0};
}

// "in reduce", "computing after reduce".
std::string describe(Activity activity);

// What sending or receiving with this tag is part of; user is what it is for tags of trainers.
Doing doing_of(Tag tag, Doing user);

}  // namespace muster
