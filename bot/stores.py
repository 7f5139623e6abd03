"""What the bot keeps beside its models: who is left out, what is set, what members thought of replies."""

from dataclasses import dataclass
from pathlib import Path

from bot.feedback import FILE_NAME as FEEDBACK
from bot.feedback import Feedback
from bot.guild_settings import FILE_NAME as SETTINGS
from bot.guild_settings import GuildSettingsStore
from model.consent import FILE_NAME as CONSENT
from model.consent import Consent


@dataclass(frozen=True)
class Stores:
    """The files of one models folder.

    Attributes:
        folder: the models folder.
        consent: who wants to be left out.
        settings: of the servers.
        feedback: of their members.
    """

    folder: Path
    consent: Consent
    settings: GuildSettingsStore
    feedback: Feedback

    @classmethod
    def open(cls, folder: Path) -> "Stores":
        """Open the files, none of which need exist yet.

        Raises:
            ConsentError: it cannot be told who is to be left out.
        """
        consent = Consent.open(folder / CONSENT)
        return cls(folder, consent, GuildSettingsStore(folder / SETTINGS), Feedback(folder / FEEDBACK))
