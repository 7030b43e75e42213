"""Trains a tree in this process: all that Ray Tune does for it, but the processes."""

from __future__ import annotations

import torch

from sweeps.file.sweep import Sweep
from sweeps.running.driver import Driver
from sweeps.sharing.library import Gone, Library
from sweeps.sharing.ride import Report, Ride
from sweeps.sharing.rider import Rider, State
from sweeps.sharing.trainer import Trainer
from sweeps.sharing.tree import Branch, Tree
from sweeps.storage.store import Store


def train(sweep: Sweep, driver: Driver) -> None:
    """Branch after branch, each to its end."""
    torch.set_num_threads(1)
    tree, heard = driver.tree, driver.heard
    while True:
        branch = tree.next()
        if branch is None:
            others = driver.more()
            if tree.done and not others:
                return
            continue
        ride = _ride(sweep, tree, branch)
        on = True
        while on:
            try:
                ride.advance()
            except Gone as error:
                tree.astray(branch.number, str(error))
                break
            report = Report.from_json(ride.report().to_json())
            on = tree.report(branch.number, report)
            heard(report)


def _ride(sweep: Sweep, tree: Tree, branch: Branch) -> Ride:
    library = Library(Store(tree.library.store.files.address))
    riders = []
    for rider in branch.riders:
        copy = Rider(rider.key, rider.policy, rider.trunk, rider.epochs, rider.order)
        copy.state = State.from_json(rider.state.to_json())
        if rider.reference:
            copy.refer(*rider.reference, library.history(*rider.reference).last)
        riders.append(copy)
    marks = tree.judge.marks(branch.riders[0].epochs) if tree.judge else ()
    keep, measure = sweep.snapshots, branch.measure
    return Ride(branch.path, riders, library, Trainer(), keep, measure, marks=marks)
