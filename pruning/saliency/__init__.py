"""Probes: what policies have measured, one file each. Most are saliencies, scores per unit.

A probe's file is read to know its name and settings: sweeps are refused, planned and shown without
torch. So it computes by the tensors' own methods, or imports what needs torch when it measures.
"""

from pruning.saliency.activation_density import ActivationDensity
from pruning.saliency.base import ActivationSaliency, Probe, Saliency
from pruning.saliency.batch_norm_scale import BatchNormScale
from pruning.saliency.feature_taylor import FeatureTaylor
from pruning.saliency.gradient_flow import GradientFlow
from pruning.saliency.grasp import Grasp
from pruning.saliency.log_posterior import LogPosterior
from pruning.saliency.magnitude import Magnitude
from pruning.saliency.price import Price
from pruning.saliency.random import Random
from pruning.saliency.registry import PRICES, SALIENCIES, AnySaliency, saliency
from pruning.saliency.snip import Snip
from pruning.saliency.synflow import Synflow
from pruning.saliency.taylor import Taylor
from pruning.saliency.uniform_macs import UniformMacs
from pruning.saliency.weight_change import WeightChange

__all__ = [
    "PRICES",
    "SALIENCIES",
    "ActivationDensity",
    "ActivationSaliency",
    "AnySaliency",
    "BatchNormScale",
    "FeatureTaylor",
    "GradientFlow",
    "Grasp",
    "LogPosterior",
    "Magnitude",
    "Price",
    "Probe",
    "Random",
    "Saliency",
    "Snip",
    "Synflow",
    "Taylor",
    "UniformMacs",
    "WeightChange",
    "saliency",
]
