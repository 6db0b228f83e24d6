"""Training: losses, moving averages, the optimizer loop and the bundled model."""
