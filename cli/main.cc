// The `muster` command: reads the command line, runs a subcommand, and turns every error into one sentence and its exit
// code.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <string>
#include <variant>
#include <vector>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "command_line.h"
#include "run.h"

namespace {

// Under a launcher every process meets the same error; one of them says so. What only one rank meets, the transport
// says itself.
int fail(muster::ExitCode code, const std::string& sentence) {
  if (!muster::silent_rank()) std::fprintf(stderr, "muster: %s\n", sentence.c_str());
  std::fflush(nullptr);
  return static_cast<int>(code);
}

int run_command(const std::vector<std::string>& arguments) {
  try {
    const muster::cli::Command command = muster::cli::parse_command_line(arguments);
    return std::visit([](const auto& chosen) { return muster::cli::run(chosen); }, command);
  } catch (const muster::Error& error) {
    return fail(error.exit_code(), error.what());
  } catch (const std::bad_alloc&) {
    return fail(muster::ExitCode::bad_input,
                "out of memory: more workers on more machines, or --storage float32, need less of it each");
  } catch (const std::exception& error) {
    return fail(muster::ExitCode::bug, std::string("bug: ") + error.what());
  }
}

// Gradients and messages come and go at the same sizes, round after round. By default glibc returns such memory to the
// system each time and takes it again page by page, which costs several times what copying does (bench/push_pull.cc).
void keep_freed_memory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
#endif
}

}  // namespace

int main(int argc, char** argv) {
  keep_freed_memory();
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow further is an error of the write, as a full disk is
  const int code = run_command({argv + 1, argv + argc});
  // A worker that was lost may still be running on its own thread (cluster/threads): nothing is unwound under it.
  if (code == static_cast<int>(muster::ExitCode::cluster_failed)) std::_Exit(code);
  return code;
}
