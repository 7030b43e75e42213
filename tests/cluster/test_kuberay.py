"""Manifests for KubeRay: whatever is chosen, its rules and Kueue's are met; nothing is secret."""

from __future__ import annotations

import copy
import itertools
import re
import shlex
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from kuberay_rules import QUEUE, check, load
from kubernetes_models import RuleError
from typer.testing import CliRunner

from cluster.kuberay.names import object_name
from cluster.kuberay.options import Size, worker_size
from earlyprune.commands.manifest import manifest
from pruning.errors import InputError
from sweeps.sharing.resources import Resources

SWEEP = {
    "name": "when",
    "task": {"model": "small_cnn", "data": "digits", "epochs": 2, "batch_size": 32},
    "policies": ["dense", {"policy": "at_epoch", "epoch": 1, "ratio": 0.5}],
    "resources": {"cpus": 2, "gpus": 0.25},
}
SEARCH = {
    **SWEEP,
    "policies": [{"policy": "at_epoch", "epoch": 1, "ratio": {"uniform": [0.1, 0.9]}}],
    "search": {"trials": 3},
}
BUCKET = ["--storage", "s3://bucket/sweeps", "--tracking-uri", "http://mlflow:5000"]
IMAGE = ["--image", "registry.example/earlyprune:0.1"]

app = typer.Typer()
app.command()(manifest)
Make = Callable[..., list[Any]]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """The objects of a manifest, checked; raises what the command raises."""

    def run(*options: str, sweep: dict[str, Any] = SWEEP) -> list[Any]:
        path = tmp_path / "sweep.yaml"
        path.write_text(yaml.safe_dump(sweep))
        result = CliRunner().invoke(app, [str(path), *IMAGE, *options])
        if result.exception:
            raise result.exception
        objects = load(result.stdout)
        for found in objects:
            check(found)
        return objects

    return run


CHOICES = [
    [
        ["--kind", "job", *BUCKET],
        ["--kind", "job", "--volume", "runs:/storage"],
        ["--kind", "cluster"],
        ["--kind", "cluster", "--volume", "runs:/storage"],
    ],
    [[], ["--spot", "gke", "--node", "cloud.google.com/gke-accelerator=nvidia-l4"]],
    [["--workers", "2"], ["--workers", "0:8"], ["--workers", "3", "--queue", "gpus"]],
    [
        [],
        ["--secret", "aws", "--secret", "db", "--service-account", "sweeper", "--namespace", "ml"],
    ],
    [[], ["--set", "resources={cpus: 1}", "--trials-per-worker", "3", "--head-memory", "12Gi"]],
]


@pytest.mark.parametrize("chosen", [*itertools.product(*CHOICES)])
def test_every_choice_meets_the_rules(make: Make, chosen: Iterable[list[str]]) -> None:
    options = [*itertools.chain.from_iterable(chosen)]
    *_, found = make(*options)
    assert found["kind"] == ("RayJob" if "job" in options else "RayCluster")
    cluster = found["spec"].get("rayClusterSpec", found["spec"])
    assert cluster["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0"}
    for pod in pods(found):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["containers"][0]["securityContext"]["allowPrivilegeEscalation"] is False


def pods(found: Any) -> list[Any]:
    """Head, worker and, of a job, submitter."""
    spec = found["spec"]
    cluster = spec.get("rayClusterSpec", spec)
    templates = [cluster["headGroupSpec"]["template"], cluster["workerGroupSpecs"][0]["template"]]
    submitter = [spec["submitterPodTemplate"]] if "submitterPodTemplate" in spec else []
    return [template["spec"] for template in templates + submitter]


def test_the_sweep_travels_as_it_is(make: Make, tmp_path: Path) -> None:
    change = "policies.1.ratio={grid: [0.1, 0.2]}"
    config, job = make(*BUCKET, "--set", change, "--namespace", "ml")
    assert config["data"]["sweep.yaml"] == (tmp_path / "sweep.yaml").read_text()
    script, said = config["data"]["run.sh"], tmp_path / "earlyprune"
    said.write_text('#!/bin/sh\nfor word; do echo "$word"; done\n')
    said.chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    words = subprocess.run(["sh", "-c", script], env=env, capture_output=True, text=True)
    assert words.stdout.splitlines() == [
        *["run", "/etc/earlyprune/sweep.yaml", *BUCKET],
        *["--set", change],
    ]
    head = pods(job)[0]
    volume = {"name": config["metadata"]["name"], "configMap": {"name": config["metadata"]["name"]}}
    assert head["volumes"] == [volume]
    assert job["spec"]["entrypoint"] == shlex.join(["sh", "/etc/earlyprune/run.sh"])
    assert {found["metadata"]["namespace"] for found in (config, job)} == {"ml"}


def test_spot_is_for_workers_alone(make: Make) -> None:
    for given, key, value in (
        ("gke", "cloud.google.com/gke-spot", "true"),
        ("eks", "eks.amazonaws.com/capacityType", "SPOT"),
        ("aks", "kubernetes.azure.com/scalesetpriority", "spot"),
        ("karpenter", "karpenter.sh/capacity-type", "spot"),
        ("example.org/cheap=yes", "example.org/cheap", "yes"),
    ):
        head, worker, submitter = pods(make(*BUCKET, "--spot", given)[1])
        assert worker["nodeSelector"] == {key: value}
        assert {(each["key"], each.get("value")) for each in worker["tolerations"]} == {
            ("nvidia.com/gpu", None),
            (key, value),
        }
        for pod in (head, submitter):
            assert "tolerations" not in pod
            assert f"'key': '{key}', 'operator': 'NotIn', 'values': ['{value}']" in str(pod)
    for pod in pods(make(*BUCKET)[1]):
        assert not {"nodeSelector", "affinity"} & pod.keys()


@pytest.mark.parametrize(
    ("cpus", "gpus", "trials", "size"),
    [
        (2, 0.25, None, Size(8, "16Gi", 1)),
        (1.5, 0.3, None, Size(5, "12Gi", 1)),
        (1, 0.1, None, Size(10, "40Gi", 1)),
        (4, 2, None, Size(4, "4Gi", 2)),
        (1, 0, None, Size(1, "4Gi", 0)),
        (1, 0, 6, Size(6, "24Gi", 0)),
        (2, 0.25, 6, Size(12, "24Gi", 2)),
    ],
)
def test_a_worker_is_as_large_as_its_trials(
    cpus: float, gpus: float, trials: int | None, size: Size
) -> None:
    assert worker_size(Resources(cpus=cpus, gpus=gpus), trials, None) == size


def test_kueue_and_kuberay_agree(make: Make) -> None:
    _, job = make(*BUCKET, "--queue", "gpus", "--workers", "4")
    assert job["metadata"]["labels"][QUEUE] == "gpus"
    assert job["spec"]["suspend"] is True
    assert job["spec"]["shutdownAfterJobFinishes"] is True
    assert "deletionStrategy" not in job["spec"]
    (workers,) = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    assert [workers[name] for name in ("replicas", "minReplicas", "maxReplicas")] == [4, 4, 4]


NAMES = [
    "when",
    "<script>alert(1)</script>",
    "x" * 100,
    "7 seeds",
    "Größe",
    "日本",
    "a.b_c",
    "-",
    "A",
]


def test_any_sweep_has_a_name_of_its_own(make: Make) -> None:
    found = [make(*BUCKET, sweep={**SWEEP, "name": name}) for name in NAMES]
    assert len({objects[1]["metadata"]["name"] for objects in found}) == len(NAMES)
    assert object_name("when") == "when"
    assert re.fullmatch(r"script-alert-1-script-[0-9a-f]{8}", object_name(NAMES[1]))


REFUSED = [
    ([], ["--storage", "missing", "s3://"]),
    (["--storage", "/storage"], ["--storage", "'/storage'", "--volume"]),
    (["--storage", "/else", "--volume", "runs:/storage"], ["--storage", "'/else'", "/storage"]),
    (["--storage", "/storage/../x", "--volume", "runs:/storage"], ["--storage"]),
    (["--storage", "s3://bucket/x"], ["--tracking-uri", "missing", "http://mlflow:5000"]),
    (["--volume", "runs"], ["--volume", "'runs'", "CLAIM:PATH"]),
    (["--volume", "runs:/etc/earlyprune"], ["--volume", "/etc/earlyprune"]),
    (["--volume", "a:/x", "--volume", "b:/x"], ["--volume", "'b:/x'"]),
    ([*BUCKET, "--workers", "8:2"], ["--workers", "'8:2'", "0:8"]),
    ([*BUCKET, "--workers", "0"], ["--workers", "'0'"]),
    ([*BUCKET, "--workers", "many"], ["--workers", "'many'"]),
    ([*BUCKET, "--queue", "q", "--workers", "0:8"], ["--workers", "'0:8'", "--workers 8"]),
    ([*BUCKET, "--queue", "Not A Name", "--workers", "2"], ["--queue", "'Not A Name'"]),
    ([*BUCKET, "--secret", "AWS_KEY=abc"], ["--secret", "'AWS_KEY=abc'"]),
    ([*BUCKET, "--spot", "gcp"], ["--spot", "'gcp'", "gke, eks, aks, karpenter"]),
    ([*BUCKET, "--node", "gpu"], ["--node", "'gpu'", "KEY=VALUE"]),
    ([*BUCKET, "--worker-memory", "16 GB"], ["--worker-memory", "'16 GB'", "16Gi"]),
    ([*BUCKET, "--working-dir", "./code"], ["--working-dir", "'./code'", ".zip"]),
    (["--kind", "cluster", *BUCKET], ["--storage", "is not of a cluster"]),
    ([*BUCKET, "--study", "postgresql://u@h/d"], ["--study", "search"]),
    ([*BUCKET, "--output", "/nowhere/job.yaml"], ["/nowhere/job.yaml", "cannot be written"]),
    ([*BUCKET, "--set", "policies.1.saliency=tailor"], ["policies.1.saliency", "'taylor'"]),
]


@pytest.mark.parametrize(("options", "said"), REFUSED)
def test_one_line_says_what_is_wrong(make: Make, options: list[str], said: list[str]) -> None:
    with pytest.raises(InputError) as error:
        make(*options)
    assert "\n" not in str(error.value)
    for part in said:
        assert part in str(error.value)


SECRETS = [
    ["--tracking-uri", "postgresql://user:sesame@db/mlflow"],
    ["--tracking-uri", "http://user:sesame@mlflow:5000"],
    ["--tracking-uri", "https://sesame@mlflow"],
    ["--tracking-uri", "postgresql://db/mlflow?password=sesame"],
    ["--study", "postgresql://user:sesame@db/studies"],
    ["--set", "search.study=postgresql://user:sesame@db/studies"],
    ["--working-dir", "https://user:sesame@host/code.zip"],
]


@pytest.mark.parametrize("options", SECRETS)
def test_no_password_gets_into_a_manifest(make: Make, options: list[str]) -> None:
    with pytest.raises(InputError) as error:
        make(*BUCKET, *options, sweep=SEARCH)
    assert "sesame" not in str(error.value)
    assert "--secret" in str(error.value)


def test_a_search_keeps_its_study(make: Make) -> None:
    with pytest.raises(InputError, match=r"^--study: missing"):
        make(*BUCKET, sweep=SEARCH)
    config, _ = make(*BUCKET, "--study", "postgresql://u@db/studies", sweep=SEARCH)
    assert "--study postgresql://u@db/studies" in config["data"]["run.sh"]
    make("--storage", "s3://bucket/x", "--secret", "addresses", sweep=SEARCH)
    make("--volume", "runs:/storage", sweep=SEARCH)


def test_it_is_written_to_a_file(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    assert make(*BUCKET, "--working-dir", "s3://b/code.zip", "--output", str(path)) == []
    config, job = load(path.read_text())
    check(config), check(job)
    assert job["spec"]["runtimeEnvYAML"] == "working_dir: s3://b/code.zip\n"


WRONG: list[tuple[str, Any, str]] = [
    ("spec.backoffLimt", 3, "backoffLimt: unknown field"),
    ("spec.backoffLimit", "3", "backoffLimit: '3' is no whole number"),
    ("spec.submissionMode", "HttpMode", "is none of"),
    ("spec.entrypoint", None, "entrypoint"),
    ("spec.ttlSecondsAfterFinished", 60, "deprecated"),
    ("spec.shutdownAfterJobFinishes", True, "exclude each other"),
    ("spec.suspend", True, "needs shutdownAfterJobFinishes"),
    ("spec.deletionStrategy.onSuccess", {"policy": "DeleteCluster"}, "deprecated"),
    ("spec.deletionStrategy.deletionRules.0.policy", "DeleteWorkers", "scales itself"),
    ("spec.deletionStrategy.deletionRules.0.condition.jobStatus", "STOPPED", "is none of"),
    ("spec.deletionStrategy.deletionRules.0.condition.jobDeploymentStatus", "Failed", "not both"),
    ("spec.deletionStrategy.deletionRules.0.condition.jobStatus", "FAILED", "two rules"),
    ("spec.clusterSelector", {"ray.io/cluster": "x"}, "one of"),
    ("spec.rayClusterSpec.authOptions.mode", "disabled", "not token"),
    ("spec.rayClusterSpec.rayVersion", "2.51.0", "2.52.0"),
    ("spec.rayClusterSpec.headGroupSpec.serviceType", "LoadBalancer", "open to the outside"),
    ("spec.rayClusterSpec.headGroupSpec.rayStartParams.num-cpus", 0, "0 is no str"),
    ("spec.rayClusterSpec.headGroupSpec.replicas", 1, "unknown field"),
    ("spec.rayClusterSpec.workerGroupSpecs.0.replicas", 9, "beyond"),
    ("spec.rayClusterSpec.workerGroupSpecs.0.template.spec.tolerations.0.operator", "Is", "none"),
    ("spec.rayClusterSpec.workerGroupSpecs.0.template.spec.nodeselector", {}, "unknown field"),
    ("spec.rayClusterSpec.workerGroupSpecs.0.template.spec.containers.0.name", None, "name"),
    ("spec.rayClusterSpec.headGroupSpec.template.spec.volumes", [], "not there"),
    ("metadata.name", "When", "is no name"),
    ("metadata.name", "x" * 48, "is no name"),
    ("metadata.labels", {QUEUE: "gpus"}, "Kueue"),
    ("apiVersion", "ray.io/v1alpha1", "not an object of KubeRay"),
]


@pytest.mark.parametrize(("place", "value", "said"), WRONG)
def test_the_rules_refuse_what_is_wrong(make: Make, place: str, value: Any, said: str) -> None:
    _, job = make(*BUCKET)
    wrong = copy.deepcopy(job)
    *parents, last = place.split(".")
    found: Any = wrong
    for parent in parents:
        found = found[int(parent)] if isinstance(found, list) else found[parent]
    found[last] = value
    if value is None:
        del found[last]
    with pytest.raises(RuleError, match=re.escape(said)):
        check(wrong)


def test_a_key_that_stands_twice_is_refused() -> None:
    with pytest.raises(RuleError, match="twice"):
        load("kind: RayJob\nkind: RayCluster\n")
