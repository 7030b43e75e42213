"""A sweep while it runs."""
