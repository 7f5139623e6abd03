"""Contexts in, candidate replies out: sampling and beam search, many contexts and candidates in one batch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from model.sampling import DRAWS, Floats, Ids, SamplingConfig, guide, log_softmax, restrain, sample
from model.tokenizer import END, LINE_ID, PAD, START, UNKNOWN

if TYPE_CHECKING:
    from model.inference import State

EMPTY_CONTEXT = [END]
"""After it a network gives log p(reply), if it was trained on replies without their contexts too."""

Some = npt.NDArray[np.integer[Any]]
"""Token ids of any integer type."""

_READ_AT_ONCE = 64
"""Tokens: for each there are several numbers a word of the vocabulary in memory. More at once save no time."""

_UNSAYABLE = np.array([PAD, UNKNOWN, START, *range(END + 1, LINE_ID)])


class Network(Protocol):
    """A network that writes a token at a time: `model.inference.Inference`, or one that still learns."""

    def encode(self, contexts: Sequence[Sequence[int]]) -> "State":
        """Read contexts together."""
        ...

    def step(self, tokens: Ids, state: "State") -> tuple[Floats, "State"]:
        """Log probabilities `[batch, vocabulary]` after one more token of each row, and the new state."""
        ...

    def read(self, tokens: Ids, state: "State") -> Floats | None:
        """The same after each of several tokens, `[batch, time, vocabulary]`; None if that is not done all at once."""
        ...


@dataclass(frozen=True)
class Candidate:
    """A reply, as ids without the end token.

    Attributes:
        ids: the reply.
        likelihood: log p(reply | context) in nats, its end counted if it has ended.
        prior: log p(reply), likewise; 0 where it was not asked for.
        ended: whether the network said that it was over.
    """

    ids: tuple[int, ...]
    likelihood: float
    prior: float
    ended: bool

    @property
    def tokens(self) -> int:
        """Its length, the end token counted."""
        return len(self.ids) + self.ended


@dataclass(frozen=True)
class Request:
    """A context to answer.

    Attributes:
        context: its token ids.
        sampling: how.
        rng: the only source of chance of its replies, so that they are drawn alike whatever else is in the batch.
        candidates: how many replies.
    """

    context: Sequence[int]
    sampling: SamplingConfig
    rng: np.random.Generator
    candidates: int = 1


@dataclass(slots=True)
class _Reply:
    """One that is being written."""

    request: int
    ids: list[int] = field(default_factory=list)
    likelihood: float = 0.0
    prior: float = 0.0
    ended: bool = False

    def candidate(self) -> Candidate:
        return Candidate(tuple(self.ids), self.likelihood, self.prior, self.ended)


def write(
    network: Network, requests: Sequence[Request], *, max_tokens: int, prior: bool = False
) -> list[list[Candidate]]:
    """Sample replies to many contexts together. A context is read once, however many replies it gets.

    Args:
        network: that writes.
        requests: the contexts.
        max_tokens: of a reply, at most.
        prior: whether log p(reply) is wanted too.

    Returns:
        The candidates of each request.

    Raises:
        ValueError: the network returned log probabilities that are no numbers.
    """
    guided = any(request.sampling.guidance for request in requests)
    replies = [_Reply(number) for number, request in enumerate(requests) for _ in range(request.candidates)]
    unended, tokens = replies, np.full(len(replies), START)
    state = _first_state(network, requests, replies, guided=guided)
    while unended:
        likelihoods, state = network.step(np.tile(tokens, 2) if guided else tokens, state)
        tokens = _next_tokens(requests, unended, likelihoods[: len(unended)], likelihoods[len(unended) :])
        _append(unended, tokens, likelihoods)
        left = [
            row for row, reply in enumerate(unended) if not _over(reply, requests[reply.request].sampling, max_tokens)
        ]
        if len(left) < len(unended):
            rows = np.array(left, np.int64)
            state = state.take(np.concatenate([rows, rows + len(unended)]) if guided else rows)
            unended, tokens = [unended[row] for row in left], tokens[rows]
    if prior:
        nothing = network.encode([EMPTY_CONTEXT]).take(np.zeros(len(replies), np.int64))
        said = [[*reply.ids, END] if reply.ended else reply.ids for reply in replies]
        for reply, value in zip(replies, log_probabilities(network, nothing, said).tolist(), strict=True):
            reply.prior = value
    found: list[list[Candidate]] = [[] for _ in requests]
    for reply in replies:
        found[reply.request].append(reply.candidate())
    return found


def search(
    network: Network,
    context: Sequence[int],
    config: SamplingConfig,
    *,
    width: int,
    max_tokens: int,
    length_penalty: float = 0.6,
) -> list[Candidate]:
    """Beam search: the likeliest replies that are found, the best first.

    Args:
        network: that writes.
        context: token ids.
        config: what may be said.
        width: of the beam.
        max_tokens: of a reply, at most.
        length_penalty: alpha of Wu et al. (2016): hypotheses compare by likelihood / ((5 + length) / 6) ** alpha.

    Raises:
        ValueError: the network returned log probabilities that are no numbers.
    """

    def score(likelihood: float, length: int) -> float:
        return likelihood / math.pow((5 + length) / 6, length_penalty)

    def rank(reply: _Reply) -> float:
        return -score(reply.likelihood, len(reply.ids) + reply.ended)

    max_tokens = min(max_tokens, config.max_tokens or max_tokens)
    state, beams, tokens, ended = network.encode([context]), [_Reply(0)], np.array([START]), list[_Reply]()
    for time in range(max_tokens):
        scores, state = network.step(tokens, state)
        _check(scores.max(axis=-1))  # of a row with a NaN it is that
        _forbid_unsayable(scores, time, config)
        scores = restrain(scores, [beam.ids for beam in beams], config)
        beams, over, origins = _extend(beams, scores, width)
        ended = sorted([*ended, *over], key=rank)[:width]
        best = max((score(beam.likelihood, max_tokens + 1) for beam in beams), default=-np.inf)
        if not beams or (len(ended) == width and -rank(ended[-1]) >= best):
            break
        state, tokens = state.take(origins), np.array([beam.ids[-1] for beam in beams])
    return [reply.candidate() for reply in sorted([*ended, *beams], key=rank)[:width]]


def log_probabilities(
    network: Network, state: "State", replies: Sequence[Sequence[int] | Some]
) -> npt.NDArray[np.float64]:
    """log p(reply | context) in nats, `[batch]`.

    Args:
        network: that finds them likely or not.
        state: of the contexts, as `encode` returned it.
        replies: token ids of each, none empty, with the end token if that is to be counted.

    Raises:
        ValueError: the network returned log probabilities that are no numbers.
    """
    lengths = np.array([len(reply) for reply in replies])
    order = np.argsort(-lengths, kind="stable")  # those that have ended are the last rows: the rest is a slice
    targets = np.full((len(replies), lengths.max()), PAD, np.int64)
    for target, row in zip(targets, order, strict=True):
        target[: lengths[row]] = replies[row]
    inputs = np.concatenate([np.full((len(replies), 1), START), targets[:, :-1]], axis=1)
    ordered, totals, start = lengths[order], np.zeros(len(replies)), 0
    while start < len(replies):
        most = int(ordered[start])
        rows = slice(start, start + max(1, _READ_AT_ONCE // most))
        read = network.read(inputs[rows, :most], state.take(order[rows]))
        if read is None:
            totals[order] = _sums_of_steps(network, state.take(order), inputs, targets, ordered)
            break
        found = np.take_along_axis(read, targets[rows, :most, np.newaxis], axis=2)[:, :, 0]
        said = np.arange(most) < ordered[rows, np.newaxis]
        totals[order[rows]] = np.where(said, found, 0).sum(axis=1, dtype=np.float64)
        start = rows.stop
    _check(totals)
    return totals


def _sums_of_steps(
    network: Network, state: "State", inputs: Ids, targets: Ids, lengths: Ids
) -> npt.NDArray[np.float64]:
    """The log probabilities of targets `[batch, time]`, added up over the length of each; lengths go down."""
    totals = np.zeros(len(lengths))
    for time in range(int(lengths[0])):
        count = int((lengths > time).sum())
        step, state = network.step(inputs[:count, time], state.first(count))
        totals[:count] += step[np.arange(count), targets[:count, time]]
    return totals


def _check(likelihoods: npt.NDArray[np.floating[Any]]) -> None:
    if not np.isfinite(likelihoods).all():
        raise ValueError("the network returned log probabilities that are no numbers")


def _extend(beams: Sequence[_Reply], scores: Floats, width: int) -> tuple[list[_Reply], list[_Reply], Ids]:
    """The best beams that are one token longer, those that end, and of which beam each of the former comes."""
    totals = scores + np.array([[beam.likelihood] for beam in beams])
    best = np.argsort(-totals, axis=None, kind="stable")[: 2 * width]  # half of them may end
    longer, over, origins = list[_Reply](), list[_Reply](), list[int]()
    for row, token in zip(*np.unravel_index(best, totals.shape), strict=True):
        total, beam = float(totals[row, token]), beams[row]
        if not np.isfinite(total) or len(longer) == width:
            break
        if token == END:
            over.append(_Reply(0, list(beam.ids), total, ended=True))
        else:
            longer.append(_Reply(0, [*beam.ids, int(token)], total))
            origins.append(int(row))
    return longer, over, np.array(origins, np.int64)


def _first_state(network: Network, requests: Sequence[Request], replies: Sequence[_Reply], *, guided: bool) -> "State":
    """A row for each reply, and behind them, for guidance, as many that have read nothing."""
    contexts = [request.context for request in requests]
    rows = [reply.request for reply in replies]
    if guided:
        contexts.append(EMPTY_CONTEXT)
        rows += [len(requests)] * len(replies)
    return network.encode(contexts).take(np.array(rows, np.int64))


def _next_tokens(requests: Sequence[Request], replies: Sequence[_Reply], likelihoods: Floats, priors: Floats) -> Ids:
    """The next token of each reply; those with the same settings are drawn at once.

    What may not be said becomes impossible in `likelihoods` too, which are not copied for that where all have the same.
    """
    groups: dict[int, list[int]] = {}  # by their objects: to compare settings takes as long as to draw
    for row, reply in enumerate(replies):
        groups.setdefault(id(requests[reply.request].sampling), []).append(row)
    tokens = np.empty(len(replies), np.int64)
    for rows in groups.values():
        group = [replies[row] for row in rows]
        config, said = requests[group[0].request].sampling, [reply.ids for reply in group]
        scores = likelihoods if len(groups) == 1 else likelihoods[rows]
        if config.guidance:
            scores = log_softmax(guide(scores, priors[rows], config.guidance))
        _forbid_unsayable(scores, len(said[0]), config)
        draws = [requests[reply.request].rng.random(DRAWS) for reply in group] if config.temperature else []
        tokens[rows] = sample(restrain(scores, said, config), config, np.array(draws))
    return tokens


def _append(replies: Sequence[_Reply], tokens: Ids, likelihoods: Floats) -> None:
    gains = likelihoods[np.arange(len(replies)), tokens].tolist()
    for reply, token, gain in zip(replies, tokens.tolist(), gains, strict=True):
        reply.likelihood += gain
        if token == END:
            reply.ended = True
        else:
            reply.ids.append(token)


def _forbid_unsayable(scores: Floats, time: int, config: SamplingConfig) -> None:
    """Make impossible what is no part of a reply at this time."""
    scores[:, _UNSAYABLE] = -np.inf
    if time < config.min_tokens:
        scores[:, END] = -np.inf
    if time == 0:
        scores[:, LINE_ID] = -np.inf


def _over(reply: _Reply, config: SamplingConfig, max_tokens: int) -> bool:
    return reply.ended or len(reply.ids) >= min(max_tokens, config.max_tokens or max_tokens)
