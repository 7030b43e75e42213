"""What a sweep leaves to be looked at: its plot and its report, in files beside the storage."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sweeps.judging.standing import Standing
from sweeps.judging.table import read_rows
from sweeps.storage.files import here
from sweeps.storage.store import Store, folder_name


def report_place(storage: str, name: str) -> Path:
    """Where the report of a sweep lies unless somebody wants it elsewhere."""
    return here(storage) / "reports" / f"{folder_name(name)}.html"


@dataclass(frozen=True)
class PictureFiles:
    """Of the sweep that results are kept of under ``name``. storage: as it was given."""

    store: Store
    storage: str
    name: str

    @property
    def plot(self) -> Path:
        return here(self.storage) / "plots" / f"{folder_name(self.name)}.png"

    @property
    def report(self) -> Path:
        return report_place(self.storage, self.name)

    def make(self, standing: Standing) -> list[Path]:
        """The files, written anew."""
        from dashboards import plots, report  # a sweep may end before it needs matplotlib

        figure = plots.sweep_figure(read_rows(self.store, self.name), self.name)
        return [
            plots.save(figure, self.plot),
            report.write(self.store, self.name, self.report),
        ]
