"""A keyed map of IP addresses: what an address is stays visible, which one it was does not.

Kept: equality (one-to-one), the class, shared prefixes of /24 (IPv4) and /64 (IPv6), and the places .0 and .255
(IPv4), ::0 (IPv6) in them. Unchanged: loopback, wildcard, multicast, 0/8, 240/4 with all netmasks, the prefix of
IPv6 link-local addresses. Private, shared (100.64/10), link-local, test and documentation ranges are permuted each
inside itself; public addresses among public ones. v4-mapped and NAT64 addresses follow their IPv4 address.

The permutations are Feistel networks whose round functions are keyed BLAKE2b; values that fall out of their class
are sent through again until they are inside ("cycle walking"), which keeps the map one-to-one.
"""

from __future__ import annotations

import socket
from array import array
from hashlib import blake2b

_FIXED4 = ((0x00, 8), (0x7F, 8), (0x7, 3))  # 0/8, 127/8, 224/3 (multicast, reserved, broadcast, netmasks)

_RANGES4: tuple[tuple[str, int], ...] = (
    ("10.0.0.0", 8),
    ("100.64.0.0", 10),  # carrier-grade NAT
    ("128.0.0.0", 24),  # so that the netmask /1 stays one
    ("169.254.0.0", 16),
    ("172.16.0.0", 12),
    ("192.0.0.0", 24),  # IETF; and the netmask /2
    ("192.0.2.0", 24),
    ("192.88.99.0", 24),
    ("192.168.0.0", 16),
    ("198.18.0.0", 15),
    ("198.51.100.0", 24),
    ("203.0.113.0", 24),
)

_RANGES6: tuple[tuple[str, int], ...] = (
    ("::", 64),
    ("64:ff9b::", 64),  # NAT64
    ("64:ff9b:1::", 48),
    ("100::", 64),  # discard-only
    ("2001::", 32),  # Teredo
    ("2001:db8::", 32),
    ("2002::", 16),  # 6to4
    ("3fff::", 20),
    ("fc00::", 8),
    ("fd00::", 8),
    ("fe80::", 10),
    ("fec0::", 10),
    ("ff00::", 8),
)

_NET24 = tuple((int.from_bytes(socket.inet_aton(net), "big") >> 8, length) for net, length in _RANGES4)
_NET64 = tuple(
    (int.from_bytes(socket.inet_pton(socket.AF_INET6, net)[:8], "big"), length) for net, length in _RANGES6
)
_NAT64 = 0x0064_FF9B_0000_0000
_LOW64 = (1 << 64) - 1


class AddressMap:
    """Maps addresses to addresses; the same key gives the same map.

    Args:
        key: up to 64 random bytes; whoever has it can undo the map.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._keyed = blake2b(digest_size=4, key=key, person=b"net64")
        self._tables: dict[int, list[array[int]]] = {}
        self._net24: dict[int, tuple[int, bytes]] = {}
        self._net64: dict[int, int] = {}
        self._v4: dict[int, int] = {}
        self._v6: dict[bytes, bytes] = {}

    def v4(self, address: bytes) -> bytes:
        """Map an IPv4 address, 4 bytes in network order."""
        return self._number4(int.from_bytes(address, "big")).to_bytes(4, "big")

    def v6(self, address: bytes) -> bytes:
        """Map an IPv6 address, 16 bytes in network order."""
        mapped = self._v6.get(address)
        if mapped is None:
            mapped = self._v6[address] = self._fresh6(address)
        return mapped

    def text(self, address: str) -> str:
        """Map an address in text form ("10.0.0.1", "2001:db8::1", "fe80::1%eth0").

        Raises:
            ValueError: not an address.
        """
        bare, percent, zone = address.partition("%")
        try:
            if ":" in bare:
                packed = socket.inet_pton(socket.AF_INET6, bare)
                return socket.inet_ntop(socket.AF_INET6, self.v6(packed)) + percent + zone
            return socket.inet_ntop(socket.AF_INET, self.v4(socket.inet_pton(socket.AF_INET, bare)))
        except OSError:
            raise ValueError(f"{address!r} is not an IP address") from None

    # -- IPv4

    def _number4(self, number: int) -> int:
        mapped = self._v4.get(number)
        if mapped is None:
            if any(number >> (32 - length) == prefix for prefix, length in _FIXED4):
                mapped = number
            else:
                net, rounds = self._network4(number >> 8)
                mapped = net << 8 | _octet(number & 255, rounds)
            self._v4[number] = mapped
        return mapped

    def _network4(self, net: int) -> tuple[int, bytes]:
        """Where a /24 goes, and the round tables for the last octet in it."""
        found = self._net24.get(net)
        if found is None:
            base, length = _class4(net)
            if length:
                width = 24 - length
                mapped = base | self._permute(net & ((1 << width) - 1), width)
            else:
                mapped = self._permute(net, 24)
                while _class4(mapped)[1]:  # ends: the permutation comes back to `net`, which is public
                    mapped = self._permute(mapped, 24)
            tables = blake2b(net.to_bytes(3, "big"), key=self._key, person=b"octet").digest()
            found = self._net24[net] = mapped, tables
        return found

    def _permute(self, number: int, width: int) -> int:
        """A permutation of `width` bits (at most 24), by tables."""
        if width == 0:
            return number
        tables = self._tables.get(width)
        if tables is None:
            tables = self._tables[width] = self._rounds(width)
        high_bits, low_bits = width // 2, width - width // 2
        high, low = number >> low_bits, number & ((1 << low_bits) - 1)
        high_mask, low_mask = (1 << high_bits) - 1, (1 << low_bits) - 1
        for n in range(0, len(tables), 2):
            high ^= tables[n][low] & high_mask
            low ^= tables[n + 1][high] & low_mask
        return high << low_bits | low

    def _rounds(self, width: int) -> list[array[int]]:
        entries = 1 << (width - width // 2)
        rounds = []
        for n in range(10):
            blocks = (
                blake2b(bytes((width, n)) + block.to_bytes(4, "big"), key=self._key, person=b"net24").digest()
                for block in range((entries * 2 + 63) // 64)
            )
            rounds.append(array("H", b"".join(blocks)))
        return rounds

    # -- IPv6

    def _fresh6(self, address: bytes) -> bytes:
        if address[0] == 0xFF:
            return address
        net, host = int.from_bytes(address[:8], "big"), int.from_bytes(address[8:], "big")
        if net == 0 and (host <= 1 or host >> 32 == 0xFFFF):
            return address if host <= 1 else address[:12] + self.v4(address[12:])
        if net == _NAT64 and host >> 32 == 0:
            return address[:12] + self.v4(address[12:])
        mapped = self._net64.get(net)
        if mapped is None:
            mapped = self._net64[net] = self._network6(net)
        if host:
            label = b"host" + net.to_bytes(8, "big")
            host = self._feistel(host, 64, label)
            while (
                not host
                or (net == 0 and (host <= 1 or host >> 32 == 0xFFFF))
                or (net == _NAT64 and host >> 32 == 0)
            ):
                host = self._feistel(host, 64, label)
        return mapped.to_bytes(8, "big") + host.to_bytes(8, "big")

    def _network6(self, net: int) -> int:
        base, length = _class6(net)
        if length in (64, 10) and base >> 54 != 0x3FB:  # 0x3FB: fec0::/10, the only /10 that is permuted
            return net
        if length:
            return base | self._feistel(
                net & ((1 << (64 - length)) - 1), 64 - length, b"net" + base.to_bytes(8, "big")
            )
        block, rest = net >> 61 << 61, net & (_LOW64 >> 3)
        label = b"block" + block.to_bytes(8, "big")
        rest = self._feistel(rest, 61, label)
        while _class6(block | rest)[1]:
            rest = self._feistel(rest, 61, label)
        return block | rest

    def _feistel(self, number: int, width: int, label: bytes) -> int:
        high_bits, low_bits = width // 2, width - width // 2
        high, low = number >> low_bits, number & ((1 << low_bits) - 1)
        high_mask, low_mask = (1 << high_bits) - 1, (1 << low_bits) - 1
        for n in range(2 if width >= 48 else 4):
            high ^= self._pseudo(label, 2 * n, low) & high_mask
            low ^= self._pseudo(label, 2 * n + 1, high) & low_mask
        return high << low_bits | low

    def _pseudo(self, label: bytes, number: int, half: int) -> int:
        state = self._keyed.copy()  # cheaper than a fresh keyed one
        state.update(label + bytes((number,)) + half.to_bytes(4, "big"))
        return int.from_bytes(state.digest(), "big")


def _octet(octet: int, tables: bytes) -> int:
    """A permutation of 1..254 (0 and 255 stay): four bits against four, 8 rounds, 16 table nibbles each."""
    if octet in (0, 255):
        return octet
    while True:
        high, low = octet >> 4, octet & 15
        for n in range(0, 128, 32):
            high ^= _nibble(tables, n + low)
            low ^= _nibble(tables, n + 16 + high)
        octet = high << 4 | low
        if octet not in (0, 255):
            return octet


def _nibble(tables: bytes, n: int) -> int:
    return tables[n >> 1] >> (4 * (n & 1)) & 15


def _class4(net: int) -> tuple[int, int]:
    """First /24 and prefix length of the range a /24 lies in; (0, 0) for public ones."""
    for prefix, length in _FIXED4:
        if net >> (24 - length) == prefix:
            return prefix << (24 - length), length
    for base, length in _NET24:
        if net >> (24 - length) == base >> (24 - length):
            return base, length
    return 0, 0


def _class6(net: int) -> tuple[int, int]:
    """First /64 and prefix length of the range a /64 lies in; (0, 0) for all others."""
    for base, length in _NET64:
        if net >> (64 - length) == base >> (64 - length):
            return base, length
    return 0, 0


def network(packed: bytes, mapped: bytes, length: int) -> bytes:
    """A mapped network of `length` bits keeps its host part empty if it was empty.

    Networks wider than what is permuted together (/24, /64) no longer contain their mapped hosts.
    """
    bits = len(packed) * 8 - length
    if bits <= 0 or int.from_bytes(packed, "big") & ((1 << bits) - 1):
        return mapped
    return (int.from_bytes(mapped, "big") >> bits << bits).to_bytes(len(packed), "big")
