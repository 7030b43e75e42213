"""Many machines: where a sweep runs."""
