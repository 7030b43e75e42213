"""Who pays for an epoch that many trials ride: each second is charged once, to one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sweeps.sharing.rider import Rider


def charge(
    riders: Sequence[Rider],
    seconds: Mapping[str, float],
    decided: Mapping[str, float],
    devices: float,
) -> dict[str, float]:
    """Who pays for an epoch: device-seconds by trial, their sum all that was spent.

    riders: who needed it, in their order. A decision is paid for by who made it, a probe by the
    first who asked for it, all else by the first of all.
    """
    # Marginal cost: what others need as well costs them nothing. `gpu_hours_spent` of a trial is
    # the sum of its charges; `gpu_hours`, as if it were alone, is counted in results/curves.py.
    charges = {key: spent * devices for key, spent in decided.items()}
    for section, spent in seconds.items():
        asking = [rider for rider in riders if section in rider.sections]
        payer = (asking or riders)[0].key
        charges[payer] = charges.get(payer, 0.0) + spent * devices
    return charges
