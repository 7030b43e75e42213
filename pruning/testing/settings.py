"""Settings: what a policy is, in a sweep file and in a store."""

from __future__ import annotations

import json
from typing import Any

from pruning.policies.base import Policy
from pruning.policies.registry import policy as parse
from pruning.policies.registry import specify
from pruning.testing.findings import BreachError, raised, shortened
from pruning.training.task import Task

_STRANGE = "no_such_setting"


def settings(policy: Policy, task: Task | None = None) -> None:
    """They survive YAML and back, defaults are valid, an unknown one is refused."""
    _has_a_name(policy)
    _survive_yaml(policy)
    _defaults_are_valid(policy)
    try:
        type(policy).parse({**policy.identity(), _STRANGE: 1})
    except ValueError:
        return
    raise BreachError(f"it accepts a setting {_STRANGE!r}", "its own fields")


def _has_a_name(policy: Policy) -> None:
    name = getattr(type(policy), "name", None)
    if not (isinstance(name, str) and name):
        raise BreachError(f"its name is {name!r}", 'a class variable: name: ClassVar[str] = "..."')


def _survive_yaml(policy: Policy) -> None:
    try:
        again = parse(_written_and_read(specify(policy)))
    except Exception as error:
        raise BreachError(
            f"its settings do not survive YAML: {raised(error)}",
            "a class that can be imported, with fields that can be written",
        ) from None
    if type(again) is not type(policy):
        raise BreachError(f"YAML gives back a {type(again).__name__}", "the same class")
    for field in type(policy).model_fields:
        before, after = getattr(policy, field), getattr(again, field)
        if before != after:
            found = f"setting {field} is {shortened(repr(before))}, then {shortened(repr(after))}"
            raise BreachError(found, "the same after YAML")


def _written_and_read(data: dict[str, Any]) -> Any:
    try:
        import yaml
    except ModuleNotFoundError:  # a training loop needs none; JSON is YAML
        return json.loads(json.dumps(data))
    return yaml.safe_load(yaml.safe_dump(data))


def _defaults_are_valid(policy: Policy) -> None:
    fields = type(policy).model_fields
    needed = {name: getattr(policy, name) for name, field in fields.items() if field.is_required()}
    try:
        type(policy).parse(needed)
    except Exception as error:
        raise BreachError(
            f"its defaults are refused: {raised(error)}", "defaults that fit"
        ) from None
