"""One network: its prunable units, their saliency, the policies, the training of one trial.

A user with a training loop of their own needs only this package.
"""

from pruning.actions import Action, Mask
from pruning.errors import InputError
from pruning.history import History, Record
from pruning.policies import EPI, POLICIES, AtEpoch, Dense, OneShot, Policy, Prune, policy
from pruning.pruner import Pruner
from pruning.saliency import SALIENCIES, Magnitude, Probe, Random, Saliency, Taylor, saliency
from pruning.structure.aside import Sample

__all__ = [
    "EPI",
    "POLICIES",
    "SALIENCIES",
    "Action",
    "AtEpoch",
    "Dense",
    "History",
    "InputError",
    "Magnitude",
    "Mask",
    "OneShot",
    "Policy",
    "Probe",
    "Prune",
    "Pruner",
    "Random",
    "Record",
    "Saliency",
    "Sample",
    "Taylor",
    "policy",
    "saliency",
]
