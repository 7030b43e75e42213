"""What is refused before a job is submitted, and what travels with one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.jobs import Jobs
from cluster.package import pack, within
from cluster.submission import Submission, environment, lasting, without_secret
from pruning.errors import InputError

TASK = {"model": "small_cnn", "data": "digits", "epochs": 2}


def config(folder: Path, **fields: Any) -> Path:
    file = folder / "sweep.yaml"
    file.write_text(yaml.safe_dump({"name": "s", "task": TASK, "policies": ["dense"], **fields}))
    return file


def refused(error: pytest.ExceptionInfo[InputError], start: str) -> None:
    assert str(error.value).startswith(start)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("address", ["127.0.0.1:8265", "ray://head:10001", "http://", ""])
def test_an_address_that_is_no_job_server(address: str) -> None:
    with pytest.raises(InputError) as error:
        Jobs(address)
    refused(error, f"--address: {address!r} is not allowed: http://HOST:8265")


def test_nothing_answers() -> None:
    with pytest.raises(InputError) as error:
        Jobs("http://127.0.0.1:9")
    refused(error, "--address: 'http://127.0.0.1:9': no job server of a Ray cluster answers there")


def test_a_relative_storage_counts_from_here_on_this_machine_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for local in ("http://127.0.0.1:8265", "http://localhost", "http://[::1]:8265"):
        assert lasting("runs", local) == str(tmp_path / "runs")
    for place in ("/shared/runs", "s3://bucket/runs"):
        assert lasting(place, "http://head:8265") == place
    for elsewhere in ("http://head:8265", "http://localhost.example.org:8265"):
        with pytest.raises(InputError) as error:
            lasting("runs", elsewhere)
        refused(error, "--storage: 'runs' is not allowed on another machine")


def test_variables_are_passed_and_secrets_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERE", "there")
    assert environment(["HERE", "A=b=c", "EMPTY="]) == {"HERE": "there", "A": "b=c", "EMPTY": ""}
    for name in ("AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD=x", "RAY_AUTH_TOKEN"):
        with pytest.raises(InputError) as error:
            environment([name])
        refused(error, f"--env: {name.partition('=')[0]!r} is not allowed")
        assert "=x" not in str(error.value)
    monkeypatch.delenv("NOWHERE", raising=False)
    with pytest.raises(InputError, match="--env: 'NOWHERE' is not set here"):
        environment(["NOWHERE"])


def test_no_password_on_a_command_line_that_others_can_read() -> None:
    assert without_secret("--study", "postgresql://host/studies") == "postgresql://host/studies"
    with pytest.raises(InputError) as error:
        without_secret("--study", "postgresql://me:s3cret@host/studies")
    refused(error, "--study: 'postgresql://me:***@host/studies' is not allowed")
    assert "s3cret" not in str(error.value)


def test_what_is_sent_is_the_command_and_its_surroundings(tmp_path: Path) -> None:
    needed = tmp_path / "needed.txt"
    needed.write_text("")
    head, storage, mlflow = "http://head:8265", "s3://bucket/runs", "http://mlflow:5000"
    sent = Submission.of(head, storage, mlflow, None, ["task.epochs=3"], ["A=b"], needed)
    run = ["python", "-m", "earlyprune", "run", "sweep.yaml", "--storage", storage]
    assert sent.command(Path("sweep.yaml")) == [
        *run,
        *("--tracking-uri", mlflow, "--set", "task.epochs=3"),
    ]
    assert sent.surroundings(tmp_path) == {
        "working_dir": str(tmp_path),
        "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": "60", "A": "b"},
        "uv": str(needed),
    }
    with pytest.raises(InputError, match="--requirements: there is no file 'none'"):
        Submission.of(head, storage, None, None, [], [], Path("none"))


def test_the_sweep_file_and_what_it_names_travel(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    (here / "package" / "__pycache__").mkdir(parents=True)
    there.mkdir()
    for name in ("own.py", "package/__init__.py", "package/nets.py", "package/__pycache__/x.pyc"):
        (here / name).write_text(f"# {name}")
    (here / "other.py").write_text("")
    (here / "data.bin").write_text("much")
    policies = ["dense", {"policy": "own:Mine", "saliency": {"name": "torch.nn:Module"}}]
    task = {**TASK, "model": "package.nets:build", "data": "npz:/data/x.npz"}
    file = pack(config(here, policies=policies, task=task), there, here)
    assert file == Path("sweep.yaml")
    travelled = {str(path.relative_to(there)) for path in there.rglob("*") if path.is_file()}
    assert travelled == {"sweep.yaml", "own.py", "package/__init__.py", "package/nets.py"}


@pytest.mark.parametrize("source", ["npz:x.npz", "imagefolder:../pictures"])
def test_data_does_not_travel(source: str, tmp_path: Path) -> None:
    file = config(tmp_path, task={**TASK, "data": {"source": source}})
    with pytest.raises(InputError) as error:
        pack(file, tmp_path / "there", tmp_path)
    refused(error, f"task.data: {source!r} is not allowed in a job without --working-dir")


def test_a_working_directory_holds_the_sweep_file(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    file = config(tmp_path / "inside")
    assert within(file, tmp_path) == Path("inside/sweep.yaml")
    (tmp_path / "outside").mkdir()
    with pytest.raises(InputError, match=r"--working-dir: .* does not hold the sweep file"):
        within(file, tmp_path / "outside")
    with pytest.raises(InputError, match=r"--working-dir: .* is no folder"):
        within(file, tmp_path / "nowhere")
