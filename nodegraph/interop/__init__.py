"""Workflow files of other systems."""
