"""Results as tables on a terminal."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dashboards.measure import Measure
from pruning.policies import Policy
from pruning.saliency import Saliency
from sweeps.judging.oracle import OTHERS, Verdict
from sweeps.judging.savings import Gain, Saving
from sweeps.judging.standing import Standing
from sweeps.results.quality import Quality
from sweeps.results.rows import Row, by_setting, describe, deviation, mean, metrics_of
from sweeps.storage.housekeeping import Removal


def trials_table(rows: Sequence[Row]) -> Table:
    """A row a trial; a star marks the Pareto set."""
    judged = _judged(rows)
    told = "|".join(one.column.replace("_", " ").replace("accuracy", "acc") for one in judged)
    heads = f"prune epochs|sparsity|MACs|{told}|train s|device-hours|Pareto"
    table = _table("trials", "trial|settings|status", heads)
    for row in rows:
        table.add_row(
            row["trial"],
            escape(row["settings"]),
            escape(row["status"] + (f": {row['reason']}" if row["reason"] else "")),
            _epochs([row]),
            _sparsity([row]),
            _number(row["macs"], "{:,.0f}"),
            *(_number(row[one.column], _form(one)) for one in judged),
            _number(row["train_seconds"], "{:.2f}"),
            _number(row["gpu_hours"], "{:.6f}"),
            "*" if row["pareto"] else "",
        )
    return table


def trials_text(rows: Sequence[Row], width: int = 150) -> str:
    """``trials_table`` as plain text of so many columns."""
    out = io.StringIO()
    Console(file=out, width=width).print(trials_table(rows))
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


def settings_table(rows: Sequence[Row]) -> Table:
    """A row a policy and settings: means over seeds, metrics with their standard deviation.

    Only settings that vary stand in the rows, the others under the table. MACs and device-hours
    stand beside their share of the dense training's, where there is one.
    """
    groups = by_setting(rows)
    dense = groups.get(("dense", ""), [])
    seeds = len({row["seed"] for row in rows})
    judged = _judged(rows)
    told = "|".join(one.column.replace("_", " ") for one in judged)
    heads = f"pruned at|sparsity|MACs|of dense|{told}|device-hours|of dense|Pareto"
    table = _table(f"mean of {seeds} seed{'s' * (seeds > 1)}", "policy|settings", heads)
    constant = _constant_settings([group[0] for group in groups.values()])
    for (policy, _), group in groups.items():
        own = {k: v for k, v in group[0]["setting"].items() if k not in constant.get(policy, {})}
        failed = sum(row["status"] != "finished" for row in group)
        hours, macs = mean(group, "gpu_hours"), mean(group, "macs")
        table.add_row(
            policy,
            escape(describe(own)) + (f" ({failed} of {len(group)} failed)" if failed else ""),
            _epochs(group),
            _sparsity(group),
            _number(macs, "{:,.0f}"),
            _number(macs / mean(dense, "macs"), "{:.2f}"),
            *(_spread(group, one) for one in judged),
            _number(hours, "{:.5f}"),
            _number(hours / mean(dense, "gpu_hours"), "{:.2f}"),
            "*" if group[0]["pareto"] else "",
        )
    shared = [f"{name}: {describe(found)}" for name, found in constant.items() if describe(found)]
    table.caption = escape("\n".join(shared))
    table.caption_justify = "left"
    return table


def oracle_table(verdicts: Sequence[Verdict]) -> Table:
    """A row an indicator and threshold: what it chose, and how far it ended below the oracle.

    Regret in points of test accuracy, or in the task's metric, with its standard deviation over
    seeds. Settings that are the same everywhere stand under the table, and the notes by numbers.
    """
    test = Measure(next((one.quality for one in verdicts), Quality()).test)
    regret = "regret, points" if test.percent else f"regret, {test.name}"
    figures = f"its epochs|oracle's|never crossed|{regret}|hours|scan alone|shared|notes"
    title = "indicators against the oracle, device-hours a seed"
    table = _table(title, "indicator|settings|threshold", figures)
    rows: list[Row] = [
        {"policy": one.policy, "setting": {**one.cut, **one.settings}} for one in verdicts
    ]
    constant = _constant_settings(rows)
    notes: dict[str, int] = {}
    for verdict, row in zip(verdicts, rows, strict=True):
        own = {k: v for k, v in row["setting"].items() if k not in constant[verdict.policy]}
        numbers = [notes.setdefault(note, len(notes) + 1) for note in verdict.notes]
        table.add_row(
            escape(verdict.policy),
            escape(describe(own)),
            _thresholds(verdict),
            " ".join("-" if epoch is None else str(epoch) for epoch in verdict.epochs),
            "-" if verdict.oracle_epoch is None else str(verdict.oracle_epoch),
            f"{verdict.never_crossed} of {len(verdict.seeds)}",
            _points(verdict),
            _number(verdict.hours, "{:.5f}"),
            _number(verdict.scan_hours_alone, "{:.5f}"),
            _number(verdict.scan_hours_shared, "{:.5f}"),
            " ".join(map(str, numbers)),
        )
    shared = [f"{name}: {describe(found)}" for name, found in constant.items() if describe(found)]
    table.caption = escape("\n".join(shared + [f"{n}: {note}" for note, n in notes.items()]))
    table.caption_justify = "left"
    return table


def standing(stands: Standing) -> list[Table | str]:
    """What is saved, and the figures of the front."""
    ways = ", ".join(f"{name} ({way})" for name, way in stands.objectives.items())
    told: list[Table | str] = [savings_table(stands)] if stands.savings else []
    told += [escape(why) for why in (stands.unlearned, stands.collapsed) if why]
    told += [f"* no other setting beats it in {ways}"] if stands.front else []
    if stands.hypervolume is not None:
        origin = ", ".join(f"{name} {value:.4g}" for name, value in stands.reference.items())
        told.append(f"hypervolume {stands.hypervolume:.4g} from the reference point {origin}")
    return told


def savings_table(stands: Standing) -> Table:
    """A row a family of policies: what it saves at dense's accuracy, and gains at dense's cost.

    Percent of dense's cost, and points of accuracy, with 95 % intervals over seeds; in brackets
    what becomes of the test accuracy, which nothing was chosen on.
    """
    axes = stands.axes
    assert axes is not None  # or nothing could be saved
    cost, val = axes.cost, Measure(axes.quality)
    drops = dict.fromkeys(saving.drop for saving in stands.savings)
    heads = [f"saved at dense's{_below(drop, val)}" for drop in drops]
    title = (
        f"{cost} saved at equal {val.column}, points gained at equal {cost} (points of test)"
        if val.percent
        else f"{cost} saved at equal {val.column}, {val.noun} gained at equal {cost} (of test)"
    )
    table = _table(title, "policies", "|".join([*heads, "gained at dense's cost"]))
    for family in dict.fromkeys(saving.family for saving in stands.savings):
        own = [saving for saving in stands.savings if saving.family == family]
        equal = [gain for gain in stands.gains if gain.family == family and gain.share == 1]
        table.add_row(
            escape(family),
            *(_saved(one, val) for one in own),
            *(_gained(one, val) for one in equal),
        )
    return table


def _below(drop: float, val: Measure) -> str:
    if not drop:
        return ""
    return f" -{100 * drop:g}" if val.percent else f", {val.worse(drop)}"


def _saved(one: Saving, val: Measure) -> str:
    around = _around(one, 100, ".1f")
    return escape(f"{100 * one.saved:.1f} %{around}{_test(one.test_change, val)}")


def _gained(one: Gain, val: Measure) -> str:
    if one.gained is None:
        return "-"
    form = ".1f" if val.percent else ".3g"
    around = _around(one, val.factor, form)
    return escape(f"{val.factor * one.gained:{form}}{around}{_test(one.test_change, val)}")


def _around(one: Saving | Gain, factor: float, form: str) -> str:
    """The interval."""
    if one.low is None or one.high is None:
        return ""
    return f" [{factor * one.low:{form}}, {factor * one.high:{form}}]"


def _test(change: float | None, val: Measure) -> str:
    """In brackets what becomes of the test split."""
    if change is None:
        return ""
    return f" ({100 * change:+.1f})" if val.percent else f" ({change:+.3g})"


def policies_table(kinds: Iterable[type[Policy]]) -> Table:
    """A row a policy: what it does, its settings with their defaults, its paper."""
    table = Table(title="policies", title_justify="left", show_lines=True)
    for name in ("policy", "what it does", "settings", "paper"):
        table.add_column(name, overflow="fold")
    for kind in kinds:
        summary = (kind.__doc__ or "").strip().splitlines()[0]
        settings = [
            f"{name} = {'required' if field.is_required() else _default(field.default)}"
            for name, field in kind.model_fields.items()
        ]
        table.add_row(kind.name, summary, "\n".join(settings), kind.paper)
    return table


def storage(found: Mapping[str, Any]) -> list[Table | str]:
    """What ``sweeps.storage.inventory.show`` found."""
    heads = "epochs|paths|records|bytes|snapshots|bytes|all bytes|trials"
    place = escape(found["storage"])
    tasks = _table(f"{place}: {size(found['bytes'])}", "model|data|seeds", heads)
    tasks.add_column("last use")
    for row in found["tasks"]:
        tasks.add_row(
            *(escape(text) for text in (row["model"], row["data"], _numbers(row["seeds"]))),
            f"{row['epochs']:,}",
            f"{row['paths']:,}",
            f"{row['records']:,}",
            size(row["record_bytes"]),
            f"{row['snapshots']:,}",
            size(row["snapshot_bytes"]),
            size(row["bytes"]),
            f"{row['trials']:,}",
            row["last_use"],
        )
    sweeps = _table("sweeps", "name", "trials|ended|bytes of its own")
    for row in found["sweeps"]:
        sweeps.add_row(
            escape(row["name"]), str(row["trials"]), str(row["ended"]), size(row["only_bytes"])
        )
    lines = {
        "other files (MLflow, plots)": found["other_bytes"] and size(found["other_bytes"]),
        "sweeps that cannot be read": found["unreadable"],
    }
    told = [f"{what}: {count}" for what, count in lines.items() if count]
    if not found["bytes"]:
        return [f"nothing is stored in {place}", *told]
    return [*(table for table in (tasks, sweeps) if table.row_count), *told]


def removal(going: Removal) -> Table:
    """What goes of a storage."""
    table = _table("to remove", "what", "files|bytes")
    for kind, (count, taken) in going.by_kind().items():
        if count:
            table.add_row(kind, f"{count:,}", size(taken))
    return table


def size(count: float) -> str:
    """Bytes to read: ``1.2 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 99.5 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


def _numbers(numbers: Sequence[int]) -> str:
    """Seeds in a few characters."""
    shown = " ".join(map(str, numbers[:8]))
    return shown + (f" ... ({len(numbers)})" if len(numbers) > 8 else "")


def _table(title: str, texts: str, figures: str) -> Table:
    table = Table(title=title, title_justify="left")
    for name in texts.split("|"):
        table.add_column(name, overflow="fold")
    for name in figures.split("|"):
        table.add_column(name, justify="right", overflow="fold")  # in two lines, but never cut
    return table


def _constant_settings(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """By policy the settings that are the same wherever it stands; never how much it cuts."""
    constant: dict[str, dict[str, Any]] = {}
    for policy in dict.fromkeys(row["policy"] for row in rows):
        own = [row["setting"] for row in rows if row["policy"] == policy]
        constant[policy] = {
            key: value
            for key, value in own[0].items()
            if key not in ("ratio", "aim") and all(s.get(key) == value for s in own)
        }
    return constant


def _epochs(group: Sequence[Row]) -> str:
    found = {epoch for row in group for epoch in row["prune_epochs"] or ()}
    return f"{min(found)}-{max(found)}" if len(found) > 1 else "".join(map(str, found))


def _judged(rows: Sequence[Row]) -> list[Measure]:
    """The columns of a task's metrics."""
    return [Measure(f"{split}_{name}") for split in ("val", "test") for name in metrics_of(rows)]


def judged(row: Row) -> str:
    """A trial's metrics in a line: ``val accuracy 0.9531, test accuracy 0.9488``."""
    told = [(one, _number(row[one.column], _form(one))) for one in _judged([row])]
    return ", ".join(f"{one.column.replace('_', ' ')} {value}" for one, value in told)


def _form(one: Measure) -> str:
    return "{:.4f}" if one.percent else "{:.4g}"


def _spread(group: Sequence[Row], one: Measure) -> str:
    middle, around = mean(group, one.column), deviation(group, one.column)
    told = _number(middle, _form(one))
    return told + ("" if math.isnan(around) else f" ±{_form(one).format(around)}")


def _thresholds(verdict: Verdict) -> str:
    """The one that was given, or those that the other seeds chose."""
    shown = ["default" if one is None else f"{one:g}" for one in verdict.thresholds]
    if len(set(shown)) == 1:
        shown = shown[:1]
    return f"{OTHERS}: " * (verdict.choice == OTHERS) + (" ".join(shown) or "-")


def _points(verdict: Verdict) -> str:
    if verdict.regret is None:
        return "-"
    factor, form = (100, ".2f") if verdict.quality.fraction else (1, ".3g")
    around = "" if verdict.sd is None else f" ±{factor * verdict.sd:{form}}"
    return f"{factor * verdict.regret:+{form}}{around}"


def _sparsity(group: Sequence[Row]) -> str:
    """The share of parameters that are gone, and of those that a mask holds at zero."""
    masked = mean(group, "weight_sparsity")
    gone = _number(mean(group, "sparsity"), "{:.3f}")
    return f"{gone}, {masked:.3f} masked" if masked > 0 else gone


def _number(value: Any, form: str) -> str:
    return "-" if value is None or math.isnan(value) else form.format(value)


def _default(value: Any) -> str:
    if isinstance(value, Saliency):
        return value.key
    if isinstance(value, Policy):
        return value.name
    return f"{value:.3g}" if isinstance(value, float) else str(value)
