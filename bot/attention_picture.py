"""What the network looked at, as a picture: a row for each part of the reply, a column for each of the context."""

import io

import numpy as np

from model.attention import Attention

_MOST_ROWS, _MOST_COLUMNS = 40, 60
_CELL, _FONT, _GAP = 24, 16, 8  # pixels
_DARK, _LIGHT, _SHARE = (43, 45, 49), (219, 222, 225), (255, 176, 46)  # Discord's colours, and amber for what is seen


def draw(attention: Attention) -> bytes:
    """Draw the shares of attention, of a long context the end and of a long reply the beginning.

    Returns:
        A PNG.
    """
    from PIL import Image, ImageDraw, ImageFont  # only when somebody asks why

    rows = [_label(name) for name in attention.reply[:_MOST_ROWS]]
    columns = [_label(name) for name in attention.context[-_MOST_COLUMNS:]]
    weights = attention.weights[: len(rows), -len(columns) :]
    font = ImageFont.load_default(_FONT)
    left, top = (int(max(map(font.getlength, names))) + 2 * _GAP for names in (rows, columns))
    picture = Image.new("RGB", (left + _CELL * len(columns) + _GAP, top + _CELL * len(rows) + _GAP), _DARK)
    pen = ImageDraw.Draw(picture)
    for number, name in enumerate(rows):
        pen.text((left - _GAP, top + _CELL * number + _CELL // 2), name, _LIGHT, font, anchor="rm")
    for number, name in enumerate(columns):
        label = Image.new("RGB", (top - _GAP, _CELL), _DARK)
        ImageDraw.Draw(label).text((0, _CELL // 2), name, _LIGHT, font, anchor="lm")
        picture.paste(label.rotate(90, expand=True), (left + _CELL * number, 0))
    strengths = np.sqrt(weights / max(float(weights.max()), 1e-9))  # most shares are small, and should be seen
    for (row, column), strength in np.ndenumerate(strengths):
        colour = tuple(int(a + (b - a) * float(strength)) for a, b in zip(_DARK, _SHARE, strict=True))
        x, y = left + _CELL * column, top + _CELL * row
        pen.rectangle((x + 1, y + 1, x + _CELL - 2, y + _CELL - 2), colour)
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _label(name: str) -> str:
    """A name without the space before it; marked where a word goes on."""
    return name[1:] if name.startswith(" ") else name if name.startswith("[") else f"·{name}"
