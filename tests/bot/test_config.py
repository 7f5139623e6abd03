"""The environment and the `.env` file become one typed object."""

from pathlib import Path

import pytest

from bot.config import JSON, PLAIN, Address, BotConfig
from bot.shards import Shards
from model.blocklist import BlocklistError
from model.environment import ConfigError


def load(directory: Path, text: str | bytes = "", **environ: str) -> BotConfig:
    data = text.encode() if isinstance(text, str) else text
    (directory / ".env").write_bytes(data)
    return BotConfig.load(environ, directory)


def test_defaults_need_no_file(tmp_path: Path) -> None:
    assert BotConfig.load({}, tmp_path) == BotConfig(token=None, models=Path("models"), api_base=None)


def test_environment_is_read(tmp_path: Path) -> None:
    config = load(tmp_path, DISCORD_TOKEN="t", CHINWAG_MODELS="/srv/m", CHINWAG_API_BASE="http://x/api/v10")
    assert config == BotConfig(token="t", models=Path("/srv/m"), api_base="http://x/api/v10")


def test_file_is_read(tmp_path: Path) -> None:
    config = load(tmp_path, "# a comment\nDISCORD_TOKEN=t\nexport CHINWAG_MODELS=m\n")
    assert (config.token, config.models) == ("t", Path("m"))


@pytest.mark.parametrize(("real", "token"), [("real", "real"), ("", None)])
def test_environment_wins(tmp_path: Path, real: str, token: str | None) -> None:
    assert load(tmp_path, "DISCORD_TOKEN=file", DISCORD_TOKEN=real).token == token


@pytest.mark.parametrize("pasted", [" t ", '"t"', "'t'", ' "t" ', "t\r\n"])
def test_pasted_token_is_bare(tmp_path: Path, pasted: str) -> None:
    assert load(tmp_path, DISCORD_TOKEN=pasted).token == "t"


@pytest.mark.parametrize("nothing", ["", "  ", '""'])
def test_empty_token_is_none(tmp_path: Path, nothing: str) -> None:
    assert load(tmp_path, DISCORD_TOKEN=nothing).token is None
    assert load(tmp_path, f"DISCORD_TOKEN={nothing}\n").token is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_file_as_windows_writes_it(tmp_path: Path, encoding: str) -> None:
    assert load(tmp_path, "DISCORD_TOKEN=t\r\n".encode(encoding)).token == "t"


def test_token_is_taken_as_it_is(tmp_path: Path) -> None:
    assert load(tmp_path, "DISCORD_TOKEN=a${HOME}b\n").token == "a${HOME}b"


def test_token_is_not_shown(tmp_path: Path) -> None:
    assert "secret" not in repr(load(tmp_path, DISCORD_TOKEN="secret"))


def test_blocklist_is_a_setting_of_replies(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("# rude\nbother\n", encoding="utf-8")
    assert load(tmp_path, f"CHINWAG_BLOCKLIST={words}\n").replies().blocklist.entries == ("bother",)
    assert load(tmp_path).replies().blocklist.entries == ()
    with pytest.raises(BlocklistError, match=r"no\.txt cannot be read"):
        load(tmp_path, CHINWAG_BLOCKLIST="no.txt").replies()


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("", None),
        ("9464", ("127.0.0.1", 9464)),
        ("0.0.0.0:9464", ("0.0.0.0", 9464)),
        ("[::1]:80", ("::1", 80)),
        ("bot.local:65535", ("bot.local", 65535)),
    ],
)
def test_metrics_are_served_on_loopback_unless_an_address_is_named(
    tmp_path: Path, value: str, address: tuple[str, int] | None
) -> None:
    assert load(tmp_path, f"CHINWAG_METRICS={value}\n").metrics == (address and Address(*address))


@pytest.mark.parametrize("value", ["yes", "0", "65536", "-1", "9464:", ":9464", "::1:9464", "http://x:1", "a b:1", "²"])
def test_metrics_that_are_no_address_are_explained(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigError, match="CHINWAG_METRICS must be a port, such as 9464"):
        load(tmp_path, CHINWAG_METRICS=value)


@pytest.mark.parametrize(("value", "log"), [("", PLAIN), ("plain", PLAIN), ("json", JSON), ("JSON", JSON)])
def test_log_is_plain_or_json(tmp_path: Path, value: str, log: str) -> None:
    assert load(tmp_path, CHINWAG_LOG=value).log == log


def test_a_log_that_is_neither_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='CHINWAG_LOG must be "plain" or "json", not \'xml\''):
        load(tmp_path, CHINWAG_LOG="xml")


def test_a_database_is_named_by_its_address_which_is_not_shown(tmp_path: Path) -> None:
    config = load(tmp_path, "DATABASE_URL=postgresql://bot:pass%20word@db:5432/chinwag\nDISCORD_TOKEN=t\n")
    assert config.database == "postgresql://bot:pass%20word@db:5432/chinwag"
    assert "pass" not in repr(config)
    assert config.secrets() == {"pass%20word": "<password>", "pass word": "<password>", "t": "<token>"}
    assert load(tmp_path).secrets() == {}


@pytest.mark.parametrize(
    "value", ["yes", "mysql://bot:secret@db/chinwag", "postgresql://bot:secret@db", "http://[secret"]
)
def test_a_database_that_is_none_is_explained_without_its_password(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigError, match="DATABASE_URL must be an address such as postgresql://user") as raised:
        load(tmp_path, DATABASE_URL=value)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("value", "shards", "ids"),
    [
        ("", Shards(1), None),
        ("4", Shards(4), None),
        ("auto", Shards(None), None),
        ("0-15/64", Shards(64, 0, 15), list(range(16))),
        ("63/64", Shards(64, 63, 63), [63]),
        ("0-0/1", Shards(1, 0, 0), [0]),
    ],
)
def test_shards_are_all_or_a_part(tmp_path: Path, value: str, shards: Shards, ids: list[int] | None) -> None:
    config = load(tmp_path, CHINWAG_SHARDS=value)
    assert (config.shards, config.shards.ids, config.shards.is_part) == (shards, ids, ids is not None)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        *(
            (value, r'must be a number of connections, such as 4, "auto", or a part of them, such as 0-15/64, not ')
            for value in ("many", "0", "-1", "1.5", "0-15", "/64", "0-/64", "a-b/c", "²", "0-15/64/2", "100001")
        ),
        ("15-0/64", r"is 15-0/64, which ends before it begins: write 0-15/64\.$"),
        ("0-64/64", r"is 0-64/64, but shards are counted from 0: of 64 the last one is 63\.$"),
        ("64/64", r"of 64 the last one is 63\.$"),
        ("0/0", "there are from 1 to 100,000 shards"),
    ],
)
def test_shards_that_cannot_be_are_explained(tmp_path: Path, value: str, why: str) -> None:
    with pytest.raises(ConfigError, match=f"^CHINWAG_SHARDS .*{why}"):
        load(tmp_path, CHINWAG_SHARDS=value)
