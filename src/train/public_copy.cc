#include "train/public_copy.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "muster/error.h"

namespace muster {
namespace {

double unit_of(std::span<const double> values) {
  double largest = 0;
  for (const double value : values) largest = std::max(largest, std::abs(value));
  return largest > 1e-290 ? std::ldexp(1.0, std::ilogb(largest)) : 1;
}

}  // namespace

void PublicCopy::approach(std::span<const double> x, const Codec& codec, std::vector<std::byte>& message) {
  if (codec.compression().kind == MessageCompression::Kind::none) {
    values_.assign(x.begin(), x.end());
    return codec.encode(values_, {}, message);
  }
  std::vector<double> difference(chunk_);
  for (std::size_t begin = 0; begin < values_.size(); begin += chunk_) {
    for (std::size_t j = 0; j < chunk_; ++j) difference[j] = x[begin + j] - values_[begin + j];
    const double unit = unit_of(difference);
    for (double& value : difference) value /= unit;
    const std::size_t at = message.size();
    message.resize(at + sizeof(double));
    std::memcpy(message.data() + at, &unit, sizeof(double));
    codec.encode(difference, {}, message);
    codec.decode(std::span<const std::byte>(message).subspan(at + sizeof(double)), difference);  // as receivers will
    for (std::size_t j = 0; j < chunk_; ++j) values_[begin + j] += unit * difference[j];
  }
}

std::size_t PublicCopy::follow(std::span<const std::byte> bytes, const Codec& codec) {
  if (codec.compression().kind == MessageCompression::Kind::none) return codec.decode(bytes, values_);
  std::vector<double> difference(chunk_);
  std::span<const std::byte> rest = bytes;
  for (std::size_t begin = 0; begin < values_.size(); begin += chunk_) {
    double unit = 0;
    if (rest.size() < sizeof(double)) throw ClusterError("a node sent a message cut short");
    std::memcpy(&unit, rest.data(), sizeof(double));
    rest = rest.subspan(sizeof(double));
    rest = rest.subspan(codec.decode(rest, difference));
    for (std::size_t j = 0; j < chunk_; ++j) values_[begin + j] += unit * difference[j];
  }
  return bytes.size() - rest.size();
}

}  // namespace muster
