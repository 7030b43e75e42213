"""The quick start on a Ray cluster of three nodes, as a job: the same table as here."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from sweeping import PATIENT, ROOT, facts, patient

from benchmarks.chaos.machines import Machines
from benchmarks.chaos.ray_nodes import PORT, SERVER, RayNodes

pytestmark = pytest.mark.timeout(900)

QUICKSTART = ROOT / "sweeps/configs/quickstart.yaml"
SEED = "seeds=[0]"  # by hand it was run on all three
WRONG = "f" * 64


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayNodes]:
    with Machines(3) as machines:
        cluster = RayNodes(machines, tmp_path_factory.mktemp("nodes"))
        cluster.start()
        yield cluster
        for file in cluster.said.iterdir():
            assert cluster.token not in file.read_text()


def said(process: subprocess.Popen[Any], code: int = 0) -> str:
    """What a command has printed, once it has ended as it should."""
    text, _ = process.communicate(timeout=600)
    assert process.returncode == code, text
    assert "Traceback" not in text
    return str(text)


def ask(nodes: RayNodes, *arguments: str, code: int = 0, **options: Any) -> str:
    """What ``earlyprune`` prints on the head."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return said(nodes.command(*arguments, **pipes, **options), code)


def test_submitted_either_way_the_table_is_the_same_as_here(
    nodes: RayNodes, tmp_path: Path, quickstart_here: list[dict[str, Any]]
) -> None:
    assert sorted(nodes.alive()) == nodes.machines.names
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    told = ask(nodes, "submit", str(QUICKSTART), "--storage", str(ours), "--set", SEED, "--follow")
    assert "at_epoch" in told
    assert facts(ours, "quickstart") == quickstart_here

    folder = tmp_path / "somebody"
    folder.mkdir()
    (folder / "quickstart.yaml").write_text(QUICKSTART.read_text())
    line = ["ray", "job", "submit", "--address", SERVER, "--working-dir", str(folder), "--"]
    line += ["earlyprune", "run", "quickstart.yaml", "--storage", str(theirs), "--set", SEED]
    nodes.machines.run(nodes.head, line, 600)
    assert facts(theirs, "quickstart") == quickstart_here


def test_the_training_was_done_on_several_nodes(nodes: RayNodes) -> None:
    workers = json.loads(nodes.ask("/api/v0/actors?limit=1000"))["data"]["result"]["result"]
    trained = {a["node_id"] for a in workers if "Trainable" in a["class_name"]}
    assert len(trained) > 1


def test_a_wrong_token_is_refused(nodes: RayNodes, tmp_path: Path) -> None:
    wrong = {"RAY_AUTH_TOKEN": WRONG}
    told = ask(nodes, "submit", str(QUICKSTART), "--set", SEED, code=2, env=wrong)
    assert told.strip().startswith("error: --address:")
    assert "refuses the token" in told
    assert WRONG not in told
    address = f"{nodes.machines.address(nodes.head)}:{PORT}"
    here = {**wrong, "RAY_ADDRESS": address}
    told = ask(nodes, "run", str(QUICKSTART), "--storage", str(tmp_path), code=2, env=here)
    assert "RAY_AUTH_TOKEN" in told.splitlines()[-1]


def test_stopped_submitted_again_and_not_started_twice(nodes: RayNodes, tmp_path: Path) -> None:
    sweep = {"name": "a patient one", "task": patient(6, 0.5), "policies": ["dense"], "seeds": [0]}
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(sweep))
    (tmp_path / "patient.py").write_text(PATIENT)
    storage = tmp_path / "storage"
    submit = ["submit", "sweep.yaml", "--storage", str(storage)]
    (told,) = ask(nodes, *submit, cwd=tmp_path).splitlines()
    first = told.removeprefix("job ").partition(":")[0]
    assert told == f"job {first}: submitted"
    again = ask(nodes, *submit, cwd=tmp_path)
    assert f"job {first}: runs already" in again
    wait_for(lambda: any(storage.glob("paths/*/record-0001")))
    assert "running" in ask(nodes, "status", "a patient one")
    assert "stopped" in ask(nodes, "stop", "a patient one")
    assert "stopped with" in ask(nodes, "logs", first), "in order, and not killed"
    stored = {path.name: path.stat().st_mtime_ns for path in storage.glob("paths/*/record-000?")}
    ask(nodes, *submit, "--follow", cwd=tmp_path)
    jobs = json.loads(ask(nodes, "list", "--json"))
    mine = [job for job in jobs if job["sweep"] == "a patient one"]
    assert [(job["status"], job["code"]) for job in mine] == [("STOPPED", None), ("SUCCEEDED", 0)]
    after = {path.name: path.stat().st_mtime_ns for path in storage.glob("paths/*/record-000?")}
    assert len(after) == 7
    assert stored.items() <= after.items(), "nothing was trained twice"


def test_exit_codes_and_what_a_job_would_lose(nodes: RayNodes, tmp_path: Path) -> None:
    line = ["ray", "job", "submit", "--address", SERVER, "--working-dir", str(QUICKSTART.parent)]
    line += ["--", "earlyprune", "run", QUICKSTART.name]
    with pytest.raises(RuntimeError, match="'earlyprune-runs' would be lost with the job's own"):
        nodes.machines.run(nodes.head, line, 120)
    broken = tmp_path / "broken.yaml"
    broken.write_text(QUICKSTART.read_text().replace("epochs: 18", "epochs: none"))
    told = ask(nodes, "submit", str(broken), "--storage", str(tmp_path), code=2)
    assert told.startswith("error: task.epochs: ")
    assert "unknown job 'nothing'" in ask(nodes, "logs", "nothing", code=2)


def wait_for(what: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.2)
