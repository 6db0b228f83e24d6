"""Writes packages for plugin authors to start from: `nodegraph new-plugin`."""
