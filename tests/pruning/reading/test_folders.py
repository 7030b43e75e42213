"""Folders of pictures in the forms they are published in; what is broken is named before a run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made import bytes_of, folders, lengths, noted, opened, picture, refusal, whole
from torchvision.datasets.folder import IMG_EXTENSIONS

SIZE = {"image_size": 12}


@pytest.mark.parametrize("name", ["val", "valid", "validation", "dev", "Valid"])
def test_the_published_validation_part_is_used(name: str, tmp_path: Path) -> None:
    data = opened(folders(tmp_path, ["train", name, "test"]), **SIZE)
    assert (data.classes, data.class_names, lengths(data)) == (2, ("a", "b"), [12, 12, 12])


def test_train_and_val_alone_are_judged_by_val_as_imagenet_is(tmp_path: Path) -> None:
    assert lengths(opened(folders(tmp_path, ["train", "val"]), **SIZE)) == [10, 2, 12]
    assert lengths(opened(folders(tmp_path / "b", ["train", "testing"]), **SIZE)) == [10, 2, 12]


def test_folders_of_classes_alone_are_split_by_the_shares(tmp_path: Path) -> None:
    source = folders(tmp_path, [""], count=10)
    assert lengths(opened(source, test=0.5, validation=0.2, **SIZE)) == [8, 2, 10]


def test_what_is_hidden_is_no_class_and_no_picture(tmp_path: Path) -> None:
    source = folders(tmp_path, ["train", "val"])
    for part in ("train", "val"):
        for name in (".ipynb_checkpoints", ".git", "__MACOSX"):
            picture(tmp_path / part / name / "0.png")
        (tmp_path / part / "a" / "._0.png").write_bytes(b"a Mac's notes")
        (tmp_path / part / ".DS_Store").touch()
        picture(tmp_path / part / "a" / ".thumbnails" / "0.png")
    data, notes = noted(source, **SIZE)
    assert (data.class_names, lengths(data), notes) == (("a", "b"), [10, 2, 12], [])
    data.check()


def test_what_is_not_read_is_named(tmp_path: Path) -> None:
    source = folders(tmp_path)
    folders(tmp_path, ["unlabelled", "extra"])
    (tmp_path / "README.md").touch()
    assert noted(source, **SIZE)[1] == [f"not read in {tmp_path}: README.md, extra, unlabelled"]


def test_pictures_in_folders_within_those_of_classes(tmp_path: Path) -> None:
    source = folders(tmp_path)
    picture(tmp_path / "train" / "a" / "more" / "x.JPEG")
    assert lengths(opened(source, **SIZE))[:2] == [10, 3]


def test_tiny_imagenet(tmp_path: Path) -> None:
    """train/CLASS/images/*.JPEG and boxes, val/images with its annotations, a secret test."""
    names = ["n01443537", "n01629819"]
    lines = []
    for name in names:
        for number in range(5):
            picture(tmp_path / "train" / name / "images" / f"{name}_{number}.JPEG")
        (tmp_path / "train" / name / f"{name}_boxes.txt").write_text("n_0.JPEG\t0\t10\t63\t58\n")
    for number in range(6):
        picture(tmp_path / "val" / "images" / f"val_{number}.JPEG")
        picture(tmp_path / "test" / "images" / f"test_{number}.JPEG")
        lines.append(f"val_{number}.JPEG\t{names[number % 2]}\t0\t32\t44\t62")
    (tmp_path / "val" / "val_annotations.txt").write_text("\n".join(lines))
    (tmp_path / "wnids.txt").write_text("\n".join(names))
    data, notes = noted(f"imagefolder:{tmp_path}", **SIZE)
    assert (data.class_names, lengths(data)) == (tuple(names), [8, 2, 6])
    assert whole(data.test)[1].tolist() == [0, 1, 0, 1, 0, 1]
    assert notes == [
        f"not read in {tmp_path}: wnids.txt",
        f"not read, as none of {', '.join(IMG_EXTENSIONS)}: "
        f"'{tmp_path / 'train/n01443537/n01443537_boxes.txt'}' and 1 more",
        f"not read: '{tmp_path / 'test'}', whose pictures have no classes",
    ]
    for unread in (tmp_path / "test" / "images").iterdir():
        unread.unlink()
    (tmp_path / "test" / "images").rmdir()
    _, notes = noted(f"imagefolder:{tmp_path}", **SIZE)
    assert notes[-1] == f"not read: '{tmp_path / 'test'}', which has no pictures"


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("LOC_val_solution.csv", "{stem},{name} 85 1 499 272 {name} 3 4 5 6"),
        ("val.txt", "{stem}.png {number}"),
        ("val/labels.tsv", "val/{stem}.png\t{name}"),
        ("annotations.csv", '"{stem}.png","{name}"'),
    ],
)
def test_a_flat_part_with_its_annotations(file: str, line: str, tmp_path: Path) -> None:
    """ImageNet as Kaggle has it, Caffe's lists, and others."""
    source = folders(tmp_path, ["train"])
    lines = ["ImageId,PredictionString"]
    for number in range(6):
        stem = f"ILSVRC2012_val_{number:08}"
        picture(tmp_path / "val" / f"{stem}.png")
        lines.append(line.format(stem=stem, number=number % 2, name="ab"[number % 2]))
    (tmp_path / file).write_text("\n".join(lines))
    data, notes = noted(source, **SIZE)
    assert (lengths(data), notes) == ([10, 2, 6], [])
    assert whole(data.test)[1].tolist() == [0, 1, 0, 1, 0, 1]
    elsewhere = tmp_path.parent / f"{tmp_path.name}-elsewhere.txt"
    (tmp_path / file).rename(elsewhere)
    assert lengths(opened(source, annotations=str(elsewhere), **SIZE)) == [10, 2, 6]
    assert "no text there names all of its 6 pictures" in refusal(source, **SIZE)


def flat(tmp_path: Path, text: str) -> str:
    source = folders(tmp_path, ["train"])
    for number in range(3):
        picture(tmp_path / "val" / f"{number}.png")
    (tmp_path / "val.txt").write_text(text)
    return source


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0.png a\n1.png b\n", "has none of the classes of 'train', and no text there names all"),
        ("1\n2\n1\n", "(task.data.annotations)"),
        ("0.png a\n1.png b\n2.png c\n", "has class 'c', which the training part has not"),
        (
            "0.png 1\n1.png 2\n2.png 1\n",
            "has classes by number, from 1 to 2; names of the training",
        ),
        ("0.png 0\n1.png 2\n2.png 1\n", "has classes by number, from 0 to 2"),
    ],
)
def test_annotations_that_do_not_fit(text: str, said: str, tmp_path: Path) -> None:
    assert said in refusal(flat(tmp_path, text), **SIZE)


def test_two_annotations_that_differ(tmp_path: Path) -> None:
    source = flat(tmp_path, "0.png a\n1.png b\n2.png a\n")
    (tmp_path / "val" / "labels.txt").write_text("0.png b\n1.png b\n2.png a\n")
    assert refusal(source, **SIZE).startswith("task.data.annotations: missing; ")
    assert lengths(opened(source, annotations="val.txt", **SIZE)) == [10, 2, 3]
    line = refusal(source, annotations="no.txt", **SIZE)
    assert line == "task.data.annotations: file 'no.txt' does not exist"


def without(root: Path, *paths: str) -> None:
    for path in paths:
        for file in sorted((root / path).rglob("*")):
            file.unlink()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda root: without(root, "train/b"),
            "class folder '{root}/train/b' is empty",
        ),
        (lambda root: (root / "train/c").mkdir(), "class folder '{root}/train/c' is empty"),
        (lambda root: (root / "val/b").rename(root / "val/c"), "'{root}/val' has class 'c', which"),
        (lambda root: without(root, "val/a", "val/b"), "folder '{root}/val' has no pictures"),
        (lambda root: folders(root, ["valid"]), "has both 'val' and 'valid', which mean the same"),
        (lambda root: (root / "train").rename(root / "other"), "has 'val' and no 'train'"),
        (lambda root: (root / "train/b").rename(root / "b"), "has one class, 'a'; two or more are"),
    ],
)
def test_folders_that_cannot_be(change: Any, said: str, tmp_path: Path) -> None:
    source = folders(tmp_path)
    change(tmp_path)
    assert said.format(root=tmp_path) in refusal(source, **SIZE)


def test_files_that_are_no_pictures_are_no_class(tmp_path: Path) -> None:
    source = folders(tmp_path)
    (tmp_path / "train" / "c").mkdir()
    np.save(tmp_path / "train" / "c" / "0.npy", np.zeros(3))
    assert "has no pictures, but '0.npy' and the like (allowed: .jpg, " in refusal(source, **SIZE)


def test_a_place_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "is a file" in refusal(f"imagefolder:{tmp_path / 'file'}")
    assert "does not exist" in refusal(f"imagefolder:{tmp_path / 'none'}")
    assert "has no folders of classes" in refusal(f"imagefolder:{tmp_path}")


@pytest.mark.parametrize("part", ["train", "val", "test"])
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda file: os.truncate(file, 60), "cannot be read (OSError: "),
        (lambda file: os.truncate(file, 0), "is empty"),
        (lambda file: (file.unlink(), file.symlink_to("nowhere.png")), "is a link to nothing"),
        (lambda file: (file.unlink(), os.mkfifo(file)), "is no regular file, but a pipe"),
        (
            lambda file: file.write_text("<html>404</html>"),
            "cannot be read (UnidentifiedImageError",
        ),
    ],
)
def test_a_picture_that_is_broken_is_named(
    part: str, spoil: Any, said: str, tmp_path: Path
) -> None:
    source = folders(tmp_path, ["train", "val", "test"])
    file = tmp_path / part / "b" / "3.png"
    spoil(file)
    assert f"picture '{file}' {said}" in refusal(source, check=True, **SIZE)


def test_a_picture_that_went_away_since(tmp_path: Path) -> None:
    source = folders(tmp_path)
    data = opened(source, **SIZE)
    (tmp_path / "val" / "a" / "0.png").unlink()
    with pytest.raises(ValueError, match=r"picture '.*0\.png' does not exist"):
        whole(data.test)


def test_bytes_of_a_picture_hold_what_was_drawn(tmp_path: Path) -> None:
    pixels = bytes_of(12, 12, 3)
    data = opened(folders(tmp_path, pixels=pixels), **SIZE)
    assert data.normalize
    mean, std = (np.array(data.normalize[key]) for key in ("mean", "std"))
    found = whole(data.test)[0][0].permute(1, 2, 0).numpy() * std + mean
    assert np.abs(found - pixels / 255).max() < 1e-5


@pytest.mark.parametrize("target", [".", "..", "../../train"])
def test_a_link_that_leads_back_up(tmp_path: Path, target: str) -> None:
    source = folders(tmp_path, ["train", "val"])
    (tmp_path / "train" / "a" / "loop").symlink_to(target)
    assert "is a link to a folder that it lies in" in refusal(source, **SIZE)
