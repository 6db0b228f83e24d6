"""Ways for a plugin to be broken, one a module; importing this package is fine."""
