"""The batch script on a Slurm: time limits, nodes and heads that die, GPUs, jobs side by side."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from slurm import Slurm
from sweeping import ROOT, facts

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0, reason="Slurm's nodes need Linux and root"
    ),
]

SCRIPT = str(ROOT / "cluster" / "slurm" / "earlyprune.sbatch")
NETWORK = """
import os, time
from pruning.training.models import small_cnn

def network(shape, classes):
    def wait(module, given):
        if module.training:
            time.sleep(float(os.environ.get("SECONDS_A_BATCH", "0")))
    made = small_cnn(shape, classes, widths=[8, 8], pool_after=[0])
    made.register_forward_pre_hook(wait)
    return made
"""
QUICK_START = [str(ROOT / "sweeps" / "configs" / "quickstart.yaml"), "--set", "seeds=[0]"]
QUICK_START += ["--set", "task.model=network:network"]
ENDED = {"COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "NODE_FAIL", "BOOT_FAIL"}
STUB = f"""#!{sys.executable}
# Says what Ray there is, once all stubs of the test are there, too; ends with the code it is given.
# With one argument more it does not end in the first run of the job.
import json, os, pathlib, sys, time
import ray
nodes, stubs, code, *stays = map(int, sys.argv[2:])
ray.init(log_to_driver=False)
while len(ray.nodes()) < nodes:
    time.sleep(0.1)
there = {{node["NodeManagerAddress"]: node["Resources"] for node in ray.nodes()}}
said = pathlib.Path(f"said-{{code}}.json")
said.write_text(json.dumps(there))
while len(list(said.parent.glob("said-*.json"))) < stubs:
    time.sleep(0.1)
while stays and "SLURM_RESTART_COUNT" not in os.environ:
    time.sleep(0.1)
sys.exit(code)
"""


class Job:
    """The batch script, submitted from a folder of its own with one CPU a node."""

    def __init__(
        self, slurm: Slurm, folder: Path, nodes: int, *arguments: str, **environment: str
    ) -> None:
        self.slurm, self.folder = slurm, folder
        (folder / "network.py").write_text(NETWORK)
        paths = [str(folder / "commands"), str(Path(sys.executable).parent), os.environ["PATH"]]
        self.number = slurm.submit(
            folder,
            f"--nodes={nodes}",
            "--cpus-per-task=1",
            *arguments,
            PATH=os.pathsep.join(paths),
            PYTHONPATH=str(folder),
            OMP_NUM_THREADS="1",
            **environment,
        )

    def limit(self, minutes: int) -> None:
        self.slurm.call("scontrol", "update", f"JobId={self.number}", f"TimeLimit={minutes}")

    @property
    def logs(self) -> Path:
        return self.folder / f"earlyprune-{self.number}"

    @property
    def said(self) -> str:
        return (self.folder / f"earlyprune-{self.number}.log").read_text()

    def until(self, what: Callable[[dict[str, str]], bool], seconds: float = 300) -> dict[str, str]:
        return self.slurm.wait(self.number, lambda job: what(job) or _ended(job), seconds)

    def end(self) -> tuple[str, str, int]:
        """State, exit code and restarts, when it has ended and nothing of it is left."""
        job = self.until(_ended, 600)
        assert not (self.logs / "token").exists()
        for name in self.slurm.nodes:
            assert self._gone(name), f"{name}: {self.commands(name)}"
        return job["JobState"], job["ExitCode"].split(":")[0], int(job["Restarts"])

    def token(self) -> str:
        """That of its Ray, once there is one; which no command line shows."""
        path = self.logs / "token"
        while not (path.exists() and path.read_text()):
            time.sleep(0.1)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        return path.read_text()

    def training(self) -> dict[str, str]:
        """The command lines on each node, once all train: fast trials may all be on one."""
        while True:
            lines = {name: "\n".join(self.commands(name).values()) for name in self.slurm.nodes}
            if all("Trainable" in text for text in lines.values()):
                return lines
            assert not _ended(self.slurm.job(self.number)), self.said
            time.sleep(0.1)

    def commands(self, node: str) -> dict[int, str]:
        """The command lines of a node's processes, by their numbers; Slurm's own left out."""
        found = {}
        for pid in self.slurm.machines.processes(node):
            try:
                line = Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            found[pid] = line.replace(b"\0", b" ").decode(errors="replace")
        ours = ("slurmd", "slurmstepd")
        return {pid: line for pid, line in found.items() if line and not line.startswith(ours)}

    def _gone(self, node: str) -> bool:
        end = time.monotonic() + 120  # Ray's agents take a minute to see that their raylet is dead
        while self.commands(node) and time.monotonic() < end:
            time.sleep(0.2)
        return not self.commands(node)


def _ended(job: dict[str, str]) -> bool:
    return job["JobState"] in ENDED


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    with Slurm(nodes=2, cpus=2, gpus=2) as cluster:
        yield cluster


@pytest.fixture
def submit(slurm: Slurm, tmp_path: Path) -> Iterator[Callable[..., Job]]:
    """Starts jobs, with their number of nodes and arguments of ``sbatch``; none outlives a test."""
    jobs: list[Job] = []

    def start(nodes: int, *arguments: str, **environment: str) -> Job:
        jobs.append(Job(slurm, tmp_path, nodes, *arguments, **environment))
        return jobs[-1]

    yield start
    for job in jobs:
        if not _ended(slurm.job(job.number)):
            slurm.call("scancel", job.number)
            job.until(_ended)
        for log in job.logs.glob("run-*/*.log"):  # what a node that was killed has not removed
            for temp in set(re.findall(r"/tmp/ep-\w+", log.read_text())):
                shutil.rmtree(temp, ignore_errors=True)


def no_secret(folder: Path, *secrets: str) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(secret.encode() in content for secret in secrets), path


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What a plain ``earlyprune run`` ends with."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "network.py").write_text(NETWORK)
    done = subprocess.run(
        [sys.executable, "-m", "earlyprune", "run", *QUICK_START],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return facts(folder / "earlyprune-runs", "quickstart")


def test_a_time_limit_leads_to_a_requeue_and_the_same_table(
    submit: Callable[..., Job], slurm: Slurm, tmp_path: Path, undisturbed: list[dict[str, Any]]
) -> None:
    job = submit(2, "--time=30", SCRIPT, *QUICK_START, SECONDS_A_BATCH="0.01")
    tokens = [job.token()]
    assert not any(tokens[0] in lines for lines in job.training().values())
    minutes = int(slurm.job(job.number)["RunTime"].split(":")[1])
    job.limit(minutes + 3)  # the script wants its signal so many minutes before, so that is now
    job.until(lambda now: now["Restarts"] == "1")
    job.limit(30)
    tokens.append(job.token())
    assert job.end() == ("COMPLETED", "0", 1), job.said
    assert facts(tmp_path / "earlyprune-runs", "quickstart") == undisturbed
    *_, (now, distinct) = re.findall(r"(\d+) trained now; the trials stand on (\d+)", job.said)
    assert 0 < int(now) < int(distinct), job.said
    assert tokens[0] != tokens[1]
    no_secret(tmp_path, *tokens)
    no_secret(slurm.folder, *tokens)
    for run in ("run-0", "run-1"):
        assert {path.name for path in (job.logs / run).iterdir()} == {
            "m1",
            "m1.log",
            "m2",
            "m2.log",
        }


def test_a_node_that_dies_without_a_word(
    submit: Callable[..., Job], slurm: Slurm, tmp_path: Path, undisturbed: list[dict[str, Any]]
) -> None:
    job = submit(2, SCRIPT, *QUICK_START)
    stored = tmp_path / "earlyprune-runs" / "paths"
    job.until(lambda _: any(stored.glob("*/record-????")))
    slurm.machines.kill("m1")  # with the batch script, the driver and the head
    job.until(lambda now: now["Restarts"] == "1")
    slurm.start("m1")
    assert job.end() == ("COMPLETED", "0", 1), job.said
    assert facts(tmp_path / "earlyprune-runs", "quickstart") == undisturbed


def test_a_wrong_sweep_fails_at_once(submit: Callable[..., Job]) -> None:
    job = submit(1, SCRIPT, *QUICK_START, "--set", "task.epochs=-1")
    assert job.end() == ("FAILED", "2", 0)
    assert "task.epochs: -1" in job.said


@pytest.fixture
def stub(tmp_path: Path) -> Path:
    """A folder in which ``earlyprune`` is a stub."""
    (tmp_path / "commands").mkdir()
    (tmp_path / "commands" / "earlyprune").write_text(STUB)
    (tmp_path / "commands" / "earlyprune").chmod(0o755)
    return tmp_path


def test_a_signal_before_ray_is_there_and_gpus_of_the_allocation(
    submit: Callable[..., Job], slurm: Slurm, stub: Path
) -> None:
    job = submit(2, "--gpus-per-node=1", SCRIPT, "2", "1", "0")
    job.token()
    slurm.call("scancel", "--batch", "--signal=USR1", job.number)
    assert job.end() == ("COMPLETED", "0", 1), job.said
    nodes = json.loads((stub / "said-0.json").read_text())
    assert set(nodes) == {slurm.machines.address(name) for name in slurm.nodes}
    assert [(there["CPU"], there["GPU"]) for there in nodes.values()] == [(1, 1), (1, 1)]


def test_two_jobs_on_a_node_do_not_meet(submit: Callable[..., Job], stub: Path) -> None:
    jobs = [submit(1, "--nodelist=m1", SCRIPT, "1", "2", code) for code in ("0", "3")]
    assert [job.end()[:2] for job in jobs] == [("COMPLETED", "0"), ("FAILED", "3")]
    for code in (0, 3):
        (there,) = json.loads((stub / f"said-{code}.json").read_text()).values()
        assert there["CPU"] == 1
        assert "GPU" not in there


def test_the_head_of_its_ray_dies(submit: Callable[..., Job], slurm: Slurm, stub: Path) -> None:
    patience = {"RAY_gcs_rpc_server_reconnect_timeout_s": "10"}  # a minute, if nobody says
    job = submit(1, "--nodelist=m1", SCRIPT, "1", "1", "0", "1", **patience)
    job.until(lambda _: (stub / "said-0.json").exists())
    (head,) = [pid for pid, line in job.commands("m1").items() if "gcs_server" in line.split()[0]]
    os.kill(head, signal.SIGKILL)
    assert job.end() == ("COMPLETED", "0", 1), job.said


def test_cancelled_it_is_over(submit: Callable[..., Job], slurm: Slurm, stub: Path) -> None:
    job = submit(1, "--nodelist=m1", SCRIPT, "1", "1", "0", "1")
    job.until(lambda _: (stub / "said-0.json").exists())
    slurm.call("scancel", job.number)
    state, _, restarts = job.end()
    time.sleep(5)  # nor is it requeued when its script has ended
    assert (state, restarts) == ("CANCELLED", 0), job.said
    assert slurm.job(job.number)["JobState"] == "CANCELLED"
