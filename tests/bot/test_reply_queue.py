"""The queue between Discord and the model: bounded, fair, in batches, and never stuck."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import numpy as np
import pytest

from bot.reply_queue import BusyError, ReplyQueue
from model.dialogue import Turn
from model.reply import Question, Reply
from tests.bot.scripted_model import ScriptedModel


def question(text: str) -> Question:
    return Question([Turn("ann", text)], np.random.default_rng(0))


def asked(model: ScriptedModel) -> list[str]:
    return [turns[0][1] for turns in model.contexts]


async def until(done: Callable[[], Any]) -> None:
    async with asyncio.timeout(5):
        while not done():  # noqa: ASYNC110 - the condition is about threads
            await asyncio.sleep(0.001)


class Desk:
    """A queue, and the answers that are waited for, by their questions."""

    def __init__(self, model: ScriptedModel, **options: Any) -> None:
        self.queue = ReplyQueue(lambda server: model, **options)
        self.answers: dict[str, asyncio.Task[Reply]] = {}

    async def ask(self, *texts: str) -> None:
        """Ask questions, each of the server that its first letter names."""
        for text in texts:
            self.answers[text] = asyncio.create_task(self.queue.reply(question(text), text[0]))
            await asyncio.sleep(0)

    async def outcome(self) -> dict[str, str | type]:
        done = await asyncio.gather(*self.answers.values(), return_exceptions=True)
        return {
            text: result.text if isinstance(result, Reply) else type(result)
            for text, result in zip(self.answers, done, strict=True)
        }


@pytest.fixture
async def held(model: ScriptedModel) -> AsyncIterator[Desk]:
    """One thread, which is kept busy by the question `x`; four may wait, three are answered together."""
    desk = Desk(model, workers=1, max_waiting=4, max_batch=3)
    model.free.clear()
    await desk.ask("x")
    await until(lambda: model.busy)
    yield desk
    model.free.set()
    await desk.queue.close()


async def test_questions_that_wait_are_answered_together(model: ScriptedModel, held: Desk) -> None:
    await held.ask("a1", "a2", "a3", "a4")
    model.free.set()
    assert await held.outcome() == dict.fromkeys(["x", "a1", "a2", "a3", "a4"], "sure")
    assert model.batches == [1, 3, 1]
    assert asked(model) == ["x", "a1", "a2", "a3", "a4"]


async def test_who_has_waited_for_long_is_refused_but_not_who_is_being_answered(model: ScriptedModel) -> None:
    desk = Desk(model, workers=1, max_batch=3, patience=0.05)
    model.free.clear()
    await desk.ask("x")
    await until(lambda: model.busy)
    await desk.ask("a1", "a2")
    await until(lambda: desk.answers["a2"].done())
    assert len(desk.queue) == 0
    model.free.set()
    assert await desk.outcome() == {"x": "sure", "a1": BusyError, "a2": BusyError}
    await desk.ask("a3")
    assert (await desk.outcome())["a3"] == "sure"
    await desk.queue.close()


async def test_the_more_wait_the_fewer_candidates_there_are(model: ScriptedModel) -> None:
    desk = Desk(model, workers=1, max_batch=2)
    model.free.clear()
    await desk.ask("x")
    await until(lambda: model.busy)
    await desk.ask(*(f"a{number}" for number in range(8)))
    model.free.set()
    await desk.outcome()
    assert asked(model) == ["x", *(f"a{number}" for number in range(8))]
    assert [config.candidates for config in model.configs] == [8, 2, 2, 2, 2, 4, 4, 8, 8]
    await desk.queue.close()


async def test_servers_take_turns(model: ScriptedModel, held: Desk) -> None:
    await held.ask("a1", "a2", "a3", "b1")
    model.free.set()
    await held.outcome()
    assert asked(model) == ["x", "a1", "b1", "a2", "a3"]


async def test_a_full_queue_refuses_at_once(model: ScriptedModel, held: Desk) -> None:
    await held.ask("a1", "a2", "a3", "a4", "a5")
    with pytest.raises(BusyError):
        await held.answers["a5"]
    assert len(held.queue) == 4
    model.free.set()
    assert [text for text, result in (await held.outcome()).items() if result == "sure"] == [
        "x",
        "a1",
        "a2",
        "a3",
        "a4",
    ]


async def test_a_busy_server_does_not_keep_others_out(model: ScriptedModel, held: Desk) -> None:
    await held.ask("a1", "a2", "a3", "a4", "b1", "c1", "b2")
    assert len(held.queue) == 4
    model.free.set()
    outcome = await held.outcome()
    assert {text for text, result in outcome.items() if result == "sure"} == {"x", "a1", "a2", "b1", "c1"}
    assert {text for text, result in outcome.items() if result is BusyError} == {"a3", "a4", "b2"}


async def test_every_thread_gets_its_share(model: ScriptedModel) -> None:
    desk = Desk(model, workers=2, max_waiting=9, max_batch=4)
    model.free.clear()
    await desk.ask("x", "y")
    await until(lambda: model.busy == 2)
    await desk.ask("a1", "a2", "a3", "a4")
    model.free.set()
    await desk.outcome()
    assert model.most_busy == 2
    assert sorted(model.batches[:4]) == [1, 1, 2, 2] or sorted(model.batches) == [1, 1, 1, 1, 2]
    await desk.queue.close()


async def test_nobody_thinks_about_a_question_that_was_given_up(model: ScriptedModel, held: Desk) -> None:
    await held.ask("a1", "a2")
    held.answers["a1"].cancel()
    await asyncio.sleep(0)
    model.free.set()
    assert await held.outcome() == {"x": "sure", "a1": asyncio.CancelledError, "a2": "sure"}
    assert asked(model) == ["x", "a2"]


async def test_one_bad_question_spoils_no_other(model: ScriptedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def replies(questions: Sequence[Question]) -> list[Reply]:
        if any(each.turns[0].text == "a2" for each in questions):
            raise ValueError("no numbers")
        return well(questions)

    well = model.replies
    desk = Desk(model, workers=1)
    model.free.clear()
    await desk.ask("x")
    await until(lambda: model.busy)
    monkeypatch.setattr(model, "replies", replies)
    await desk.ask("a1", "a2", "a3")
    model.free.set()
    assert await desk.outcome() == {"x": "sure", "a1": "sure", "a2": ValueError, "a3": "sure"}
    await desk.queue.close()


async def test_closing_refuses_what_waits_and_ends_what_is_thought_about(model: ScriptedModel, held: Desk) -> None:
    await held.ask("a1", "b1")
    closing = asyncio.create_task(held.queue.close())
    await asyncio.sleep(0.01)
    assert not closing.done()
    with pytest.raises(BusyError):
        await held.queue.reply(question("c1"), "c")
    model.free.set()
    await closing
    assert await held.outcome() == {"x": "sure", "a1": BusyError, "b1": BusyError}
    await held.queue.close()  # closing twice does no harm


async def test_it_works_on_after_a_quiet_time(model: ScriptedModel) -> None:
    desk = Desk(model, workers=2)
    for text in ("a1", "a2", "b1"):
        await desk.ask(text)
        assert (await desk.answers[text]).text == "sure"
        assert len(desk.queue) == 0
    await desk.queue.close()


async def test_each_server_is_answered_by_its_model() -> None:
    models = {1: ScriptedModel("one"), 2: ScriptedModel("two")}
    queue = ReplyQueue(models.__getitem__, workers=1, max_batch=4)
    questions = [Question([], np.random.default_rng(seed)) for seed in range(4)]
    replies = await asyncio.gather(*(queue.reply(each, 1 + place % 2) for place, each in enumerate(questions)))
    assert [reply.text for reply in replies] == ["one", "two", "one", "two"]
    assert sum(models[1].batches) == sum(models[2].batches) == 2
    await queue.close()
