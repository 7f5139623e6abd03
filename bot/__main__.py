"""The command line: `chinwag run` connects to Discord, `chinwag chat` talks in the terminal, `doctor` checks all."""

import contextlib
import io
import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from enum import StrEnum
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

# discord.py, NumPy and the model are imported where they are used: --help and --version do without.
from bot.config import JSON, BotConfig
from bot.shards import Shards
from model.consent import FILE_NAME as CONSENT
from model.consent import Consent
from model.environment import ConfigError

logger = logging.getLogger("bot")  # also under `python -m bot`, where __name__ is "__main__"

NO_TOKEN = """\
No DISCORD_TOKEN, so here is a chat in the terminal. For Discord, make a bot at https://discord.com/developers/applications,
copy its token (Bot, Reset Token) and put a line DISCORD_TOKEN=... into the file .env in this folder."""

_TELL = partial(typer.echo, err=True)

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # they would show local variables, and the token is one
    help="A Discord bot that talks the way its own server talks.",
)

Models = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        exists=True,
        file_okay=False,
        help="The folder of trained models; else CHINWAG_MODELS, else ./models.",
        show_default=False,
    ),
]
Verbose = Annotated[bool, typer.Option("--verbose", help="Log details, tracebacks of start-up failures too.")]


def main() -> None:
    """The console script."""
    app()


def _print_version(wanted: bool) -> None:
    if not wanted:
        return
    try:
        typer.echo(f"chinwag {metadata.version('chinwag')}")
    except metadata.PackageNotFoundError:
        typer.echo("chinwag, run from its source without being installed")
    raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """A Discord bot that talks the way its own server talks."""


@app.command()
def run(
    models: Models = None,
    shards: Annotated[
        str | None,
        typer.Option(
            metavar="PART",
            help='Connections: a number, "auto", or a part of them such as 0-15/64; else CHINWAG_SHARDS, else 1.',
            show_default=False,
        ),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Connect to Discord and answer mentions, replies and DMs; without a token, chat in the terminal.

    The token comes from DISCORD_TOKEN, in the environment or in the file .env. Ctrl-C stops the bot.
    """
    with _plain_failures():
        config = _config(models)
        if shards is not None:
            config = replace(config, shards=Shards.parse(shards, "--shards"))
    if config.token is None:
        typer.echo(NO_TOKEN, err=True)
        _chat(config, seed=None, verbose=verbose)
        return
    from bot import log
    from bot.startup import serve

    log.set_up(config.log, config.secrets())
    # Only our own loggers: discord.py's debug log holds every message it receives.
    logging.getLogger("bot").setLevel(logging.DEBUG if verbose else logging.NOTSET)
    with _plain_failures(logger.error if config.log == JSON else _TELL, logged=True):
        serve(config, config.token)


@app.command()
def chat(
    models: Models = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Makes the replies repeatable.", show_default=False)] = None,
    verbose: Verbose = False,
) -> None:
    """Chat in the terminal. Piped text gets exactly one reply line for each of its lines."""
    with _plain_failures():
        config = _config(models)
    _chat(config, seed=seed, verbose=verbose)


@app.command()
def apply(models: Models = None) -> None:
    """Write the likeliest target of each line of piped text: for a model that was trained on pairs."""
    from bot import console
    from model.bundle import live_bundle
    from model.chatbot import ChatBot

    with _plain_failures():
        console.apply(ChatBot.load(live_bundle(_config(models).models)))


@app.command()
def doctor(models: Models = None) -> None:
    """Check set-up, model, files, disk, token and permissions, and say how to mend what is wrong.

    The exit code is 1 if there is a problem. Warnings are no problems.
    """
    from bot.doctor import Finding, Verdict, examine

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # names of servers may not be of the terminal's alphabet
    try:
        findings = examine(_config(models))
    except ConfigError as error:
        findings = iter([Finding(Verdict.PROBLEM, "settings", str(error))])
    verdicts = set()
    for finding in findings:
        typer.echo(finding)
        verdicts.add(finding.verdict)
    if Verdict.PROBLEM in verdicts:
        raise typer.Exit(1)


class Place(StrEnum):
    """Where settings, opt-outs, feedback and models are."""

    DATABASE = "database"
    FILES = "files"


@app.command("move-data")
def move_data(
    to: Annotated[Place, typer.Argument(metavar="database|files", help="Where they are to be.", show_default=False)],
    models: Models = None,
) -> None:
    """Take settings, opt-outs, feedback and models over from files into the database of DATABASE_URL, or back.

    Stop the bot first. Nothing is deleted where it was, and what is taken over twice is there once.
    """
    with _plain_failures():
        config = _config(models)
        with config.server() or contextlib.nullcontext() as server:
            if server is None:
                raise ConfigError("DATABASE_URL is not set: name the database there from or to which all is moved.")
            from bot import moving
            from bot.startup import alone

            with alone(config):
                for told in (moving.to_database if to is Place.DATABASE else moving.to_files)(config.models, server):
                    typer.echo(told)


Accounts = Annotated[
    list[str],
    typer.Argument(metavar="ACCOUNT...", help="Discord user ids; where logs have no ids, names.", show_default=False),
]
ConsentModels = Annotated[
    Path | None,
    typer.Option(
        "--models", metavar="DIR", help="The folder of trained models, which holds the list.", show_default=False
    ),
]


@app.command()
def optout(accounts: Accounts, models: ConsentModels = None) -> None:
    """Never learn from what these people write, nor quote it as context. For the model that is live: retrain."""
    with _plain_failures(), _consent(models) as consent:
        for account in accounts:
            consent.opt_out(account)
    typer.echo(f"Nothing of {len(accounts)} account(s) is learned from now on. Retrain for a model without them.")


@app.command()
def forget(accounts: Accounts, models: ConsentModels = None) -> None:
    """Like optout, and note that models trained before should be replaced."""
    with _plain_failures(), _consent(models) as consent:
        for account in accounts:
            consent.forget(account)
    typer.echo(f"{len(accounts)} account(s) will be forgotten: retrain now, and delete the models from before.")


@app.command()
def optin(accounts: Accounts, models: ConsentModels = None) -> None:
    """Take an optout or a forget back."""
    with _plain_failures(), _consent(models) as consent:
        for account in accounts:
            consent.opt_in(account)
    typer.echo(f"{len(accounts)} account(s) may be learned from again.")


@contextlib.contextmanager
def _consent(models: Path | None) -> Iterator[Consent]:
    config = _config(models)
    with config.server() or contextlib.nullcontext() as server:
        yield Consent(server or config.models / CONSENT)


def _config(models: Path | None) -> BotConfig:
    config = BotConfig.load()
    return config if models is None else replace(config, models=models)


def _chat(config: BotConfig, *, seed: int | None, verbose: bool) -> None:
    from bot import console
    from bot.live_model import LiveModel

    logging.basicConfig(level=logging.DEBUG if verbose else logging.WARNING)
    with _plain_failures():
        console.chat(LiveModel(config.models), seed=seed, replies=config.replies())


@contextlib.contextmanager
def _plain_failures(tell: Callable[[str], object] = _TELL, *, logged: bool = False) -> Iterator[None]:
    """Turn a known failure into one sentence and exit code 1.

    Args:
        tell: takes the sentence.
        logged: whether other failures go to the log, where the token is masked, rather than to whoever calls.
    """
    try:
        yield
    except Exception as error:
        from bot.startup import explain

        sentence = explain(error)
        if sentence is None and not logged:
            raise
        if sentence is None:
            logger.critical("The program has a fault.", exc_info=True)
        else:
            logger.debug("The start failed.", exc_info=True)
            tell(sentence)
        raise typer.Exit(1) from None


if __name__ == "__main__":
    main()
