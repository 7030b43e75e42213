"""A sweep on machines that die: faults of every kind, and what they cost."""
