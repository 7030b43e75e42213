"""The recipes of docs/own-loop.md run as they stand there."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import torch

PAGE = Path(__file__).parents[2] / "docs" / "own-loop.md"
BLOCKS = re.findall(
    r"^## (.*?)$|^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL
)


@pytest.mark.filterwarnings("ignore:layer")
@pytest.mark.filterwarnings("ignore:.*(DataLoader|num_workers|pin_memory|litlogger|tree_flatten)")
def test_they_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "own_loop"}
    heading, ran = "", []
    for title, block in BLOCKS:
        heading = title or heading
        wanted = re.findall(r"^import (lightning|transformers)$", block, re.MULTILINE)
        if all(importlib.util.find_spec(name) for name in wanted) and block:
            exec(compile(block, f"{PAGE.name}, {heading}", "exec"), names)
            ran.append(heading)
    assert len(ran) >= 5
    assert sum(p.numel() for p in names["model"].parameters()) == sum(
        p.numel() for p in names["ready"].parameters()
    )
    assert torch.equal(names["again"].eval()(names["x"]), names["model"](names["x"]))
