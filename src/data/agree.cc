#include "data/agree.h"

#include "base/check.h"
#include "muster/error.h"

namespace muster {

std::vector<std::string> gather_or_throw(Peers& peers, const std::function<std::string()>& local) {
  std::string mine;
  try {
    mine = "+" + local();
  } catch (const InputError& error) {
    mine = std::string("-") + error.what();
  }
  std::vector<std::string> all = peers.all_gather(mine);
  for (const std::string& one : all) {
    if (one.front() == '-') throw InputError(one.substr(1));
  }
  for (std::string& one : all) one.erase(0, 1);
  return all;
}

void together(Peers& peers, const std::function<void()>& local) {
  gather_or_throw(peers, [&] {
    local();
    return std::string();
  });
}

std::string_view Unpacker::piece(std::size_t size) {
  MUSTER_CHECK(size <= bytes_.size(), "a worker's message is shorter than it says");
  const std::string_view result = bytes_.substr(0, size);
  bytes_.remove_prefix(size);
  return result;
}

}  // namespace muster
