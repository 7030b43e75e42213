"""Every optimizer of torch and of pytorch_optimizer goes on after a cut, or refuses it before."""

from __future__ import annotations

import pytest
import torch
from every_optimizer import every_kind, outcome

NEEDS_MORE = {
    "pytorch_optimizer.AdaLOMO",  # fails on convolutions, cut or not
    "pytorch_optimizer.DeMo",  # wants einops, and several processes
    "pytorch_optimizer.DistributedMuon",  # wants several processes
}


@pytest.mark.filterwarnings("ignore")
def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pytorch_optimizer")
    found = {one.name: outcome(one) for one in every_kind()}
    with capsys.disabled():
        print()
        for name, one in found.items():
            print(f"{name:40} {one.what:18} {' '.join(one.why.split())}")
    assert {name for name, one in found.items() if one.what == "does not run here"} <= NEEDS_MORE
    torchs = {n: one.what for n, one in found.items() if n.startswith("torch.optim.")}
    refused = {name.rpartition(".")[2] for name, what in torchs.items() if what == "refused"}
    assert refused == {"LBFGS", "SparseAdam"}
    assert len(torchs) >= 13
    assert sum(one.what == "works" for one in found.values()) > 100
    for one in found.values():
        if one.what == "refused":
            assert "\n" not in one.why
            assert one.name.rpartition(".")[2] in one.why


def test_torchs_own_are_found() -> None:
    names = {one.name for one in every_kind()}
    assert {f"torch.optim.{kind}" for kind in ("SGD", "AdamW", "Adafactor", "Muon")} <= names
    assert torch.optim.Muon  # since torch 2.9
