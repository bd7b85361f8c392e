#include "engine/stop_request.h"

#include "muster/muster.h"

namespace muster {
namespace {

CancellationToken token;

}  // namespace

const CancellationToken& stop_request() {
  return token;
}

void request_stop() noexcept {
  token.cancel();
}

}  // namespace muster
