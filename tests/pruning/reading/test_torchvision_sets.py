"""Torchvision's sets: any case, their options, all their parts; and Parquet as hubs ship it."""

from __future__ import annotations

import io
import json
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made import bytes_of, cycle, lengths, noted, opened, picture, refusal, whole
from PIL import Image

from pruning.training.task import Augment


def idx(path: Path, values: np.ndarray[Any, Any]) -> None:
    """MNIST's own format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = struct.pack(f">I{values.ndim}I", 0x800 + values.ndim, *values.shape)
    path.write_bytes(head + values.astype(np.uint8).tobytes())


def emnist(root: Path, split: str, labels: np.ndarray[Any, Any]) -> None:
    for part in ("train", "test"):
        raw = root / "EMNIST" / "raw" / f"emnist-{split}-{part}"
        idx(raw.with_name(f"{raw.name}-images-idx3-ubyte"), bytes_of(len(labels), 28, 28))
        idx(raw.with_name(f"{raw.name}-labels-idx1-ubyte"), labels)


def test_emnists_letters_count_from_one(tmp_path: Path) -> None:
    emnist(tmp_path, "letters", 1 + cycle(52, 26))
    given = {"root": str(tmp_path), "options": {"split": "letters"}}
    data, notes = noted("torchvision:EMNIST", **given)
    assert (data.shape, data.classes, lengths(data)) == ((1, 28, 28), 26, [42, 10, 52])
    assert data.class_names
    assert data.class_names[:3] == ("a", "b", "c")
    assert len(notes) == 1


def test_what_emnist_needs_is_named(tmp_path: Path) -> None:
    line = refusal("torchvision:emnist", root=str(tmp_path))
    assert line == (
        "task.data.options: split is missing; torchvision:EMNIST needs it "
        "(allowed: byclass, bymerge, balanced, letters, digits, mnist)"
    )


@pytest.mark.parametrize("name", ["MNIST", "mnist", "Mnist"])
def test_names_in_any_case(name: str, tmp_path: Path) -> None:
    for part in ("train", "t10k"):
        idx(tmp_path / "MNIST" / "raw" / f"{part}-images-idx3-ubyte", bytes_of(20, 6, 6))
        idx(tmp_path / "MNIST" / "raw" / f"{part}-labels-idx1-ubyte", cycle(20))
    data = opened(f"torchvision:{name}", root=str(tmp_path))
    assert (data.shape, lengths(data)) == ((1, 6, 6), [16, 4, 20])
    assert data.class_names is None or data.class_names[0].startswith("0")


def test_options_that_a_set_does_not_take(tmp_path: Path) -> None:
    line = refusal("torchvision:MNIST", root=str(tmp_path), options={"splits": "letters"})
    assert line.startswith("task.data.options: unknown option 'splits'")
    line = refusal("torchvision:EMNIST", root=str(tmp_path), options={"split": "words"})
    assert "torchvision:EMNIST cannot be had in" in line
    assert "Unknown value 'words' for argument split" in line


@pytest.mark.parametrize(
    ("size", "channels"), [([3, 16, 16], 3), ([1, 16, 16], 1), ([3, 20, 16], 3)]
)
def test_fake_data(size: list[int], channels: int) -> None:
    """A set without parts, a folder, or lists of labels."""
    options = {"size": 60, "image_size": size, "num_classes": 4}
    data = opened("torchvision:FakeData", options=options)
    assert (data.shape, data.classes, lengths(data)) == ((channels, 16, 16), 4, [36, 9, 15])
    data.check()
    x, _ = next(data.train.shuffled(8, 0, 0))
    assert x.shape == (8, channels, 16, 16)
    flipped = opened("torchvision:fakedata", Augment(flip=True), options=options)
    assert lengths(flipped) == [36, 9, 15]


def pets(root: Path) -> None:
    """Oxford's pets: lists of names and classes from 1, pictures beside."""
    base = root / "oxford-iiit-pet"
    (base / "annotations").mkdir(parents=True)
    for part, count in (("trainval", 12), ("test", 6)):
        lines = []
        for number in range(count):
            name = f"{'abyssinian' if number % 2 else 'beagle'}_{part}{number}"
            lines.append(f"{name} {1 + number % 2} 1 1")
            picture(base / "images" / f"{name}.jpg", bytes_of(30, 40, 3))
        (base / "annotations" / f"{part}.txt").write_text("\n".join(lines))


def test_oxfords_pets(tmp_path: Path) -> None:
    """Its training part is called trainval."""
    pets(tmp_path)
    data = opened("torchvision:OxfordIIITPet", root=str(tmp_path))
    assert (data.shape, data.classes, lengths(data)) == ((3, 30, 30), 2, [10, 2, 6])
    data.check()
    assert data.class_names == ("Beagle", "Abyssinian")
    binary = {"target_types": "binary-category"}
    line = refusal("torchvision:OxfordIIITPet", root=str(tmp_path), options=binary)
    assert "has one class only" in line  # each is a cat, says the third column
    one = opened("torchvision:OxfordIIITPet", root=str(tmp_path), options={"split": "test"})
    assert lengths(one) == [3, 1, 2]


def test_places365_takes_its_small_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lists name 1.8 million pictures; here they name twelve."""
    from torchvision.datasets import Places365

    monkeypatch.setattr(Places365, "_check_integrity", lambda *_: True)
    (tmp_path / "categories_places365.txt").write_text("/a/airfield 0\n/b/bakery 1\n")
    for split, folder in (
        ("train_standard", "data_256_standard"),
        ("val", "val_256"),
        ("test", "test_256"),  # kept secret
    ):
        label = "" if split == "test" else " {}"
        lines = [f"/{number}.jpg{label.format(number % 2)}" for number in range(12)]
        (tmp_path / f"places365_{split}.txt").write_text("\n".join(lines))
        for number in range(12):
            picture(tmp_path / folder / f"{number}.jpg", bytes_of(16, 16, 3))
    data = opened("torchvision:Places365", root=str(tmp_path), options={"small": True})
    assert (data.classes, lengths(data)) == (2, [10, 2, 12])
    assert data.class_names == ("/a/airfield", "/b/bakery")


def test_cifar_is_held_in_memory_as_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import CIFAR10

    monkeypatch.setattr(CIFAR10, "_check_integrity", lambda *_: True)
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in (
        "data_batch_1 data_batch_2 data_batch_3 data_batch_4 data_batch_5 test_batch"
    ).split():
        content = {"data": bytes_of(4, 3072), "labels": [0, 1, 0, 1]}
        (folder / name).write_bytes(pickle.dumps(content))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": ["airplane", "car"]}))
    data = opened("torchvision:cifar10", root=str(tmp_path))
    assert (data.shape, lengths(data)) == ((3, 32, 32), [16, 4, 4])
    assert data.class_names == ("airplane", "car")


# Parquet


def table(path: Path, count: int, image: str = "image", label: str = "label", **more: Any) -> None:
    """As Hugging Face's hub ships a set of pictures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(count):
        out = io.BytesIO()
        Image.fromarray(bytes_of(10, 10, 3)).save(out, "PNG")
        rows.append({"bytes": out.getvalue(), "path": f"{number}.png"})
    labels = more.pop("labels", cycle(count).tolist())
    columns: dict[str, Any] = {image: pa.array(rows), label: labels, **more}
    made = pa.table(columns)
    features = {image: {"_type": "Image"}, label: {"names": ["cat", "dog"], "_type": "ClassLabel"}}
    about = json.dumps({"info": {"features": features}})
    pq.write_table(made.replace_schema_metadata({"huggingface": about}), path)


def test_a_hubs_folder(tmp_path: Path) -> None:
    for part, count in (("train-00000-of-00002", 6), ("train-00001-of-00002", 6)):
        table(tmp_path / "data" / f"{part}.parquet", count)
    table(tmp_path / "data" / "validation-00000-of-00001.parquet", 4)
    table(tmp_path / "data" / "test-00000-of-00001.parquet", 2)
    data = opened(f"parquet:{tmp_path}", image_size=10)
    assert (data.shape, data.classes, lengths(data)) == ((3, 10, 10), 2, [12, 4, 2])
    assert data.class_names == ("cat", "dog")
    data.check()
    assert whole(data.validation)[1].tolist() == [0, 1, 0, 1]


def test_parts_by_the_names_of_folders_and_other_columns(tmp_path: Path) -> None:
    for part in ("train", "test"):
        table(tmp_path / "default" / part / "0000.parquet", 10, image="img", label="fine_label")
    assert lengths(opened(f"parquet:{tmp_path}", image_size=10)) == [8, 2, 10]


def test_two_columns_of_labels_are_a_choice(tmp_path: Path) -> None:
    table(tmp_path / "train.parquet", 20, label="fine_label", coarse_label=[0] * 10 + [1] * 10)
    source = f"parquet:{tmp_path}"
    line = refusal(source)
    assert line.startswith("task.data.options: label is missing; the column of labels (allowed: ")
    assert "fine_label, coarse_label" in line
    data = opened(source, options={"label": "coarse_label"}, image_size=10)
    assert (data.classes, lengths(data)) == (2, [12, 3, 5])
    assert "task.data.options: label 'no' is not allowed" in refusal(
        source, options={"label": "no"}
    )
    assert "unknown option 'lable'" in refusal(source, options={"lable": "x"})


def test_words_as_labels_and_a_test_part_kept_secret(tmp_path: Path) -> None:
    table(tmp_path / "train.parquet", 10, labels=["x", "y"] * 5)
    assert opened(f"parquet:{tmp_path / 'train.parquet'}").class_names == ("x", "y")
    table(tmp_path / "train.parquet", 10)
    table(tmp_path / "test.parquet", 4, labels=[-1] * 4)
    assert lengths(opened(f"parquet:{tmp_path}")) == [6, 2, 2]


def test_parquet_that_cannot_be_read(tmp_path: Path) -> None:
    assert "has no training part (train-*.parquet)" in refusal(f"parquet:{tmp_path}")
    table(tmp_path / "more.parquet", 2)
    assert "is of no part: neither its name nor its folder" in refusal(f"parquet:{tmp_path}")
    (tmp_path / "more.parquet").rename(tmp_path / "test.parquet")
    assert "has ['test'] and no training part" in refusal(f"parquet:{tmp_path}")
    (tmp_path / "train.parquet").write_text("no parquet")
    assert "cannot be read (ArrowInvalid: " in refusal(f"parquet:{tmp_path}")
    pq.write_table(pa.table({"a": [1.0], "label": [1]}), tmp_path / "train.parquet")
    line = refusal(f"parquet:{tmp_path}")
    assert "task.data.options: image is missing; the column of images (allowed: none; " in line


def test_bytes_that_are_no_picture_are_named_by_their_row(tmp_path: Path) -> None:
    rows = [{"bytes": b"none", "path": ""}, {"bytes": None, "path": "a.png"}] * 5
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    made = pa.table({"image": pa.array(rows, kind), "label": cycle(10).tolist()})
    pq.write_table(made, tmp_path / "train.parquet")
    line = refusal(f"parquet:{tmp_path}", check=True, channels=3)
    assert f"picture '{tmp_path / 'train.parquet'}, row 0' cannot be read" in line
