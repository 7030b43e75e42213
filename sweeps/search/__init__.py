"""The search: what to try next, for how long, and on how many seeds."""
