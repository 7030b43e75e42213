"""How fast each search comes near the front, on a sweep of which every setting is stored."""
