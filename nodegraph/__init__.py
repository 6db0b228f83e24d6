"""Node-graph workflows for diffusion models."""
