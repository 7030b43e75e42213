"""Forecasts: what the saliency of each unit will be at the end of training.

Rajpal, Zhang, Low: Balancing training time vs. performance with Bayesian Early Pruning. The marks
in the docstrings: [C] read in the paper, [L] from a secondary source, [G] our own choice. A
forecast knows nothing of networks and policies: it is made from the measurements of one layer.
"""
