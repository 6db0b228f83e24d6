"""The diffusion library: networks, weights, text, sampling. It knows no engine."""
