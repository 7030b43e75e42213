"""What goes wrong: each fault a function of the world and a draw, back when it is over.

A fault says what it has hit, or None where there was nothing to hit. Nothing here mends what the
operator, or the sweep itself, has to.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.chaos.world import World

Fault = Callable[[World, random.Random], str | None]
MINUTE = 60.0


def worker(world: World, draw: random.Random) -> str | None:
    """A process that trains is killed."""
    return _kill_one(world, draw, "Trainable")


def raylet(world: World, draw: random.Random) -> str | None:
    """A node's raylet is killed; what it has started follows."""
    return _kill_one(world, draw, "raylet/raylet", world.machines.names[1:])


def driver(world: World, draw: random.Random) -> str | None:
    """The process that holds the sweep together is killed."""
    return _kill_one(world, draw, "earlyprune run", [world.nodes.head])


def node(world: World, draw: random.Random) -> str | None:
    """A machine loses power."""
    name = draw.choice(world.machines.names[1:])
    world.machines.kill(name)
    return name


def head(world: World, draw: random.Random) -> str | None:
    """The head loses power, and the driver on it."""
    world.machines.kill(world.nodes.head)
    return world.nodes.head


def cut_briefly(world: World, draw: random.Random) -> str | None:
    """A machine is without a network for some seconds."""
    return _cut(world, draw, draw.uniform(2, 6))


def cut(world: World, draw: random.Random) -> str | None:
    """A machine is without a network until the others have given it up."""
    return _cut(world, draw, draw.uniform(25, 40))


def store_errors(world: World, draw: random.Random) -> str | None:
    """The object store answers every third request with an error, sometimes after doing it."""
    world.proxy.errors = 0.33
    time.sleep(draw.uniform(8, 15))
    world.proxy.errors = 0.0
    return "33 % of the requests"


def store_slow(world: World, draw: random.Random) -> str | None:
    """The object store takes up to two seconds longer for each answer."""
    world.proxy.seconds = 2.0
    time.sleep(draw.uniform(8, 15))
    world.proxy.seconds = 0.0
    return "up to 2 s a request"


def mlflow_away(world: World, draw: random.Random) -> str | None:
    """MLflow's server is away for a minute."""
    world.mlflow.stop()
    time.sleep(MINUTE)
    world.mlflow.start()
    return "60 s"


def postgres_away(world: World, draw: random.Random) -> str | None:
    """PostgreSQL crashes and is away for a minute."""
    world.postgres.stop("immediate")
    time.sleep(MINUTE)
    world.postgres.start()
    return "60 s"


DECK: dict[Fault, int] = {
    worker: 8,
    raylet: 3,
    driver: 3,
    node: 4,
    head: 2,
    cut_briefly: 3,
    cut: 3,
    store_errors: 3,
    store_slow: 3,
    mlflow_away: 1,
    postgres_away: 1,
}
"""How often each happens: 34 in all."""
BESIDE = {mlflow_away, postgres_away}
"""These go on while others happen."""


def shuffled(draw: random.Random, rounds: float = 1.0) -> list[Fault]:
    """All faults in an order; of each a share, one at least."""
    deck = [fault for fault, count in DECK.items() for _ in range(max(1, round(count * rounds)))]
    draw.shuffle(deck)
    return sorted(deck, key=lambda fault: fault not in BESIDE)  # those that take long begin first


def _cut(world: World, draw: random.Random, seconds: float) -> str:
    name = draw.choice(world.machines.names)
    world.apart.add(name)
    with world.machines.apart(name):
        time.sleep(seconds)
    world.apart.discard(name)
    return f"{name} for {seconds:.0f} s"


def _kill_one(
    world: World, draw: random.Random, what: str, names: list[str] | None = None
) -> str | None:
    """Kill a process by its command line, on one of these machines where there is one."""
    names = list(names or world.machines.names)
    for name in draw.sample(names, len(names)):
        found = [pid for pid in world.machines.processes(name) if what in _command(pid)]
        if found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(draw.choice(sorted(found)), signal.SIGKILL)
                return name
    return None


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("latin-1")
    return ""
