"""What number a policy watches, and the threshold it is compared with."""

from __future__ import annotations

import math
from contextlib import suppress

from dashboards.report.data import Content, Trial, policy_of
from pruning.policies import Policy
from pruning.policies.activation_density import ActivationDensityPruning
from pruning.policies.bayes_factor import BayesFactor
from pruning.policies.bep import BEP
from pruning.policies.triggered import Triggered


def threshold(content: Content, trial: Trial) -> float | None:
    """The threshold in force; None where the policy has none, or it is not known."""
    policy = policy_of(trial.row)
    if isinstance(policy, Triggered):
        if policy.threshold is not None:
            return policy.threshold
        layout = content.layout(trial)
        with suppress(Exception):  # a policy of one's own
            return policy.limit(layout) if layout else None
    if isinstance(policy, ActivationDensityPruning):
        return policy.target
    return math.log(policy.beta) if isinstance(policy, BayesFactor) else None


def watched(policy: Policy | None) -> tuple[str, str]:
    """What the number is, for the axis, and when it makes the policy cut."""
    if isinstance(policy, Triggered):
        way = f": cuts at or {'below' if policy.falls else 'above'} the threshold"
        return getattr(policy, "title", "indicator"), way
    if isinstance(policy, BEP):
        return "units left (fraction)", ""
    if isinstance(policy, ActivationDensityPruning):
        return "least activation density", ": a round ends at the threshold"
    if isinstance(policy, BayesFactor):
        return "log Bayes factor (nats)", ": masks above the threshold"
    return "indicator", ""
