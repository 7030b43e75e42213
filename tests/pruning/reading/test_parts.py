"""Parts by the names people give them, all of one kind, shape and scale; npz and npy files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made import bytes_of, cycle, lengths, noted, npz, opened, refusal

X, Y = np.random.default_rng(0).random((40, 6)), cycle(40)
FEW, FEW_Y = X[:10], Y[:10]


@pytest.mark.parametrize("name", ["val", "valid", "validation", "dev", "VAL"])
def test_a_validation_part_by_any_of_its_names(name: str, tmp_path: Path) -> None:
    parts = {f"x_{name}": FEW, f"y_{name}": FEW_Y, "x_test": FEW[:5], "y_test": FEW_Y[:5]}
    assert lengths(opened(npz(tmp_path, x_train=X, y_train=Y, **parts))) == [40, 10, 5]


@pytest.mark.parametrize(
    "names",
    ["X_train Y_train", "train_images train_labels", "train_x train_y", "X y", "images labels",
     "data target", "x-train y-train", "x_training y_training"],
)  # fmt: skip
def test_samples_and_labels_by_any_of_their_names(names: str, tmp_path: Path) -> None:
    samples, labels = names.split()
    assert opened(npz(tmp_path, **{samples: X, labels: Y})).shape == (6,)


def test_medmnists_own_file(tmp_path: Path) -> None:
    parts = {
        f"{part}_{kind}": bytes_of(count, 28, 28, 3) if kind == "images" else cycle(count)[:, None]
        for part, count in (("train", 30), ("val", 12), ("test", 8))
        for kind in ("images", "labels")
    }
    data = opened(npz(tmp_path, **parts))
    assert (data.shape, data.classes, lengths(data)) == ((3, 28, 28), 2, [30, 12, 8])


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x_train": X, "y_train": Y, "x_test": X}, "has 'x_test' and no labels for it"),
        ({"x_train": X, "y_train": Y, "y_val": Y}, "has 'y_val' and no samples for it"),
        ({"x_train": X}, "has 'x_train' and no labels for it"),
        ({"x_val": X, "y_val": Y}, "x_train and y_train (or x and y) are needed"),
        ({"x_val": X, "x_dev": X, "y_val": Y}, "has both 'x_val' and 'x_dev'"),
        ({"x": X, "X": X, "y": Y}, "has both 'x' and 'X'"),
    ],
)
def test_parts_that_do_not_fit_together(arrays: dict[str, Any], said: str, tmp_path: Path) -> None:
    assert said in refusal(npz(tmp_path, **arrays))


PICTURES = bytes_of(40, 8, 8)
FRACTIONS = PICTURES / 255


@pytest.mark.parametrize(
    ("train", "test", "said"),
    [
        (PICTURES, PICTURES.astype("f4"), "x_train is of uint8, x_test of float32"),
        (FRACTIONS, PICTURES, "x_train is of float64, x_test of uint8"),
        (FRACTIONS, FRACTIONS * 255, "x_test values from 0 to 255: they are"),
        (FRACTIONS * 255, FRACTIONS, "they are spread 0.0039 times as wide there"),
        (FRACTIONS, FRACTIONS * 2 - 1, "they are fractions here and around zero there"),
        (FRACTIONS * 2 - 1, FRACTIONS, "they are fractions here and around zero there"),
        (PICTURES, bytes_of(40, 9, 8), "has samples of the shape (8, 8), x_test of (9, 8)"),
        (PICTURES, bytes_of(40, 8, 8, 1), "has samples of the shape (8, 8), x_test of (8, 8, 1)"),
        (X, X[:, 1:], "has samples of the shape (6,), x_test of (5,)"),
        (X, X * 1000, "x_test values from"),
        (X * 1000 + 5e6, X, "x_test values from"),
    ],
)
def test_parts_that_are_not_alike(train: Any, test: Any, said: str, tmp_path: Path) -> None:
    assert said in refusal(npz(tmp_path, x_train=train, y_train=Y, x_test=test, y_test=Y))


@pytest.mark.parametrize(
    ("train", "test"),
    [
        (X, X.astype("f4")),
        (X, X * 1.5 + 0.3),  # a shift as data have it
        (X * [1, 1, 1, 1, 1, 1], X * [1, 1, 1, 1, 1, 1000]),  # one feature that differs
        (PICTURES, PICTURES // 4),
        ((X * 9).astype("i8"), (X * 9).astype("i4")),
    ],
)
def test_parts_that_are_alike_enough(train: Any, test: Any, tmp_path: Path) -> None:
    assert opened(npz(tmp_path, x_train=train, y_train=Y, x_test=test, y_test=Y)).classes == 2


def test_a_folder_of_npy_files(tmp_path: Path) -> None:
    for name, array in {"x_train": X, "y_train": Y, "x_valid": FEW, "y_valid": FEW_Y}.items():
        np.save(tmp_path / f"{name}.npy", array)
    np.save(tmp_path / "ids.npy", Y)
    for source in (f"npy:{tmp_path}", f"npz:{tmp_path}"):
        data, notes = noted(source)
        assert lengths(data) == [30, 10, 10]
        assert notes == [f"not read in {tmp_path}: ids"]


def test_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    npz(tmp_path, x=X, y=Y)
    assert opened("npz:~/a.npz").shape == (6,)
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    assert opened("npy:~").shape == (6,)


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("not an archive")
    assert "is no npz file of plain arrays (it is no archive)" in refusal(
        f"npz:{tmp_path}/text.npz"
    )
    (tmp_path / "empty.npz").touch()
    assert "(it is no archive)" in refusal(f"npz:{tmp_path}/empty.npz")
    np.save(tmp_path / "one.npy", X)
    (tmp_path / "one.npy").rename(tmp_path / "one.npz")
    assert "(it is an npy file: give npy:FOLDER)" in refusal(f"npz:{tmp_path}/one.npz")
    (tmp_path / "dir.npz").mkdir()
    assert "is a folder without npy files (x_train.npy, y_train.npy, ...)" in refusal(
        f"npz:{tmp_path}/dir.npz"
    )
    assert "is a file; give its folder" in refusal(f"npy:{tmp_path}/text.npz")
    assert "does not exist" in refusal(f"npy:{tmp_path}/none")


@pytest.mark.parametrize("source", ["npz:a/set.npz", "npy:a/none", "imagefolder:a", "parquet:a"])
def test_a_relative_path_is_from_the_current_folder_alone(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, beside = tmp_path / "here", tmp_path / "beside"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr("pruning.names._FOLDERS", [str(beside)])
    said = f"does not exist in {str(here)!r}: relative paths are from the current folder"
    assert refusal(source).endswith(said)
    place = source.partition(":")[2]
    (beside / place).mkdir(parents=True)
    found = f"{said}; there is one beside the sweep file: give {str(beside / place)!r}"
    assert refusal(source).endswith(found)


def test_nobody_is_advised_to_unpickle(tmp_path: Path) -> None:
    objects = np.array([{"a": 1}, None], dtype=object)
    for source in (npz(tmp_path, x=objects, y=Y), f"npy:{tmp_path / 'folder'}"):
        (tmp_path / "folder").mkdir(exist_ok=True)
        np.save(tmp_path / "folder" / "x.npy", objects, allow_pickle=True)
        line = refusal(source)
        assert "holds Python objects, which only unpickling could read" in line
        assert "allow_pickle" not in line


def test_an_archive_that_is_cut_off(tmp_path: Path) -> None:
    npz(tmp_path, x=X, y=Y)
    content = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(content[: len(content) // 2])
    assert "is no npz file of plain arrays" in refusal(f"npz:{tmp_path / 'a.npz'}")
