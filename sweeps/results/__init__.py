"""What a sweep found: a row a trial, curves, and the networks trials ended with."""
