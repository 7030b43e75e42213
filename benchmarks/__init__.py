"""What measures speed: each module with a ``main`` is a command, ``python -m benchmarks.NAME``.

A command prints a table and writes JSON. Measured results with their commands are in ``results/``.
"""
