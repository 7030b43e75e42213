"""A policy by the name a sweep file gives it, and the name of a policy.

Below the policies, because a control has a setting that names another policy, perhaps a control.
Nothing here knows a class: ``registry`` above them all fills ``POLICIES``, and is loaded with the
package, so that it is full before anybody can ask.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

from pruning.foreign import foreign
from pruning.names import dotted_name, lookup
from pruning.policies.base import Policy

POLICIES: dict[str, type[Policy]] = {}
"""The policies by name, in the order they are shown."""


def policy(given: Any, prefix: str = "") -> Policy:
    """A policy from its name, a mapping ``{policy: name, setting: value}``, or itself.

    prefix: the place in a sweep file, for messages. Raises ValueError for an unknown name,
    InputError for a setting that does not fit.
    """
    if isinstance(given, Policy):
        return given
    if isinstance(given, str):
        given = {"policy": given}
    if not isinstance(given, dict) or not isinstance(given.get("policy"), str):
        raise ValueError(f"a policy is a name or a mapping with 'policy: name', not {given!r}")
    kind = lookup("policy", given["policy"], POLICIES, Policy)
    with foreign(f"{given['policy']!r} cannot be made"):
        return kind.parse({key: value for key, value in given.items() if key != "policy"}, prefix)


def specify(chosen: Policy) -> dict[str, Any]:
    """How a policy is written in a sweep file, defaults left out; the inverse of ``policy``."""
    return {"policy": dotted_name(type(chosen), POLICIES), **chosen.identity()}


AnyPolicy = Annotated[Policy, BeforeValidator(policy), PlainSerializer(specify)]
