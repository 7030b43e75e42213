"""Takes docs/mlflow-compare.png: MLflow's own page that compares the runs of a sweep.

    python docs/make_mlflow_picture.py --tracking-uri sqlite:///earlyprune-runs/mlflow.db \
        --experiment digits-when-to-prune --out docs/mlflow-compare.png

Needs Debian's `chromium` and the Python package `playwright` (no browser of its own).
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote, urlencode

from mlflow import MlflowClient
from playwright.sync_api import Page, sync_playwright

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
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


@contextmanager
def mlflow_ui(uri: str) -> Iterator[str]:
    """The address of MLflow's UI on this tracking store, on a free port of this machine."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", uri]
    with tempfile.TemporaryDirectory() as folder:
        quiet = subprocess.DEVNULL
        server = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"},
            stdout=quiet,
            stderr=quiet,
            start_new_session=True,
        )
        try:
            address = f"http://127.0.0.1:{port}"
            for _ in range(300):
                try:
                    urllib.request.urlopen(f"{address}/health", timeout=1)
                    break
                except OSError:
                    time.sleep(0.2)
            yield address
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait()


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
    with (
        mlflow_ui(options.tracking_uri) as address,
        tempfile.TemporaryDirectory() as profile,
        sync_playwright() as driver,
    ):
        browser = driver.chromium.launch_persistent_context(
            profile,
            executable_path="/usr/bin/chromium",
            args=FLAGS,
            viewport={"width": 1600, "height": 1000},
        )
        browser.add_init_script(NO_ASSISTANT)
        page = browser.new_page()
        show_charts(page, address, experiment.experiment_id, sweeps[0].info.run_id)
        page.screenshot(path=options.out)
        browser.close()


if __name__ == "__main__":
    main()
