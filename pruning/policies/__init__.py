"""Policies: when to prune, what and how much. One file a policy."""

from pruning.policies.at_epoch import AtEpoch
from pruning.policies.base import Policy, Prune
from pruning.policies.bayes_factor import BayesFactor
from pruning.policies.dense import Dense
from pruning.policies.epi import EPI
from pruning.policies.one_shot import OneShot
from pruning.policies.registry import POLICIES, policy

__all__ = [
    "EPI",
    "POLICIES",
    "AtEpoch",
    "BayesFactor",
    "Dense",
    "OneShot",
    "Policy",
    "Prune",
    "policy",
]
