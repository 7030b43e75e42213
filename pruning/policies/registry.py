"""The policies by name. A new one is a file and a line here."""

from __future__ import annotations

from typing import Any

from pruning.names import dotted_name, lookup
from pruning.policies.activation_density import ActivationDensityPruning
from pruning.policies.at_epoch import AtEpoch
from pruning.policies.base import Policy
from pruning.policies.bayes_factor import BayesFactor
from pruning.policies.bep import BEP
from pruning.policies.dense import Dense
from pruning.policies.early_bird import EarlyBird
from pruning.policies.early_crop import EarlyCroP
from pruning.policies.epi import EPI
from pruning.policies.foresight import Grasp, Snip, Synflow
from pruning.policies.gradual import Gradual
from pruning.policies.ocspruner import OCSPruner
from pruning.policies.small_from_scratch import SmallFromScratch
from pruning.policies.uniform import Uniform

POLICIES: dict[str, type[Policy]] = {
    "dense": Dense,
    "small_from_scratch": SmallFromScratch,
    "uniform": Uniform,
    "at_epoch": AtEpoch,
    "epi": EPI,
    "early_bird": EarlyBird,
    "early_crop": EarlyCroP,
    "ocspruner": OCSPruner,
    "gradual": Gradual,
    "snip": Snip,
    "grasp": Grasp,
    "synflow": Synflow,
    "bep": BEP,
    "activation_density": ActivationDensityPruning,
    "bayes_factor": BayesFactor,
}


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
    return kind.parse({key: value for key, value in given.items() if key != "policy"}, prefix)


def specify(chosen: Policy) -> dict[str, Any]:
    """How a policy is written in a sweep file, defaults left out; the inverse of ``policy``."""
    return {"policy": dotted_name(type(chosen), POLICIES), **chosen.identity()}
