"""The resources under `/api/v1`: each module parses, calls and answers; `routing` does what all share."""
