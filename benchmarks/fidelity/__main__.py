"""``python -m benchmarks.fidelity STUDY --json FILE``: one study of fidelity to a paper."""

from __future__ import annotations

import importlib
import sys

STUDIES = ("bayes-factor", "forecast", "bep", "activation-density", "epi")


def main() -> int:
    """The command."""
    if len(sys.argv) < 2 or sys.argv[1] not in STUDIES:
        print(f"usage: python -m benchmarks.fidelity {{{','.join(STUDIES)}}} [--help]")
        return 2
    study = importlib.import_module(f"benchmarks.fidelity.{sys.argv[1].replace('-', '_')}")
    return int(study.main(sys.argv[2:]))


if __name__ == "__main__":
    sys.exit(main())
