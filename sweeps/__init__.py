"""Many networks: the sweep file, its trials on Ray Tune, the results, MLflow.

Rooms from the ground up, each knows only those before it: storage, tracking, sharing, results,
file, judging, search, planning, running.
"""
