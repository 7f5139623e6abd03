"""What the bot keeps beside its models: who is left out, what is set, what members thought of replies."""

import logging
from dataclasses import dataclass
from pathlib import Path

from bot.feedback import FILE_NAME as FEEDBACK
from bot.feedback import Feedback
from bot.guild_settings import FILE_NAME as SETTINGS
from bot.guild_settings import GuildSettingsStore
from model.consent import FILE_NAME as CONSENT
from model.consent import Consent, ConsentError

logger = logging.getLogger(__name__)


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
        """Open the files, none of which need exist yet. What is damaged is mended, and the log says so.

        Raises:
            ChinwagError: one of them cannot be used; the message says which and why.
        """
        stores = cls(
            folder, Consent(folder / CONSENT), GuildSettingsStore(folder / SETTINGS), Feedback(folder / FEEDBACK)
        )
        for store in (stores.consent, stores.settings, stores.feedback):
            if (mended := store.database.mend()) is not None:
                logger.error("%s", mended)
        try:
            stores.consent.excluded()
        except ConsentError as error:  # the bot goes on, but neither reads nor learns from anybody
            logger.error("%s", error)
        return stores
