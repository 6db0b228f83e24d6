"""A collection of model files: where they are, what they are, and how files come into it."""
