// LIBSVM text: a label and index:value pairs a line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/aligned.h"

namespace muster {

struct LibsvmRows {
  AlignedVector<double> labels;
  AlignedVector<std::uint64_t> row_begin;  // rows + 1
  AlignedVector<std::uint32_t> indices;    // as written, strictly ascending in a row
  AlignedVector<double> values;

  std::size_t rows() const { return labels.size(); }
};

// A line that is not as it should be; offset is that of the byte in the text where it goes wrong.
struct LibsvmError : std::runtime_error {
  LibsvmError(std::size_t at, const std::string& what) : std::runtime_error(what), offset(at) {}
  std::size_t offset;
};

// Replaces rows by those of text, which holds whole lines. Comments from # and a qid: pair behind the label are
// skipped. Throws LibsvmError: a malformed label or pair, a value that is not finite, indices that are not ascending or
// are outside [lowest, highest].
void parse_libsvm(std::string_view text, std::uint32_t lowest, std::uint32_t highest, LibsvmRows& rows);

// Lines that are neither blank nor only a comment, counted without parsing them.
std::uint64_t count_libsvm_rows(std::string_view text);

}  // namespace muster
