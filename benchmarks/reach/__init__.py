"""Which networks can be cut, how exactly, and how much of them; see ``__main__``."""
