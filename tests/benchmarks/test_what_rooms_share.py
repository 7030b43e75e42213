"""What several rooms of benchmarks share: pictures, and how a command is written down."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks import output, pictures


def jpeg(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    file = BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=100)
    return np.frombuffer(file.getvalue(), dtype=np.uint8)


def test_packed_pictures(tmp_path: Path) -> None:
    """A file packed as JPEG gives the pictures that were packed, as many as are wanted."""
    smooth = np.arange(64, dtype=np.uint8).reshape(8, 8, 1).repeat(3, axis=2)
    jpegs = [jpeg(smooth + np.uint8(shift)) for shift in (0, 50, 100)]
    offsets = np.cumsum([0, *(len(jpeg) for jpeg in jpegs)])
    arrays: dict[str, Any] = {
        f"{name}_{part}": values
        for part in ("train", "test")
        for name, values in (
            ("jpeg", np.concatenate(jpegs)),
            ("offset", offsets),
            ("y", np.array([3, 1, 2])),
        )
    }
    np.savez(tmp_path / "packed.npz", **arrays)

    found = pictures.load(str(tmp_path / "packed.npz"), train=2)

    assert found["x_train"].shape == (2, 8, 8, 3)
    assert found["x_test"].shape == (3, 8, 8, 3)
    assert found["y_train"].tolist() == [3, 1]
    assert np.abs(found["x_train"][1].astype(int) - (smooth + 50.0)).max() <= 3


def test_commands_name_no_folder() -> None:
    given = ["--cifar", "/somewhere/data/cifar10.npz", "--out=/tmp/here", "--seed", "1"]

    line = output.command("benchmarks.gpu", given)

    assert line == "python -m benchmarks.gpu --cifar cifar10.npz --out=here --seed 1"
