"""The command ``earlyprune``, also as ``python -m earlyprune``."""

from __future__ import annotations

from earlyprune.commands.run import main

if __name__ == "__main__":
    main()
