"""Takes docs/mlflow-compare.png: MLflow's own page that compares the runs of a sweep.

    python docs/make_mlflow_picture.py --tracking-uri sqlite:///earlyprune-runs/mlflow.db \
        --experiment digits-when-to-prune --out docs/mlflow-compare.png

Needs Debian's `chromium` and the Python package `playwright` (no browser of its own).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from urllib.parse import quote, urlencode

from mlflow import MlflowClient
from pictures import browser_page, serving
from playwright.sync_api import Page

BARS = ["test_accuracy", "sparsity", "gpu_hours", "train_seconds"]

# The UI keeps what a page shows in the browser's storage, one entry an experiment.
CHANGE_STATE = """changes => {
    const key = Object.keys(localStorage).find(
        name => name.includes("ExperimentPage") && name.endsWith("ReactComponentState"));
    const state = JSON.parse(localStorage.getItem(key));
    localStorage.setItem(key, JSON.stringify({...state, ...changes}));
}"""
NO_ASSISTANT = """
    localStorage.setItem("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true");
    localStorage.setItem("mlflow.assistant.panelOpen_v1", "false");
"""


def charts() -> list[dict[str, object]]:
    """What the page shows, in the words the UI keeps it in: curves, the trade, a bar a run."""
    curve: dict[str, object] = {
        "type": "LINE",
        "metricKey": "val_accuracy",
        "selectedMetricKeys": ["val_accuracy"],
    }
    curve |= {"xAxisKey": "step", "scaleType": "linear", "xAxisScaleType": "linear", "range": {}}
    curve |= {"lineSmoothness": 0, "useGlobalXaxisKey": True, "yAxisKey": "metric"}
    trade: dict[str, object] = {"type": "SCATTER", "xaxis": {"key": "gpu_hours", "type": "METRIC"}}
    trade |= {"yaxis": {"key": "val_accuracy", "type": "METRIC"}}
    bars: list[dict[str, object]] = [
        {"type": "BAR", "metricKey": name, "displayName": name} for name in BARS
    ]
    return [
        chart
        | {"uuid": f"chart-{number}", "metricSectionId": "sweep", "deleted": False}
        | {"isGenerated": False, "runsCountToCompare": 100}
        for number, chart in enumerate([curve, trade, *bars])
    ]


def show_charts(page: Page, address: str, experiment_id: str, parent_id: str) -> None:
    """Open the chart view of all trials of a sweep, sorted by accuracy, and wait for the charts."""
    query = {
        "compareRunsMode": "CHART",
        "searchFilter": f"tags.mlflow.parentRunId = '{parent_id}'",
        "orderByKey": "metrics.`val_accuracy`",
        "orderByAsc": "false",
    }
    url = f"{address}/#/experiments/{experiment_id}/runs?{urlencode(query, quote_via=quote)}"
    page.goto(url)
    page.wait_for_selector(".js-plotly-plot .main-svg", timeout=60_000)
    changes: dict[str, object] = {"runsHiddenMode": "SHOW_ALL", "compareRunCharts": charts()}
    section: dict[str, object] = {
        "uuid": "sweep",
        "name": "Sweep",
        "display": True,
        "isReordered": False,
    }
    changes["compareRunSections"] = [section | {"deleted": False, "isGenerated": False}]
    page.evaluate(CHANGE_STATE, changes)
    page.reload()
    page.wait_for_function(
        f"document.querySelectorAll('.js-plotly-plot .main-svg').length >= {len(charts())}",
        timeout=60_000,
    )
    page.wait_for_timeout(3000)  # the curves are fetched after the frames are drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tracking-uri", required=True)
    parser.add_argument("--experiment", required=True)
    parser.add_argument("--out", type=Path, default=Path("docs/mlflow-compare.png"))
    options = parser.parse_args()
    client = MlflowClient(options.tracking_uri)
    experiment = client.get_experiment_by_name(options.experiment)
    if experiment is None:
        sys.exit(f"no experiment {options.experiment!r} there")
    sweeps = client.search_runs([experiment.experiment_id], "tags.`earlyprune.sweep` LIKE '%'")
    if not sweeps:
        sys.exit(f"no sweep in the experiment {options.experiment!r}")
    command = [sys.executable, "-m", "mlflow", "ui", "--workers", "1"]
    command += ["--backend-store-uri", options.tracking_uri]
    with (
        serving(command, "/health", MLFLOW_DISABLE_TELEMETRY="true") as address,
        browser_page(width=1600, height=1000, local=True) as sight,
    ):
        sight.page.add_init_script(NO_ASSISTANT)
        show_charts(sight.page, address, experiment.experiment_id, sweeps[0].info.run_id)
        sight.page.screenshot(path=options.out)


if __name__ == "__main__":
    main()
