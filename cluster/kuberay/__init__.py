"""Sweeps on Kubernetes: what KubeRay, and Kueue where there is one, are to be told."""
