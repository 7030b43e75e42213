"""Saliencies: scores per unit, one file a score."""

from pruning.saliency.base import ActivationSaliency, Probe, Saliency
from pruning.saliency.batch_norm_scale import BatchNormScale
from pruning.saliency.log_posterior import LogPosterior
from pruning.saliency.magnitude import Magnitude
from pruning.saliency.random import Random
from pruning.saliency.registry import SALIENCIES, AnySaliency, saliency
from pruning.saliency.taylor import Taylor

__all__ = [
    "SALIENCIES",
    "ActivationSaliency",
    "AnySaliency",
    "BatchNormScale",
    "LogPosterior",
    "Magnitude",
    "Probe",
    "Random",
    "Saliency",
    "Taylor",
    "saliency",
]
