"""The public names: ``load``, ``load_network``, ``read_card``, and those of ``pruning``.

Nothing heavy is imported before one of them is used.
"""
# ruff: noqa: F403

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pruning
from sweeps.storage.files import DEFAULT_STORAGE

if TYPE_CHECKING:
    import pandas as pd

    from pruning.export import load_network as load_network
    from pruning.export import read_card as read_card
    from pruning.public import *

_OF_EXPORT = ("load_network", "read_card")
__all__ = ["load", *_OF_EXPORT, *pruning.__all__]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _OF_EXPORT:
        from pruning import export

        return getattr(export, name)
    return getattr(pruning, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load(name: str, storage: str = DEFAULT_STORAGE) -> pd.DataFrame:
    """The results of a sweep as a data frame, a row a trial in the order of the sweep.

    name: of the sweep, which has run or is running. storage: a folder, or an address: s3://...
    Columns are those of ``earlyprune results``, and ``setting.ratio``, ... for each setting.
    ``prune_epochs`` holds lists; the figures of a trial that has failed or not finished are missing
    values. Raises InputError, naming the sweeps there are.
    """
    from sweeps.judging.table import read_rows
    from sweeps.results.frame import frame
    from sweeps.storage.store import Store

    return frame(read_rows(Store(storage), name))
