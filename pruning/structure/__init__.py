"""The prunable units of a network: found, counted, and removed for real."""
