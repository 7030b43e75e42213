"""Whether training has learned anything: what has not is nothing to compare with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pruning.training.chance import ERRORS, margin_of_share
from sweeps.results.quality import Quality, words
from sweeps.results.rows import Row, by_setting, mean, metrics_of


def unlearned(rows: Iterable[Row]) -> str:
    """Why nothing can be said beside dense training, in one line: it did not learn.

    Of several variants the best counts. "" if it did, or that is not known.
    """
    dense = [row for row in rows if row["policy"] == "dense"]
    quality = _judged(dense)
    if quality is None:
        return ""
    variants = by_setting(_known(dense, quality)).values()
    best = max(variants, key=lambda group: quality.sign * mean(group, quality.val), default=())
    return at_chance("dense", best)


def at_chance(who: str, rows: Sequence[Row]) -> str:
    """Why the seeds of a setting say nothing, in one line; "" if they do, or that is not known.

    Their metric, the mean over seeds, has to be better than its level of chance by the margin that
    luck has (``pruning.training.chance``). It is the first of the task's that has such a level.
    """
    quality = _judged(rows)
    known = _known(rows, quality) if quality else []
    if not quality or not known:
        return ""
    level, margin = _level(known[0], quality.name)
    found = mean(known, quality.val)
    if quality.sign * (found - level) > margin:
        return ""
    return (
        f"{who} did not learn: nothing can be said; its {words(quality.val)} {found:.4g} is not "
        f"better than {level:.4g} by {margin:.2g} ({ERRORS:g} standard errors of chance): that "
        f"takes no look at the {known[0]['chance']['val_samples']:.0f} samples"
    )


def _judged(rows: Sequence[Row]) -> Quality | None:
    """The first metric whose level of chance is known; in older storages accuracy alone has one."""
    found = (Quality(*one) for one in metrics_of(rows).items())
    return next((one for one in found if _known(rows, one)), None)


def _known(rows: Sequence[Row], quality: Quality) -> list[Row]:
    """Those that have ended, of a task whose level of chance is known."""
    level = f"chance_{quality.name}"
    return [
        row
        for row in rows
        if row.get(quality.val) is not None and level in (row.get("chance") or ())
    ]


def _level(row: Row, name: str) -> tuple[float, float]:
    known = row["chance"]
    level, margin = known[f"chance_{name}"], known.get(f"margin_{name}")
    return level, margin_of_share(level, known["val_samples"]) if margin is None else margin
