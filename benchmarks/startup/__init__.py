"""What a command costs before it does anything."""
