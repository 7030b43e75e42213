"""Where channels are: seen where only one reading makes sense, else the setting is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from made import bytes_of, cycle, npz, opened, refusal, whole

from pruning.reading.layout import arranged, layout_of


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((6,), "features"),
        ((8, 8), "chw"),
        ((5, 6), "chw"),
        *(((16, 16, channels), "hwc") for channels in (1, 2, 3, 4, 5, 13, 64)),
        *(((channels, 16, 16), "chw") for channels in (1, 2, 3, 4, 5, 13, 64)),
        ((5, 6, 3), "hwc"),
        ((3, 5, 6), "chw"),
        ((60, 80, 4), "hwc"),
        ((4, 60, 80), "chw"),
        ((512, 7, 7), "chw"),
        ((1, 1, 1), "chw"),
        ((3, 8, 32, 32), "chw"),
        ((8, 32, 32, 3), "hwc"),
    ],
)
def test_seen_from_the_shape(shape: tuple[int, ...], layout: str) -> None:
    assert layout_of(shape, False, "x") == layout


@pytest.mark.parametrize(
    "shape",
    [
        (3, 3, 3),
        (4, 4, 4),
        (3, 3, 13),
        (1, 1, 200),
        (3, 32, 3),
        (1, 28, 1),
        (16, 20, 24),
        (1, 1, 3),
    ],
)
def test_pictures_that_could_be_either(shape: tuple[int, ...], tmp_path: Path) -> None:
    source = npz(tmp_path, x=bytes_of(20, *shape), y=cycle(20))
    line = refusal(source)
    assert line.startswith("task.data.layout: missing; samples of x have the shape")
    assert "(allowed: chw (channels first) or hwc (channels last), or features)" in line
    assert opened(source, layout="chw").shape == shape
    assert opened(source, layout="hwc").shape == (shape[2], *shape[:2])
    assert opened(source, layout="features").shape == (int(np.prod(shape)),)


@pytest.mark.parametrize("shape", [(1, 128), (128, 1), (6, 128), (3, 100), (12, 1000)])
def test_series_or_pictures_in_grey(shape: tuple[int, ...], tmp_path: Path) -> None:
    samples = np.random.default_rng(0).random((20, *shape))
    source = npz(tmp_path, x=samples, y=cycle(20))
    line = refusal(source)
    assert "task.data.layout: missing" in line
    assert "series (channels, length), or chw: pictures in grey (height, width)" in line
    series = opened(source, layout="series")
    assert series.shape == shape
    assert whole(series.train)[0].mean((0, 2)).abs().max() < 1e-4  # a channel each
    assert opened(source, layout="chw").shape == (1, *shape)


def test_series_of_one_channel_without_an_axis_for_it(tmp_path: Path) -> None:
    source = npz(tmp_path, x=np.random.default_rng(0).random((20, 50)), y=cycle(20))
    assert opened(source).shape == (50,)
    assert opened(source, layout="series").shape == (1, 50)


@pytest.mark.parametrize(
    ("shape", "layout"),
    [((6,), "chw"), ((6,), "hwc"), ((3, 8, 8), "series"), ((2, 3, 8, 8), "series")],
)
def test_a_layout_that_the_shape_cannot_have(
    shape: tuple[int, ...], layout: str, tmp_path: Path
) -> None:
    source = npz(tmp_path, x=bytes_of(20, *shape), y=cycle(20))
    assert f"task.data.layout: {layout!r} is not allowed: samples of x" in refusal(
        source, layout=layout
    )


def test_channels_come_first() -> None:
    pictures = torch.arange(2 * 4 * 5 * 6.0).reshape(2, 4, 5, 6)
    assert torch.equal(arranged(pictures, "hwc", "x")[:, 2], pictures[..., 2])
    assert torch.equal(arranged(pictures, "chw", "x"), pictures)


def test_long_pictures_of_bytes_are_pictures(tmp_path: Path) -> None:
    assert opened(npz(tmp_path, x=bytes_of(20, 8, 64), y=cycle(20))).shape == (1, 8, 64)
