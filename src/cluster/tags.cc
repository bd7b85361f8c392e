#include "cluster/tags.h"

#include <array>

#include "base/check.h"

namespace muster {

std::string describe(Activity activity) {
  constexpr std::array<const char*, 12> kWords = {"start",  "send",    "receive", "broadcast", "reduce", "allreduce",
                                                  "gather", "barrier", "split",   "shrink",    "flush",  "the end"};
  const auto index = static_cast<std::size_t>(activity.doing);
  MUSTER_CHECK(index < kWords.size(), "an activity without a word for it");
  return std::string(activity.computing ? "computing after " : "in ") + kWords[index];
}

Doing doing_of(Tag tag, Doing user) {
  switch (tag) {
    case kBroadcastTag:
      return Doing::broadcast;
    case kReduceTag:
      return Doing::reduce;
    case kAllreduceTag:
      return Doing::allreduce;
    case kGatherTag:
      return Doing::gather;
    case kBarrierTag:
      return Doing::barrier;
    default:
      return user;
  }
}

}  // namespace muster
