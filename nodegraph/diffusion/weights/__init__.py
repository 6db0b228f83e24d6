"""Checkpoint files: detection, layouts, loading."""
