"""The batch script for Slurm where there is none: Slurm's commands, Ray and the sweep are stubs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "cluster" / "slurm" / "earlyprune.sbatch"
SAY = 'echo "${0##*/} $*" >>said\n'
STUBS = {
    "scontrol": SAY,
    "srun": SAY
    + """
    while [[ $1 == --* ]]; do shift; done
    export SLURM_LAUNCH_NODE_IPADDR=10.0.0.1 SLURMD_NODENAME=n2 SLURM_CPUS_ON_NODE=3
    echo $$ >step
    exec "$@"
    """,
    "scancel": SAY + 'kill "$(<step)"\n',
    "ray": SAY
    + """
    trap 'echo "ray ended on $SLURMD_NODENAME" >>said; exit' TERM
    while [[ $RAY == late ]]; do sleep 0.05; done
    [[ $RAY == broken ]] && exit 1
    for option in "$@"; do [[ $option == --temp-dir=* ]] && temp=${option#*=}; done
    echo "below $(stat -c %a "${temp%/*}")" >>said  # Ray opens its own folder to everybody
    mkdir -p "$temp/session_latest/logs" && touch "$temp/session_latest/logs/raylet.out"
    echo "ray is up" >>said  # all it writes is there: it may be ended
    [[ $* == *--head* ]] && echo 10.0.0.1:1234 >"$temp/ray_current_cluster"
    while :; do sleep 0.05; done
    """,
    "earlyprune": SAY
    + """
    echo "token $RAY_AUTH_MODE $(stat -c %a "$RAY_AUTH_TOKEN_PATH") at $RAY_ADDRESS" >>said
    trap 'exit 130' TERM
    until (($(grep -c "^ray is up" said) == (SLURM_NNODES > 1 ? 2 : 1))); do sleep 0.05; done
    touch running
    [[ $CODE != ends ]] || trap 'until [[ -e go ]]; do sleep 0.05; done; exit 0' TERM
    while [[ $CODE == wait || $CODE == ends ]]; do sleep 0.05; done
    exit "$CODE"
    """,
}


class Script:
    """The batch script, running in a folder of its own."""

    def __init__(self, folder: Path, nodes: int = 1, code: str = "0", ray: str = "") -> None:
        self.folder = folder
        commands = folder / "commands"
        commands.mkdir()
        for name, text in STUBS.items():
            (commands / name).write_text(f"#!/bin/bash\n{text}")
            (commands / name).chmod(0o755)
        self.process = subprocess.Popen(
            ["bash", str(SCRIPT), "sweep.yaml", "--set", "name=a b"],
            cwd=folder,
            env={
                "PATH": os.pathsep.join([str(commands), str(Path(sys.executable).parent), "/bin"]),
                "SLURM_JOB_ID": "17",
                "SLURM_NNODES": str(nodes),
                "SLURMD_NODENAME": "n1",
                "SLURM_CPUS_ON_NODE": "4",
                "SLURM_GPUS_ON_NODE": "2",
                "RAY_AUTH_TOKEN": "somebody-else",
                "CODE": code,
                "RAY": ray,
            },
            stdout=(folder / "log").open("w"),
            stderr=subprocess.STDOUT,
        )

    @property
    def said(self) -> list[str]:
        path = self.folder / "said"
        return path.read_text().splitlines() if path.exists() else []

    def ask_once(self, ready: Callable[[], bool], number: int) -> None:
        end = time.monotonic() + 30
        while not ready():
            assert time.monotonic() < end, self.said
            time.sleep(0.02)
        self.process.send_signal(number)

    def finish(self) -> int:
        code = self.process.wait(timeout=60)
        assert not (self.folder / "earlyprune-17" / "token").exists()
        for line in self.said:
            for word in line.split():
                assert not word.startswith("--temp-dir=") or not Path(word[11:]).parent.exists()
        return code

    @property
    def requeued(self) -> bool:
        return "scontrol requeue 17" in self.said


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Callable[..., Script]]:
    started: list[Script] = []

    def start(**options: object) -> Script:
        started.append(Script(tmp_path, **options))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.terminate()
            one.process.wait()


def test_shellcheck_has_no_complaint() -> None:
    shellcheck = Path(sys.executable).parent / "shellcheck"
    done = subprocess.run([shellcheck, str(SCRIPT)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_slurm_is_asked_for_a_signal_in_time_and_to_requeue() -> None:
    asked = {line.split()[1] for line in SCRIPT.read_text().splitlines() if "#SBATCH" in line[:9]}
    assert {"--signal=B:USR1@180", "--requeue", "--open-mode=append"} <= asked


@pytest.mark.parametrize("code", ["0", "1", "2", "3", "4", "130"])
def test_the_code_of_the_sweep_is_that_of_the_job(script: Callable[..., Script], code: str) -> None:
    one = script(code=code)
    assert one.finish() == int(code)
    assert not one.requeued
    assert "earlyprune run sweep.yaml --set name=a b" in one.said
    assert "token token 600 at 10.0.0.1:1234" in one.said
    assert "below 700" in one.said
    (ray,) = (line for line in one.said if line.startswith("ray start"))
    assert "--node-ip-address=127.0.0.1" in ray
    assert "--num-cpus=4 --num-gpus=2" in ray
    assert not any(line.startswith(("srun", "scancel")) for line in one.said)


def test_on_many_nodes_the_head_is_where_the_others_see_it(script: Callable[..., Script]) -> None:
    one = script(nodes=3)
    assert one.finish() == 0
    head, others = (line for line in one.said if line.startswith("ray start"))
    assert "--head" in head
    assert "--node-ip-address=10.0.0.1" in head
    assert "--address=10.0.0.1:1234" in others
    assert "--num-cpus=3 --num-gpus=2" in others
    assert any("--nodes=2 --ntasks=2 --relative=1" in line for line in one.said)
    assert [line for line in one.said if line.startswith("ray ended")] == [
        "ray ended on n2",
        "ray ended on n1",
    ]
    logs = one.folder / "earlyprune-17" / "run-0"
    assert {path.name for path in logs.iterdir()} == {"n1", "n1.log", "n2", "n2.log"}
    assert (logs / "n2" / "raylet.out").exists()


def test_the_signal_stops_the_sweep_and_the_job_is_requeued(script: Callable[..., Script]) -> None:
    one = script(nodes=2, code="wait")
    one.ask_once((one.folder / "running").exists, signal.SIGUSR1)
    assert one.finish() == 130
    assert one.requeued


def test_a_signal_before_ray_is_there_is_not_lost(script: Callable[..., Script]) -> None:
    one = script(ray="late", code="wait")
    one.ask_once(lambda: bool(one.said), signal.SIGUSR1)
    assert one.finish() == 130
    assert one.requeued
    assert not any(line.startswith("earlyprune") for line in one.said)


def test_a_sweep_that_ends_by_itself_after_the_signal_is_not_requeued(
    script: Callable[..., Script],
) -> None:
    one = script(code="ends")
    one.ask_once((one.folder / "running").exists, signal.SIGUSR1)
    time.sleep(0.3)
    assert one.process.poll() is None
    (one.folder / "go").touch()
    assert one.finish() == 0
    assert not one.requeued


def test_a_cancelled_job_cleans_up(script: Callable[..., Script]) -> None:
    one = script(nodes=2, code="wait")
    one.ask_once((one.folder / "running").exists, signal.SIGTERM)
    one.finish()
    assert not one.requeued


def test_a_ray_that_does_not_start_is_said(script: Callable[..., Script]) -> None:
    one = script(ray="broken")
    assert one.finish() == 1
    assert "Ray has not started, see" in (one.folder / "log").read_text()
    assert not one.requeued
