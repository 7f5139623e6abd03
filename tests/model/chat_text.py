"""Strategies of raw chat text: what people, Discord and mischief put into a message."""

from hypothesis import strategies as st

from model.dialogue import clean_text
from model.tokenizer import CONTROL_SYMBOLS

_FRAGMENTS = (
    *("<", ">", "@", "!", "&", "#", "/", ":", "t:", "a:", "id:", "1", "23", "x", " ", "  ", "\n", "\r\n", "\t", "\0"),
    *("<@1>", "<#2>", "</a b:3>", "</a", ":1>", "<:hi:4>", "<a:hi:5>", "<t:6:R>", "<id:home>", "http://", "https://x"),
    *("\u200b", "\u200d", "\ufe0f", "\u2581", "\u0338", "\u0308", "\u00a8", "\uff1c", "\ud800", "\u202e"),
    *("👍", "é", "가", "▅", *CONTROL_SYMBOLS, "<s>", "</s>", "<pad>", "<unk>", "<0x41>"),
)

raw_texts = st.lists(st.sampled_from(_FRAGMENTS) | st.characters(), max_size=20).map("".join) | st.text(st.characters())
"""Any text at all, lone surrogates included, and a good share of it nearly a Discord token."""

clean_texts = raw_texts.map(clean_text)
