"""The picture of what was looked at: every share is where it belongs."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bot.attention_picture import _CELL, _DARK, _GAP, _SHARE, draw
from model.attention import Attention


def drawn(context: list[str], reply: list[str], weights: Any) -> Image.Image:
    picture = draw(Attention(context, reply, np.array(weights, np.float32)))
    return Image.open(io.BytesIO(picture)).convert("RGB")


def colour(picture: Image.Image, size: tuple[int, int], row: int, column: int) -> tuple[int, ...]:
    """In the middle of a cell, of a picture with so many rows and columns."""
    left = picture.width - _GAP - _CELL * size[1]
    top = picture.height - _GAP - _CELL * size[0]
    return picture.getpixel((left + _CELL * column + _CELL // 2, top + _CELL * row + _CELL // 2))  # type: ignore[return-value]


def test_shares_are_bright_where_they_belong() -> None:
    picture = drawn(["[you]", " cats", "?"], [" yes", "[end]"], [[0.0, 1.0, 0.0], [0.25, 0.0, 0.75]])
    assert colour(picture, (2, 3), 0, 1) == _SHARE
    for row, column in ((0, 0), (0, 2), (1, 1)):
        assert colour(picture, (2, 3), row, column) == _DARK
    half = colour(picture, (2, 3), 1, 0)
    assert all(min(a, b) < c < max(a, b) for a, b, c in zip(_DARK, _SHARE, half, strict=True))


def test_a_long_context_is_shown_to_its_end_and_a_long_reply_from_its_beginning() -> None:
    weights = np.zeros((99, 99))
    weights[0, 98] = 1
    picture = drawn([" word"] * 99, [" reply"] * 99, weights)
    assert colour(picture, (40, 60), 0, 59) == _SHARE
    assert picture.width < 2000


@pytest.mark.parametrize("name", ["👍", "привет", "你好", "\u202eabc", " ", ""])
def test_any_text_can_be_a_label(name: str) -> None:
    assert drawn([name], [name], [[1.0]]).width > _CELL
