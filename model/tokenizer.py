"""Clean text and marked turns in, token ids out, and back (SentencePiece; Kudo & Richardson, 2018)."""

import functools
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import sentencepiece

from model import ChinwagError
from model.dialogue import Marker
from model.protobuf import fields

PAD, UNKNOWN, START, END = range(4)
LINE = "<line>"
CONTROL_SYMBOLS = (*(str(marker) for marker in Marker), LINE)
"""Tokens after `END`, in the order of their ids. As control symbols they cannot be spelled by anybody's text."""
LINE_ID = END + len(CONTROL_SYMBOLS)

Tokens = Literal["bpe", "unigram", "word", "char"]
"""What tokens are: byte-pair encodings (Sennrich et al., 2016), pieces of a unigram language model (Kudo, 2018), words
between spaces, or characters."""

_SPACE = "\u2581"  # SentencePiece's sign for a space, which clean text never holds
_REMEMBERED_LINES = 1 << 13
_MOST_TOKENS = 1 << 16  # what two bytes can number, as datasets do
_NORMALIZERS = {3, 5}  # in SentencePiece's model: before encoding and after decoding
_CHARACTER_MAP = 2  # of a normalizer: a table that is followed without a look


class TokenizerError(ChinwagError):
    """The text is too little to learn a vocabulary from, or a tokenizer file cannot be read."""


class Tokenizer:
    """A trained SentencePiece model with the markers of the text contract."""

    def __init__(self, model: bytes) -> None:
        """Load a serialised SentencePiece model.

        Raises:
            TokenizerError: the bytes are no SentencePiece model, or not one with our markers.
        """
        self._model = model
        try:
            if _has_character_map(model):
                raise TokenizerError("the tokenizer file changes texts, which are clean already")
            self._pieces = sentencepiece.SentencePieceProcessor(model_proto=model)
        except TokenizerError:
            raise
        except Exception as error:  # SentencePiece raises RuntimeError, OSError or its own
            raise TokenizerError("the tokenizer file is damaged") from error
        ids = [self._pieces.piece_to_id(symbol) for symbol in CONTROL_SYMBOLS]
        if self._pieces.pad_id() != PAD or ids != list(range(END + 1, END + 1 + len(ids))):
            raise TokenizerError("the tokenizer file does not have Chinwag's markers")
        if not all(map(self._pieces.is_control, (PAD, START, END, *ids))):
            raise TokenizerError("the tokenizer file has markers that texts can spell")
        if self.vocabulary_size > _MOST_TOKENS:
            raise TokenizerError(f"the tokenizer file has more than {_MOST_TOKENS:,} tokens")
        self._marker_ids = dict(zip(Marker, ids, strict=False))
        # What was said is soon the context of what follows: most lines are encoded several times.
        self._encode_line = functools.lru_cache(_REMEMBERED_LINES)(self._pieces.encode)

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        *,
        tokens: Tokens = "bpe",
        vocabulary_size: int = 8192,
        max_bytes: int = 64 << 20,
    ) -> "Tokenizer":
        """Learn a vocabulary; what it lacks is spelled in bytes, so that any text can be written.

        Args:
            texts: clean texts.
            tokens: of what kind.
            vocabulary_size: an upper bound; small corpora get fewer tokens.
            max_bytes: texts after this many bytes are not looked at.

        Raises:
            TokenizerError: there is no text.
        """
        lines = list(_bounded(texts, max_bytes))
        if not lines:
            raise TokenizerError("there is no text to learn a vocabulary from")
        try:
            return cls(_train_pieces(lines, tokens, vocabulary_size))
        except RuntimeError as error:  # what SentencePiece raises for everything
            raise TokenizerError(f"the vocabulary could not be learned: {error}") from error

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        """Read a tokenizer file.

        Raises:
            TokenizerError: it is damaged.
            OSError: it cannot be read.
        """
        return cls(path.read_bytes())

    def to_bytes(self) -> bytes:
        """The serialised SentencePiece model."""
        return self._model

    @property
    def vocabulary_size(self) -> int:
        """The number of token ids, special ones included."""
        return int(self._pieces.get_piece_size())

    def encode(self, text: str) -> list[int]:
        """Token ids of clean text, without start and end."""
        first, *more = text.split("\n")
        ids: list[int] = [*self._encode_line(first)]
        for line in more:
            ids += (LINE_ID, *self._encode_line(line))
        return ids

    def encode_context(self, turns: Sequence[tuple[Marker, str]], max_tokens: int) -> list[int]:
        """Token ids of marked turns, oldest first, each behind its marker.

        The newest `max_tokens` - the oldest turns go first, then the beginning of the last one. Never empty:
        a context without turns is a lone end token.
        """
        pieces: list[list[int]] = []
        room = max_tokens
        for marker, text in reversed(turns):
            ids = self.encode(text)
            if not pieces:
                ids = ids[max(len(ids) - room + 1, 0) :]
            if len(ids) + 1 > room:
                break
            pieces.append([self._marker_ids[marker], *ids])
            room -= len(ids) + 1
        return [token for piece in reversed(pieces) for token in piece] or [END]

    def decode_context(self, ids: Sequence[int]) -> list[tuple[Marker, str]]:
        """The turns that `encode_context` was given, as far as they fitted in."""
        markers = {token: marker for marker, token in self._marker_ids.items()}
        starts = [position for position, token in enumerate(ids) if token in markers]
        ends = [*starts[1:], len(ids)]
        return [(markers[ids[a]], self.decode(ids[a + 1 : b])) for a, b in zip(starts, ends, strict=False)]

    def decode(self, ids: Iterable[int]) -> str:
        """Text of token ids up to the first end token. Markers and padding are silent."""
        lines: list[list[int]] = [[]]
        for token in ids:
            if token == END:
                break
            if token == LINE_ID:
                lines.append([])
            else:
                lines[-1].append(int(token))
        # A space is in the bytes of a word that is spelled, even of the first.
        texts = (self._pieces.decode(line).replace(_SPACE, " ").removeprefix(" ") for line in lines)
        return "\n".join(filter(None, texts))


def _has_character_map(model: bytes) -> bool:
    """Whether a serialised model would have SentencePiece normalise texts; ours are trained without."""
    normalizers = [value for number, value in fields(model) if number in _NORMALIZERS and isinstance(value, bytes)]
    return any(number == _CHARACTER_MAP and value for each in normalizers for number, value in fields(each))


def _bounded(texts: Iterable[str], max_bytes: int) -> Iterator[str]:
    for text in texts:
        for line in text.split("\n"):
            max_bytes -= len(line.encode())
            if max_bytes < 0:
                return
            if line:
                yield line


def _train_pieces(lines: list[str], tokens: Tokens, vocabulary_size: int) -> bytes:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        model_type=tokens,
        vocab_size=vocabulary_size,
        hard_vocab_limit=False,  # a small corpus gets as many tokens as it can fill
        pad_id=PAD,
        unk_id=UNKNOWN,
        bos_id=START,
        eos_id=END,
        control_symbols=list(CONTROL_SYMBOLS),
        byte_fallback=True,
        normalization_rule_name="identity",  # clean_text has normalised: text comes back as it went in
        character_coverage=0.9995,
        max_sentence_length=16_384,
        num_threads=1,  # the same vocabulary whatever the machine
        minloglevel=2,
    )
    return model.getvalue()
