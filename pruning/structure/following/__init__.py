"""Following every entry of every tensor through a forward pass; `marks` says how."""
