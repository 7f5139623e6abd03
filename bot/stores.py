"""What the bot keeps besides its models: who is left out, what is set, what members thought of replies."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bot.feedback import FILE_NAME as FEEDBACK
from bot.feedback import Feedback
from bot.guild_settings import FILE_NAME as SETTINGS
from bot.guild_settings import GuildSettingsStore
from model.consent import FILE_NAME as CONSENT
from model.consent import Consent, ConsentError

if TYPE_CHECKING:
    from model.postgres import PostgresServer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stores:
    """The files of one models folder, or the tables of a database.

    Attributes:
        folder: the models folder.
        consent: who wants to be left out.
        settings: of the servers.
        feedback: of their members.
        server: with the database; None for files.
    """

    folder: Path
    consent: Consent
    settings: GuildSettingsStore
    feedback: Feedback
    server: "PostgresServer | None" = None

    @classmethod
    def open(cls, folder: Path, server: "PostgresServer | None" = None) -> "Stores":
        """Open the files, none of which need exist yet, or the tables. What is damaged is mended, and the log says so.

        Raises:
            ChinwagError: one of them cannot be used; the message says which and why.
        """
        consent, settings = Consent(server or folder / CONSENT), GuildSettingsStore(server or folder / SETTINGS)
        stores = cls(folder, consent, settings, Feedback(server or folder / FEEDBACK), server)
        for store in (stores.consent, stores.settings, stores.feedback):
            if (mended := store.database.mend()) is not None:
                logger.error("%s", mended)
        try:
            stores.consent.excluded()
        except ConsentError as error:  # the bot goes on, but neither reads nor learns from anybody
            logger.error("%s", error)
        return stores

    def close(self) -> None:
        """Hear of no changes any more."""
        if self.server is not None:
            self.server.close()
