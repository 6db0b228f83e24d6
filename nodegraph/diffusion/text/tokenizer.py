"""What the text stage asks of a tokenizer, and the errors of finding one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable


@runtime_checkable
class Tokenizer(Protocol):
    """Turn text into token ids of one vocabulary; start and end tokens are added by the caller."""

    @property
    def start(self) -> int:
        """Return the id that opens a sequence."""
        ...

    @property
    def end(self) -> int:
        """Return the id that closes a sequence."""
        ...

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, without start and end."""
        ...

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the normalised text of token ids; start and end leave no trace."""
        ...


class TokenizerError(Exception):
    """A vocabulary file cannot be read, or is not what its name says."""


class TokenizerNotFoundError(TokenizerError):
    """No vocabulary is installed; the message lists the places looked at and what to install."""


def without_surrogates(text: str) -> str:
    """Join surrogate pairs, as JSON may bring them, and replace lone surrogates by U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
