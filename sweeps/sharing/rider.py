"""A trial on its way: where it is in the tree of shared training, and what it decided there.

Aboard a branch it is there twice: the driver's rider, in the tree, and the worker's copy, which
decides and sends its ``State`` back with every report. Where the next epoch is stored already, the
driver's own decides, or recalls what it decided when it was last here. Kept true:

- A state depends on the policy's settings and the epochs alone: who decides, when, and how often
  the way was begun anew makes no difference. So it may be thrown away (``restart``) at any time.
- A decision is remembered under the digest of the policy's source; after an edit it decides anew,
  on stored epochs. What a failed trial had decided is not remembered: what failed it may be over.
- An epoch that has diverged fails all who decide after it, whoever comes when: its record says so,
  and is stored, so that run again nobody trains it again.
- A policy that raises fails alone, here. One that ends its process is found out by the tree, and is
  not tried again before its source changes: replaying, it would end the driver.
"""

from __future__ import annotations

import hashlib
import inspect
import time
import traceback
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from numbers import Real
from pathlib import Path
from typing import Any

from pruning.actions import Action, decided
from pruning.foreign import contained, told_where
from pruning.history import History, Record
from pruning.policies import Policy
from pruning.saliency import Probe
from pruning.settings import Settings, digest
from pruning.training.summary import probe_sections
from sweeps.storage.store import Origin

ENDED_WORKER = "its policy ended the worker"
"""How the reason begins where a policy takes its process down with it, again and again."""


@dataclass(frozen=True)
class Turn:
    """A rider left a path: after ``epoch`` epochs, onto ``path``, for the reasons in warnings."""

    epoch: int
    path: str
    warnings: tuple[str, ...] = ()


@dataclass
class State:
    """How far a rider has come.

    path: that it is on. epoch: the last one it has decided after, -1 before the untrained network
    was seen. decided: per epoch the seconds its decision took and the indicator it watched.
    turns: where it left a path. failure: the reason, once its policy has failed; trace: where in
    the code that was.
    """

    path: str
    epoch: int = -1
    decided: list[tuple[float, float | None]] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    failure: str | None = None
    trace: str = field(default="", compare=False)

    def to_json(self) -> dict[str, Any]:
        """As it travels and is stored."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> State:
        """The inverse of ``to_json``."""
        turns = [
            Turn(turn["epoch"], turn["path"], tuple(turn["warnings"])) for turn in data["turns"]
        ]
        decided = [(seconds, indicator) for seconds, indicator in data["decided"]]
        ending = data["failure"], data.get("trace", "")
        return cls(data["path"], data["epoch"], decided, turns, *ending)


@dataclass(frozen=True)
class Wants:
    """What a policy measures, asked once. epochs: in which, before it has acted, and after."""

    probes: Mapping[str, Probe] = field(default_factory=dict)
    epochs: tuple[frozenset[int], frozenset[int]] = (frozenset(), frozenset())

    @classmethod
    def of(cls, policy: Policy, epochs: int) -> Wants:
        """In a training of so many epochs. Raises whatever the policy does."""
        before, after = (
            frozenset(e for e in range(epochs + 1) if policy.asks(e, epochs, acted))
            for acted in (False, True)
        )
        return cls({probe.key: probe for probe in policy.probes()}, (before, after))


Fork = Callable[[str, int, Action], str]
"""From a path, an epoch and an action to the path that begins there."""


class Rider:
    """One policy on its way from the trunk to the end of a training.

    key: of its trial. trunk: where it begins. epochs: length of the training. order: its place in
    the sweep; of those who ride together the first pays for what all of them need. remembered: the
    state it had at the end when it was last here. after: the trial that must have ended before, of
    a control; ``refer`` then says where it ended.
    """

    def __init__(
        self,
        key: str,
        policy: Policy,
        trunk: Origin,
        epochs: int,
        order: int = 0,
        remembered: State | None = None,
        after: str | None = None,
    ) -> None:
        self.key, self.policy, self.order = key, policy, order
        self.trunk, self.epochs, self.remembered = trunk, epochs, remembered
        self.after = after
        self.reference: tuple[str, int] | None = None
        self._reference: Record | None = None
        self.wants, self._refusal = Wants(), State(trunk.address)
        try:
            self.wants = Wants.of(policy, epochs)
        except Exception as error:
            self._fail(self._refusal, error, "before epoch 0")
        self.at(State(trunk.address))
        self.sections = probe_sections(self.wants.probes.values())

    @property
    def finished(self) -> bool:
        """Whether it has come to the end of the training."""
        return self.state.epoch >= self.epochs

    @property
    def ended(self) -> bool:
        """Whether it goes no further: finished, or failed."""
        return self.finished or self.state.failure is not None

    def at(self, state: State) -> None:
        """Stand there; a policy that cannot even say what it measures has failed wherever it is."""
        self.state = state
        if self._refusal.failure is not None:
            state.failure, state.trace = self._refusal.failure, self._refusal.trace

    def refer(self, path: str, epoch: int, end: Record) -> None:
        """Where the policy ended that this one, a control, is compared with."""
        self.reference, self._reference = (path, epoch), end

    def restart(self) -> None:
        """Back to the trunk, with nothing known: what it remembered leads to what is lost."""
        self.at(State(self.trunk.address))
        self.remembered = None

    def needs(self, epoch: int) -> frozenset[str]:
        """The probes that it wants of this epoch."""
        return frozenset(self.wants.probes) if self.asks(epoch) else frozenset()

    def asks(self, epoch: int) -> bool:
        """Whether it wants its probes in this epoch."""
        return epoch in self.wants.epochs[bool(self.state.turns)]

    def knows(self, epoch: int) -> bool:
        """Whether it remembers what it decided after this epoch."""
        return self.remembered is not None and epoch < len(self.remembered.decided)

    def recall(self, epoch: int) -> None:
        """Decide as it did when it was last here."""
        assert self.remembered is not None
        self.state.epoch = epoch
        self.state.decided.append(self.remembered.decided[epoch])
        for turn in self.remembered.turns:
            if turn.epoch == epoch:
                self._turn(turn)

    def decide(
        self,
        epoch: int,
        history: History,
        fork: Fork,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Decide on what is known after this epoch: stay, or turn onto a path of its own.

        After the last epoch nothing is asked, only the indicator is noted, while it still measures.
        A policy that raises has failed; the others on the path go on. Where the training has
        diverged all on the path have: nothing is decided on it.
        """
        if history.last.diverged:
            self.state.failure = history.last.diverged
            return
        last = epoch >= self.epochs
        began = clock()
        if self._reference:
            history = replace(history, reference=self._reference)
        try:
            with contained():
                action = None if last else decided(self.policy.decide(history))
                seconds = clock() - began
                indicator = self._indicator(history) if self.asks(epoch) else None
        except Exception as error:
            return self._fail(self.state, error, f"after epoch {epoch}")
        self.state.epoch = epoch
        self.state.decided.append((0.0 if last else seconds, indicator))
        if action:
            path = fork(self.state.path, epoch, action)
            self._turn(Turn(epoch, path, action.warnings))

    def _indicator(self, history: History) -> float | None:
        number = self.policy.indicator(history)
        if number is None or isinstance(number, Real):
            return None if number is None else float(number)
        kind = type(number).__name__
        raise TypeError(f"indicator returned {number!r}, a {kind} (allowed: a number or None)")

    def _fail(self, state: State, error: Exception, when: str) -> None:
        state.failure = f"{told_where(error)}, {when}"
        state.trace = "".join(traceback.format_exception(error))

    def _turn(self, turn: Turn) -> None:
        self.state.turns.append(turn)
        self.state.path = turn.path


def remembered(known: Mapping[str, Any] | None, policy: Policy) -> tuple[State | None, bool]:
    """The state a trial finished with, or was paused in, and whether it must not be tried again.

    known: what is stored of the trial; nothing of it counts if the policy's code has changed since.
    """
    if known is None or known.get("code") != code(policy):
        return None, False
    # What failed may pass the next time. Who ended a worker may not try: where others have stored
    # the epoch since, the driver itself would ask it.
    kept = known["status"] in ("finished", "paused")
    state = State.from_json(known["state"]) if kept else None
    return state, str(known["reason"]).startswith(ENDED_WORKER)


def code(policy: Policy) -> str:
    """The digest of the source of a policy and of what it measures.

    Decisions are remembered under it: a policy whose file has changed decides anew.
    """
    try:
        kinds: list[type[Settings]] = [type(policy), *(type(probe) for probe in policy.probes())]
        # A control depends on what the policy decides that it is compared with.
        reference = policy.reference()
    except Exception:  # a trial that fails, and whose state nobody will look for
        return uuid.uuid4().hex
    return digest([*map(_source, kinds), *([code(reference)] if reference else [])])


@cache
def _source(kind: type[Settings]) -> str:
    """The digest of the files a class is written in; of this package with those beside them."""
    files: set[Path] = set()
    for part in kind.__mro__:
        if issubclass(part, Settings):
            try:
                file = Path(inspect.getfile(part))
            except (TypeError, OSError):  # typed into a notebook: never the same again
                return uuid.uuid4().hex
            # Ours lean on what lies beside them (selection.py, one_shot.py): edits there count.
            ours = part.__module__.startswith("pruning.")
            files |= set(file.parent.glob("*.py")) if ours else {file}
    whole = hashlib.sha256()
    for file in sorted(files):
        whole.update(file.read_bytes())
    return whole.hexdigest()
