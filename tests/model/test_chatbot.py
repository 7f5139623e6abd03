"""The whole model: turns in, a reply out."""

import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from model.blocklist import Blocklist
from model.bundle import FILES, HEAD, TOKENIZER, Bundle, BundleFacts, ModelFormatError, seal
from model.chatbot import ChatBot
from model.copies import CopyIndex
from model.dialogue import ME, Turn, clean_text
from model.guards import Rejection
from model.inference import State
from model.ranking import Weights
from model.reply import LIKELIEST, Question, ReplyConfig
from model.sampling import SamplingConfig, log_softmax
from model.tokenizer import CONTROL_SYMBOLS, END, LINE_ID, PAD, START, UNKNOWN, Tokenizer

FACTS = BundleFacts(preset="base", network={}, max_context_tokens=8, max_reply_tokens=6, training={})
ONE = ReplyConfig(candidates=1, guarded=False)
WILD = replace(ONE, sampling=SamplingConfig(temperature=10, top_p=1))
TURNS = [Turn("ann", "hello there"), Turn(ME, "hello you"), Turn("ann", "how are you")]
SILENT = (PAD, UNKNOWN, START, *range(END + 1, LINE_ID))
"""Ids that are no part of a reply: padding, the start, and the markers of speakers."""


class ScriptedInference:
    """A network that spells: in step n, token n of the script is likely, and the end after the last one.

    Args:
        vocabulary_size: of its logits.
        script: the ids; each may also be a dict of logits.
    """

    def __init__(self, vocabulary_size: int, script: list[Any]) -> None:
        self.vocabulary_size = vocabulary_size
        self.script = script
        self.contexts: list[list[int]] = []
        self.heard: list[int] = []
        """The tokens it was told it had said."""

    def encode(self, contexts: list[list[int]]) -> State:
        self.contexts += contexts
        return State({}, {"step": np.zeros(len(contexts), np.int64)})

    def read(self, tokens: npt.NDArray[np.int64], state: State) -> None:
        """It reads one token after the other."""

    def step(self, tokens: npt.NDArray[np.int64], state: State) -> tuple[npt.NDArray[np.float32], State]:
        self.heard += tokens.tolist()
        step = int(state.layers["step"][0])
        likely = self.script[step] if step < len(self.script) else END
        logits = np.zeros((len(tokens), self.vocabulary_size), np.float32)
        for token, value in (likely if isinstance(likely, dict) else {likely: 900.0}).items():
            logits[:, token] = value
        return log_softmax(logits), State({}, {"step": state.layers["step"] + 1})


def spelling(tokenizer: Tokenizer, script: list[Any], facts: BundleFacts = FACTS) -> tuple[ChatBot, ScriptedInference]:
    inference = ScriptedInference(tokenizer.vocabulary_size, script)
    return ChatBot(tokenizer, inference, facts), inference  # type: ignore[arg-type]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_says_what_the_network_spells_and_stops_at_the_end(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("hello you")
    bot, inference = spelling(tokenizer, [*ids, END, *ids])
    assert bot.reply(TURNS, rng(), LIKELIEST) == "hello you"
    assert inference.heard == [START, *ids]


@pytest.mark.parametrize("text", ["hello\nyou", "👍 hello", "fine é"])
def test_lines_and_emoji_are_said(tokenizer: Tokenizer, text: str) -> None:
    bot, _ = spelling(tokenizer, tokenizer.encode(text), replace(FACTS, max_reply_tokens=20))
    assert bot.reply(TURNS, rng(), ONE) == text


@pytest.mark.parametrize("most", [1, 2, 7])
def test_a_reply_is_never_longer_than_max_reply_tokens(tokenizer: Tokenizer, most: int) -> None:
    (hello,) = tokenizer.encode("hello")
    bot, inference = spelling(tokenizer, [hello] * 100, replace(FACTS, max_reply_tokens=most))
    assert bot.reply(TURNS, rng(), ONE) == " ".join(["hello"] * most)
    assert len(inference.heard) == most


@pytest.mark.parametrize("first", [END, LINE_ID, PAD, START, UNKNOWN, 4, 5, 6])
@pytest.mark.parametrize("config", [LIKELIEST, WILD])
def test_a_reply_is_never_empty_even_if_the_network_wants_to_say_nothing(
    tokenizer: Tokenizer, first: int, config: ReplyConfig
) -> None:
    (hello,) = tokenizer.encode("hello")
    bot, _ = spelling(tokenizer, [{first: 500.0, hello: 400.0}])
    assert bot.reply(TURNS, rng(), config) == "hello"


@pytest.mark.parametrize("white", ["\n \t", "\x00\x1b", "\u200b", "\u2028"])
def test_a_reply_of_white_space_is_three_dots(tokenizer: Tokenizer, white: str) -> None:
    """Byte by byte, the network can spell what clean text never has."""
    bot, _ = spelling(tokenizer, [8 + byte for byte in white.encode()])
    assert bot.reply(TURNS, rng(), ONE) == "…"


def test_a_line_end_before_the_end_is_not_said(tokenizer: Tokenizer) -> None:
    (hello,) = tokenizer.encode("hello")
    bot, _ = spelling(tokenizer, [hello, LINE_ID, LINE_ID])
    assert bot.reply(TURNS, rng(), ONE) == "hello"


def test_half_a_character_is_not_said(tokenizer: Tokenizer) -> None:
    badger = tokenizer.encode("hello 🦡")  # not in the vocabulary: a token for each byte
    bot, _ = spelling(tokenizer, [*badger[:-1], END])
    assert bot.reply(TURNS, rng(), LIKELIEST) == "hello"


def test_replies_are_clean_text(tokenizer: Tokenizer) -> None:
    said = "hello \x00 <@1> you\n\n https://x.y you"
    bot, _ = spelling(tokenizer, tokenizer.encode(said), replace(FACTS, max_reply_tokens=200))
    assert bot.reply(TURNS, rng(), ONE) == clean_text(said) == "hello you\nyou"


@pytest.mark.parametrize("config", [LIKELIEST, ONE, WILD])
def test_markers_and_padding_are_never_said(tokenizer: Tokenizer, config: ReplyConfig) -> None:
    (hello,) = tokenizer.encode("hello")
    wishes = {**dict.fromkeys(SILENT, 900.0), hello: 800.0}
    bot, inference = spelling(tokenizer, [wishes] * 6)
    assert bot.reply(TURNS, rng(), config) == "hello hello hello hello hello hello"
    assert inference.heard == [START] + [hello] * 5


def test_the_context_is_marked_and_bounded(tokenizer: Tokenizer) -> None:
    bot, inference = spelling(tokenizer, [])
    bot.reply(TURNS, rng(), ONE)
    bot.reply([Turn("ann", "hello " * 50)], rng(), ONE)
    bot.reply([Turn("ann", "hello"), Turn("bob", "you")], rng(), ONE)
    (hello,), (you,) = tokenizer.encode("hello"), tokenizer.encode("you")
    assert inference.contexts[0][-len(tokenizer.encode("how are you")) - 1 :] == [5, *tokenizer.encode("how are you")]
    assert len(inference.contexts[0]) <= FACTS.max_context_tokens
    assert inference.contexts[1] == [5] + [hello] * 7
    assert inference.contexts[2] == [6, hello, 5, you]


def test_a_conversation_without_turns_gets_a_reply(tokenizer: Tokenizer) -> None:
    bot, inference = spelling(tokenizer, tokenizer.encode("hello"))
    assert bot.reply([], rng(), ONE) == "hello"
    assert inference.contexts == [[END]]


def test_the_same_seed_gives_the_same_reply_and_others_give_others(tokenizer: Tokenizer) -> None:
    bot, _ = spelling(tokenizer, [{}] * 6)
    replies = [bot.reply(TURNS, rng(seed), WILD) for seed in (1, 1, 2, 3)]
    assert replies[0] == replies[1]
    assert len(set(replies)) == 3


def test_temperature_0_ignores_the_seed(tokenizer: Tokenizer) -> None:
    shuffled = np.random.default_rng(5).normal(size=(6, tokenizer.vocabulary_size))
    bot, _ = spelling(tokenizer, [dict(enumerate(row)) for row in shuffled])
    chance = rng(1)
    assert bot.reply(TURNS, chance, LIKELIEST) == bot.reply(TURNS, rng(2), LIKELIEST)
    assert chance.bit_generator.state == rng(1).bit_generator.state


def test_a_bundle_of_a_real_network_replies(tiny_bundle: Path) -> None:
    bot = ChatBot.load(tiny_bundle)
    assert bot.facts == Bundle.open(tiny_bundle).facts
    for turns in (TURNS, [], [Turn("ann", "hello " * 100)], [Turn(ME, "hello")]):
        reply = bot.reply(turns, rng(), ONE)
        assert reply == clean_text(reply) != ""
        assert reply == bot.reply(turns, rng(), ONE)
        assert bot.reply(turns, rng(1), LIKELIEST) == bot.reply(turns, rng(2), LIKELIEST)


NASTY = {
    "ten thousand letters": "x" * 10_000,
    "ten thousand words": "how are you " * 3_000,
    "no words": "?!... --- :: ,,",
    "only emoji": "👍🦡🧭" * 200,
    "right to left": "\u202eשלום עולם, مرحبا بالعالم",  # noqa: RUF001
    "zalgo": "z\u0321\u0335a\u034a\u0334l\u0337g\u0338o" * 300,
    "control characters": "".join(map(chr, range(32))) + "\x7f\x85\u2028\ufeff",
    "half a character": "\ud800 \udfff",
    "markers": " ".join(CONTROL_SYMBOLS) + " <s></s><pad><unk><0x41> \u2581",
    "many lines": "hello\n" * 2_000,
}


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY.keys())
def test_any_text_gets_a_sound_reply(tiny_bundle: Path, text: str) -> None:
    bot = ChatBot.load(tiny_bundle)
    for turns in ([Turn("ann", clean_text(text))], [Turn("ann", clean_text(text)), Turn(ME, clean_text(text))] * 40):
        (reply,) = bot.replies([Question(turns, rng())])
        assert reply.text == clean_text(reply.text) != ""
        assert len(reply.text) < 500
        assert not set(bot.tokenizer.encode(clean_text(text))) & set(SILENT)


def test_probabilities_that_are_no_numbers_are_an_error(tokenizer: Tokenizer) -> None:
    bot, _ = spelling(tokenizer, [{0: np.nan}])
    with pytest.raises(ValueError, match="no numbers"):
        bot.reply(TURNS, rng())


@pytest.mark.parametrize("name", [HEAD, *FILES])
def test_a_flipped_bit_is_found(tiny_bundle: Path, tmp_path: Path, name: str) -> None:
    directory = Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))
    content = bytearray((directory / name).read_bytes())
    for place in (0, len(content) // 2, len(content) - 2):
        content[place] ^= 4
        (directory / name).write_bytes(content)
        with pytest.raises(ModelFormatError, match="damaged"):
            ChatBot.load(directory)
        content[place] ^= 4


def test_replies_depend_on_the_context(tiny_bundle: Path) -> None:
    bot = ChatBot.load(tiny_bundle)
    assert len({bot.reply([Turn("ann", text)], rng(), LIKELIEST) for text in ("hello", "you", "👍", "fine thanks")}) > 1


def test_threads_do_not_disturb_each_other(tiny_bundle: Path) -> None:
    bot = ChatBot.load(tiny_bundle)

    def answer(seed: int) -> str:
        return bot.reply(TURNS[: seed % 4], rng(seed), WILD)

    seeds = range(60)
    alone = [answer(seed) for seed in seeds]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(answer, seeds)) == alone
    assert len(set(alone)) > 50


@pytest.mark.parametrize("name", [HEAD, *FILES])
def test_a_damaged_bundle_is_refused(tiny_bundle: Path, tmp_path: Path, name: str) -> None:
    directory = Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))
    content = (directory / name).read_bytes()
    (directory / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelFormatError, match="damaged"):
        ChatBot.load(directory)
    (directory / name).unlink()
    with pytest.raises(ModelFormatError, match="missing"):
        ChatBot.load(directory)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("content", [b"", b"garbage"])
def test_a_whole_bundle_of_what_is_no_model_is_refused(
    tiny_bundle: Path, tmp_path: Path, name: str, content: bytes
) -> None:
    directory = Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))
    (directory / name).write_bytes(content)
    seal(directory, Bundle.open(tiny_bundle).facts)
    with pytest.raises(ModelFormatError, match=r"cannot be loaded \(\w+\): train it again\.$"):
        ChatBot.load(directory)


def test_another_models_tokenizer_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    directory = Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))
    other = Tokenizer.train(["a text of its own, with other words"], vocabulary_size=290)
    (directory / TOKENIZER).write_bytes(other.to_bytes())
    seal(directory, Bundle.open(tiny_bundle).facts)
    with pytest.raises(ModelFormatError, match="tokenizer of another one"):
        ChatBot.load(directory)


def question(seed: int = 0, **config: Any) -> Question:
    return Question([Turn("ann", "how are you")], rng(seed), ReplyConfig(**config))


class TestCandidates:
    """What is said is the best of several candidates that may be said."""

    def test_they_are_ranked_by_their_score_and_the_best_is_said(self, tiny_bundle: Path) -> None:
        bot, weights = ChatBot.load(tiny_bundle), Weights(prior=0.7, length=0.4)
        (reply,) = bot.replies([question(weights=weights)])
        assert len(reply.candidates) == 8
        scores = [(each.candidate.ended, each.score) for each in reply.candidates]
        assert scores == sorted(scores, reverse=True)
        assert len(set(scores)) > 4
        for each in reply.candidates:
            found = each.candidate
            assert each.score == pytest.approx(found.likelihood - 0.7 * found.prior + 0.4 * found.tokens)
            assert each.rejection is None
        assert reply.text == reply.candidates[0].text != ""

    def test_a_rejected_one_is_not_said_and_counted_by_its_reason(self, tiny_bundle: Path) -> None:
        bot = ChatBot.load(tiny_bundle)
        (free,) = bot.replies([question()])
        first = re.findall(r"\w+", free.text)[0]
        (reply,) = bot.replies([question(blocklist=Blocklist([first]))])
        assert [each.text for each in reply.candidates] == [each.text for each in free.candidates]
        assert reply.candidates[0].rejection is Rejection.BLOCKED
        allowed = [each.text for each in reply.candidates if each.rejection is None]
        assert reply.text == allowed[0] != free.text
        assert bot.rejections == {Rejection.BLOCKED: 8 - len(allowed)}

    def test_where_all_are_rejected_something_safe_is_said(self, tokenizer: Tokenizer) -> None:
        bot, _ = spelling(tokenizer, tokenizer.encode("hello you"))
        (reply,) = bot.replies([question(blocklist=Blocklist(["hello"]))])
        assert reply.text == "…"
        assert bot.rejections == {Rejection.BLOCKED: 8}

    def test_copies_are_not_said_but_by_who_may(self, tokenizer: Tokenizer) -> None:
        _, inference = spelling(tokenizer, tokenizer.encode("hello you"))
        bot = ChatBot(tokenizer, inference, FACTS, CopyIndex.build(lambda: [("hello you", 1)]))  # type: ignore[arg-type]
        said = [bot.replies([question(guarded=guarded)])[0].text for guarded in (True, False)]
        assert said == ["…", "hello you"]
        assert bot.rejections == {Rejection.COPY: 8}

    def test_talkativeness_chooses_by_length(self, tokenizer: Tokenizer) -> None:
        (hello,) = tokenizer.encode("hello")
        bot, _ = spelling(tokenizer, [{hello: 50.0, END: 50.0}] * 6)
        tokens = {}
        for talkativeness in (-100.0, 100.0):
            (reply,) = bot.replies([question(talkativeness=talkativeness)])
            tokens[talkativeness] = [each.candidate.tokens for each in reply.candidates if each.candidate.ended]
        assert tokens[-100.0] == sorted(tokens[-100.0]) == tokens[100.0][::-1]
        assert tokens[100.0][0] > tokens[-100.0][0]

    def test_conversations_answered_together_have_their_own_settings(self, tokenizer: Tokenizer) -> None:
        bot, _ = spelling(tokenizer, tokenizer.encode("hello you"))
        blocked = question(blocklist=Blocklist(["hello"]))
        replies = bot.replies([question(), blocked, question(candidates=3)])
        assert [reply.text for reply in replies] == ["hello you", "…", "hello you"]
        assert [len(reply.candidates) for reply in replies] == [8, 8, 3]

    def test_what_breaks_off_is_said_only_where_nothing_ends(self, tokenizer: Tokenizer) -> None:
        (hello,) = tokenizer.encode("hello")
        bot, _ = spelling(tokenizer, [{hello: 50.0, END: 50.0}] * 6)
        (reply,) = bot.replies([question(talkativeness=100.0, candidates=200)])
        ends = [each.candidate.ended for each in reply.candidates]
        assert ends == sorted(ends, reverse=True)
        assert {True, False} == set(ends)
        endless, _ = spelling(tokenizer, [hello] * 6)
        assert endless.replies([question()])[0].text == " ".join(["hello"] * 6)

    def test_none_is_too_few(self) -> None:
        with pytest.raises(ValueError, match="at least one candidate, not 0"):
            ReplyConfig(candidates=0)


def test_it_describes_itself(tiny_bundle: Path) -> None:
    bot = ChatBot.load(tiny_bundle)
    assert bot.describe() == {"Preset": "base", "Drafts thrown away": "none yet"}
    bot.facts.training.update({"finished": "2026-01-02", "figures": {"bits_per_byte": 1.5}})
    bot.rejections.update({Rejection.COPY: 2})
    told = bot.describe()
    assert told["Trained"] == "2026-01-02"
    assert told["Bits a byte on held-out replies"] == "1.500"
    assert told["Drafts thrown away"] == "2 copy of the training data"
    assert bot.rejected() == {reason.value: 2 * (reason is Rejection.COPY) for reason in Rejection}


class TestExplanations:
    """Why this reply."""

    def test_it_explains_what_it_says(self, tiny_bundle: Path) -> None:
        bot = ChatBot.load(tiny_bundle)
        explanation = bot.explain(question())
        (reply,) = bot.replies([question()])
        assert explanation.reply == reply
        seen = explanation.attention
        assert seen is not None
        assert seen.weights.shape == (len(seen.reply), len(seen.context))
        assert seen.reply[-1] == "[end]"
        assert "".join(seen.context).startswith("[")
        np.testing.assert_allclose(seen.weights.sum(axis=1), 1, rtol=1e-5)

    def test_where_nothing_may_be_said_there_is_nothing_to_look_at(self, tokenizer: Tokenizer) -> None:
        bot, _ = spelling(tokenizer, tokenizer.encode("hello you"))
        explanation = bot.explain(question(blocklist=Blocklist(["hello"])))
        assert explanation.reply.text == "…"
        assert {each.rejection for each in explanation.reply.candidates} == {Rejection.BLOCKED}
        assert explanation.attention is None
