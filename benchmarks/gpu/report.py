"""The GPU benchmark's table, and how its device is described."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from benchmarks.output import table

NO_GPU = (
    "No GPU figure exists yet: no GPU was at hand here. These are tiny networks on a CPU, which "
    "show that the benchmark runs to its end and nothing about a GPU's speed."
)
HEADER = (
    "network, run",
    "cut",
    "MACs M",
    "of dense",
    "s/epoch",
    "after",
    "of dense",
    "img/s",
    "after",
    "probe s",
    "peak MiB",
    "after",
    "val",
    "test",
)


def describe(device: torch.device) -> tuple[str, dict[str, Any]]:
    """The device in words, and in figures."""
    if device.type != "cuda":
        return "CPU, 1 thread", {}
    found = torch.cuda.get_device_properties(device)
    return found.name, {
        "memory_mib": found.total_memory // 2**20,
        "multiprocessors": found.multi_processor_count,
        "capability": f"{found.major}.{found.minor}",
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
    }


def line(row: dict[str, Any]) -> list[str]:
    """A run as a row of the table; what it lacks is a dash."""

    def number(value: Any, form: str = ".2f") -> str:
        return "-" if value is None else format(value, form)

    def share(name: str) -> str:
        before, after = row.get(f"{name}_before"), row.get(f"{name}_after")
        return "-" if not before or after is None else format(after / before, ".2f")

    def millions(value: Any) -> str:
        return "-" if value is None else format(value / 1e6, ".1f")

    pruned = row.get("epochs_after", 0) > 0
    return [
        f"{row['network']}, {row['run']}",
        ",".join(map(str, row.get("prune_epochs", []))) or "-",
        millions(row.get("macs_after" if pruned else "macs_before")),
        share("macs"),
        number(row.get("train_seconds_before")),
        number(row.get("train_seconds_after")),
        share("train_seconds"),
        number(row.get("images_per_second_before"), ",.0f"),
        number(row.get("images_per_second_after"), ",.0f"),
        number(row.get("probe_seconds_before"), ".3f"),
        number(row.get("peak_memory_mib_before"), ",.0f"),
        number(row.get("peak_memory_mib_after"), ",.0f"),
        number(row.get("val_accuracy"), ".4f"),
        number(row.get("test_accuracy"), ".4f"),
    ]


def text(rows: Sequence[dict[str, Any]], device: str, gpu: bool) -> str:
    """The table with what a reader must know."""
    lines = [f"device: {device}", "", table(HEADER, [line(row) for row in rows]), ""]
    lines.append(
        "s/epoch: seconds of training in a median epoch before the cut, and after it; the first "
        "epoch of each is left out, for it tunes kernels. probe s: measuring, in a dense epoch. "
        "peak MiB: of device memory, the data included."
    )
    lines += [
        f"{row['network']}, {row['run']}: {row['status']}: {row['reason']}"
        for row in rows
        if row["status"] != "done"
    ]
    return "\n".join(lines if gpu else [*lines, "", NO_GPU]) + "\n"
