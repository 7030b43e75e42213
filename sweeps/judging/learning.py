"""Whether training has learned anything: what has not is nothing to compare with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pruning.training.luck import ERRORS, margin_of_share
from sweeps.results.quality import Quality, words
from sweeps.results.rows import Row, by_setting, mean, metrics_of, short_names

NAMED = 4
"""Settings that a line names; of further ones the number is told."""


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


def collapsed(rows: Iterable[Row]) -> dict[tuple[str, str], tuple[int, int]]:
    """The settings that ended at chance, each with the number of such seeds and of all that ended.

    All of them, where their mean is at chance. Empty unless dense training is known to have
    learned, as the reason would be another.
    """
    rows = list(rows)
    if not _judged([row for row in rows if row["policy"] == "dense"]) or unlearned(rows):
        return {}
    found = {key: _seeds_at_chance(group) for key, group in by_setting(rows).items()}
    return {key: seeds for key, seeds in found.items() if seeds[0]}


def _seeds_at_chance(group: Sequence[Row]) -> tuple[int, int]:
    quality = _judged(group)
    known = _known(group, quality) if quality else []
    if at_chance("it", known):
        return len(known), len(known)
    return sum(bool(at_chance("it", [row])) for row in known), len(known)


def told_collapsed(rows: Sequence[Row]) -> str:
    """``collapsed`` in one line; "" where no setting is."""
    found, names = collapsed(rows), short_names(rows)
    told = [
        names[key] + (f" ({count} of {seeds} seeds)" if count < seeds else "")
        for key, (count, seeds) in found.items()
    ]
    if len(told) > NAMED:
        told = [*told[: NAMED - 1], f"{len(told) - NAMED + 1} more settings"]
    return f"{', '.join(told)} ended at chance: nothing was learned or kept" if told else ""


def at_chance(who: str, rows: Sequence[Row]) -> str:
    """Why the seeds of a setting say nothing, in one line; "" if they do, or that is not known.

    Their metric, the mean over seeds, has to be better than its level of chance by the margin that
    luck has (``pruning.training.luck``). It is the first of the task's that has such a level.
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
