"""``python -m benchmarks.fidelity STUDY --json FILE``: one study of fidelity to a paper."""

from __future__ import annotations

import sys

from benchmarks.studies import study

STUDIES = ("bayes-factor", "forecast", "bep", "activation-density", "epi")

if __name__ == "__main__":
    sys.exit(study("benchmarks.fidelity", STUDIES))
