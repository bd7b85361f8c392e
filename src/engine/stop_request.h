// Set by request_stop() (muster/muster.h). A process trains one model at a time, and a signal handler can reach nothing
// else.
#pragma once

#include "base/cancellation.h"

namespace muster {

const CancellationToken& stop_request();

}  // namespace muster
