"""One network: its prunable units, their saliency, the policies, the training of one trial.

A user with a training loop of their own needs only this package.
"""

from pruning.errors import InputError
from pruning.history import History, Record
from pruning.policies import EPI, POLICIES, AtEpoch, Dense, OneShot, Policy, Prune, policy
from pruning.pruner import Pruner
from pruning.saliency import SALIENCIES, Magnitude, Random, Saliency, Taylor, saliency

__all__ = [
    "EPI",
    "POLICIES",
    "SALIENCIES",
    "AtEpoch",
    "Dense",
    "History",
    "InputError",
    "Magnitude",
    "OneShot",
    "Policy",
    "Prune",
    "Pruner",
    "Random",
    "Record",
    "Saliency",
    "Taylor",
    "policy",
    "saliency",
]
