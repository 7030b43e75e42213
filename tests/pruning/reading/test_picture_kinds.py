"""Pictures of every kind: their scale, their channels, and how they are changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made import bytes_of, folders, opened, picture, refusal, whole
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from pruning.errors import InputError
from pruning.training.task import Augment, Task

SIZE = {"image_size": 12}
GREY = bytes_of(12, 12)


def fractions(source: str, **settings: Any) -> Tensor:
    """The first test picture, before it was given a mean and a deviation."""
    data = opened(source, **{**SIZE, **settings})
    assert data.normalize
    mean, std = (torch.tensor(data.normalize[key])[:, None, None] for key in ("mean", "std"))
    return whole(data.test)[0][0] * std + mean


@pytest.mark.parametrize("mode", ["L", "LA", "1"])
def test_grey_stays_grey(mode: str, tmp_path: Path) -> None:
    source = folders(tmp_path, pixels=GREY, mode=mode)
    assert opened(source, **SIZE).shape == (1, 12, 12)
    shown = fractions(source)
    want = torch.from_numpy(GREY / 255).float()
    if mode != "1":
        assert (shown[0] - want).abs().max() < 1e-5
    assert fractions(source, channels=3).shape == (3, 12, 12)


@pytest.mark.parametrize("mode", ["RGBA", "P", "CMYK"])
def test_colours_in_any_form(mode: str, tmp_path: Path) -> None:
    source = folders(tmp_path, pixels=bytes_of(12, 12, 3), mode=mode) if mode != "CMYK" else ""
    if not source:
        for part in ("train", "val"):
            for name in "ab":
                for number in range(6):
                    place = tmp_path / part / name / f"{number}.jpg"
                    place.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(bytes_of(12, 12, 3)).convert("CMYK").save(place)
        source = f"imagefolder:{tmp_path}"
    assert fractions(source).shape == (3, 12, 12)
    assert fractions(source, channels=1).shape == (1, 12, 12)
    assert fractions(source, channels=4)[3].unique().tolist() == pytest.approx([1.0])


def test_a_palette_is_no_picture_of_its_numbers(tmp_path: Path) -> None:
    """Two colours: a palette's numbers would be 0 and 1, nearly black both."""
    pixels = np.zeros((12, 12, 3), np.uint8)
    pixels[:, 6:] = [200, 30, 90]
    source = folders(tmp_path)
    for file in tmp_path.rglob("*.png"):
        Image.fromarray(pixels).quantize(2).save(file)
    want = torch.from_numpy(pixels / 255).permute(2, 0, 1)
    assert (fractions(source) - want).abs().max() < 1e-5


def test_a_grey_palette_is_grey(tmp_path: Path) -> None:
    root = tmp_path
    for part in ("train", "val"):
        for name in "ab":
            for number in range(6):
                place = root / part / name / f"{number}.png"
                place.parent.mkdir(parents=True, exist_ok=True)
                image = Image.fromarray(GREY // 64)
                indexed = image.convert("P")
                indexed.putpalette([level for level in (0, 80, 160, 240) for _ in range(3)])
                indexed.save(place)
    shown = fractions(f"imagefolder:{root}")
    assert shown.shape == (1, 12, 12)
    assert (shown[0] - torch.from_numpy(GREY // 64 * 80 / 255)).abs().max() < 0.01


def test_one_picture_in_colour_makes_all_of_them_three_channels(tmp_path: Path) -> None:
    source = folders(tmp_path, pixels=GREY)
    picture(tmp_path / "val" / "b" / "9.png")
    assert opened(source, **SIZE).shape == (3, 12, 12)


DEEP = np.random.default_rng(0).integers(1000, 60000, (12, 12)).astype(np.uint16)


@pytest.mark.parametrize("ending", ["png", "tiff", "pgm"])
def test_sixteen_bits_are_fractions(ending: str, tmp_path: Path) -> None:
    for part in ("train", "val"):
        for name in "ab":
            for number in range(6):
                picture(tmp_path / part / name / f"{number}.{ending}", DEEP)
    shown = fractions(f"imagefolder:{tmp_path}")
    assert shown.shape == (1, 12, 12)
    assert (shown[0] - torch.from_numpy(DEEP / 65535)).abs().max() < 1e-4


def tiffs(root: Path, pixels: Any) -> str:
    for part in ("train", "val"):
        for name in "ab":
            for number in range(6):
                picture(root / part / name / f"{number}.tiff", pixels)
    return f"imagefolder:{root}"


@pytest.mark.parametrize("brightest", [1, 255])
def test_floats_are_fractions_or_go_up_to_255(brightest: int, tmp_path: Path) -> None:
    pixels = (GREY / 255 * brightest).astype(np.float32)
    shown = fractions(tiffs(tmp_path, pixels))
    assert (shown[0] - torch.from_numpy(GREY / 255)).abs().max() < 1e-4


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        ((GREY / 255 * 40).astype("f4"), "pictures of floats have values from"),
        ((GREY / 255 * 2 - 1).astype("f4"), "fractions (0 to 1) or values of bytes (0 to 255)"),
        ((GREY / 255 * 4000).astype("f4"), "fractions (0 to 1) or values of bytes"),
        (np.where(GREY > 9, 0.5, np.nan).astype("f4"), "has values that are not finite"),
        (GREY.astype(np.int32), "it has 32 bits a pixel, whose brightest value is not known"),
    ],
)
def test_picture_kinds_whose_scale_is_not_known(pixels: Any, said: str, tmp_path: Path) -> None:
    assert said in refusal(tiffs(tmp_path, pixels), check=True, **SIZE)


def test_floats_among_bytes(tmp_path: Path) -> None:
    source = folders(tmp_path, pixels=GREY)
    picture(tmp_path / "val" / "b" / "9.tiff", (GREY / 255).astype("f4"))
    assert "it has floats, where others have whole numbers" in refusal(source, check=True, **SIZE)


# How they are changed


def epoch(source: str, augment: Augment, seed: int = 0) -> Tensor:
    train = opened(source, augment, **SIZE).train
    return torch.cat([x for x, _ in train.shuffled(4, seed, 1)])


def test_nothing_is_mirrored_or_cut_unless_asked_for(tmp_path: Path) -> None:
    """A picture that is dark on the left and bright on the right shows both."""
    pixels = np.linspace(0, 255, 12).astype(np.uint8)[None].repeat(12, axis=0)
    source = folders(tmp_path, pixels=pixels)
    plain = epoch(source, Augment())
    assert (plain == plain[:1]).all()
    assert (plain[..., -1] > plain[..., 0]).all()
    flipped = epoch(source, Augment(flip=True))
    assert 0 < int((flipped[..., -1] < flipped[..., 0]).all(-1).sum()) < len(flipped)


def test_crops_are_drawn_from_seed_epoch_and_sample(tmp_path: Path) -> None:
    source = folders(tmp_path)
    for augment in (Augment(crop=2), Augment(crop="resized")):
        first = epoch(source, augment)
        assert torch.equal(first, epoch(source, augment))
        assert not torch.equal(first, epoch(source, augment, seed=1))
        assert not torch.equal(first, epoch(source, Augment()))


def test_a_mean_and_deviation_of_ones_own(tmp_path: Path) -> None:
    data = opened(folders(tmp_path), Augment(mean=(0, 0, 0), std=(1, 1, 1)), **SIZE)
    assert data.normalize == {"mean": [0, 0, 0], "std": [1, 1, 1]}
    assert 0 <= whole(data.test)[0].min() < whole(data.test)[0].max() <= 1
    line = refusal(f"imagefolder:{tmp_path}", Augment(mean=(0,), std=(1,)), **SIZE)
    assert line == "task.augment.mean: [0.0] is not allowed: the pictures have 3 channels"


upside_down = v2.RandomVerticalFlip(1.0)


class Darker(torch.nn.Module):
    def forward(self, picture: Tensor) -> Tensor:
        return picture / 2


def thirds(picture: Tensor) -> Tensor:
    return picture[:, ::3, ::3]


def exits(picture: Tensor) -> Tensor:
    raise SystemExit(0)


def test_a_transform_of_ones_own(tmp_path: Path) -> None:
    pixels = np.linspace(0, 255, 12).astype(np.uint8)[:, None].repeat(12, axis=1)
    source = folders(tmp_path, pixels=pixels)
    plain = epoch(source, Augment())
    turned = Augment(transform="test_picture_kinds:upside_down")
    assert torch.allclose(epoch(source, turned), plain.flip(2), atol=1e-5)
    darker = Augment(transform="test_picture_kinds:Darker")
    assert epoch(source, darker).max() < plain.max()
    assert torch.allclose(whole(opened(source, darker, **SIZE).test)[0][0], plain[0])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("test_picture_kinds:none", "module 'test_picture_kinds' has no 'none'"),
        ("test_picture_kinds:SIZE", "'test_picture_kinds:SIZE' is dict, no transform"),
        (
            "test_picture_kinds:thirds",
            "makes (1, 4, 4) of a picture of shape (1, 12, 12); a tensor (1, 12",
        ),
        (
            "test_picture_kinds:exits",
            "fails for a picture of shape (1, 12, 12) (SystemExit: 0: it would end the program",
        ),
        ("torch.nn:Linear", "cannot be made (TypeError: "),
    ],
)
def test_a_transform_that_cannot_be_used(name: str, said: str, tmp_path: Path) -> None:
    source = folders(tmp_path, pixels=GREY)
    line = refusal(source, Augment(transform=name), check=True, **SIZE)
    assert line.startswith("task.augment.transform: ")
    assert said in line


def test_a_transform_may_stand_for_all_of_augment() -> None:
    given = {"model": "small_cnn", "data": "digits", "epochs": 1, "augment": "own:transform"}
    assert Task.parse(given).augment == Augment(transform="own:transform")
    with pytest.raises(InputError, match=r"augment: unknown field 'flips'"):
        Task.parse({**given, "augment": {"flips": True}})
