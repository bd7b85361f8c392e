"""Several hosts on this one machine, as network namespaces joined by a bridge: each with its own name, address and cable.

All of it lives in namespaces of the test's own (network, mounts, processes), which end with it: the machine's network is
neither used nor changed. Open MPI keeps files by the names of hosts and the numbers of processes, which are the same in every
such world: so each has a /dev/shm and a folder for them of its own, and several can run at once.
"""
import json
import os
import pathlib
import shutil
import subprocess
import textwrap
import time
import uuid

import numpy as np
import pytest

from command import MUSTER, needs_mpi, read_model, train, write_csv

HOSTS = 3
NAMESPACES = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]

SET_UP = f"""
    set -e
    mount --make-rprivate /
    mkdir -p /run/netns && mount -t tmpfs none /run/netns
    mount -t tmpfs none /dev/shm
    ip link add bridge type bridge && ip link set bridge up
    mkdir /dev/shm/open-mpi && export OMPI_MCA_orte_tmpdir_base=/dev/shm/open-mpi
    for k in $(seq {HOSTS}); do
      ip netns add host$k
      ip link add port$k type veth peer name eth0 netns host$k
      ip link set port$k master bridge up
      ip -n host$k address add 10.77.0.$k/24 dev eth0
      ip -n host$k link set eth0 up
      ip -n host$k link set lo up
    done
"""

# What mpirun takes for ssh: host, then a command for its shell.
AGENT = """\
    #!/bin/sh
    host=$1
    shift
    exec ip netns exec "$host" unshare --uts sh -c 'hostname "$0" && exec sh -c "$*"' "$host" "$@"
"""


def why_not():
    if shutil.which("ip") is None or shutil.which("unshare") is None:
        return "ip or unshare is not installed"
    tried = subprocess.run([*NAMESPACES, "sh", "-c", textwrap.dedent(SET_UP)], capture_output=True, text=True)
    return f"namespaces are not permitted here: {tried.stderr.strip()}" if tried.returncode else None


REASON = why_not()
pytestmark = [needs_mpi, pytest.mark.skipif(REASON is not None, reason=str(REASON))]


def on_hosts(directory, arguments, beside="", environment=None, ranks=HOSTS):
    """`muster ARGUMENTS`, so many ranks on the hosts one after the other, started from the first; `beside` runs in the shell
    that owns the network."""
    agent = directory / "agent"
    agent.write_text(textwrap.dedent(AGENT), encoding="utf-8")
    agent.chmod(0o755)
    each = -(-ranks // HOSTS)
    names = ",".join(f"host{k + 1}:{each}" for k in range(HOSTS))
    mpirun = (f"mpirun --allow-run-as-root --mca plm_rsh_agent {agent} --host {names} -n {ranks} --bind-to none "
              "--mca mpi_yield_when_idle 1")
    quoted = " ".join(f"'{a}'" for a in (MUSTER, *arguments))
    script = f"{textwrap.dedent(SET_UP)}\nset +e\n{beside}\n{agent} host1 {mpirun} {quoted}\nexit $?\n"
    return subprocess.Popen([*NAMESPACES, "bash", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env={**os.environ, **(environment or {})})


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    rng = np.random.default_rng(3)
    common = rng.normal(size=4000)
    columns = {f"x{j}": common + 10.0 ** (-j / 2.0) * rng.normal(size=4000) for j in range(8)}
    columns["y"] = rng.normal(size=4000) + sum(j * c for j, c in enumerate(columns.values()))
    return write_csv(tmp_path_factory.mktemp("hosts") / "table.csv", columns)


@pytest.mark.parametrize("mode, workers, more", [
    ("mapreduce", 3, ["--solver", "lbfgs"]),
    ("parameter-server", 2, ["--sync", "bsp"]),  # the last rank serves
    ("decentralized", 3, []),
])
def test_hosts_train_the_model_that_threads_do(tmp_path, table, mode, workers, more):
    arguments = ["train", table, "--target", "y", "--l2", "0.01", "--mode", mode, *more, "--reproducible", "-q"]
    process = on_hosts(tmp_path, [*arguments, "-o", tmp_path / "hosts.json", "--report", tmp_path / "report.json"])
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    ranks = json.loads((tmp_path / "report.json").read_text())["workers"]
    assert [r["host"] for r in ranks] == [f"host{k + 1}" for k in range(HOSTS)]
    threads = train(tmp_path, *arguments[1:], "-n", workers, name="threads.json")
    assert read_model(tmp_path / "hosts.json").bits == threads.bits


def test_ranks_of_a_host_add_before_they_send(tmp_path, table):
    """Two ranks on each host, the last one's alone: the bits of threads. Over the three hosts a round's sum takes two messages
    of each; beside them one rank of a host gives its numbers to the other, and gets the sum."""
    arguments = ["train", table, "--target", "y", "--l2", "0.01", "--solver", "gd", "--reproducible", "-q"]
    process = on_hosts(tmp_path, [*arguments, "-o", tmp_path / "hosts.json", "--report", tmp_path / "report.json"], ranks=5)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    ranks = json.loads((tmp_path / "report.json").read_text())["workers"]
    assert [r["host"] for r in ranks] == ["host1", "host1", "host2", "host2", "host3"]
    assert [r["messages_per_round"] for r in ranks] == [2 + 1, 1, 2 + 1, 1, 2]
    assert read_model(tmp_path / "hosts.json").bits == train(tmp_path, *arguments[1:], "-n", 5, name="threads.json").bits


def ranks_alive(mark):
    alive = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (process / "environ").read_bytes() and (process / "comm").read_text().startswith("muster"):
                alive.append(process.name)
        except OSError:
            continue
    return alive


def wait_until(condition, seconds):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "not within the deadline"
        time.sleep(0.05)


# Nobody is told of a pulled cable: no process ends, no connection closes, packets just do not come any more. Every rank
# says who is silent and ends. mpirun itself, when it has said so, waits for its daemon on the lost host until TCP gives
# up: that is Open MPI's, and ended here with the namespaces.
@pytest.mark.parametrize("solver", [["--solver", "gd"], ["--mode", "parameter-server"], ["--mode", "decentralized"]],
                         ids=["mapreduce", "parameter-server", "decentralized"])
def test_a_pulled_cable_is_named(tmp_path, table, solver):
    mark = uuid.uuid4().hex
    checkpoint = tmp_path / "checkpoint" / "checkpoint.json"
    pull = f"(until [ -e '{checkpoint}' ]; do sleep 0.05; done; ip link set port{HOSTS} down; touch '{tmp_path}/pulled') &"
    process = on_hosts(tmp_path, ["train", table, "--target", "y", *solver, "--tolerance", "1e-12",
                                  "--max-rounds", "1000000000", "--silence", "2", "--checkpoint", checkpoint.parent,
                                  "--checkpoint-every", "0.1", "-o", tmp_path / "model.json"],
                       beside=pull, environment={"MUSTER_TEST": mark})
    try:
        wait_until((tmp_path / "pulled").exists, 60)
        assert len(ranks_alive(mark)) == HOSTS
        wait_until(lambda: not ranks_alive(mark), 20)
    finally:
        process.kill()
        _, errors = process.communicate(timeout=20)
    assert "muster: rank 2 on host3: no sign of life" in errors, errors
    assert not (tmp_path / "model.json").exists()
