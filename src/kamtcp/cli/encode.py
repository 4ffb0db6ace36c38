"""A document as JSON text, whatever bytes its paths hold."""

from __future__ import annotations

import msgspec


def encode(document: object) -> bytes:
    """Indented for people, one newline at its end."""
    try:
        data = msgspec.json.encode(document)
    except UnicodeEncodeError:  # a path that is not UTF-8, as Linux allows
        data = msgspec.json.encode(_encodable(msgspec.to_builtins(document)))
    return msgspec.json.format(data, indent=1) + b"\n"


def _encodable(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if isinstance(value, dict):
        return {_encodable(key): _encodable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(each) for each in value]
    return value
