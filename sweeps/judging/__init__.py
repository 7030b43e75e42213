"""What a sweep has shown: the front, what is saved beside dense training, and the oracle."""
