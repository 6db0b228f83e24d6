"""Files that come in and go out: one resolver for names, uploads checked by content, outputs by id."""
