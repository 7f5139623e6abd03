"""What a trained network looks at, in words a person can read. Needs no TensorFlow but what the network brings."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import sentencepiece

from model.tokenizer import END, START, Tokenizer

if TYPE_CHECKING:
    from model.seq2seq import Seq2Seq

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


def attend(network: "Seq2Seq", tokenizer: Tokenizer, context: Sequence[int], reply: str) -> Attention | None:
    """What a network looks at as it writes a reply; None for one without attention.

    Args:
        network: trained.
        tokenizer: its.
        context: token ids.
        reply: clean text.
    """
    if network.config.attention == "none":
        return None
    targets = [*tokenizer.encode(reply), END]
    encoder_ids, decoder_ids = np.array([context], np.int32), np.array([[START, *targets[:-1]]], np.int32)
    weights = np.asarray(network.attention_weights(encoder_ids, decoder_ids), np.float32)[0]
    names, starts = _readable(tokenizer, context)
    reply_names, reply_starts = _readable(tokenizer, targets)
    weights = np.add.reduceat(weights, starts, axis=1)
    weights = np.add.reduceat(weights, reply_starts, axis=0) / np.diff([*reply_starts, len(targets)])[:, np.newaxis]
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
