"""What is set for servers: kept, shared between processes, and never taken for nothing where it is damaged."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.guild_settings import DEFAULT, LENGTHS, GuildSettings, GuildSettingsStore, SettingsError
from bot.stores import Stores
from model.blocklist import Blocklist
from model.reply import ReplyConfig

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "channels": st.lists(st.integers(0, 2**63), max_size=3).map(tuple),
    "chance": st.floats(0, 1),
    "temperature": st.floats(0, 2),
    "length": st.sampled_from([*LENGTHS]),
    "turns": st.integers(1, 6),
    "blocked": st.lists(st.text(min_size=1, max_size=9), max_size=3).map(tuple),
    "feedback": st.booleans(),
}


@pytest.fixture
def anywhere(any_stores: Stores) -> GuildSettingsStore:
    return any_stores.settings


@given(st.fixed_dictionaries({}, optional=VALUES), st.fixed_dictionaries({}, optional=VALUES))
def test_what_is_set_is_kept_for_each_server(
    tmp_path_factory: pytest.TempPathFactory, mine: dict[str, Any], others: dict[str, Any]
) -> None:
    path = tmp_path_factory.mktemp("settings") / "guilds.sqlite"
    store = GuildSettingsStore(path)
    assert store.of(1) == DEFAULT
    store.change(1, **mine)
    store.change(2, **others)
    for each in (store, GuildSettingsStore(path)):
        assert each.of(1) == GuildSettings(**mine)
        assert each.of(2) == GuildSettings(**others)
        assert each.of(3) == DEFAULT


@pytest.mark.parametrize("name", VALUES)
def test_extremes_are_kept_anywhere(anywhere: GuildSettingsStore, name: str) -> None:
    values = {"channels": (2**63, 0), "chance": 1 / 3, "temperature": 2.0, "length": "long", "turns": 6}
    value = {**values, "blocked": ("%s ' \" \0 \\", "🫖"), "feedback": True}[name]
    anywhere.change(2**63 - 1, **{name: value})
    assert anywhere.of(2**63 - 1) == GuildSettings(**{name: value})


def test_a_change_keeps_the_rest(anywhere: GuildSettingsStore) -> None:
    anywhere.change(1, chance=0.5, turns=2)
    assert anywhere.change(1, turns=3) == anywhere.of(1) == GuildSettings(chance=0.5, turns=3)


def test_words_are_blocked_side_by_side(anywhere: GuildSettingsStore) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda number: anywhere.block(1, f"word {number}"), range(40)))
    assert sorted(anywhere.of(1).blocked) == sorted(f"word {number}" for number in range(40))
    assert anywhere.unblock(1, "word 7").blocked == anywhere.block(1, "word 8").blocked
    assert len(anywhere.of(1).blocked) == 39
    anywhere.change(1, blocked=tuple(map(str, range(200))))
    with pytest.raises(ValueError, match="At most 200"):
        anywhere.block(1, "one more")


def test_a_change_in_the_midst_of_a_look_does_no_harm(settings: GuildSettingsStore) -> None:
    class Forgetful(dict[int, GuildSettings]):
        """As if another thread changed something right after the look."""

        def __contains__(self, key: object) -> bool:
            settings._known = None, {}
            return super().__contains__(key)

    settings.change(1, chance=0.5)
    settings.of(1)
    state, known = settings._known
    settings._known = state, Forgetful(known)
    assert settings.of(1).chance == 0.5


def test_what_another_process_sets_is_seen(any_stores: Stores) -> None:
    settings, place = any_stores.settings, any_stores.server or any_stores.folder / "guilds.sqlite"
    settings.change(1, chance=0.5)
    assert settings.of(1).chance == 0.5
    GuildSettingsStore(place).change(1, chance=0.25, blocked=("a", "b"))
    assert settings.of(1).chance == 0.25


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("chance", value) for value in (-0.1, 1.1, float("nan"))),
        *(("temperature", value) for value in (-1.0, 2.1, float("nan"))),
        *(("turns", value) for value in (0, 7)),
        ("length", "endless"),
        ("blocked", ("x",) * 201),
    ],
)
def test_what_cannot_be_set_changes_nothing(anywhere: GuildSettingsStore, field: str, value: Any) -> None:
    anywhere.change(1, chance=0.5)
    with pytest.raises(ValueError, match=str(value) if field != "blocked" else "201"):
        anywhere.change(1, **{field: value})
    assert anywhere.of(1) == GuildSettings(chance=0.5)


def test_what_a_later_version_knows_is_left_out(settings: GuildSettingsStore, tmp_path: Path) -> None:
    settings.change(1, turns=2)
    with closing(sqlite3.connect(tmp_path / "models" / "guilds.sqlite")) as connection, connection:
        connection.execute("""UPDATE guild SET settings = '{"turns": 2, "mood": "merry"}'""")
    assert settings.of(1) == GuildSettings(turns=2)


@pytest.mark.parametrize("content", [b"", b"garbage" * 100])
def test_a_damaged_file_is_an_error(settings: GuildSettingsStore, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "models" / "guilds.sqlite"
    path.parent.mkdir()
    path.write_bytes(content)
    for use in (settings.of, settings.change):
        with pytest.raises(SettingsError, match=r"guilds\.sqlite, which holds what servers have set, is damaged"):
            use(1)


def test_replies_are_found_as_is_set() -> None:
    config = ReplyConfig(candidates=3, blocklist=Blocklist(["bother"]))
    replies = GuildSettings(temperature=0.5, length="short", blocked=("crumpet",)).replies(config)
    assert (replies.candidates, replies.sampling.temperature) == (3, 0.5)
    assert replies.talkativeness < 0 < GuildSettings(length="long").replies(config).talkativeness
    assert replies.blocklist.entries == ("bother", "crumpet")
    assert DEFAULT.replies(config) == config
