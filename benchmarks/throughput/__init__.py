"""How long an epoch takes, beside a loop written by hand and another checkout."""
