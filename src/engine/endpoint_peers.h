// An Endpoint as the data layer sees it: the other workers, to agree with.
#pragma once

#include <string>
#include <vector>

#include "base/cancellation.h"
#include "base/peers.h"
#include "cluster/endpoint.h"

namespace muster {

class EndpointPeers final : public Peers {
 public:
  // Both must outlive it. A cancelled token makes progress() throw Cancelled.
  EndpointPeers(Endpoint& endpoint, const CancellationToken& cancellation)
      : endpoint_(endpoint), cancellation_(cancellation) {}

  int rank() const override { return endpoint_.rank(); }
  int size() const override { return endpoint_.size(); }
  std::vector<std::string> all_gather(const std::string& mine) override;
  void progress() override;

 private:
  Endpoint& endpoint_;
  const CancellationToken& cancellation_;
};

}  // namespace muster
