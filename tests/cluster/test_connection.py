"""Where a sweep runs: what this machine lacks, and a cluster that is not there."""

from __future__ import annotations

import pytest
import torch

from cluster.connection import ray_session
from pruning.errors import InputError


def test_more_cpus_than_there_are_is_refused_before_ray_starts() -> None:
    with (
        pytest.raises(InputError, match=r"resources\.cpus: 9999 is not allowed: this machine has"),
        ray_session(cpus=9999),
    ):
        pytest.fail("connected")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match=r"resources\.gpus: 0\.5"), ray_session(gpus=0.5):
        pytest.fail("connected")


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9", "127.0.0.1:port"])
def test_a_cluster_that_is_not_there_is_one_clear_error(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(InputError, match="cannot be reached") as error, ray_session():
        pytest.fail("connected")
    assert repr(address) in str(error.value)
    assert "\n" not in str(error.value)
