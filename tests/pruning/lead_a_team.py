"""Leads a team of two until it is killed; prints the other process's id. Run by test_team.py."""

from __future__ import annotations

import torch
from small_tasks import digits_task

from pruning.parallel.team import Team

if __name__ == "__main__":
    torch.set_num_threads(1)
    team = Team(2)
    training = team.open(digits_task(epochs=100_000), seed=0)
    training.begin()
    training.epoch()
    print(team.members[0].process.pid, flush=True)
    while True:
        training.epoch()
