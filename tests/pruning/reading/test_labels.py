"""Labels: words and numbers become classes, what is none is refused, and what is done is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made import bytes_of, cycle, noted, npz, opened, refusal, whole
from sklearn.datasets import load_diabetes

from pruning.reading.labels import Classes, classes_of

X = np.random.default_rng(0).random((60, 6))
Y = cycle(60, 3)
WORDS = np.array(["cat", "dog", "emu"])


@pytest.mark.parametrize(
    "words",
    [WORDS, WORDS.astype("S"), np.array(["Käfer", "ant", "bee"]), np.array(["10", "2", "33"])],
)
def test_words_become_class_names(words: Any, tmp_path: Path) -> None:
    data, notes = noted(npz(tmp_path, x=X, y=words[Y]))
    names = [one.decode() if isinstance(one, bytes) else str(one) for one in words]
    assert data.class_names == tuple(sorted(names))
    assert data.classes == 3
    assert len(notes) == 1
    assert notes[0].startswith("the words of the training part are classes 0 to 2: labels ")


def test_words_and_samples_stay_together(tmp_path: Path) -> None:
    samples = np.repeat(Y[:, None] * 1.0, 2, axis=1)  # a sample tells its class
    data, _ = noted(npz(tmp_path, x=samples, y=WORDS[::-1][Y]))
    x, y = whole(data.train)
    assert len({(round(float(one), 3), int(two)) for one, two in zip(x[:, 0], y, strict=True)}) == 3


@pytest.mark.parametrize(
    ("labels", "names", "said"),
    [
        (1 + cycle(60, 26), None, "labels 1, 2, 3, ..., 26: they are classes 0 to 25"),
        (1000 * Y, ("0", "1000", "2000"), "labels 0, 1000, 2000: they are classes 0 to 2"),
        (np.where(Y == 2, 10**12, Y), ("0", "1", str(10**12)), f"labels 0, 1, {10**12}: they"),
        (Y.astype("uint64") + 2**63, None, f"labels {2**63}, {2**63 + 1}, {2**63 + 2}: they are"),
        (1.0 + Y, ("1", "2", "3"), "labels 1, 2, 3: they are classes 0 to 2"),
    ],
)
def test_numbers_with_gaps_are_mapped_and_it_is_said(
    labels: Any, names: Any, said: str, tmp_path: Path
) -> None:
    data, notes = noted(npz(tmp_path, x=X, y=labels))
    assert data.classes == len(np.unique(labels))
    assert data.class_names == (names or tuple(str(one) for one in np.unique(labels)))
    assert [said in note for note in notes] == [True]
    seen = torch.cat([whole(part)[1] for part in (data.train, data.validation, data.test)])
    assert torch.unique(seen).tolist() == list(range(data.classes))


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int64, np.uint64, np.float32, np.bool_])
def test_numbers_from_zero_stay_as_they_are(kind: Any, tmp_path: Path) -> None:
    labels = (Y % 2).astype(kind)
    data, notes = noted(npz(tmp_path, x=X, y=labels))
    assert (data.classes, data.class_names, notes) == (2, None, [])


@pytest.mark.parametrize(
    "labels", [np.eye(3)[Y], np.eye(3, dtype=np.uint8)[Y], np.eye(3, dtype=bool)[Y], Y[:, None]]
)
def test_one_hot_and_columns_are_read(labels: Any, tmp_path: Path) -> None:
    data = opened(npz(tmp_path, x_train=X, y_train=labels, x_test=X, y_test=labels))
    assert data.classes == 3
    assert whole(data.test)[1].tolist() == Y.tolist()


def test_one_hot_has_a_class_for_each_column(tmp_path: Path) -> None:
    assert opened(npz(tmp_path, x=X, y=np.eye(5)[Y])).classes == 5


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (Y * 0.5, "20 labels that are fractions, such as 0.5"),
        (np.where(Y == 1, 1e300, Y), "20 labels that are fractions, such as 1e+300"),
        (np.where(Y == 1, np.nan, Y), "20 values that are not finite"),
        (Y - 1, "label -1 (allowed: from 0, or words)"),
        (Y - 2**62, f"label {-(2**62)} (allowed"),
        (np.eye(3)[Y] * 0.5, "labels that are fractions"),
        (np.eye(3)[Y] + np.eye(3)[0], "rows that are not a single 1 among zeros"),
        (np.zeros((60, 3)), "rows that are not a single 1 among zeros"),
        (Y + 1j, "holds complex128; labels are whole numbers or words"),
        (Y.astype("datetime64[D]"), "holds datetime64[D]"),
        (np.where(Y == 1, "", "word"), "20 empty labels, the first at 1"),
        (np.array([b"\xff", b"a", b"b"])[Y], "bytes that are no text (UTF-8)"),
        (np.zeros((60, 2, 2, 2)), "has the shape (60, 2, 2, 2); a label a sample is needed"),
        (Y.astype(np.longdouble), "; labels are whole numbers or words"),
    ],
)
def test_what_are_no_classes(labels: Any, said: str, tmp_path: Path) -> None:
    assert said in refusal(npz(tmp_path, x=X, y=labels))


def test_a_quantity_is_not_taken_for_classes_unless_it_is_said(tmp_path: Path) -> None:
    """The set that was once trained as 346 classes; its values are whole numbers."""
    x, y = load_diabetes(return_X_y=True)
    for values in (y, y.astype(int)):
        line = refusal(npz(tmp_path, x=x, y=values))
        assert line.startswith("task.data.targets: missing; the training part has 214 different")
        assert "(allowed: classes, if they are)" in line
    data, notes = noted(npz(tmp_path, x=x, y=y), targets="classes")
    assert data.classes == 214
    assert "from 25" in line
    assert len(notes) == 1


@pytest.mark.parametrize(
    ("train", "test", "said"),
    [
        (Y, Y + 1, "the test part has label 3, which the training part has not"),
        (WORDS[Y], np.array(["cat", "dog", "fly"])[Y], "has label 'fly', which"),
        (Y, np.array([*range(60)]), "has labels 3, 4, 5, ..., 59, which the training part has not"),
        (WORDS[Y], Y, "all parts need labels of the same kind"),
    ],
)
def test_labels_of_other_parts(train: Any, test: Any, said: str, tmp_path: Path) -> None:
    assert said in refusal(npz(tmp_path, x_train=X, y_train=train, x_test=X, y_test=test))


def test_an_uneven_number_of_labels(tmp_path: Path) -> None:
    assert "has 60 samples and 59 labels (training part)" in refusal(npz(tmp_path, x=X, y=Y[1:]))


@pytest.mark.parametrize("first", [0, 1])
def test_a_label_a_pixel(first: int) -> None:
    maps = first + RNG_MAPS
    found, classes, notes = classes_of({"y": maps})
    assert torch.equal(found["y"], torch.from_numpy(RNG_MAPS))
    assert (len(classes), len(notes)) == (4, first)
    one = classes.of(torch.from_numpy(maps[0]))
    assert torch.equal(torch.as_tensor(one), torch.from_numpy(RNG_MAPS[0]))
    assert torch.equal(classes_of({"y": maps[:, None]})[0]["y"], found["y"])


RNG_MAPS = np.random.default_rng(0).integers(0, 4, (5, 6, 7))


@pytest.mark.parametrize(
    ("values", "label", "number"),
    [
        ([0, 1, 2], 2, 2),
        ([0, 1, 2], torch.tensor(1), 1),
        ([0, 1, 2], np.uint8(2), 2),
        ([3, 5, 9], 5, 1),
        (["cat", "dog"], "dog", 1),
        (["cat", "dog"], b"cat", 0),
        ([0, 1, 2], torch.tensor([0, 0, 1]), 2),
    ],
)
def test_one_label_of_a_dataset(values: Any, label: Any, number: int) -> None:
    assert Classes(np.array(values)).of(label) == number


@pytest.mark.parametrize(
    ("values", "label"), [([0, 1], 2), ([3, 5], 4), (["cat"], 0), ([0, 1], "a")]
)
def test_a_label_that_is_none_of_the_classes(values: Any, label: Any) -> None:
    with pytest.raises(ValueError, match="is none of the"):
        Classes(np.array(values)).of(label)


def test_names_that_a_source_has() -> None:
    known = ["N/A", "a", "b", "c"]
    _, classes, _ = classes_of({"y": 1 + Y}, known)
    assert classes.names == ("a", "b", "c")


def test_the_number_of_a_big_set_is_not_allocated(tmp_path: Path) -> None:
    labels = Y.copy()
    labels[0] = np.iinfo(np.int64).max
    data, _ = noted(npz(tmp_path, x=bytes_of(60, 8, 8), y=labels))
    assert data.classes == 4
