"""Node graphs for diffusion models: an engine that knows no torch."""
