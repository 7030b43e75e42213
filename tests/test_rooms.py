"""The order of the house: its packages, and the rooms of ``pruning/`` and of ``sweeps/``.

From the ground up, a storey a line; the rooms of one storey do not know one another.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from documents import tracked
from rooms import circle, faces, imports, misplaced

ROOT = Path(__file__).parents[1]

PACKAGES = ["pruning", "sweeps", "cluster dashboards", "earlyprune", "benchmarks"]

NO_PACKAGES = {"docs", "tests"}
"""Folders with Python that nobody imports."""

PRUNING = [
    "errors randomness actions meter",
    "foreign",
    "names settings",
    "known",
    "preprocessing structure",
    "reading",
    "history saliency forecast",
    "policies",
    "pruner",
    "training",
    "parallel testing export inspection",
    "public",
]

SWEEPS = [
    "storage tracking",
    "sharing",
    "results",
    "file",
    "judging",
    "search planning",
    "running",
]

ORDERS = {"": PACKAGES, "pruning": PRUNING, "sweeps": SWEEPS}


@pytest.mark.parametrize(("package", "storeys"), ORDERS.items())
def test_every_room_imports_only_those_below_it(package: str, storeys: Sequence[str]) -> None:
    faults = misplaced(ROOT, package, storeys)
    assert not faults, "\n".join(faults)


def test_no_room_imports_the_face_of_its_package() -> None:
    faults = faces(ROOT)
    assert not faults, "\n".join(faults)


def test_no_package_imports_what_is_none() -> None:
    faults = [str(one) for one in imports(ROOT) if one.imported.partition(".")[0] in NO_PACKAGES]
    assert not faults, "\n".join(faults)


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="git says which folders there are")
def test_every_folder_with_python_is_a_package_or_listed_as_none() -> None:
    found = {name.partition("/")[0] for name in tracked() if name.endswith(".py")}
    assert found == {*" ".join(PACKAGES).split(), *NO_PACKAGES}


def test_no_modules_import_one_another_in_a_circle() -> None:
    found = circle(ROOT)
    assert not found, f"a circle: {found}"


def test_pruning_names_nothing_that_many_networks_need() -> None:
    """Not even inside a function; what it loads is seen by ``tests/pruning/test_on_its_own.py``."""
    strangers = ("ray", "mlflow", "optuna")
    named = [one for one in imports(ROOT) if one.imported.partition(".")[0] in strangers]
    faults = [str(one) for one in named if one.importer.partition(".")[0] == "pruning"]
    assert named  # by others
    assert not faults, "\n".join(faults)


STOREYS = ["cellar", "kitchen parlour", "attic"]


def built(root: Path, files: dict[str, str]) -> Path:
    """A package with a room or two a storey, whose files say what is given."""
    empty = dict.fromkeys(
        ["__init__.py", "cellar/wine.py", "kitchen.py", "parlour.py", "attic/bats.py"], ""
    )
    for name, text in {**empty, **files}.items():
        file = root / "house" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("import house.attic.bats", 1),
        ("from house.attic import bats", 1),
        ("from house.attic.bats import wing", 1),
        ("from .attic import bats as mice", 1),
        ("def cook():\n    from house.attic import bats", 2),
        ("if TYPE_CHECKING:\n    from house.attic import bats", 2),
        ("try:\n    import house.attic.bats\nexcept ImportError:\n    pass", 2),
    ],
)
def test_an_import_of_what_is_above_is_named(tmp_path: Path, text: str, line: int) -> None:
    assert misplaced(built(tmp_path, {"kitchen.py": text}), "house", STOREYS) == [
        f"house/kitchen.py:{line} imports house.attic.bats: "
        f"house/attic stands above house/kitchen, not below it"
    ]


def test_nor_what_is_beside_it_nor_the_face_of_its_package(tmp_path: Path) -> None:
    text = "import sys\nfrom house import parlour\nfrom house import door"
    assert misplaced(built(tmp_path, {"kitchen.py": text}), "house", STOREYS) == [
        "house/kitchen.py:2 imports house.parlour: "
        "house/parlour stands beside house/kitchen, not below it",
        "house/kitchen.py:3 imports house: house/__init__ stands above house/kitchen, not below it",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [("import house.cellar.wine", 1), ("def cook():\n    import sys, house.cellar.wine", 2)],
)
def test_an_import_that_binds_the_face_is_named(tmp_path: Path, text: str, line: int) -> None:
    assert faces(built(tmp_path, {"kitchen.py": text})) == [
        f"house/kitchen.py:{line} imports house.cellar.wine and with it the face of house: "
        "write from house.cellar.wine import ..."
    ]


def test_one_that_does_not_bind_it_is_no_fault(tmp_path: Path) -> None:
    text = "import os.path\nimport house.cellar.wine as red\nfrom house.cellar import wine"
    root = built(tmp_path, {"kitchen.py": text})
    (root / "garden").mkdir()
    (root / "garden/__init__.py").write_text("import house.kitchen")
    assert not faces(root)


def test_an_import_of_what_is_no_package_is_seen(tmp_path: Path) -> None:
    root = built(tmp_path, {"kitchen.py": "from tests import rooms\nimport docs.pictures"})
    assert [str(one) for one in imports(root)] == [
        "house/kitchen.py:1 imports tests.rooms",
        "house/kitchen.py:2 imports docs.pictures",
    ]


def test_what_is_below_and_in_its_own_room_may_be_imported(tmp_path: Path) -> None:
    files = {
        "__init__.py": "from house.attic import wing",
        "attic/__init__.py": "from .bats import wing",
        "attic/bats.py": "import house.attic.owls",
        "attic/owls.py": "from house import kitchen",
        "kitchen.py": "from .cellar import wine",
    }
    root = built(tmp_path, files)
    assert not misplaced(root, "house", STOREYS)
    assert not misplaced(root, "", ["house"])
    assert not circle(root)


def test_a_room_that_is_not_in_the_list_and_one_that_is_gone(tmp_path: Path) -> None:
    root = built(tmp_path, {"shed/tools.py": "import house.attic.bats"})
    faults = ["house/shed stands in no storey", "house/tower is not there any more"]
    assert misplaced(root, "house", [*STOREYS, "tower"]) == faults
    faults = ["house stands in no storey", "castle is not there any more"]
    assert misplaced(root, "", ["castle"]) == faults


def test_a_circle_within_a_room_is_named_step_by_step(tmp_path: Path) -> None:
    bats = "def fly():\n    from house.attic.owls import hoot"
    files = {"attic/bats.py": bats, "attic/owls.py": "from house.attic import bats"}
    assert set(circle(built(tmp_path, files)).split(", ")) == {
        "house/attic/bats.py:2 imports house.attic.owls",
        "house/attic/owls.py:1 imports house.attic.bats",
    }


def test_the_init_of_a_room_is_one_of_its_modules(tmp_path: Path) -> None:
    bats = {"attic/bats.py": "from house.attic import wing"}
    files = {**bats, "attic/__init__.py": "from house.attic.bats import wing"}
    assert not circle(built(tmp_path, bats))
    assert circle(built(tmp_path, files))
