"""An Optuna study that may be away for a while, and that a killed driver goes on with.

One driver at a time speaks with a study. Whatever it says again changes nothing: a trial is told
once, and one that was asked for when the answer was lost is closed as failed.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from pruning.errors import InputError
from pruning.settings import digest
from sweeps.file.search import SamplerSpec
from sweeps.search.samplers import sampler
from sweeps.storage.files import StorageError
from sweeps.tracking.address import one_line, without_password

_AWAY = (StorageInternalError, SQLAlchemyError, ConnectionError)
_LOST = "its draw was lost with the driver or the database"
_PATIENCE = 600.0  # seconds that the search waits for its database with nothing else to do
AGAIN = "resumes"
"""The note that names the pruned trial which this one is the end of."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Told:
    """How a trial of the study ends: with values, failed, or pruned (paused, never resumed)."""

    state: TrialState
    values: Sequence[float] | None
    notes: Mapping[str, Any]


class Study:
    """Asks for trials and tells how they ended, while the database answers.

    address: of the database. name: of the study, made if need be. objectives: to ``max`` or
    ``min``. sampler: as the sweep file says. seed: of its draws. planned: how many trials. Raises
    InputError if the database cannot be used at the beginning.
    """

    def __init__(
        self,
        address: str,
        name: str,
        objectives: Mapping[str, str],
        spec: SamplerSpec,
        seed: int = 0,
        planned: int | None = None,
    ) -> None:
        self.address, self.name, self.objectives = address, name, objectives
        self.spec, self.seed, self.planned = spec, seed, planned
        self._study: optuna.Study | None = None
        self._untold: deque[tuple[int, Told]] = deque()
        self._mine: set[int] = set()  # asked for, and not told yet
        self._opened = False
        self._wait, self._retry_at, self._away_since = 0.0, 0.0, 0.0  # monotonic seconds
        try:
            self._begin()
        except Exception as error:  # drivers of databases fail in many ways
            problem = _problem(error, address)
            what = f"search.study: {without_password(address)!r} cannot be used"
            raise InputError(f"{what}: {problem}") from None

    @property
    def untold(self) -> int:
        """How many trials have ended that the study does not know of."""
        return len(self._untold)

    @property
    def away(self) -> bool:
        """Whether the database did not answer the last time."""
        return self._wait > 0

    @property
    def hopeless(self) -> bool:
        """Whether it has been away for so long that it is not worth waiting."""
        return self.away and time.monotonic() - self._away_since > _PATIENCE

    def trials(self) -> list[FrozenTrial]:
        """All that the study knows, the oldest first. Raises StorageError if it is away."""
        found: list[FrozenTrial] = []
        if not self._try(lambda study: found.extend(study.get_trials(deepcopy=False))):
            raise StorageError("the study's database is away; run again to go on")
        return found

    def adopt(self, number: int) -> None:
        """Go on with a trial that a driver before this one has asked for."""
        self._mine.add(number)

    def enqueue(self, parameters: Mapping[str, Any]) -> None:
        """Have these tried first, if the database is there."""
        self._try(lambda study: study.enqueue_trial(dict(parameters), skip_if_exists=True))

    def ask(
        self, draw: Callable[[Trial], Mapping[str, Any]]
    ) -> tuple[int, Mapping[str, Any]] | None:
        """A new trial's number and what ``draw`` made of it, None while the database is away.

        What ``draw`` returns is kept with the trial as its note ``drawn``.
        """
        asked: list[tuple[int, Mapping[str, Any]]] = []

        def attempt(study: optuna.Study) -> None:
            # Anew for each draw: the state of a sampler is nowhere kept, and would begin again.
            study.sampler = self._sampler(len(study.get_trials(deepcopy=False)))
            trial = study.ask()
            drawn = draw(trial)
            trial.set_user_attr("drawn", dict(drawn))
            asked.append((trial.number, drawn))

        if not self._flush() or not self._try(attempt):
            return None
        self._mine.add(asked[0][0])
        return asked[0]

    def tell(self, number: int, told: Told) -> None:
        """How a trial has ended; kept until the database has it."""
        self._untold.append((number, told))
        self._flush()

    def note(self, number: int, notes: Mapping[str, Any]) -> None:
        """Keep something with a trial that still runs, if the database is there."""

        def attempt(study: optuna.Study) -> None:
            self._notes(study, number, notes)

        self._try(attempt)

    def close(self, seconds: float = 60.0) -> None:
        """Tell what is untold, for a minute at most."""
        end = time.monotonic() + seconds
        while not self._flush() and time.monotonic() < end:
            time.sleep(1.0)
        if self._untold:
            _log.warning("the study lacks %d trials; run the sweep again", len(self._untold))

    def _flush(self) -> bool:
        while self._untold:
            number, told = self._untold[0]
            if not self._try(partial(self._tell, number=number, told=told)):
                return False
            self._untold.popleft()
            self._mine.discard(number)
        return True

    def _tell(self, study: optuna.Study, number: int, told: Told) -> None:
        trial = study.get_trials(deepcopy=False)[number]
        if trial.state is TrialState.PRUNED and told.state is TrialState.COMPLETE:
            return self._again(study, trial, told)
        # Notes first: none can be added to a trial that has ended.
        self._notes(study, number, told.notes)
        study.tell(number, told.values, told.state, skip_if_finished=True)

    def _again(self, study: optuna.Study, trial: FrozenTrial, told: Told) -> None:
        """A paused trial was called back in a later run: what has ended there ends but once."""
        # Optuna opens no trial again that has ended, so its end is that of another.
        if trial.number in resumed(study.get_trials(deepcopy=False)):
            return
        study.add_trial(
            optuna.trial.create_trial(
                state=told.state,
                values=told.values,
                params=trial.params,
                distributions=trial.distributions,
                user_attrs={**trial.user_attrs, **told.notes, AGAIN: trial.number},
            )
        )

    def _notes(self, study: optuna.Study, number: int, notes: Mapping[str, Any]) -> None:
        trial = study.get_trials(deepcopy=False)[number]
        if not trial.state.is_finished():
            for key, value in notes.items():
                Trial(study, trial._trial_id).set_user_attr(key, value)

    def _try(self, attempt: Callable[[optuna.Study], None]) -> bool:
        """Whether it was done; the database may be away."""
        if time.monotonic() < self._retry_at:
            return False
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                attempt(self._study or self._open())
        except _AWAY as error:
            now = time.monotonic()
            if not self._wait:
                self._away_since = now
                problem = _problem(error, self.address)
                _log.warning("the study is away, training goes on: %s", problem)
            self._study = None
            self._wait = min(30.0, 2 * self._wait or 1.0)
            self._retry_at = now + self._wait
            return False
        self._wait = 0.0
        return True

    def _begin(self) -> None:
        """Open it; somebody else may be making the same tables of a new database."""
        for left in reversed(range(3)):
            try:
                self._open()
                return
            except Exception:
                if not left:
                    raise
                time.sleep(1.0)

    def _open(self) -> optuna.Study:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        if self.address.startswith("sqlite:///"):
            Path(self.address.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        # A server that was started again has closed connections which the pool still hands out.
        options: dict[str, Any] = {"pool_pre_ping": True}
        if self.address.startswith("postgresql"):
            options["connect_args"] = {"connect_timeout": 5}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            study = optuna.create_study(
                storage=optuna.storages.RDBStorage(self.address, engine_kwargs=options),
                study_name=self.name,
                directions=[
                    StudyDirection[f"{way}imize".upper()] for way in self.objectives.values()
                ],
                load_if_exists=True,
            )
            study.set_metric_names(list(self.objectives))
        # A driver that is killed leaves its draw RUNNING, and TPE (constant_liar) would keep away
        # from there for ever.
        for trial in study.get_trials(deepcopy=False):  # asked for when the answer was lost
            lost = not trial.user_attrs.get("drawn") or (
                self._opened and trial.number not in self._mine
            )
            if trial.state is TrialState.RUNNING and lost:
                closed = Trial(study, trial._trial_id)
                closed.set_user_attr("drawn", {})  # so nobody trains it
                closed.set_user_attr("reason", _LOST)
                study.tell(trial.number, state=TrialState.FAIL)
        self._study, self._opened = study, True
        return study

    def _sampler(self, asked: int) -> optuna.samplers.BaseSampler:
        """One whose draws do not repeat those of a driver before this one."""
        return sampler(self.spec, int(digest([self.seed, asked], 7), 16), self.planned)


def _problem(error: Exception, address: str) -> str:
    """What went wrong, in one line; Optuna's own text guesses at something else."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else None
    return one_line(cause if isinstance(cause, Exception) else error, address)


def resumed(trials: Sequence[FrozenTrial]) -> set[int]:
    """The numbers of pruned trials that have ended after all, each as another trial."""
    return {trial.user_attrs[AGAIN] for trial in trials if AGAIN in trial.user_attrs}
