"""What Kamailio's RPC answers are made of, whichever transport they came by.

A reply is a list of top-level values. A struct is an ordered list of members, never a dict: Kamailio repeats
names (`socket`, `address`, `ADDR`) and, over BINRPC, sends what it calls arrays as structs of nameless values.

Source: Kamailio src/modules/ctl/binrpc_run.c (rpc_add, rpc_struct_add), src/modules/jsonrpcs/jsonrpcs_mod.c.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

MAX_DEPTH = 32  # structs within structs; Kamailio itself nests 3 deep
MAX_VALUES = 200_000  # in one reply; the largest useful one (pkg.stats of 1,000 processes) has 9,000


class Members(Struct, frozen=True):
    """A struct of a reply: (name, value) pairs in the order sent; the name is None where none was sent."""

    pairs: tuple[tuple[str | None, Value], ...]

    def get(self, name: str) -> Value:
        """The first member of that name; None where there is none (BINRPC has no null, JSON's counts as none)."""
        return next((value for key, value in self.pairs if key == name), None)

    def all(self, name: str) -> tuple[Value, ...]:
        """Every member of that name, in order."""
        return tuple(value for key, value in self.pairs if key == name)

    def lower(self) -> Members:
        """The same with names in lower case: corex.list_sockets has PROTO up to 6.0, proto from 6.1."""
        return Members(tuple((key.lower() if key is not None else None, value) for key, value in self.pairs))

    def structs(self) -> Iterator[Members]:
        """The members that are structs themselves."""
        return (value for _, value in self.pairs if isinstance(value, Members))


Value = int | float | str | bytes | None | Members | tuple["Value", ...]
Values = list[Value]
