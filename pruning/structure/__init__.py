"""The prunable units of a network: found, counted, and removed for real."""

from pruning.structure.cost import Cost, measure
from pruning.structure.layout import Layout
from pruning.structure.network import Network
from pruning.structure.shrink import shrink
from pruning.structure.trace import trace_units
from pruning.structure.units import Group, Role, Slice, Units, UntraceableError

__all__ = [
    "Cost",
    "Group",
    "Layout",
    "Network",
    "Role",
    "Slice",
    "Units",
    "UntraceableError",
    "measure",
    "shrink",
    "trace_units",
]
