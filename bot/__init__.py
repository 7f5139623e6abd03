"""Discord messages in, generated replies out; `await bot.load_extension("bot")` adds it to any discord.py bot."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from discord.ext.commands import Bot


async def setup(bot: "Bot") -> None:
    """Add the cog to another bot, as the environment and `.env` say; `bot.unload_extension("bot")` takes it back.

    Whoever runs the bot syncs its commands and asks for the intents: `messages`, and `message_content` if it has it.

    Raises:
        ChinwagError: there is no readable model, or another file cannot be used.
    """
    import asyncio

    from bot.config import BotConfig
    from bot.startup import make_cog, open_server

    config = BotConfig.load()
    cog = await asyncio.to_thread(lambda: make_cog(config, open_server(config)))
    await bot.add_cog(cog(bot))
