"""What can go wrong with a cluster that nobody here is to blame for."""

from __future__ import annotations


class ClusterError(Exception):
    """A cluster that has answered before and does so no more; submitting again goes on."""
