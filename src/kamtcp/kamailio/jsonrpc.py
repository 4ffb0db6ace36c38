"""JSON-RPC 2.0 as Kamailio's jsonrpcs module speaks it. Pure: bytes in, values out.

Replies give the same values as BINRPC does: a list result is the row of top-level values, anything else one value.

msgspec decodes objects to dicts and keeps the last of two members of one name, silently; Kamailio does repeat
names (`address` in core.sockets_list, `ADDR` in corex.list_sockets). The standard library hands over pairs, so it
does the reading; it is imported here only when a reply has come (2 to 3 ms, once).

Source: Kamailio src/modules/jsonrpcs/jsonrpcs_mod.c, JSON-RPC 2.0 specification sections 4 and 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kamtcp.errors import ParseError, RpcFault
from kamtcp.kamailio.values import MAX_DEPTH, MAX_VALUES, Members, Value, Values

_SOURCE = "JSON-RPC reply"


def encode_request(method: str, params: Sequence[int | str] = ()) -> bytes:
    """One request. The same question always gives the same bytes: they are the key of a recording.

    For the same reason the `reply_name` that the FIFO wants is put in by the transport (host/exchange.py).
    """
    import msgspec.json

    return msgspec.json.encode({"jsonrpc": "2.0", "method": method, "params": list(params), "id": 1})


def decode_reply(data: bytes) -> Values:
    """The values of one whole reply.

    Raises:
        RpcFault: the server refused; code and text of its error object.
        ParseError: no JSON-RPC reply, nested deeper than 32, or more than 200,000 values.
    """
    import json

    if data.count(b",") > MAX_VALUES:  # before a single object is made
        raise ParseError(_SOURCE, f"at most {MAX_VALUES} values", "more")
    try:
        # An argument of a command line may be in any encoding, and Kamailio passes it on as it is. What is not
        # UTF-8 is replaced rather than smuggled through: a lone surrogate would fail later, when it is printed.
        text = data.decode("utf-8", "replace")
        reply = json.loads(text, object_pairs_hook=_members, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ParseError(_SOURCE, "JSON", data[:40]) from error
    if not isinstance(reply, Members):
        raise ParseError(_SOURCE, "an object", data[:40])
    error_object = reply.get("error")
    if isinstance(error_object, Members):
        code, message = error_object.get("code"), error_object.get("message")
        if not isinstance(code, int) or not isinstance(message, str):
            raise ParseError(_SOURCE, "code and message of an error", data[:40])
        raise RpcFault(code, _clean(message))
    if all(name != "result" for name, _ in reply.pairs):
        raise ParseError(_SOURCE, "a result or an error", data[:40])
    result = reply.get("result")
    if isinstance(result, list):
        return [_value(each, 1) for each in result]
    return [_value(result, 1)]


def _members(pairs: list[tuple[str, Any]]) -> Members:
    return Members(tuple(pairs))


def _refuse(constant: str) -> Value:
    raise ValueError(f"{constant} is no JSON")


def _clean(text: str) -> str:
    r"""Without lone surrogates, which JSON can write as \ud800 and no terminal or file takes."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _value(raw: Any, depth: int) -> Value:
    """Lists become tuples, at every level; depth and size of numbers are checked."""
    if depth > MAX_DEPTH:
        raise ParseError(_SOURCE, f"at most {MAX_DEPTH} levels", "more")
    if isinstance(raw, str):
        return _clean(raw)
    if isinstance(raw, Members):
        return Members(tuple((_clean(name or ""), _value(each, depth + 1)) for name, each in raw.pairs))
    if isinstance(raw, list):
        return tuple(_value(each, depth + 1) for each in raw)
    if raw is None or isinstance(raw, bool):
        return None if raw is None else int(raw)
    if not isinstance(raw, int | float) or abs(raw) > 1 << 64:  # 2**64 itself is how -1 looks as a double
        raise ParseError(_SOURCE, "a number of at most 64 bits", raw)
    return int(raw) if raw == int(raw) else raw  # large counters come as 1.5e+10
