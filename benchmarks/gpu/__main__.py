"""The GPU benchmark: the GPU tests, then early pruning of ResNet-18 and VGG-16 on CIFAR-10.

    python -m benchmarks.gpu --cifar cifar10.npz --out bench-gpu

One command, under 9 minutes. Writes gpu-tests.log, epochs.jsonl (a line an epoch of a run),
summary.json and table.txt into one folder. Without a GPU tiny networks run on the CPU, and the
results say so. Ends with 1 if a test or a run failed.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu.packages import missing, provide

TESTS = ("tests/pruning", "-m", "gpu", "--continue-on-collection-errors", "-p", "no:cacheprovider")
TESTS_SECONDS = 150
NO_TESTS_COLLECTED = 5


def run_tests(log: Path) -> dict[str, Any]:
    """Run the GPU tests of pruning/ into a log. Returns how they ended."""
    if missing(("pytest",)):
        return {"status": "left out: pytest is not installed", "seconds": 0.0}
    begun = time.perf_counter()
    with log.open("w", encoding="utf-8") as file:
        try:
            done = subprocess.run(
                [sys.executable, "-m", "pytest", *TESTS],
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=TESTS_SECONDS,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            return {"status": f"failed: not done in {TESTS_SECONDS} s", "seconds": TESTS_SECONDS}
    counts = ", ".join(re.findall(r"\d+ (?:passed|failed|skipped|errors?)", _last_line(log)))
    good = "passed" if "passed" in counts else "skipped"
    status = {0: good, NO_TESTS_COLLECTED: "none found"}.get(done, "failed")
    return {"status": status, "counts": counts, "seconds": time.perf_counter() - begun}


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else ""


def run_benchmark(given: argparse.Namespace, arguments: Sequence[str], begun: float) -> int:
    """Everything after the packages are there: tests, runs, table and JSON."""
    import torch

    from benchmarks.gpu import report
    from benchmarks.gpu.plan import full, tiny
    from benchmarks.gpu.runs import Runs
    from benchmarks.output import command, made, write_json

    gpu = torch.cuda.is_available()
    if gpu and not given.cifar:
        print("error: --cifar: CIFAR-10 as npz is needed on a GPU", file=sys.stderr)
        return 2
    device = torch.device("cuda" if gpu else "cpu")
    plan = full(given.cifar) if gpu else tiny(given.cifar)
    torch.backends.cudnn.benchmark = True
    if not gpu:
        torch.set_num_threads(1)
    name, figures = report.describe(device)
    summary: dict[str, Any] = {
        "benchmark": "gpu",
        "gpu": gpu,
        "note": "" if gpu else report.NO_GPU,
        **made(name, command("benchmarks.gpu", arguments)),
        "device_figures": figures,
        "data": "CIFAR-10" if given.cifar else "digits",
        "seed": given.seed,
        "setting": {key: value for key, value in plan.setting.items() if key != "data"},
    }
    print(f"device: {name}", flush=True)
    if not given.no_tests:
        summary["tests"] = run_tests(given.out / "gpu-tests.log")
        print(f"GPU tests: {summary['tests']}", flush=True)
    rows: list[dict[str, Any]] = []

    def save() -> None:
        summary["runs"], summary["seconds"] = rows, time.perf_counter() - begun
        write_json(given.out / "summary.json", summary)

    def done(row: dict[str, Any]) -> None:
        rows.append(row)
        save()
        print("  ".join([*report.line(row), row["status"], row["reason"]]), flush=True)

    save()
    with (given.out / "epochs.jsonl").open("w", encoding="utf-8") as file:

        def log(line: dict[str, Any]) -> None:
            print(json.dumps(line), file=file, flush=True)

        deadline = begun + 60 * given.minutes
        runs = Runs(plan, given.seed, device, deadline, log, done, given.epochs)
        summary["calibration"] = runs.all()
    save()
    whole = report.text(rows, name, gpu)
    (given.out / "table.txt").write_text(whole, encoding="utf-8")
    print(f"\n{whole}")
    tests_failed = summary.get("tests", {}).get("status", "").startswith("failed")
    return int(tests_failed or any(row["status"] != "done" for row in rows))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    begun = time.perf_counter()
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--cifar", type=Path, help="CIFAR-10 as npz, plain or packed as JPEG")
    parser.add_argument("--out", type=Path, default=Path("bench-gpu"), help="folder for results")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=8.5, help="no epoch begins after these")
    parser.add_argument("--epochs", type=int, help="of each training; otherwise what time allows")
    parser.add_argument("--no-tests", action="store_true", help="leave the GPU tests out")
    arguments = sys.argv[1:] if arguments is None else arguments
    given = parser.parse_args(arguments)
    if given.cifar and not given.cifar.is_file():
        parser.error(f"--cifar: file {str(given.cifar)!r} does not exist")
    if given.epochs is not None and given.epochs < 4:
        parser.error(f"--epochs: {given.epochs} is not allowed (allowed: 4 and more)")
    provide()
    given.out.mkdir(parents=True, exist_ok=True)
    return run_benchmark(given, arguments, begun)


if __name__ == "__main__":
    sys.exit(main())
