"""What the tests of sweeps share: one Ray, and an S3 server."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from s3_server import S3Storage, s3_storage

from cluster.connection import ray_session

__all__ = ["ray_here", "s3_storage"]


@pytest.fixture(scope="session")
def ray_here(tmp_path_factory: pytest.TempPathFactory, s3_storage: S3Storage) -> Iterator[Path]:
    """A local Ray that knows the S3 server; a folder from which it, and this process, import."""
    folder = tmp_path_factory.mktemp("own_code")
    patch = pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    sys.path.insert(0, str(folder))
    with ray_session():
        yield folder
    sys.path.remove(str(folder))
    patch.undo()
