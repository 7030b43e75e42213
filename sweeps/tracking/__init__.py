"""What earlyprune tells MLflow."""
