"""Every policy keeps the contract, unasked; and who breaks it is caught by the right check."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import broken_policies as broken
import pytest
from small_tasks import digits_task

from pruning import POLICIES, InputError, Policy, testing
from pruning import policy as parse

CUT = {"policy": "at_epoch", "epoch": 3}
SETTINGS: dict[str, list[dict[str, Any]]] = {
    "at_epoch": [
        {"epoch": 4},
        {"epoch": 0, "ratio": 0.8, "scope": "layer", "round_to": 2},
        {"epoch": 12, "ratio": 0.95, "saliency": "taylor"},
        {"epoch": 1, "saliency": "own_code:ByNumber"},
        {"epoch": 2, "aim": {"macs": 0.4}, "scope": "price"},
    ],
    "small_from_scratch": [{"of": CUT}],
    "uniform": [{"of": CUT}],
    "gradual": [{}, {"aim": {"params": 0.5}, "scope": "layer"}],
    "epi": [
        {},
        {"threshold": 0.9, "window": 2, "latest": None, "saliency": "taylor"},
        {"aim": {"macs": 0.5}, "window": 2},
    ],
    "bep": [{}, {"aim": {"macs": 0.5}, "scope": "price"}],
    "bayes_factor": [{}, {"gate": "open", "by": "random", "hold": False, "sparsity": 0.3}],
    "own_code:LastUnits": [{}],
}
"""What to try instead of the defaults."""

CASES = [
    {"policy": name} | settings
    for name in [*POLICIES, "own_code:LastUnits"]
    for settings in SETTINGS.get(name, [{}])
]


@pytest.mark.parametrize("check", testing.CHECKS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case.values())))
def test_keeps_the_contract(case: dict[str, Any], check: str) -> None:
    testing.CHECKS[check](parsed(case))


def parsed(case: dict[str, Any]) -> Policy:
    try:
        return parse(case)
    except InputError as error:
        pytest.fail(f"{case} is no policy yet: add an entry to SETTINGS in {__file__} ({error})")


def test_a_policy_whose_defaults_are_not_enough_asks_for_an_entry() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"add an entry to SETTINGS .*epoch: missing"):
        parsed({"policy": "at_epoch"})


CAUGHT: list[tuple[Policy, str, str]] = [
    (broken.Dice(), "pure", ""),
    (broken.Idle(), "pure", "it uses the global generator of numpy"),
    (broken.Idle(of="random"), "pure", "it uses the global generator of random"),
    (broken.Idle(of="torch"), "pure", "it uses the global generator of torch"),
    (broken.Counts(), "pure", "asked twice it does [] and [(1, Prune("),
    (broken.Remembers(), "pure", "at first it was Prune"),
    (broken.Remembers(), "restart", "a restart after epoch 4 has another network"),
    (broken.Once(), "replay", "replayed no action"),
    (broken.Peeks(), "asking", "with all probes in every epoch it does [(2, Prune"),
    (broken.Impatient(), "pure", "it reads the clock: time in "),
    (broken.Dated(), "pure", "it reads the clock: now in "),
    (broken.WholeLayer(), "units", "after epoch 2: it removes layer '0' whole"),
    (broken.NoFloor(), "units", "whole (allowed: one unit at least stays)"),
    (broken.Twice(), "units", "after epoch 3: it removes unit 39, which is gone"),
    (broken.Twice(), "replay", "the network refuses: ValueError"),
    (broken.Beyond(), "units", "it removes unit 40 (allowed: 0 to 39)"),
    (broken.Unordered(), "units", "not in rising order"),
    (broken.NumpyUnits(), "units", "unit 39 is of type int64"),
    (broken.Nothing(), "units", "it removes nothing"),
    (broken.TooMany(), "budget", "6 of 40 units are gone (allowed: up to 4)"),
    (broken.TooSparse(), "budget", "36 of 72 weights of 0.weight are zero (allowed: 14"),
    (broken.Writes(), "pure", "it changed the record of epoch "),
    (broken.Lossy(after=3), "settings", "setting after is 3, then 2"),
    (broken.Fixed(), "settings", "it accepts a setting 'no_such_setting'"),
    (broken.Nameless(), "settings", "its name is None"),
    (broken.Strict(ratio=0.5), "settings", "its defaults are refused"),
    (broken.Early(), "planning", "after epoch 2: it acts first (allowed: 3 to 9"),
    (broken.Never(), "planning", "first_action says never"),
    (broken.Beside(), "lengths", "first_action(1) is (0, 20)"),
    (broken.SameKey(epoch=3), "planning", "SameKey(ratio=0.25, epoch=3) has the same action_key"),
    (broken.ListKey(), "planning", "action_key raises TypeError"),
    (broken.Picky(), "lengths", "check(1) raises KeyError: 1 (allowed: ValueError)"),
    (broken.Refuses(), "lengths", "check refuses every training of 9 to 1000 epochs: after: never"),
    (broken.Units(), "pure", "decide returned [39], a list"),
    (broken.Single(), "pure", "indicator is 1.0 of type float32"),
    (broken.Undefined(), "pure", "indicator is nan of type float"),
]


@pytest.mark.parametrize(
    ("policy", "check", "words"),
    CAUGHT,
    ids=[f"{type(policy).__name__}-{check}" for policy, check, _ in CAUGHT],
)
def test_who_breaks_it_is_caught(policy: Policy, check: str, words: str) -> None:
    with pytest.raises(testing.ContractError) as error:
        testing.CHECKS[check](policy)
    line = str(error.value)
    assert line.startswith(f"{check}: broken_policies:{type(policy).__name__}(")
    assert words in line
    assert "\n" not in line
    assert not isinstance(error.value, testing.RaisedError)


def test_who_raises_is_caught_with_the_cause() -> None:
    with pytest.raises(
        testing.RaisedError, match=r"after epoch 2: .* LookupError: no idea"
    ) as error:
        testing.CHECKS["pure"](broken.Raises())
    assert isinstance(error.value.__cause__, LookupError)
    assert isinstance(error.value, AssertionError)


def test_decisions_are_bounded() -> None:
    bounded = testing.CHECKS["bounded"]
    bounded(broken.Slow())
    bounded(broken.Hungry())
    with pytest.raises(
        testing.ContractError, match=r"on 26,560 units it takes .* \(allowed: 0.001"
    ):
        bounded(broken.Slow(), seconds=0.001)


def test_memory_is_bounded() -> None:
    """In a process of its own: what a long session has left lying about hides what is asked for."""
    code = (
        "import broken_policies; from pruning import testing; "
        "testing.CHECKS['bounded'](broken_policies.Hungry(), gib=0.1)"
    )
    here = Path(__file__)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=here.parent,
        env={**os.environ, "PYTHONPATH": str(here.parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert re.search(r"ContractError: .*it takes 0\.\d+ GiB \(allowed: 0.1 GiB\)", done.stderr)


def test_another_task() -> None:
    testing.quick(broken.Cuts(), task=digits_task(epochs=3))
    with pytest.raises(
        testing.ContractError, match=r"lengths: at_epoch\(epoch=3\): check\(3\) ref"
    ):
        testing.check(parse(CUT), task=digits_task(epochs=3))
    needs = parse({**CUT, "saliency": "batch_norm_scale"})
    with pytest.raises(testing.RaisedError, match=r"its training raises ValueError: .*batch"):
        testing.check(needs, task=digits_task())


def test_quick_catches_what_needs_no_second_training() -> None:
    testing.quick(broken.Cuts())
    testing.check(broken.Cuts())
    with pytest.raises(testing.ContractError, match=r"^pure: "):
        testing.quick(broken.Dice())
    with pytest.raises(testing.ContractError, match=r"^budget: "):
        testing.quick(broken.TooMany())


def test_the_generators_are_left_as_they_were() -> None:
    import numpy as np

    np.random.seed(5)
    wanted = np.random.rand()
    np.random.seed(5)
    testing.quick(broken.Cuts(after=1))
    assert np.random.rand() == wanted
