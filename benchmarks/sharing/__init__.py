"""What sharing epochs saves, how it scales, and what it costs to decide and to submit."""
