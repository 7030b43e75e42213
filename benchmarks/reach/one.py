"""One network in this process: ``python -m benchmarks.reach.one``; the last line is JSON.

python -m benchmarks.reach.one --suite zoo --name plain --by ours
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

WAYS = ("ours", "torch-pruning", "heads")


def result(suite: str, name: str, way: str, only_time: bool = False) -> dict[str, Any]:
    """The row of one network. Imports come late: which ``pruning`` it is may be said before."""
    import torch

    from benchmarks.reach import ours, theirs
    from benchmarks.reach.suites import subject

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    network = subject(suite, name)
    if way == "ours":
        return {"should": network.refused, **ours.cut(network, only_time)}
    return theirs.cut(network, heads=way == "heads")


def limit(gib: float) -> None:
    """Let this process have no more memory than that."""
    most = int(gib * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reach.one", description=__doc__)
    parser.add_argument("--suite", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--by", choices=WAYS, default="ours")
    parser.add_argument("--pruning", help="the checkout that pruning is imported from")
    parser.add_argument("--only-time", action="store_true", help="stop after the cut")
    parser.add_argument("--gib", type=float, default=12.0, help="of memory it may take")
    given = parser.parse_args(arguments)
    if given.pruning:
        sys.path.insert(0, given.pruning)  # benchmarks is imported already, and stays ours
        import pruning

        if not Path(str(pruning.__file__)).is_relative_to(Path(given.pruning).resolve()):
            parser.error(f"--pruning: {Path(given.pruning).name!r} holds no pruning/")
    limit(given.gib)
    print(json.dumps(result(given.suite, given.name, given.by, given.only_time)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
