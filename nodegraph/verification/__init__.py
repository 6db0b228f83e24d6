"""Makes pictures again from what they carry, and tells what differs: `nodegraph verify`."""
