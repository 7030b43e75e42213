"""What early pruning saves on a GPU; needs `pruning/` alone, and no package index."""
