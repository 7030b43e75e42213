"""What is said when a sweep has ended, and the code that its command ends with."""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.results.rows import Row, count_warnings
from sweeps.running.run import Mode, Outcome


def warned(rows: Sequence[Row]) -> list[str]:
    """A line for each warning, the most frequent first."""
    return [
        f"warning in {count} of {len(rows)} trials: {warning}"
        for warning, count in count_warnings(rows).most_common()
    ]


def shared(outcome: Outcome) -> str:
    """What sharing saved."""
    times = outcome.alone / outcome.distinct if outcome.distinct else 1
    return (
        f"epochs: {outcome.trained:,} trained now; the trials stand on {outcome.distinct:,} "
        f"distinct ones, alone they would be {outcome.alone:,} ({times:.1f} times as many)"
    )


def failed(rows: Sequence[Row]) -> list[str]:
    """A line for each trial that has failed."""
    return [f"{row['trial']} failed: {row['reason']}" for row in rows if row["status"] == "failed"]


def unfinished(rows: Sequence[Row], mode: Mode) -> str | None:
    """What to do about trials that have not ended, if there are any."""
    left = _left(rows)
    if not left:
        return None
    if mode.train:
        return f"stopped with {left} of {len(rows)} trials to go; run it again to go on"
    return f"{left} of {len(rows)} trials need epochs that are not stored"


def exit_code(rows: Sequence[Row], mode: Mode) -> int:
    """0; 1 if a trial failed; 130, as for any interrupted command, if some have not ended."""
    if _left(rows):
        return 130 if mode.train else 1
    return int(bool(failed(rows)))


def _left(rows: Sequence[Row]) -> int:
    return sum(row["status"] == "unfinished" for row in rows)
