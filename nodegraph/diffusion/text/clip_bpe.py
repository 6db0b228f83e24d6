"""CLIP's byte-pair encoding (Radford et al. 2021): NFC, lower case, one space, words, merges within a word.

Two engines do the merging: `tokenizers` where the vocabulary is at hand as files, and `instant_clip_tokenizer`,
which carries the vocabulary inside and shows it to nobody. Both get the same words, so their ids agree.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from nodegraph.diffusion.text.tokenizer import TokenizerError, without_surrogates

START, END = "<|startoftext|>", "<|endoftext|>"
WORD_END = "</w>"
# 49408 ids: 256 bytes, the same 256 ending a word, the merges, start and end. The file lists more merges than are used.
MERGES = 49408 - 2 * 256 - 2
_WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def normalizer() -> normalizers.Normalizer:
    """Return CLIP's text clean-up: NFC, any white space to one space, lower case."""
    return normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])


def splitter() -> pre_tokenizers.PreTokenizer:
    """Return CLIP's word splitter; its pieces are byte-level, their offsets count characters."""
    words = pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True)
    return pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(add_prefix_space=False)])


class ClipTokenizer:
    """Encode with a vocabulary held by a `tokenizers` pipeline."""

    def __init__(self, backend: Tokenizer) -> None:
        """Take a pipeline whose vocabulary holds CLIP's start and end tokens."""
        start, end = backend.token_to_id(START), backend.token_to_id(END)
        if start is None or end is None:
            raise TokenizerError(f"not a CLIP vocabulary: {START!r} and {END!r} expected, got ids {start}, {end}")
        self._backend = backend
        self.start: int = start
        self.end: int = end

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, without start and end."""
        ids: list[int] = self._backend.encode(without_surrogates(text), add_special_tokens=False).ids
        return ids

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the normalised text of token ids; start and end leave no trace."""
        kept = [token for token in tokens if token not in (self.start, self.end)]
        text: str = self._backend.decode(kept, skip_special_tokens=False)
        return text.replace(WORD_END, " ").strip()


class InstantClipTokenizer:
    """Encode with the vocabulary inside `instant_clip_tokenizer`; raise ImportError where that is not installed."""

    def __init__(self) -> None:
        """Load the packaged vocabulary."""
        import instant_clip_tokenizer

        engine = instant_clip_tokenizer.Tokenizer()
        self.start: int = engine.start_of_text()
        self.end: int = engine.end_of_text()
        self._decode = engine.decode
        self._encode = lru_cache(maxsize=65536)(engine.encode)
        self._normalizer, self._splitter = normalizer(), splitter()
        self._specials = re.compile(f"({re.escape(START)}|{re.escape(END)})")

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, without start and end."""
        parts = self._specials.split(without_surrogates(text))
        return list(chain.from_iterable(self._encode_part(part) for part in parts))

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the normalised text of token ids; start and end leave no trace."""
        kept = [token for token in tokens if 0 <= token < self.start]  # the engine refuses ids it has no text for
        text: str = self._decode(kept)
        return text.strip()

    def _encode_part(self, part: str) -> list[int]:
        # The engine knows neither NFC nor the two special tokens and splits a little otherwise: give it single words.
        if part in (START, END):
            return [self.start if part == START else self.end]
        clean = self._normalizer.normalize_str(part)
        words = (clean[slice(*span)] for _, span in self._splitter.pre_tokenize_str(clean))
        return list(chain.from_iterable(self._encode(word) for word in words))


def from_merges(lines: Sequence[str]) -> ClipTokenizer:
    """Build CLIP's tokenizer from its merges, best first, each two symbols with a space between."""
    merges = _merges(lines[:MERGES])
    if len(merges) < MERGES:
        raise TokenizerError(f"{MERGES} merges expected, got {len(merges)}")
    symbols = _byte_symbols()
    names = [*symbols, *(symbol + WORD_END for symbol in symbols), *("".join(merge) for merge in merges), START, END]
    return ClipTokenizer(_pipeline({name: number for number, name in enumerate(names)}, merges))


def from_merges_file(path: Path) -> ClipTokenizer:
    """Read the merges file of OpenAI's CLIP (`bpe_simple_vocab_16e6.txt.gz`, packed or not): a title, then merges."""
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8")
        return from_merges(text.split("\n")[1:])
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, TokenizerError) as error:
        raise TokenizerError(f"{path}: not a CLIP merges file: {error}") from error


def from_folder(folder: Path) -> ClipTokenizer | None:
    """Read `vocab.json` with `merges.txt`, or `tokenizer.json`; None where the folder holds neither."""
    try:
        if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
            lines = (folder / "merges.txt").read_text(encoding="utf-8").split("\n")
            merges = _merges([line for line in lines if line.strip() and not line.startswith("#version")])
            return ClipTokenizer(_pipeline(json.loads((folder / "vocab.json").read_bytes()), merges))
        if (folder / "tokenizer.json").is_file():
            return from_tokenizer_json(folder / "tokenizer.json")
    except (OSError, ValueError, TypeError, TokenizerError) as error:
        raise TokenizerError(f"{folder}: not a CLIP tokenizer: {error}") from error
    return None


def from_tokenizer_json(path: Path) -> ClipTokenizer:
    """Read a pipeline saved by `tokenizers`."""
    try:
        backend = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception for any fault of the file
        raise TokenizerError(f"{path}: not a tokenizer file: {error}") from error
    backend.no_padding()
    backend.no_truncation()
    return ClipTokenizer(backend)


def _merges(lines: Sequence[str]) -> list[tuple[str, str]]:
    merges = []
    for line in lines:
        left, space, right = line.strip().partition(" ")
        if not space or " " in right:
            raise TokenizerError(f"a merge has two symbols with a space between, got {line!r}")
        merges.append((left, right))
    return merges


def _pipeline(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> Tokenizer:
    try:
        model = models.BPE(
            vocab=vocabulary,
            merges=merges,
            continuing_subword_prefix="",
            end_of_word_suffix=WORD_END,
            unk_token=END,
        )
    except Exception as error:  # tokenizers raises bare Exception for merges outside the vocabulary
        raise TokenizerError(f"vocabulary and merges do not fit: {error}") from error
    backend = Tokenizer(model)
    backend.normalizer = normalizer()
    backend.pre_tokenizer = splitter()
    backend.decoder = decoders.ByteLevel()
    specials = [token for token in (START, END) if token in vocabulary]  # one not there would be given a new id
    backend.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in specials])
    return backend


def _byte_symbols() -> list[str]:
    """Return the 256 byte-level symbols in id order: the printable ones of Latin-1, then the rest as U+0100 on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return [chr(byte) for byte in printable] + [chr(256 + extra) for extra in range(256 - len(printable))]
