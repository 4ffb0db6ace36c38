"""Netlink dumps: addresses inside inet_diag and rtnetlink messages, in place, every length kept.

Reads   NETLINK_SOCK_DIAG (inet_diag_msg; unix_diag is left as it is) and NETLINK_ROUTE messages, native byte order
Source  Linux include/uapi/linux/inet_diag.h, rtnetlink.h, if_link.h, if_addr.h, neighbour.h
Cost    500,000 sockets of 100,000 peers: a few seconds, most of it the address map
"""

from __future__ import annotations

import struct
from hashlib import blake2b

from kamtcp.record.addresses import AddressMap, network

NETLINK_ROUTE, NETLINK_SOCK_DIAG = 0, 4
# TCPDIAG_GETSOCK, the older request for both families at once, and SOCK_DIAG_BY_FAMILY: the same messages
_SOCK_DIAG_TYPES = frozenset((18, 20))
_INET, _INET6 = 2, 10
_ID = 16 + 4  # sockid inside a message: behind nlmsghdr and four bytes of inet_diag_msg
_SOURCE, _DESTINATION = _ID + 4, _ID + 20
_ATTRIBUTES = 16 + 72
# inet_diag attributes whose content is not plain counters: INET_DIAG_MD5SIG (holds the key), SK_BPF_STORAGES,
# LOCALS and PEERS (addresses of SCTP), and all that are newer than this list.
_BLANKED = frozenset((12, 13, 18, 20))
_NEWEST = 22

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")

# rtnetlink: message type -> (size of the fixed part, attribute types that are addresses)
_LINK, _ADDR, _ROUTE, _NEIGH, _RULE = 16, 20, 24, 28, 32
_FIXED = {_LINK: 16, _ADDR: 8, _ROUTE: 12, _NEIGH: 12, _RULE: 12}
_IN_RTNETLINK = {
    _LINK: frozenset((1, 2, 54)),  # IFLA_ADDRESS, BROADCAST, PERM_ADDRESS
    _ADDR: frozenset((1, 2, 4, 5)),  # IFA_ADDRESS, LOCAL, BROADCAST, ANYCAST
    _ROUTE: frozenset((1, 2, 5, 7)),  # RTA_DST, SRC, GATEWAY, PREFSRC
    _NEIGH: frozenset((1, 2)),  # NDA_DST, LLADDR
    _RULE: frozenset((1, 2)),  # FRA_DST, SRC
}
_DST, _GATEWAY, _MULTIPATH, _VIA, _ENCAP = 1, 5, 9, 18, 22  # RTA_*
_LINKINFO, _AF_SPEC = 18, 26
# IFLA_IFALIAS (the operator's own words), VFINFO_LIST, VF_PORTS, PORT_SELF, PHYS_PORT_ID, PHYS_SWITCH_ID
_EMPTIED_IN_LINK = frozenset((20, 22, 24, 25, 31, 36))
_WITHOUT_ADDRESSES = frozenset((36, 40, 64, 80, 88, 92))  # qdisc, class, neightbl, netconf, nsid, stats


class CannotScrub(Exception):
    """The bytes are not of a form in which all addresses are known."""


class Netlink:
    """Scrubs netlink requests and dumps.

    Args:
        addresses: the map. key: for hardware addresses.
    """

    def __init__(self, addresses: AddressMap, key: bytes) -> None:
        self._map, self._key = addresses, key

    def dump(self, protocol: int, data: bytes) -> bytes:
        """The messages of one dump with their addresses mapped; as long as before.

        Raises:
            CannotScrub: a protocol or message whose addresses are not known, or a cut message.
        """
        if protocol not in (NETLINK_ROUTE, NETLINK_SOCK_DIAG):
            raise CannotScrub(f"netlink protocol {protocol}")
        out = bytearray(data)
        inet: dict[int, list[int]] = {_INET: [], _INET6: []}
        for offset, length, kind in _messages(data):
            if kind < 16:  # NOOP, ERROR, DONE, OVERRUN
                continue
            if protocol == NETLINK_ROUTE:
                self._route(out, offset, length, kind)
            elif kind not in _SOCK_DIAG_TYPES:
                raise CannotScrub(f"sock_diag message of type {kind}")
            elif data[offset + 16 : offset + 17] in (b"\x02", b"\x0a"):
                if length < _ATTRIBUTES:
                    raise CannotScrub(f"inet_diag message of {length} bytes")
                inet[data[offset + 16]].append(offset)
            elif data[offset + 16 : offset + 17] != b"\x01":  # AF_UNIX: names are paths, left as they are
                raise CannotScrub("sock_diag message of a family that is not known")
        for family, offsets in inet.items():
            if offsets:
                self._sockets(out, offsets, family)
        return bytes(out)

    def request(self, protocol: int, data: bytes) -> bytes:
        """A dump request: addresses in the sockid and in `hostcond` filters of inet_diag."""
        if protocol != NETLINK_SOCK_DIAG or len(data) < 16 + 56 or data[16] not in (_INET, _INET6):
            return data
        out = bytearray(data)
        size = 4 if data[16] == _INET else 16
        for start in (16 + 8 + 4, 16 + 8 + 20):
            if any(out[start : start + size]) and out[start : start + size] != b"\xff" * size:
                out[start : start + size] = self._address(bytes(out[start : start + size]))
        for start, length, kind in _attributes(bytes(out), 16 + 56, len(out)):
            if kind == 1:  # INET_DIAG_REQ_BYTECODE
                self._bytecode(out, start, start + length)
        return bytes(out)

    def hardware(self, address: bytes) -> bytes:
        """A hardware address of the same kind: zero, broadcast and group addresses stay."""
        if not any(address) or address[0] & 1:
            return address
        digest = blake2b(address, digest_size=len(address), key=self._key, person=b"hardware").digest()
        return bytes((digest[0] & 0xFC | address[0] & 3,)) + digest[1:]

    # -- inet_diag

    def _sockets(self, out: bytearray, offsets: list[int], family: int) -> None:
        """All sockets of one family at once: distinct addresses are mapped once, then written back."""
        import numpy as np

        size = 4 if family == _INET else 16
        data = np.frombuffer(out, dtype=np.uint8)
        at = np.asarray(offsets, dtype=np.int64)
        places = np.concatenate((at + _SOURCE, at + _DESTINATION))
        columns = places[:, None] + np.arange(size)
        distinct, which = np.unique(data[columns].view(f"V{size}").ravel(), return_inverse=True)
        mapped = b"".join(map(self._address, (value.tobytes() for value in distinct)))
        data[columns] = np.frombuffer(mapped, dtype=np.uint8).reshape(-1, size)[which.ravel()]
        self._blank(out, at, data)

    def _blank(self, out: bytearray, at: object, data: object) -> None:
        """Walk the attributes of all messages in step; zero those that may hold more than counters."""
        import numpy as np

        assert isinstance(at, np.ndarray)
        assert isinstance(data, np.ndarray)
        if len(data) < 4:
            return

        def short(
            where: np.ndarray[tuple[int], np.dtype[np.int64]],
        ) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
            first, second = data[where].astype(np.int64), data[where + 1].astype(np.int64)
            return first | second << 8 if _little() else first << 8 | second

        lengths = short(at) | short(at + 2) << 16 if _little() else short(at + 2) | short(at) << 16
        ends, cursor = at + lengths, at + _ATTRIBUTES
        odd = np.array(sorted(_BLANKED))
        for _ in range(64):
            alive = cursor + 4 <= ends
            cursor, ends = cursor[alive], ends[alive]
            if not len(cursor):
                return
            size, kind = short(cursor), short(cursor + 2) & 0x3FFF
            if (size < 4).any() or (cursor + size > ends).any():
                raise CannotScrub("inet_diag attributes do not fit their message")
            for n in np.flatnonzero(np.isin(kind, odd) | (kind > _NEWEST)):
                start, length = int(cursor[n]) + 4, int(size[n]) - 4
                out[start : start + length] = bytes(length)
            cursor = cursor + ((size + 3) & ~3)
        raise CannotScrub("inet_diag message with more than 64 attributes")

    def _bytecode(self, out: bytearray, start: int, end: int) -> None:
        while start + 4 <= end:
            if out[start] in (7, 8) and start + 12 <= end:  # S_COND, D_COND: hostcond follows
                family, prefix = out[start + 4], out[start + 5]
                size = {_INET: 4, _INET6: 16}.get(family, 0)
                if size and prefix and start + 12 + size <= end:
                    out[start + 12 : start + 12 + size] = self._address(
                        bytes(out[start + 12 : start + 12 + size])
                    )
                start += 12 + size
            elif out[start] in (2, 3, 4, 5, 11, 12):  # a port op is followed by one that carries the port
                start += 8
            else:
                start += 4

    # -- rtnetlink

    def _route(self, out: bytearray, offset: int, length: int, kind: int) -> None:
        base = kind & ~3
        if base not in _FIXED:
            if kind in _WITHOUT_ADDRESSES:
                return
            raise CannotScrub(f"rtnetlink message of type {kind}")
        wanted, message = _IN_RTNETLINK[base], bytes(out[offset : offset + length])
        for start, size, attribute in _attributes(message, 16 + _FIXED[base], length):
            first, last = offset + start, offset + start + size
            old = message[start : start + size]
            if attribute in wanted:
                new = self._any(old)
                if base in (_ROUTE, _RULE) and attribute <= 2 and size in (4, 16):
                    new = network(old, new, message[16 + attribute])  # dst_len, src_len
                out[first:last] = new
            elif base == _LINK and attribute in _EMPTIED_IN_LINK:
                out[first:last] = bytes(size)
            elif base == _LINK and attribute == _LINKINFO:
                out[first:last] = _without_link_data(old)
            elif base == _LINK and attribute == _AF_SPEC:
                out[first:last] = _without_token(old)
            elif base == _ROUTE and attribute == _MULTIPATH:
                self._hops(out, first, last)
            elif base == _ROUTE and attribute == _VIA and size > 2:
                out[first + 2 : last] = self._any(old[2:])
            elif base == _ROUTE and attribute == _ENCAP:
                out[first:last] = bytes(size)

    def _hops(self, out: bytearray, first: int, last: int) -> None:
        while first + 8 <= last:
            (length,) = struct.unpack_from("=H", out, first)
            if length < 8 or first + length > last:
                raise CannotScrub("next hop does not fit its route")
            for start, size, attribute in _attributes(bytes(out[first : first + length]), 8, length):
                begin = first + start + (2 if attribute == _VIA else 0)
                if attribute in (_GATEWAY, _VIA):
                    out[begin : first + start + size] = self._any(bytes(out[begin : first + start + size]))
            first += (length + 3) & ~3

    def _any(self, address: bytes) -> bytes:
        return (
            self._address(address) if len(address) in (4, 16) else self.hardware(address) if address else b""
        )

    def _address(self, address: bytes) -> bytes:
        return self._map.v4(address) if len(address) == 4 else self._map.v6(address)


def _messages(data: bytes) -> list[tuple[int, int, int]]:
    """(offset, length, type) of each message.

    Raises:
        CannotScrub: a length that does not fit.
    """
    found, offset, end = [], 0, len(data)
    unpack = _HEADER.unpack_from
    while offset + 16 <= end:
        length, kind, *_ = unpack(data, offset)
        if length < 16 or offset + length > end:
            raise CannotScrub(f"netlink message of {length} bytes at {offset} of {end}")
        found.append((offset, length, kind))
        offset += (length + 3) & ~3
    if offset < end:
        raise CannotScrub("bytes behind the last netlink message")
    return found


def _attributes(data: bytes, start: int, end: int) -> list[tuple[int, int, int]]:
    """(offset of the payload, its length, type) of each attribute.

    Raises:
        CannotScrub: a length that does not fit.
    """
    found = []
    while start + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, start)
        if length < 4 or start + length > end:
            raise CannotScrub(f"netlink attribute of {length} bytes at {start} of {end}")
        found.append((start + 4, length - 4, kind & 0x3FFF))
        start += (length + 3) & ~3
    return found


def _without_link_data(info: bytes) -> bytes:
    """IFLA_LINKINFO with its kind, but without the data of tunnels, bridges and bonds: these hold addresses."""
    out = bytearray(info)
    inside = _attributes(info, 0, len(info))
    kinds = {info[start : start + size].rstrip(b"\0") for start, size, kind in inside if kind == 1}
    for start, size, kind in inside:
        if kind in (2, 5) and not kinds <= {
            b"vlan",
            b"veth",
            b"dummy",
            b"ifb",
            b"vrf",
        }:  # INFO_DATA, INFO_SLAVE_DATA
            for inner, length, _ in _attributes(info, start, start + size):
                out[inner : inner + length] = bytes(length)
    return bytes(out)


def _without_token(families: bytes) -> bytes:
    """IFLA_AF_SPEC without IFLA_INET6_TOKEN."""
    out = bytearray(families)
    for start, size, family in _attributes(families, 0, len(families)):
        if family == _INET6:
            for inner, length, kind in _attributes(families, start, start + size):
                if kind == 7:
                    out[inner : inner + length] = bytes(length)
    return bytes(out)


def _little() -> bool:
    import sys

    return sys.byteorder == "little"
