"""What members can ask of the bot in Discord: to be left out, what is kept of them, why it said something."""

import asyncio
import io
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import discord
from discord import app_commands

from bot.attention_picture import draw
from bot.feedback import Exchange
from bot.live_model import Models
from bot.stores import Stores
from model.consent import ConsentError
from model.dialogue import Turn
from model.guards import Rejection
from model.reply import Reply

logger = logging.getLogger(__name__)

_REMEMBERED = 500
"""Replies that can still be explained; they are forgotten at a restart."""

PRIVACY = """\
**What I keep**: no messages. While I think about an answer I read the few messages before it, then drop them. The \
last {remembered} answers I gave stay in memory, with their drafts and what they answered, until I restart, so that I \
can say why.{feedback}
**What I learned from**: the chat that the admins of this server exported and trained me on, without personal details \
as far as they can be found. The model holds numbers and hashes, not messages.
**Where**: on the machine I run on, and nowhere else.
**What you can do**: `/chinwag optout` and I neither learn from you nor read you as context; `/chinwag forget-me` also \
notes that models that still know you should be replaced. You are {state}."""

_KEPT_FEEDBACK = (
    " The admins of this server have me keep replies that get a 👍 or 👎, with the messages they answered, for the "
    "next training; not those of people who opted out."
)
_OPTED_OUT = (
    "Done. From now on nothing you write is read as context for others, nor learned. A model that was trained before "
    "may still know what you wrote: it is replaced when the admins train the next one."
)
_FORGOTTEN = (
    "Done. From now on nothing you write is read as context for others, nor learned; and it is noted that models that "
    "still know you should be replaced: that happens at the next training."
)
_OPTED_IN = "Done. What you write may be read as context and learned from again."
_ALL_LEFT_OUT = "left out, as everybody is until my admins have mended the list of those who opted out"
_FAILED = "That did not work, and nothing has changed. Please tell the admins: my log says why."
_SECRET = (Rejection.BLOCKED, Rejection.COPY, Rejection.CONTACT)
_PICTURE = "What I looked at in the conversation (columns) as I wrote each part of my reply (rows)."
_UNKNOWN = "I no longer know how I came to that: it is not among my last answers, or not mine."


class Answer(NamedTuple):
    """A reply, what it answered and, where feedback on it may be kept, the exchange that it belongs to."""

    reply: Reply
    turns: Sequence[Turn] = ()
    exchange: Exchange | None = None


class Answers:
    """The last answers, by the ids of their messages."""

    def __init__(self, size: int = _REMEMBERED) -> None:
        self._size = size
        self._answers: OrderedDict[int, Answer] = OrderedDict()

    def remember(self, message: int, answer: Answer) -> None:
        """Keep how the answer in a message came about, and forget the oldest one if there is no room."""
        self._answers[message] = answer
        if len(self._answers) > self._size:
            self._answers.popitem(last=False)

    def find(self, message: int) -> Answer | None:
        """How the answer in a message came about, if it is remembered."""
        return self._answers.get(message)

    def forget(self, message: int) -> None:
        """Drop an answer whose message is gone."""
        self._answers.pop(message, None)


class MemberCommands(app_commands.Group):
    """`/chinwag ...`, seen by all; each is answered to the one who asks alone."""

    def __init__(self, stores: Stores) -> None:
        super().__init__(name="chinwag", description="What the bot knows of you, and whether it may.")
        self._consent, self._settings, self._feedback = stores.consent, stores.settings, stores.feedback

    @app_commands.command()
    async def optout(self, interaction: discord.Interaction) -> None:
        """Neither learn from what I write, nor read it as context."""
        await self._note(interaction, self._leave_out(self._consent.opt_out), _OPTED_OUT)

    @app_commands.command()
    async def optin(self, interaction: discord.Interaction) -> None:
        """Take an optout or a forget-me back."""
        await self._note(interaction, self._consent.opt_in, _OPTED_IN)

    @app_commands.command(name="forget-me")
    async def forget_me(self, interaction: discord.Interaction) -> None:
        """Like optout, and note that models that still know me should be replaced."""
        await self._note(interaction, self._leave_out(self._consent.forget), _FORGOTTEN)

    @app_commands.command()
    async def privacy(self, interaction: discord.Interaction) -> None:
        """What is kept of me, and where."""
        await interaction.response.defer(ephemeral=True)
        try:
            excluded = await asyncio.to_thread(self._consent.excluded)
            state = "left out" if str(interaction.user.id) in excluded else "not left out"
        except ConsentError:
            logger.exception("Nobody is read as context.")
            state = _ALL_LEFT_OUT
        wanted = (
            interaction.guild_id is not None
            and (await asyncio.to_thread(self._settings.of, interaction.guild_id)).feedback
        )
        text = PRIVACY.format(remembered=_REMEMBERED, state=state, feedback=_KEPT_FEEDBACK if wanted else "")
        await interaction.followup.send(text, ephemeral=True)

    def _leave_out(self, note: Callable[[str], None]) -> Callable[[str], None]:
        def leave_out(account: str) -> None:
            note(account)
            self._feedback.forget_speaker(int(account))

        return leave_out

    async def _note(self, interaction: discord.Interaction, note: Callable[[str], None], done: str) -> None:
        await interaction.response.defer(ephemeral=True)  # another process may be writing
        await asyncio.to_thread(note, str(interaction.user.id))
        await interaction.followup.send(done, ephemeral=True)

    async def on_error(self, interaction: discord.Interaction, error: app_commands.AppCommandError) -> None:
        """Say that nothing was noted, so that nobody believes to be left out who is not."""
        logger.error("A command failed.", exc_info=error)
        await interaction.followup.send(_FAILED, ephemeral=True)


def why_this_reply(answers: Answers, models: Models) -> app_commands.ContextMenu:
    """The entry in a message's menu that tells how it came about, to the one who asks alone."""

    async def why(interaction: discord.Interaction, message: discord.Message) -> None:
        answer = answers.find(message.id)
        if answer is None:
            await interaction.response.send_message(_UNKNOWN, ephemeral=True)
            return
        text, options = explanation(answer.reply), dict[str, Any]()
        try:
            picture = await asyncio.to_thread(_picture, models, interaction.guild_id or 0, answer)
        except Exception:
            logger.exception("There is no picture of an answer's attention.")
            picture = None
        if picture is not None:
            options["file"] = discord.File(io.BytesIO(picture), "attention.png", description=_PICTURE)
        await interaction.response.send_message(text, ephemeral=True, suppress_embeds=True, **options)

    return app_commands.ContextMenu(name="Why this reply?", callback=why)


def _picture(models: Models, server: int, answer: Answer) -> bytes | None:
    looked = models.of(server).look(answer.turns, answer.reply.text)
    return None if looked is None else draw(looked)


def explanation(reply: Reply, limit: int = 2000) -> str:
    """The drafts of a reply, the best first, with their scores and why some were not said, in Discord's markdown."""
    lines = ["I said the best of these drafts: likely after what was said, and less likely after anything else."]
    said = next((each for each in reply.candidates if not each.rejection), None)
    for each in reply.candidates:
        text = discord.utils.escape_markdown(discord.utils.escape_mentions(" / ".join(each.text.splitlines())))
        shown = f"**{text}**" if each is said else text
        if each.rejection:  # what must not be said is not shown either
            shown = f"({each.rejection})" if each.rejection in _SECRET else f"~~{text}~~ ({each.rejection})"
        line = f"`{each.score:6.1f}` {shown}"
        if sum(map(len, lines)) + len(lines) + len(line) > limit:
            break
        lines.append(line)
    if said is None:
        lines[0] = "None of my drafts may be said:"
    return "\n".join(lines)[:limit]
