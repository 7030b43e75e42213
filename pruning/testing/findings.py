"""What a check says when a policy breaks the contract: one line."""

from __future__ import annotations

from pruning.foreign import told
from pruning.policies.base import Policy
from pruning.policies.registry import specify

_LONGEST = 200


class ContractError(AssertionError):
    """A policy breaks its contract."""


class RaisedError(ContractError):
    """A policy, or what it measures, has raised; another task may be for it."""


class BreachError(Exception):
    """A finding, before it is known which check of which policy it belongs to.

    found: what the policy does. allowed: what it may do. epoch: how many were trained before.
    kind: of the error that it becomes.
    """

    def __init__(
        self,
        found: str,
        allowed: str,
        epoch: int | None = None,
        kind: type[ContractError] = ContractError,
    ) -> None:
        super().__init__(found)
        self.found, self.allowed, self.epoch, self.kind = found, allowed, epoch, kind

    def of(self, check: str, policy: Policy) -> ContractError:
        """The finding in full."""
        when = "" if self.epoch is None else f" after epoch {self.epoch}"
        return self.kind(
            f"{check}: {described(policy)}{when}: {self.found} (allowed: {self.allowed})"
        )


def described(policy: Policy) -> str:
    """A policy with its settings, as ``name(setting=value)``."""
    try:
        settings = dict(specify(policy))
    except Exception:  # settings that cannot be written are what may be wrong with it
        return shortened(repr(policy))
    name = settings.pop("policy")
    return shortened(f"{name}({', '.join(f'{key}={value}' for key, value in settings.items())})")


def shortened(text: object) -> str:
    """Any text as one line that is not too long."""
    line = " ".join(str(text).split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."


def raised(error: Exception) -> str:
    """An exception as one line."""
    return shortened(told(error))
