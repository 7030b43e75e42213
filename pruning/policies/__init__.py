"""Policies: when to prune, what and how much. One file a policy."""

from pruning.policies.activation_density import ActivationDensityPruning
from pruning.policies.at_epoch import AtEpoch
from pruning.policies.base import Policy, Prune
from pruning.policies.bayes_factor import BayesFactor
from pruning.policies.bep import BEP
from pruning.policies.dense import Dense
from pruning.policies.early_bird import EarlyBird
from pruning.policies.early_crop import EarlyCroP
from pruning.policies.epi import EPI
from pruning.policies.foresight import Grasp, Snip, Synflow
from pruning.policies.gradual import Gradual
from pruning.policies.ocspruner import OCSPruner
from pruning.policies.one_shot import OneShot
from pruning.policies.registry import POLICIES, policy
from pruning.policies.small_from_scratch import SmallFromScratch
from pruning.policies.triggered import Triggered
from pruning.policies.uniform import Uniform

__all__ = [
    "BEP",
    "EPI",
    "POLICIES",
    "ActivationDensityPruning",
    "AtEpoch",
    "BayesFactor",
    "Dense",
    "EarlyBird",
    "EarlyCroP",
    "Gradual",
    "Grasp",
    "OCSPruner",
    "OneShot",
    "Policy",
    "Prune",
    "SmallFromScratch",
    "Snip",
    "Synflow",
    "Triggered",
    "Uniform",
    "policy",
]
