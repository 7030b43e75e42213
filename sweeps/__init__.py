"""Many networks: the sweep file, its trials on Ray Tune, the results, MLflow."""
