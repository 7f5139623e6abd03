"""What a network looks at as it writes a reply, in words that a person can read."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import sentencepiece

from model.tokenizer import Tokenizer

_BYTE = re.compile("<0x([0-9A-F]{2})>")
_WORD_START = "\u2581"  # SentencePiece's sign


@dataclass(frozen=True)
class Attention:
    """How much the network looked at each part of a context as it wrote each part of a reply.

    Attributes:
        context, reply: what tokens stand for; a word's first begins with a space, the bytes of a character are one.
        weights: shares, `[reply, context]`; each row adds up to 1.
    """

    context: Sequence[str]
    reply: Sequence[str]
    weights: npt.NDArray[np.float32]


def attention(
    tokenizer: Tokenizer, context: Sequence[int], reply: Sequence[int], weights: npt.NDArray[np.float32]
) -> Attention:
    """Put tokens into words: the shares of the bytes of a character are added up, its rows averaged.

    Args:
        tokenizer: whose tokens they are.
        context, reply: their ids; the reply with its end token.
        weights: shares of the tokens, `[reply, context]`.
    """
    names, starts = _readable(tokenizer, context)
    reply_names, reply_starts = _readable(tokenizer, reply)
    weights = np.add.reduceat(weights, starts, axis=1)
    weights = np.add.reduceat(weights, reply_starts, axis=0) / np.diff([*reply_starts, len(reply)])[:, np.newaxis]
    return Attention(names, reply_names, weights)


def _readable(tokenizer: Tokenizer, ids: Sequence[int]) -> tuple[list[str], list[int]]:
    """What tokens stand for, the bytes of a character as one, and where each begins."""
    pieces = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.to_bytes())
    names: list[str] = []
    starts: list[int] = []
    spelled = b""  # of a character that is written byte by byte
    for position, token in enumerate(map(int, ids)):
        piece = pieces.id_to_piece(token)
        byte = _BYTE.fullmatch(piece)
        code = bytes.fromhex(byte[1]) if byte else b""
        goes_on = spelled and b"\x80" <= code < b"\xc0"
        spelled = spelled + code if goes_on else code
        name = spelled.decode("utf-8", "replace") if byte else _name(piece, pieces.is_control(token))
        if goes_on:
            names[-1] = name
        else:
            names.append(name)
            starts.append(position)
    return names, starts


def _name(piece: str, control: bool) -> str:
    if control:
        return "[end]" if piece == "</s>" else f"[{piece.strip('<>')}]"
    return piece.replace(_WORD_START, " ")
