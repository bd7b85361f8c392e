#include "muster/output_file.h"

#include <streambuf>
#include <string_view>
#include <vector>

#include "base/atomic_file.h"
#include "muster/muster.h"

namespace muster {

namespace {

class AtomicFileBuffer : public std::streambuf {
 public:
  explicit AtomicFileBuffer(const std::string& path) : file_(path), block_(kBlockBytes) { empty(); }

  void commit() {
    send();
    file_.commit();
  }

 protected:
  int_type overflow(int_type next) override {
    send();
    if (!traits_type::eq_int_type(next, traits_type::eof())) sputc(traits_type::to_char_type(next));
    return traits_type::not_eof(next);
  }
  int sync() override {
    send();
    return 0;
  }

 private:
  static constexpr std::size_t kBlockBytes = 1 << 18;

  void empty() { setp(block_.data(), block_.data() + block_.size()); }
  void send() {
    const std::string_view text(pbase(), static_cast<std::size_t>(pptr() - pbase()));
    empty();
    file_.write(text);
  }

  AtomicFile file_;
  std::vector<char> block_;
};

}  // namespace

struct OutputFile::Implementation {
  explicit Implementation(const std::string& path) : buffer(path), stream(&buffer) {
    stream.exceptions(std::ios::badbit);  // lets the buffer's InputError through, instead of a bit nobody reads
  }

  AtomicFileBuffer buffer;
  std::ostream stream;
};

OutputFile::OutputFile(const std::string& path) : implementation_(std::make_unique<Implementation>(path)) {}
OutputFile::~OutputFile() = default;
std::ostream& OutputFile::stream() {
  return implementation_->stream;
}
void OutputFile::commit() {
  implementation_->buffer.commit();
}

void write_file(const std::string& path, const std::string& text) {
  write_file_atomically(path, text);
}

}  // namespace muster
