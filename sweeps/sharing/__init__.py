"""Every distinct epoch is trained once: riders, rides, the tree, and Ray Tune below them."""
