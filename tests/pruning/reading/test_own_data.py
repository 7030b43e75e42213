"""One's own function: whatever it does ends in one line, before anything is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from made import lengths, noted, opened, refusal, whole

from pruning.foreign import foreign
from pruning.reading import own
from pruning.training.task import Task

RIGHT = [("words", 2, ("cat", "dog")), ("from_one", 2, ("1", "2")), ("named", 3, ("a", "b", "c"))]


@pytest.mark.parametrize(("name", "classes", "names"), RIGHT)
def test_labels_of_datasets(name: str, classes: int, names: tuple[str, ...]) -> None:
    data, _ = noted(f"own_data:{name}")
    assert (data.classes, data.class_names) == (classes, names)
    assert sorted(set(whole(data.train)[1].tolist())) == [0, 1]


def test_plain_ones_are_read_without_a_word() -> None:
    data, notes = noted("own_data:parts")
    assert (data.shape, data.classes, lengths(data), notes) == ((1, 6, 6), 2, [20, 20, 20], [])


def test_bytes_are_fractions() -> None:
    assert whole(opened("own_data:in_bytes").train)[0].unique().tolist() == [1.0]


def test_a_large_set_is_not_looked_at_one_by_one() -> None:
    data = opened("own_data:listed")
    assert (data.classes, lengths(data)) == (5, [100_000] * 3)
    dataset: Any = data.validation.dataset  # type: ignore[attr-defined]
    assert dataset.seen <= own.LOOKED_AT + own.COMPARED


def test_looking_leaves_the_random_state_as_it_was() -> None:
    before = torch.get_rng_state()
    opened("small_tasks:three_sets")
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("exits", "'own_data:exits' failed (SystemExit: 0: it would end the program"),
        ("interrupts", "'own_data:interrupts' failed (KeyboardInterrupt: it would end the program"),
        ("recurses", "'own_data:recurses' failed (RecursionError: maximum recursion depth"),
        ("several_lines", "'own_data:several_lines' failed (ValueError: first second long long"),
        ("nothing", "returned NoneType; a mapping with x_train, y_train or three datasets"),
        ("two", "returned tuple of 2; a mapping with"),
        ("untrained", "'own_data:untrained' has no training part"),
        ("targets_exit", "training part: its 'targets' cannot be had (SystemExit: 0: it would end"),
        ("classes_raise", "training part: its 'classes' cannot be had (RuntimeError: no classes)"),
        ("endless", "has 1,000,000,000,000 samples (allowed: up to 1,000,000,000)"),
        ("unlisted", "each of which would be read for its label; give the dataset 'targets'"),
        ("mapping_exits", "returned a mapping that cannot be read (SystemExit: 0: it would end"),
        ("mapping_raises", "returned a mapping that cannot be read (RuntimeError: no array)"),
        ("later", "returned coroutine; a mapping with x_train"),
        ("untested", "has no validation part; policies are judged on it"),
        ("bytes_and_floats", "test part of uint8; bytes are read as fractions of 255"),
        ("fractions_and_255", "test part values from 0 to 255: they are"),
        ("no_such", "module 'own_data' has no 'no_such'"),
    ],
)
def test_functions_that_fail(name: str, said: str) -> None:
    line = refusal(f"own_data:{name}")
    assert said in line
    assert len(line) < 450


def test_a_refusal_of_its_own_is_said_as_it_is() -> None:
    with pytest.raises(ValueError, match=r"^my\.field: what is wrong$"):
        opened("own_data:refuses")


def test_a_module_that_exits() -> None:
    assert "'leaves:load' does not import (SystemExit: 0: it would end the program" in refusal(
        "leaves:load"
    )


PARTS = {"train": "training", "validation": "validation", "test": "test"}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("empty", "is empty: it has no samples"),
        ("raises", "sample 3 fails (OSError: truncated file)"),
        ("exits", "sample 3 fails (SystemExit: 0: it would end the program"),
        ("interrupts", "sample 19 fails (KeyboardInterrupt: it would end the program"),
        ("endless_recursion", "sample 3 fails (RecursionError: too deep)"),
        ("negative", "has label -1 (allowed: from 0, or words)"),
        ("fraction", "1 labels that are fractions, such as 0.5"),
        ("nan", "sample 4 has 36 values that are not finite"),
        ("complex", "sample 4 holds complex numbers (complex64)"),
        ("text", "sample 0 is a str, not a tensor"),
        ("triple", "sample 4 is tuple, not a pair (tensor, label)"),
        ("alone", "sample 4 is Tensor, not a pair (tensor, label)"),
        ("number", "is int, no dataset: it needs a length, and samples by number"),
        ("loader", "is a DataLoader; give the dataset that it loads"),
        ("iterable", "no dataset: it needs a length"),
        ("no_length", "its length fails (SystemExit: 0: it would end the program"),
    ],
)
def test_parts_that_are_wrong(part: str, name: str, said: str) -> None:
    line = refusal("own_data:parts", options={part: name})
    assert said in line
    assert f"'own_data:parts', {PARTS[part]} part" in line


@pytest.mark.parametrize("part", PARTS)
def test_samples_of_another_shape(part: str) -> None:
    line = refusal("own_data:parts", options={part: "shapes"})
    assert "(1, 6, 6)" in line
    assert "sample 7" in line
    assert "(1, 7, 6); all need the same" in line


@pytest.mark.parametrize("part", ["validation", "test"])
def test_labels_that_the_training_part_lacks(part: str) -> None:
    line = refusal("own_data:parts", options={part: "more"})
    assert f"'own_data:parts', {part} part has label 10, which 'own_data:parts', training" in line


def test_options_that_the_function_does_not_take() -> None:
    line = refusal("own_data:words", options={"cuont": 3})
    assert "'own_data:words' failed (TypeError: words() got an unexpected keyword" in line


def test_mappings_are_read_as_files_are() -> None:
    assert opened("own_data:arrays").shape == (4,)
    words = {"y": ["cat", "dog", "emu"] * 10}
    assert noted("own_data:arrays", options=words)[0].class_names == ("cat", "dog", "emu")
    assert "unlabelled" in noted("own_data:arrays", options={"unlabelled": 3})[1][0]


def test_a_layout_is_for_arrays() -> None:
    assert refusal("own_data:parts", layout="chw").startswith("task.data.layout: 'own_data:parts'")


def test_options_are_a_tasks_own() -> None:
    task = {"model": {"name": "small_cnn", "options": {"widths": b"\x80"}}}
    with pytest.raises(ValueError, match=r"task\.model\.options: widths: bytes is not allowed"):
        Task.parse({**task, "data": "digits", "epochs": 1}, "task")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("a\n b"), "it failed (ValueError: a b); do so"),
        (SystemExit(), "it failed (SystemExit: it would end the program"),
        (KeyboardInterrupt(), "it failed (KeyboardInterrupt: it would end the program"),
        (MemoryError(), "it failed (MemoryError, in test_own_data.py"),
        (AssertionError("x" * 999), "it failed (AssertionError: xxx"),
    ],
)
def test_the_wall_around_foreign_code(error: BaseException, said: str) -> None:
    with pytest.raises(ValueError, match="it failed") as caught, foreign("it failed", "do so"):
        raise error
    assert str(caught.value).startswith(said)
    assert len(str(caught.value)) < 350


def test_numpys_own_labels_are_numbers() -> None:
    assert own._is_number(np.int64(2), 3)
    assert not own._is_number(np.float64(0.5), 3)
