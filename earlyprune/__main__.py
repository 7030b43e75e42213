"""The command ``earlyprune``, also as ``python -m earlyprune``."""

from __future__ import annotations

import sys

from rich.console import Console

from earlyprune.commands import app
from earlyprune.commands.console import warn_in_lines
from pruning.errors import InputError
from pruning.foreign import ExitError, ForeignError


def main() -> None:
    """What a user gave and cannot be used ends it with code 2, a storage that is full or out of
    reach with code 3, a cluster that went away with code 4. Code of a user's own is what he gave.
    """
    warn_in_lines()
    try:
        app()
    except (InputError, ForeignError, ExitError) as error:
        _complain(error)
        sys.exit(2)
    except Exception as error:
        from cluster.errors import ClusterError
        from sweeps.storage.files import StorageError

        for kind, code in ((StorageError, 3), (ClusterError, 4)):
            if isinstance(error, kind):
                _complain(error)
                sys.exit(code)
        raise


def _complain(error: Exception) -> None:
    Console(stderr=True, soft_wrap=True, emoji=False).print(
        f"error: {error}", markup=False, highlight=False
    )


if __name__ == "__main__":
    main()
