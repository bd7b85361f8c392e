// What a reader of data needs to know of the other workers: enough to agree on types, levels and errors, and no more.
// The engine puts an Endpoint behind it; a test or a lone reader uses Alone.
#pragma once

#include <string>
#include <vector>

namespace muster {

class Peers {
 public:
  virtual ~Peers() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  // Every worker's text, by rank. All workers must call it the same number of times, in the same order.
  virtual std::vector<std::string> all_gather(const std::string& mine) = 0;
  // Called often during long reading; lets messages move, and throws Cancelled or PeerLost.
  virtual void progress() {}
};

class Alone final : public Peers {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::vector<std::string> all_gather(const std::string& mine) override { return {mine}; }
};

}  // namespace muster
