"""What a trained network looks at, in words a person can read. Needs no TensorFlow but what the network brings."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import sentencepiece

from model.tokenizer import END, PAD, START, Tokenizer

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


def attend(
    network: "Seq2Seq", tokenizer: Tokenizer, contexts: Sequence[Sequence[int]], replies: Sequence[str]
) -> list[Attention]:
    """What a network looks at as it writes replies; nothing for one without attention.

    Args:
        network: trained.
        tokenizer: its.
        contexts: token ids of each.
        replies: clean text.
    """
    if not network.config.attends or not contexts:
        return []
    targets = [[*tokenizer.encode(reply), END] for reply in replies]
    # All at once: outside a graph it is the number of steps that costs.
    weights = network.attention_weights(_padded(contexts), _padded([[START, *each[:-1]] for each in targets]))
    return [
        _attention(tokenizer, shares[: len(reply), : len(context)], context, reply)
        for shares, context, reply in zip(np.asarray(weights, np.float32), contexts, targets, strict=True)
    ]


def _padded(ids: Sequence[Sequence[int]]) -> npt.NDArray[np.int32]:
    padded = np.full((len(ids), max(map(len, ids))), PAD, np.int32)
    for row, each in zip(padded, ids, strict=True):
        row[: len(each)] = each
    return padded


def _attention(
    tokenizer: Tokenizer, weights: npt.NDArray[np.float32], context: Sequence[int], reply: Sequence[int]
) -> Attention:
    """Of `[reply, context]` tokens: the shares of the bytes of a character are added up, its rows averaged."""
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
