"""Votes on replies: kept where the admins want it, taken back, forgotten, and read by training."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import simcord

from bot.feedback import MAX_LIKES, Exchange, Feedback, FeedbackError
from bot.guild_settings import GuildSettingsStore
from bot.stores import Stores
from model.blocklist import Blocklist
from model.consent import Consent
from model.dialogue import ME, Turn
from training.exports import read_exports
from training.exports.notes import ReadNotes

GUILD, ALICE, BOB, CAROL, DAVE = 7, 1, 2, 3, 4
EXCHANGE = Exchange(99, GUILD, [Turn("1", "cats or dogs?"), Turn(ME, "cats"), Turn("2", "why?")], "they purr\nso loud")


FIRST_VERSION = """
    CREATE TABLE exchange (message INTEGER PRIMARY KEY, guild INTEGER NOT NULL, at REAL NOT NULL, turns TEXT NOT NULL,
                           reply TEXT NOT NULL);
    CREATE TABLE vote (message INTEGER NOT NULL, member INTEGER NOT NULL, value INTEGER NOT NULL,
                       PRIMARY KEY (message, member)) WITHOUT ROWID;
    PRAGMA application_id = 1130907202;
    INSERT INTO exchange VALUES (98, 7, 1.0, '[["1", "hello"]]', 'hi');
    INSERT INTO vote VALUES (98, 3, 1)
"""


@pytest.fixture
def feedback(stores: Stores) -> Feedback:
    return stores.feedback


@pytest.fixture
def anywhere(any_stores: Stores) -> Feedback:
    return any_stores.feedback


def liked(feedback: Feedback) -> list[int]:
    return [each.message for each in feedback.liked(GUILD)]


def test_what_most_like_is_liked(anywhere: Feedback) -> None:
    assert anywhere.liked(GUILD) == []
    anywhere.vote(EXCHANGE, CAROL, 1)
    assert anywhere.liked(GUILD) == [EXCHANGE]
    assert anywhere.liked(GUILD + 1) == []
    anywhere.vote(EXCHANGE, DAVE, -1)
    assert liked(anywhere) == []
    anywhere.vote(EXCHANGE, DAVE, 1)
    anywhere.vote(EXCHANGE, CAROL, -1)
    anywhere.vote(EXCHANGE, CAROL, 0)
    assert liked(anywhere) == [99]


def test_who_speaks_has_no_vote(anywhere: Feedback) -> None:
    for member in (ALICE, BOB):
        anywhere.vote(EXCHANGE, member, 1)
    assert liked(anywhere) == []
    anywhere.vote(EXCHANGE, CAROL, 1)
    anywhere.vote(EXCHANGE, ALICE, -1)
    assert liked(anywhere) == [99]


def test_nobody_likes_more_than_so_many(anywhere: Feedback) -> None:
    for message in range(MAX_LIKES + 20):
        anywhere.vote(Exchange(message, GUILD, [Turn("2", "hi")], "hello"), CAROL, 1)
    assert liked(anywhere) == list(range(20, MAX_LIKES + 20))
    anywhere.vote(Exchange(5, GUILD, [Turn("2", "hi")], "hello"), DAVE, 1)
    assert liked(anywhere) == [5, *range(20, MAX_LIKES + 20)]


@pytest.mark.parametrize("word", ["dogs", "purr", "wh1", "c a t s"])
def test_blocked_words_are_not_learned_however_much_they_are_liked(anywhere: Feedback, word: str) -> None:
    turns = [Turn("1", "cats or d0gs?"), Turn(ME, "c a t s"), Turn("2", "wh1")]
    exchange = Exchange(99, GUILD, turns, "they purr\nso loud")
    for member in range(10, 20):
        anywhere.vote(exchange, member, 1)
    assert anywhere.liked(GUILD, blocklist=Blocklist(["badgers"])) == [exchange]
    assert anywhere.liked(GUILD, blocklist=Blocklist([word])) == []


def test_what_nobody_judges_any_more_is_not_kept(feedback: Feedback, stores: Stores) -> None:
    feedback.vote(EXCHANGE, CAROL, 1)
    feedback.vote(EXCHANGE, CAROL, 0)
    feedback.vote(EXCHANGE, CAROL, -1)
    feedback.forget_speaker(CAROL)
    assert b"they purr" not in (stores.folder / "feedback.sqlite").read_bytes()


def test_a_deleted_reply_is_forgotten(anywhere: Feedback) -> None:
    anywhere.forget(99)
    anywhere.vote(EXCHANGE, CAROL, 1)
    anywhere.forget(99)
    assert liked(anywhere) == []
    anywhere.vote(EXCHANGE, DAVE, 1)
    assert liked(anywhere) == [99]


def test_who_wants_to_be_left_out_is(anywhere: Feedback) -> None:
    anywhere.forget_speaker(ALICE)
    anywhere.vote(EXCHANGE, CAROL, 1)
    assert anywhere.liked(GUILD, {"2"}) == []
    other = Exchange(100, GUILD, [Turn("2", "hello")], "hi")
    anywhere.vote(other, ALICE, 1)
    assert anywhere.liked(GUILD, {"1"}) == []  # neither her words nor her vote
    anywhere.forget_speaker(ALICE)
    assert liked(anywhere) == []  # the one in which she speaks, and her vote on the other
    anywhere.vote(other, CAROL, 1)
    assert liked(anywhere) == [100]


def test_training_reads_what_was_liked(anywhere: Feedback, tmp_path: Path) -> None:
    anywhere.vote(EXCHANGE, CAROL, 1)
    assert anywhere.write(tmp_path / "liked.jsonl", GUILD) == 1
    messages = list(read_exports([tmp_path / "liked.jsonl"], ReadNotes()))
    assert [(message.author, message.content) for message in messages] == [
        *((turn.speaker, turn.text) for turn in EXCHANGE.turns),
        (ME, EXCHANGE.reply),
    ]
    assert anywhere.write(tmp_path / "none.jsonl", GUILD, {"1"}) == 0


def test_a_file_of_the_version_before_is_read_and_kept(feedback: Feedback, stores: Stores) -> None:
    stores.folder.mkdir(exist_ok=True)
    with closing(sqlite3.connect(stores.folder / "feedback.sqlite")) as connection:
        connection.executescript(FIRST_VERSION)
    feedback.vote(EXCHANGE, CAROL, 1)
    assert liked(feedback) == [98, 99]
    (kept,) = [path.name for path in stores.folder.iterdir() if "version" in path.name]
    assert kept.startswith("feedback.sqlite.version-1.20")


def test_a_damaged_file_is_an_error(feedback: Feedback, stores: Stores) -> None:
    (stores.folder).mkdir(exist_ok=True)
    (stores.folder / "feedback.sqlite").write_bytes(b"garbage" * 100)
    with pytest.raises(FeedbackError, match="holds members' feedback, is damaged"):
        feedback.vote(EXCHANGE, CAROL, 1)


class TestInDiscord:
    @pytest.fixture
    async def place(self, simcord_env: simcord.Env) -> "Place":
        return Place(simcord_env)

    async def test_votes_are_kept_where_that_is_wanted(
        self, place: "Place", settings: GuildSettingsStore, feedback: Feedback
    ) -> None:
        await place.admin.react(await place.ask("hello"), "👍")
        assert place.liked(feedback) == []
        settings.change(place.guild.id, feedback=True)
        answer = await place.ask("hello again")
        await place.alice.react(answer, "👍")  # her own
        assert place.liked(feedback) == []
        for emoji in ("🎉", "👍"):
            await place.admin.react(answer, emoji)
        (exchange,) = feedback.liked(place.guild.id)
        assert exchange == Exchange(answer.id, place.guild.id, [Turn(str(place.alice.id), "hello again")], "sure")
        await place.admin.unreact(answer, "🎉")
        assert place.liked(feedback) == [answer.id]
        await place.admin.unreact(answer, "👍")
        assert place.liked(feedback) == []

    @pytest.mark.parametrize("meanwhile", [False, True])
    async def test_an_answer_to_who_has_opted_out_since_is_not_kept(
        self,
        place: "Place",
        settings: GuildSettingsStore,
        stores: Stores,
        monkeypatch: pytest.MonkeyPatch,
        meanwhile: bool,
    ) -> None:
        settings.change(place.guild.id, feedback=True)
        answer = await place.ask("hello")
        vote = Feedback.vote

        def vote_late(feedback: Feedback, exchange: Exchange, member: int, value: int) -> None:
            stores.consent.opt_out(str(place.alice.id))
            vote(feedback, exchange, member, value)

        if meanwhile:
            monkeypatch.setattr(Feedback, "vote", vote_late)
        else:
            stores.consent.opt_out(str(place.alice.id))
        await place.admin.react(answer, "👍")
        assert place.liked(stores.feedback) == []

    async def test_of_bots_and_of_who_opted_out_there_are_no_votes(
        self, place: "Place", settings: GuildSettingsStore, feedback: Feedback, consent: Consent
    ) -> None:
        settings.change(place.guild.id, feedback=True)
        answer = await place.ask("hello")
        consent.opt_out(str(place.admin.id))
        await place.admin.react(answer, "👍")
        robot = place.guild.add_member(place.env.create_user("robot", bot=True))
        await robot.react(answer, "👍")
        consent.opt_in(str(place.admin.id))
        assert place.liked(feedback) == []

    async def test_a_blocked_word_is_not_even_kept(
        self, place: "Place", settings: GuildSettingsStore, feedback: Feedback, stores: Stores
    ) -> None:
        settings.change(place.guild.id, feedback=True, blocked=("crumpet",))
        await place.admin.react(await place.ask("say crumpet"), "👍")
        assert place.liked(feedback) == []
        assert not (stores.folder / "feedback.sqlite").exists()

    async def test_a_deleted_answer_is_forgotten(
        self, place: "Place", settings: GuildSettingsStore, feedback: Feedback
    ) -> None:
        settings.change(place.guild.id, feedback=True)
        answer = await place.ask("hello")
        await place.admin.react(answer, "👍")
        assert len(place.liked(feedback)) == 1
        await place.admin.delete(answer)
        assert place.liked(feedback) == []

    async def test_who_opts_out_is_forgotten_and_kept_no_more(
        self, place: "Place", settings: GuildSettingsStore, feedback: Feedback, consent: Consent
    ) -> None:
        settings.change(place.guild.id, feedback=True)
        await place.admin.react(await place.ask("hello"), "👍")
        assert len(place.liked(feedback)) == 1
        await place.alice.slash(place.channel, "chinwag optout")
        assert place.liked(feedback) == []
        await place.admin.react(await place.ask("hello"), "👍")
        assert place.liked(feedback) == []

    async def test_privacy_says_that_it_is_kept(self, place: "Place", settings: GuildSettingsStore) -> None:
        for on in (False, True):
            settings.change(place.guild.id, feedback=on)
            result = await place.alice.slash(place.channel, "chinwag privacy")
            (shown,) = [each.content for each in (result.response, *result.followups) if each is not None]
            assert ("keep replies that get a 👍" in shown) is on


class Place:
    """A server with a member and somebody who may delete messages."""

    def __init__(self, env: simcord.Env) -> None:
        import discord

        self.env, self.guild = env, (guild := env.create_guild())
        rights = discord.Permissions(manage_messages=True)
        mods = guild.create_role("mods", permissions=rights)
        self.channel = guild.create_text_channel("general")
        self.alice = guild.add_member(env.create_user("alice"))
        self.admin = guild.add_member(env.create_user("carol"), roles=[mods])

    async def ask(self, text: str) -> "simcord.MessageLike":
        await self.alice.send(self.channel, f"{self.env.bot.user.mention} {text}")
        answer = self.channel.last_message
        assert answer is not None
        return answer

    def liked(self, feedback: Feedback) -> list[int]:
        return [each.message for each in feedback.liked(self.guild.id)]
