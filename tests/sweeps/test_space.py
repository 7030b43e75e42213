"""Search spaces: what they refuse, and that what is drawn fits."""

from __future__ import annotations

import math
from typing import Any

import optuna
import pytest

from sweeps.file.spaces import Space, filled, kind_of, spaces

optuna.logging.set_verbosity(optuna.logging.WARNING)

GOOD: list[dict[str, Any]] = [
    {"choice": [1, "a", None, True, [8, 8], {"name": "magnitude"}]},
    {"uniform": [0.1, 0.7]},
    {"uniform": [0.1, 0.7], "step": 0.2},
    {"log_uniform": [1e-5, 1]},
    {"int": [-3, 4]},
    {"int": [0, 10], "step": 5},
]


def drawn(space: Space, count: int = 60) -> list[Any]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    return [space.suggest(study.ask(), "x") for _ in range(count)]


@pytest.mark.parametrize("given", GOOD, ids=str)
def test_what_is_drawn_lies_within_and_covers(given: dict[str, Any]) -> None:
    space = Space.parse(given, "policies.0.x")
    found = drawn(space)
    if space.kind == "choice":
        assert all(value in given["choice"] for value in found)
        assert all(value in found for value in given["choice"])
        assert space.extremes == given["choice"]
        return
    low, high = given[space.kind]
    assert all(low <= value <= high for value in [*found, space.base, *space.extremes])
    assert min(found) < low + 0.3 * (high - low)
    if space.kind == "int":
        assert all(isinstance(value, int) for value in found)
        assert max(found) == high
    if "step" in given:
        steps = [(value - low) / given["step"] for value in [*found, space.base]]
        assert steps == pytest.approx([round(step) for step in steps])
        assert all(len(repr(value)) < 6 for value in found), "no 0.30000000000000004"
    elif space.kind != "int":
        assert all(float(f"{value:.4g}") == value for value in found)
    if space.kind == "log_uniform":
        assert sum(value < 1e-3 for value in found) > len(found) / 4
        assert space.base == pytest.approx(math.sqrt(low * high), rel=1e-3)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"choice": []}, "at least one"),
        ({"choice": "ab"}, "a list"),
        ({"choice": [1, 1]}, "twice"),
        ({"choice": [1, 2], "step": 1}, "a list"),
        ({"uniform": [1]}, "two numbers"),
        ({"uniform": [0.5, "b"]}, "two numbers"),
        ({"uniform": [0.5, True]}, "two numbers"),
        ({"uniform": [0.5, math.nan]}, "two numbers"),
        ({"uniform": [0.9, 0.1]}, "below high"),
        ({"uniform": [0.5, 0.5]}, "below high"),
        ({"uniform": [0, 1], "step": 0}, "step must be above 0"),
        ({"uniform": [0, 1], "step": 2}, "up to high - low"),
        ({"log_uniform": [0, 1]}, "above 0"),
        ({"log_uniform": [0.1, 1], "step": 0.1}, "no step"),
        ({"int": [0.5, 3]}, "whole numbers"),
        ({"int": [0, 3], "step": 0.5}, "whole number"),
        ({"int": [3, 0]}, "below high"),
    ],
    ids=str,
)
def test_what_is_no_space_is_refused_by_name(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said) as refusal:
        Space.parse(given, "policies.2.threshold")
    assert str(refusal.value).startswith("policies.2.threshold: {")


def test_spaces_are_found_and_filled_wherever_they_stand() -> None:
    template = {
        "policy": "uniform",
        "of": {"policy": "epi", "ratio": {"uniform": [0.1, 0.9]}, "window": {"int": [1, 3]}},
    }
    found = spaces(template, "policies.0")
    assert set(found) == {"of.ratio", "of.window"}
    values = {"of.ratio": 0.3, "of.window": 2}
    expected = {"policy": "uniform", "of": {"policy": "epi", "ratio": 0.3, "window": 2}}
    assert filled(template, values) == expected
    assert filled({"uniform": [0, 1]}, {"": 0.5}) == 0.5


def test_a_mapping_that_is_a_value_is_no_space() -> None:
    assert kind_of({"policy": "uniform"}) is None
    assert kind_of({"uniform": [0, 1], "low": 0}) is None
    assert kind_of({}) is None
    assert kind_of([1]) is None
