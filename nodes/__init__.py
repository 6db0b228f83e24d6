"""The built-in plugin: thin typed nodes."""
