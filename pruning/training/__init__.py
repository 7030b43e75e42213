"""Training one network: the task, its data and model, the loop, snapshots, the trial."""
