"""What a check says when a node does not keep the contract."""

from __future__ import annotations


class ContractError(AssertionError):
    """A promise that a node does not keep: which, how it showed, and what to change."""
