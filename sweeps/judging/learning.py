"""Whether training has learned anything: what has not is nothing to compare with."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from sweeps.results.rows import Row, by_setting, mean

ERRORS = 2.0
"""An accuracy has to be so many standard errors of chance above it."""


def unlearned(rows: Iterable[Row]) -> str:
    """Why nothing can be said beside dense training, in one line: it did not learn.

    Of several variants the most accurate counts. "" if it did, or that is not known.
    """
    dense = by_setting(row for row in rows if row["policy"] == "dense" and _known(row)).values()
    best = max(dense, key=lambda group: mean(group, "val_accuracy"), default=())
    return at_chance("dense", best)


def at_chance(who: str, rows: Sequence[Row]) -> str:
    """Why the seeds of a setting say nothing, in one line; "" if they do, or that is not known.

    Chance is p, the accuracy of always naming the most frequent class of the n validation samples.
    Their accuracy, the mean over seeds, has to be above p + 2 sqrt(p (1 - p) / n).
    """
    known = [row for row in rows if _known(row)]
    if not known:
        return ""
    share, samples = (known[0]["chance"][name] for name in ("chance_accuracy", "val_samples"))
    accuracy, error = mean(known, "val_accuracy"), math.sqrt(share * (1 - share) / samples)
    if accuracy > share + ERRORS * error:
        return ""
    return (
        f"{who} did not learn: nothing can be said; its validation accuracy {accuracy:.4f} is not "
        f"{ERRORS:g} standard errors ({error:.4f}) above that of always naming the most frequent "
        f"class, {share:.4f} of {samples:.0f} samples"
    )


def _known(row: Row) -> bool:
    """Whether it has ended, of a task whose chance is known; not so in older storages."""
    return row.get("val_accuracy") is not None and "chance_accuracy" in row.get("chance", ())
