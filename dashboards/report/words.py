"""The answer in words: what the figures say, and what they cannot say."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards.measure import Measure, share
from dashboards.report.data import Content
from dashboards.report.secrets import without_secrets
from dashboards.report.text import cost, count, interval, listed, parts, sentence
from sweeps.judging.savings import ALL, Saving, family, is_control


def answer(content: Content) -> list[str]:
    """The sentences at the top, the first the shortest answer."""
    return [text.replace(" %", "\u00a0%") for text in _answer(content)]


def _answer(content: Content) -> list[str]:
    if not content.groups:
        return [_nothing_finished(content)]
    savings = content.standing.savings
    best = {saving.drop: saving for saving in savings if saving.family == ALL}
    if not best:
        return [_no_comparison(content), *_collapsed(content), *_seeds(content)]
    return [
        _saved(content, best),
        *_test(content, best),
        *_less_accurate(content, best),
        *_controls(content, savings, best),
        *_collapsed(content),
        *_seeds(content),
        *_left(content),
    ]


def _nothing_finished(content: Content) -> str:
    failed = sum(row["status"] == "failed" for row in content.rows)
    going = len(content.rows) - failed
    told = [f"{count(failed, 'trial')} failed"] * bool(failed)
    told += [f"{count(going, 'trial')} {'has' if going == 1 else 'have'} not ended"] * bool(going)
    return f"No trial has finished, so there is nothing to compare: {', '.join(told) or 'none'}."


def _no_comparison(content: Content) -> str:
    if not content.dense:
        return (
            "No dense training has finished in this sweep, so nothing can be said about what "
            "pruning saves; the settings are compared with each other below."
        )
    if content.standing.axes is None:
        what = "an accuracy" if content.val.percent else content.val.noun
        return (
            f"The objectives of this sweep are not {what} and a cost, so no saving can be "
            "read off; the settings are compared with each other below."
        )
    if content.standing.unlearned:
        return f"{sentence(content.standing.unlearned)}."
    others = any(group[0]["policy"] != "dense" for group in content.groups)
    what = "dense training and controls have" if others else "dense training has"
    return f"Only {what} finished so far, so there is no pruning to compare."


def _saved(content: Content, best: dict[float, Saving]) -> str:
    val, of = _axes(content)
    what = val.name
    saving = best[0.0]
    if saving.saved < 0.005:
        return (
            f"No setting reaches dense's {what} ({val.write(saving.target)}) with less {of} than "
            f"dense training itself{_between(saving)}."
        )
    at = parts(saving.settings, content.short)
    return (
        f"At dense's {what} ({val.write(saving.target)}) the best setting takes "
        f"{share(saving.saved, 0)} % less {of}{_between(saving)}: {at}."
    )


def _axes(content: Content) -> tuple[Measure, str]:
    """The quality, and what is saved."""
    axes = content.standing.axes
    assert axes is not None  # or nothing could be saved
    return Measure(axes.quality), cost(axes.cost)


def _between(saving: Saving) -> str:
    found = interval(saving.low, saving.high)
    if not found:
        return ""
    chance = ", so it may be nothing" if (saving.low or 0) < 0.005 <= saving.saved else ""
    return f" (95 % interval {found} %{chance})"


def _less_accurate(content: Content, best: dict[float, Saving]) -> list[str]:
    val, _ = _axes(content)
    told = [
        f"{share(saving.saved, 0)} % at {val.worse(drop)}{_between(saving)}"
        for drop, saving in best.items()
        if drop
    ]
    return [f"The saving is {' and '.join(told)}."] if told else []


def _controls(content: Content, savings: Sequence[Saving], best: dict[float, Saving]) -> list[str]:
    names = dict.fromkeys(family(row) for row in content.rows if is_control(row))
    own = [saving for saving in savings if saving.family in names and saving.drop == 0]
    if not own:
        return [
            "There is no control in this sweep: whether a network that is small from the start "
            "does as well is not known."
        ]
    strongest = max(own, key=lambda saving: saving.saved)
    if strongest.saved < 0.005:
        who = listed([saving.family for saving in own], "or")
        return [f"No control ({who}) reaches dense's {_axes(content)[0].noun} for less than dense."]
    told = listed([f"{saving.family} {share(saving.saved, 0)} %" for saving in own], "and")
    better = strongest.saved >= best[0.0].saved
    verdict = f": {strongest.family} does as well as the best pruning found here" * better
    return [f"The controls save there: {told}{verdict}."]


def _test(content: Content, best: dict[float, Saving]) -> list[str]:
    change = best[0.0].test_change
    if change is None or best[0.0].saved < 0.005:
        return []
    axes = content.standing.axes
    assert axes is not None
    test = Measure(axes.test)
    ways = ("higher", "lower") if test.percent else ("better", "worse")
    far = f"{test.size(change)}{test.points} {ways[change <= 0]} than dense"
    same = abs(change) < 0.00005 if test.percent else not change
    ends = "as dense does" if same else far
    return [f"On the test split, which nothing was chosen on, that best setting ends {ends}."]


def _collapsed(content: Content) -> list[str]:
    told = content.standing.collapsed
    return [f"{told}."] if told else []


def _seeds(content: Content) -> list[str]:
    seeds = len({row["seed"] for group in content.groups for row in group})
    if seeds == 1:
        return ["One seed: there are no intervals, and differences may be chance."]
    if seeds < 5:
        return [f"{seeds} seeds: the intervals are rough."]
    return []


def _left(content: Content) -> list[str]:
    left = sum(row["status"] != "finished" for row in content.rows)
    total = count(len(content.rows), "trial")
    return [f"{left:,} of {total} {'has' if left == 1 else 'have'} not finished."] if left else []


def facts(content: Content) -> dict[str, str]:
    """What the sweep is, in a few words each."""
    task = content.config.get("task") or {}
    finished = sum(row["status"] == "finished" for row in content.rows)
    lengths = {trial.state.epoch for trial in content.trials if trial.finished and trial.state}
    seeds = len({row["seed"] for row in content.rows})
    settings = len({(row["policy"], row["settings"]) for row in content.rows})
    return {
        "model": _name(task.get("model")),
        "data": _name(task.get("data")),
        "epochs": f"{max(lengths):,}" if lengths else _name(task.get("epochs")),
        "settings": f"{settings:,}",
        "seeds": f"{seeds:,}",
        "trials finished": f"{finished:,} of {len(content.rows):,}",
    }


def _name(part: object) -> str:
    if isinstance(part, dict):
        part = part.get("name") or part.get("source") or "–"
    return str(without_secrets(part)) if part is not None else "–"
