"""``python -m benchmarks.speed STUDY --json FILE``: what a pruned epoch or a forecast costs."""

from __future__ import annotations

import sys

from benchmarks.studies import study

STUDIES = ("epochs", "forecast-scale")

if __name__ == "__main__":
    sys.exit(study("benchmarks.speed", STUDIES))
