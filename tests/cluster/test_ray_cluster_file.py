"""The file for ``ray up``: Ray takes it, AWS would, and only workers are on spot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from moto import mock_aws
from ray.autoscaler._private.aws.config import bootstrap_aws
from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
from ray.autoscaler._private.util import prepare_config, validate_config

FILE = Path(__file__).parents[2] / "cluster" / "ray-cluster.yaml"


@pytest.fixture
def config() -> dict[str, Any]:
    """The file as Ray completes and checks it."""
    prepared = prepare_config(yaml.safe_load(FILE.read_text()))
    validate_config(prepared)
    return dict(prepared)


def test_only_workers_are_on_spot_and_only_they_train(config: dict[str, Any]) -> None:
    head, worker = (config["available_node_types"][name] for name in ("head", "worker"))
    assert config["head_node_type"] == "head"
    assert "InstanceMarketOptions" not in head["node_config"]
    assert head["resources"]["CPU"] == 0
    assert worker["node_config"]["InstanceMarketOptions"]["MarketType"] == "spot"
    assert (worker["min_workers"], worker["max_workers"]) == (0, config["max_workers"])
    assert config["provider"]["cache_stopped_nodes"] is False


def test_nothing_is_open_and_nothing_is_secret(config: dict[str, Any]) -> None:
    assert "--dashboard-host=127.0.0.1" in config["head_start_ray_commands"][-1]
    assert "--env RAY_AUTH_MODE=token" in config["docker"]["run_options"]
    assert config["file_mounts"] == {"~/.ray/auth_token": "~/.ray/auth_token"}
    assert "IpPermissions" not in config["provider"]["security_group"]
    assert "RAY_AUTH_TOKEN" not in FILE.read_text()
    commands = [config[name] for name in config if name.endswith("_commands") and "ray" not in name]
    assert commands == [[]] * len(commands)  # none of Ray's defaults, which fetch another Ray


def test_aws_starts_these_machines(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # where Ray keeps the key it makes
    (tmp_path / ".ssh").mkdir()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", config["provider"]["region"])
    with mock_aws():
        iam, ec2 = boto3.client("iam"), boto3.client("ec2")
        for role in ("earlyprune-head", "earlyprune-worker"):
            iam.create_instance_profile(InstanceProfileName=role)
        complete = bootstrap_aws(AWSNodeProvider.fillout_available_node_types_resources(config))
        assert complete["available_node_types"]["worker"]["resources"]["GPU"] == 1
        provider = AWSNodeProvider(complete["provider"], complete["cluster_name"])
        for kind, node in complete["available_node_types"].items():
            provider.create_node(node["node_config"], {"ray-user-node-type": kind}, 1)
        started = [found["Instances"][0] for found in ec2.describe_instances()["Reservations"]]
        assert [machine.get("InstanceLifecycle") for machine in started] == [None, "spot"]
        groups = ec2.describe_security_groups(GroupNames=["earlyprune"])["SecurityGroups"]
        open_to_all = [rule for rule in groups[0]["IpPermissions"] if rule["IpRanges"]]
        assert [(rule["FromPort"], rule["ToPort"]) for rule in open_to_all] == [(22, 22)]
