"""The durable store: SQLite, one writer that commits in groups, readers beside it."""
