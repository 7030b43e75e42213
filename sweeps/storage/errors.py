"""What can go wrong with a storage, told in one line, and what may pass by itself."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from typing import Any

from pruning.errors import InputError

# 409: S3 answers so where two conditional writes meet.
PASSING_STATUS = {408, 409, 425, 429, 500, 502, 503, 504}
# By name: they belong to aiohttp, botocore and others, which need not be installed.
PASSING_ERRORS = {
    "ClientConnectionError",
    "ClientPayloadError",
    "ConnectionError",
    "HTTPClientError",
    "IncompleteRead",
    "ResponseParserError",
    "TimeoutError",
}


class StorageError(Exception):
    """The storage itself failed: this stops a sweep and is no trial's fault."""


def unusable(address: str, error: BaseException) -> InputError:
    """An address that cannot be used from the start."""
    return InputError(
        f"storage: {address!r} cannot be written ({reason(error)}); "
        f"give a folder of your own with --storage"
    )


def failed(address: str, doing: str, error: Exception) -> StorageError:
    """A storage that failed while it was in use."""
    number = getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT):
        told = f"no space left in {address!r} ({doing}); make room and run it again"
    elif number == errno.EROFS:
        told = f"{address!r} is read-only ({doing}); make it writable and run it again"
    elif isinstance(error, PermissionError):
        told = f"no permission in {address!r} ({doing}): {reason(error)}"
    elif is_missing_bucket(error):
        told = f"{address!r}: there is no such bucket ({doing})"
    elif may_pass(error):
        told = f"{address!r} is out of reach ({doing}): {reason(error)}; run it again later"
    else:
        told = f"{address!r} failed ({doing}): {reason(error)}"
    return StorageError(f"storage: {told}")


def reason(error: BaseException) -> str:
    """An error's own words, as one line."""
    told = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
    line = " ".join(str(told).split())
    return line if len(line) <= 200 else line[:197] + "..."


def may_pass(error: BaseException) -> bool:
    """Whether the same call may succeed a little later."""
    status = http_status(error)
    if status is not None:
        return status in PASSING_STATUS
    kinds = {kind.__name__ for cause in _causes(error) for kind in type(cause).__mro__}
    return bool(kinds & PASSING_ERRORS)


def is_refused(error: BaseException) -> bool:
    """Whether the condition of a conditional write did not hold."""
    return isinstance(error, FileExistsError) or http_status(error) == 412


def is_missing_bucket(error: BaseException | None) -> bool:
    """Whether not only the file, but all it could be in, is missing."""
    return any(
        answer.get("Error", {}).get("Code") == "NoSuchBucket"
        for answer in (getattr(cause, "response", None) for cause in _causes(error))
        if isinstance(answer, Mapping)
    )


def http_status(error: BaseException) -> int | None:
    """The HTTP status behind an error, whichever library raised it."""
    for cause in _causes(error):
        answer: Any = getattr(cause, "response", None)
        if isinstance(answer, Mapping):
            status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
        else:
            status = getattr(cause, "status_code", getattr(cause, "code", None))
        if isinstance(status, int):
            return status
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
