"""Commands that measure, in rooms by what they ask; each prints a table and writes JSON.

    python -m benchmarks.chaos                  a sweep while all it stands on dies
    python -m benchmarks.fidelity STUDY         how near the policies come to their papers
    python -m benchmarks.gpu                    what early pruning saves on a GPU
    python -m benchmarks.reach                  which networks can be cut, how exactly, how far
    python -m benchmarks.reach.one              one of them, in this process
    python -m benchmarks.search                 how fast each search comes near the front
    python -m benchmarks.sharing                what sharing epochs saves
    python -m benchmarks.sharing.plain_tune     a sweep as plain Ray Tune, to compare with
    python -m benchmarks.sharing.replay         what deciding on stored epochs costs
    python -m benchmarks.sharing.scale          10,000 trials on 1,000 GPUs, simulated
    python -m benchmarks.sharing.submissions    200 short sweeps from 8 clients at once
    python -m benchmarks.speed STUDY            what a pruned epoch and a forecast cost
    python -m benchmarks.startup                what a command costs before it does anything
    python -m benchmarks.throughput             how long an epoch takes, beside a loop by hand
    python -m benchmarks.throughput.one         epochs of one case, in this process

Measured results with their commands are in ``results/``.
"""

# Results that are kept name commands without their rooms: ``python -m benchmarks.scale``.
__path__ += [f"{__path__[0]}/{room}" for room in ("sharing", "speed")]
