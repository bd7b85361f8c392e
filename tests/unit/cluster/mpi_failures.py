"""How a run under mpirun ends when a rank does not do its part: within ten seconds, with one sentence that names the
rank, its host and the cause, and the right exit code.

Usage: mpi_failures.py PROGRAM MPIRUN [OPTION...]
"""
import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import time

HOST = re.escape(socket.gethostname())
LIMIT_SECONDS = 10

# What rank 1 of three does (mpi_program.cc), with and without memory that the ranks share: the exit code, and the one line of ours on stderr.
CASES = {
    "throw": (4, rf"rank 1 on {HOST}: its memory is full"),
    "throw-late": (4, rf"rank 1 on {HOST}: its memory is full"),
    "silent": (4, rf"rank 1 on {HOST}: no sign of life \(last heard \d+\.\d s ago, .+\)"),
    "stop": (4, rf"rank 1 on {HOST}: no sign of life \(last heard \d+\.\d s ago, .+\)"),
    "lone-input-error": (2, r"its file is gone"),
    "leave": (4, rf"rank 1 on {HOST}: left the group while others waited for it"),
    "input-error": (2, r"data\.csv:3: not a number"),
    "last-input-error": (2, r"cannot write model\.json"),
    "cancel": (130, r"interrupted"),
    "cancelled-before": (130, r"interrupted"),
}


def run(command):
    environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    start = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
                          start_new_session=True) as process:
        try:
            output, _ = process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            return None, output, 30.0
    return process.returncode, output, time.monotonic() - start


def main(program, mpirun):
    wrong = 0

    def check(case, holds, output, seconds):
        nonlocal wrong
        print(f"{'ok  ' if holds else 'FAIL'} {case} ({seconds:.1f} s)")
        if not holds:
            wrong += 1
            print(output)

    for case, apart in itertools.product(CASES, ([], ["1"])):
        code, sentence = CASES[case]
        returned, output, seconds = run([*mpirun, "-n", "3", program, case, *apart])
        ours = re.findall(r"^muster: .*$", output, re.MULTILINE)
        holds = (returned == code and seconds < LIMIT_SECONDS and len(ours) == 1
                 and re.fullmatch("muster: " + sentence, ours[0]) is not None)
        check(" ".join([case, *apart]), holds, output, seconds)

    # The launcher sees a killed process first: its banner and code stand.
    returned, output, seconds = run([*mpirun, "-n", "3", program, "kill"])
    check("kill", returned not in (None, 0) and seconds < LIMIT_SECONDS, output, seconds)

    # Without a launcher nothing of MPI starts.
    returned, output, seconds = run([program, "throw"])
    check("no launcher", returned == 2 and "mpirun" in output, output, seconds)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
