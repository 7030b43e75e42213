"""The image's recipe: what it copies is there, its versions are ours, no root or secret in it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from cluster.kuberay.pods import USER

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def steps() -> list[tuple[str, str]]:
    """Instructions with their arguments, in order."""
    text = (ROOT / "cluster" / "Dockerfile").read_text()
    lines = re.sub(r"\\\n\s*", " ", re.sub(r"(?m)^\s*#.*\n", "", text)).splitlines()
    return [(step[0], step[2]) for line in lines if (step := line.strip().partition(" "))[0]]


def arguments(steps: list[tuple[str, str]], instruction: str) -> list[str]:
    return [text for name, text in steps if name == instruction]


def test_the_base_is_of_one_version(steps: list[tuple[str, str]]) -> None:
    (base,) = arguments(steps, "FROM")
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", base)


def test_what_it_copies_is_there_and_all_that_is_needed(steps: list[tuple[str, str]]) -> None:
    copied = [name for text in arguments(steps, "COPY") for name in text.split()[:-1]]
    assert [name for name in copied if not (ROOT / name).exists()] == []
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert set(copied) == {line[1:] for line in ignored if line.startswith("!")}
    found = PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
    packages = {name.rstrip(".*") for name in found}
    project = PROJECT["project"]
    assert packages | {project["readme"], *project["license-files"]} <= set(copied)


def test_packages_are_of_the_versions_tested_together(steps: list[tuple[str, str]]) -> None:
    installs = [part for text in arguments(steps, "RUN") for part in text.split("&&")]
    installs = [part for part in installs if "pip install" in part]
    assert len(installs) == 3
    assert all("--constraint constraints.txt" in part for part in installs)
    extras = re.findall(r"--extra (\w+)", " ".join(installs))
    assert sorted(extras) == ["cluster", "postgres", "s3"]
    assert set(extras) <= set(PROJECT["project"]["optional-dependencies"])


def test_it_has_what_kuberay_and_ray_up_call(steps: list[tuple[str, str]]) -> None:
    assert {"wget", "rsync"} <= set(arguments(steps, "RUN")[0].split())


def test_it_does_not_run_as_root(steps: list[tuple[str, str]]) -> None:
    assert arguments(steps, "USER") == [str(USER)]  # a number, or Kubernetes could not tell
    assert [name for name, _ in steps].index("USER") > max(
        index for index, (name, _) in enumerate(steps) if name == "RUN"
    )
    assert f"useradd --uid {USER}" in arguments(steps, "RUN")[-1]
    assert "HOME=/home/earlyprune" in arguments(steps, "ENV")[-1]  # `ray up` looks for it


def test_nothing_in_it_is_secret_or_of_one_place(steps: list[tuple[str, str]]) -> None:
    assert {name for name, _ in steps} == set("FROM RUN ENV WORKDIR COPY USER CMD".split())
    for text in arguments(steps, "ENV"):
        assert not re.search(r"(?i)token|secret|password|_key|credential", text)
    assert not any("://" in text for _, text in steps)
