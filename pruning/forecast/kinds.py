"""The forecasters by name, and the one function that asks them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import numpy.typing as npt

from pruning.forecast.gaussian import Floats, Forecast
from pruning.forecast.plain import last, line
from pruning.forecast.scale import Standardize, standardized

if TYPE_CHECKING:  # with torch; a policy names a kind without
    from pruning.forecast.hyperparameters import Fitted
    from pruning.forecast.model import Process

Kind = Literal["lmc", "independent", "last", "line"]
Values = npt.NDArray[np.floating]

PLAIN: dict[str, Callable[[Floats, Floats, float], Forecast]] = {"last": last, "line": line}
PROCESSES: dict[str, Process] = {"lmc": "lmc", "independent": "independent"}


def forecast(
    times: Values,
    values: Values,
    at: float = 1.0,
    kind: Kind = "lmc",
    standardize: Standardize = "record",
    known: Fitted | None = None,
) -> Forecast:
    """What the A units of a layer will score at a later time.

    times: [n], rising, as fractions of the training, n >= 1. values: [n, A], complete: units that
    are gone are left out [G]. at: the time asked for. kind: ``lmc`` is the paper's Gaussian
    process, ``independent`` its ablation, ``last`` and ``line`` are what both have to beat.
    known: hyperparameters from ``fit`` on the same measurements, which are then not sought again.

    What is forecast is the saliency without the noise of measuring it [G]. A pure function: the
    same bits for the same arguments, and no random state touched. Raises ValueError for values
    that are not finite, shapes that do not fit, times that do not rise, an unknown kind.
    """
    times, values = _checked(times, values, at, kind)
    if kind in PLAIN:
        return PLAIN[kind](times, values, at)
    scaled = standardized(values, standardize)
    if scaled.spread == 0:
        nothing = np.zeros(values.shape[1])
        return Forecast(nothing + scaled.level, np.zeros((0, len(nothing))), nothing)
    from pruning.forecast import process

    return scaled.back(process.forecast(times, scaled.values, at, PROCESSES[kind], known))


def fit(
    times: Values, values: Values, kind: Kind = "lmc", standardize: Standardize = "record"
) -> Fitted:
    """The hyperparameters of a layer's process, for ``forecast`` to be asked more than once.

    The arguments and the errors are those of ``forecast``; empty where there is nothing to fit.
    """
    times, values = _checked(times, values, 0.0, kind)
    scaled = standardized(values, standardize)
    if kind in PLAIN or scaled.spread == 0:
        return {}
    from pruning.forecast import process

    return process.fit(times, scaled.values, PROCESSES[kind])


def _checked(times: Values, values: Values, at: float, kind: str) -> tuple[Floats, Floats]:
    if kind not in get_args(Kind):
        raise ValueError(f"unknown forecast {kind!r} (allowed: {', '.join(get_args(Kind))})")
    at_times, seen = np.asarray(times, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if at_times.ndim != 1 or seen.ndim != 2 or len(at_times) != len(seen) or not seen.size:
        raise ValueError(
            f"a forecast is made from times [n] and values [n, units], "
            f"not {list(at_times.shape)} and {list(seen.shape)}"
        )
    if not (np.isfinite(at_times).all() and np.isfinite(seen).all() and np.isfinite(at)):
        bad = int((~np.isfinite(seen)).sum())
        raise ValueError(f"a forecast needs finite times and values; {bad} values are not")
    if at_times[0] < 0 or at < 0 or (np.diff(at_times) <= 0).any():
        raise ValueError("the times of a forecast rise, and none is below 0")
    return at_times, seen
