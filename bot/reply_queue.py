"""Questions that wait for an answer: a bounded queue, fair between servers, answered a few at a time by threads."""

import asyncio
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace

from bot.live_model import ReplyModel
from model.reply import Question, Reply

_NICE = 5
_FEWEST_CANDIDATES = 2


class BusyError(Exception):
    """More questions wait than can be answered soon."""


@dataclass(frozen=True, eq=False)
class _Waiting:
    question: Question
    server: int
    answer: asyncio.Future[Reply]


class ReplyQueue:
    """Hands questions to a model in small batches, a server's turn after another's.

    A question that finds the queue full is refused, but for a server with fewer questions in it than another has:
    then the last one of the busiest server is. So is one that has waited for too long. The more wait, the fewer drafts
    of a reply there are to choose from: worse replies to all are better than good ones to some.
    """

    def __init__(
        self,
        model_of: Callable[[int], ReplyModel],
        *,
        workers: int,
        max_waiting: int = 32,
        max_batch: int = 4,
        patience: float = 15.0,
    ) -> None:
        """Answer nothing yet.

        Args:
            model_of: what answers the questions of a server; called in the threads.
            workers: threads that it answers in.
            max_waiting: questions that wait, besides those that are being answered.
            max_batch: questions that a thread answers together, which is faster and lets each wait for the longest.
            patience: seconds that a question waits at most.
        """
        self._model_of, self._workers, self._max_waiting, self._max_batch = model_of, workers, max_waiting, max_batch
        self._patience = patience
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="reply", initializer=_give_way)
        self._waiting: dict[int, deque[_Waiting]] = {}
        """Of each server; the one whose turn it is comes first."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def __len__(self) -> int:
        """How many questions wait."""
        return sum(map(len, self._waiting.values()))

    def refuses(self, server: int) -> bool:
        """Whether a question of a server would be refused now."""
        if len(self) < self._max_waiting:
            return False
        return max(map(len, self._waiting.values())) <= len(self._waiting.get(server, ())) + 1

    async def reply(self, question: Question, server: int) -> Reply:
        """Wait for the answer to a question.

        Args:
            question: what is to be answered.
            server: whose question it is.

        Raises:
            BusyError: too many wait, or for too long.
            Exception: whatever the model raises.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(question, server, loop.create_future())
        self._enter(waiting)
        timer = loop.call_later(self._patience, self._give_up, waiting)
        if len(self._tasks) < self._workers:
            task = asyncio.create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            return await waiting.answer
        finally:
            timer.cancel()

    async def close(self) -> None:
        """Refuse all that waits, and wait for what is being answered."""
        self._closed = True
        for waiting in self._take(len(self)):
            waiting.answer.set_exception(BusyError())
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._threads.shutdown()

    def _enter(self, waiting: _Waiting) -> None:
        server = waiting.server
        if self._closed:
            raise BusyError
        if self.refuses(server):
            raise BusyError
        if len(self) >= self._max_waiting:
            last = max(self._waiting.values(), key=len).pop()
            if not last.answer.done():
                last.answer.set_exception(BusyError())
        self._waiting.setdefault(server, deque()).append(waiting)

    def _give_up(self, waiting: _Waiting) -> None:
        """Refuse a question if it still waits."""
        questions = self._waiting.get(waiting.server, deque())
        if waiting in questions:
            questions.remove(waiting)
            if not questions:
                del self._waiting[waiting.server]
            if not waiting.answer.done():
                waiting.answer.set_exception(BusyError())

    async def _work(self) -> None:
        """Answer until nothing waits; a thread takes no more than its share, so that no other is idle."""
        while self._waiting:
            share = -(-len(self) // self._workers)
            batch = self._take(min(share, self._max_batch))
            haste = len(self) // (self._workers * self._max_batch)
            await self._answer([replace(each, question=_hastened(each.question, haste)) for each in batch])

    def _take(self, most: int) -> list[_Waiting]:
        """The next questions, one of each server in turn."""
        taken: list[_Waiting] = []
        while self._waiting and len(taken) < most:
            server = next(iter(self._waiting))
            questions = self._waiting.pop(server)
            waiting = questions.popleft()
            if questions:
                self._waiting[server] = questions  # behind all others
            if not waiting.answer.done():  # nobody waits for a cancelled one
                taken.append(waiting)
        return taken

    async def _answer(self, batch: list[_Waiting]) -> None:
        if not batch:
            return
        try:
            replies = await asyncio.get_running_loop().run_in_executor(self._threads, self._replies, batch)
        except Exception as error:
            if len(batch) > 1:  # whichever of them it is, the others are to have their answers
                for waiting in batch:
                    await self._answer([waiting])
            elif not batch[0].answer.done():
                batch[0].answer.set_exception(error)
            return
        for waiting, reply in zip(batch, replies, strict=True):
            if not waiting.answer.done():
                waiting.answer.set_result(reply)

    def _replies(self, batch: list[_Waiting]) -> list[Reply]:
        """The answers of each server's model, those of one model found together."""
        models = [self._model_of(waiting.server) for waiting in batch]
        found: dict[int, Reply] = {}
        for model in {id(model): model for model in models}.values():
            places = [place for place, each in enumerate(models) if each is model]
            found |= dict(zip(places, model.replies([batch[place].question for place in places]), strict=True))
        return [found[place] for place in range(len(batch))]


def _hastened(question: Question, haste: int) -> Question:
    """The question with half as many candidates for each step of haste."""
    config = question.config
    candidates = min(config.candidates, max(_FEWEST_CANDIDATES, config.candidates >> haste))
    return replace(question, config=replace(config, candidates=candidates)) if haste else question


def _give_way() -> None:
    """Let the event loop's thread go before this one where both want a processor; only Linux has that for threads."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
