"""What an operator sees, in an operator's words -> where to look: ceilings, findings, counters, settings."""

from __future__ import annotations

import functools

import msgspec
from msgspec import Struct

from kamtcp.catalogue.load import data
from kamtcp.errors import ParseError


class Seen(Struct, frozen=True, forbid_unknown_fields=True):
    """One row of the index by symptom.

    Args:
        seen: what is seen, as somebody would say it.
        because: how it comes about, in sentences.
        look: names of ceilings, findings, counters and settings, the likeliest first.
    """

    seen: str
    because: str
    look: tuple[str, ...]


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    symptom: tuple[Seen, ...]


@functools.cache
def symptoms() -> tuple[Seen, ...]:
    """All rows, in the order of the file.

    Raises:
        ParseError: the file is not what it should be.
    """
    import tomllib

    try:
        return msgspec.convert(tomllib.loads(data("symptoms.toml").decode("utf-8")), _File).symptom
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ParseError("symptoms.toml", "a table for each symptom", str(error)) from None
