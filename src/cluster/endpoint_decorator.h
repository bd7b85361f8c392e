// An Endpoint around another one that does as that one does. Decorators override what they change.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cluster/endpoint.h"

namespace muster {

class EndpointDecorator : public Endpoint {
 public:
  // inner outlives this.
  explicit EndpointDecorator(Endpoint& inner) : inner_(&inner) {}
  explicit EndpointDecorator(std::unique_ptr<Endpoint> inner) : owned_(std::move(inner)), inner_(owned_.get()) {}

  int rank() const override { return inner_->rank(); }
  int size() const override { return inner_->size(); }
  const std::vector<int>& members() const override { return inner_->members(); }
  std::int64_t epoch() const override { return inner_->epoch(); }
  std::string host(int rank) const override { return inner_->host(rank); }

  void send(int to, Tag tag, Buffer payload) override { inner_->send(to, tag, std::move(payload)); }
  Message receive(const Match& match, Deadline deadline) override { return inner_->receive(match, deadline); }
  std::optional<Message> try_receive(const Match& match) override { return inner_->try_receive(match); }
  void progress() override { inner_->progress(); }
  void flush(Deadline deadline) override { inner_->flush(deadline); }
  void close(std::string_view cause) override { inner_->close(cause); }

  Time now() const override { return inner_->now(); }
  void charge(const Work& work) override { inner_->charge(work); }
  Traffic traffic() const override { return inner_->traffic(); }

 protected:
  Endpoint& inner() { return *inner_; }
  const Endpoint& inner() const { return *inner_; }

 private:
  std::unique_ptr<Endpoint> owned_;
  Endpoint* inner_;
};

}  // namespace muster
