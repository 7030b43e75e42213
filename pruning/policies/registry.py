"""The policies by name. A new one is a file and a line here."""

from __future__ import annotations

from pruning.policies.activation_density import ActivationDensityPruning
from pruning.policies.at_epoch import AtEpoch
from pruning.policies.bayes_factor import BayesFactor
from pruning.policies.bep import BEP
from pruning.policies.dense import Dense
from pruning.policies.early_bird import EarlyBird
from pruning.policies.early_crop import EarlyCroP
from pruning.policies.epi import EPI
from pruning.policies.foresight import Grasp, Snip, Synflow
from pruning.policies.gradual import Gradual
from pruning.policies.named import POLICIES, policy, specify
from pruning.policies.ocspruner import OCSPruner
from pruning.policies.small_from_scratch import SmallFromScratch
from pruning.policies.uniform import Uniform

__all__ = ["POLICIES", "policy", "specify"]

POLICIES |= {
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
