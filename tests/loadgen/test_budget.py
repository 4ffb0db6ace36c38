"""Whether a load fits, with the arithmetic."""

from __future__ import annotations

from msgspec.structs import replace

from kamtcp.loadgen.budget import Means, lines

MEANS = Means(
    nofile_hard=20_000,
    ports=1_000,
    addresses=60,
    memory_available=8 << 30,
    connection_bytes=4_000,
    local=True,
)


def short(connections: int, processes: int, means: Means, carrier: str = "tcp") -> dict[str, str]:
    return {each.name: str(each) for each in lines(connections, carrier, processes, means) if not each.fits}


def test_what_fits_is_not_refused():
    assert not short(30_000, 2, MEANS)


def test_too_many_for_the_descriptors_says_how_many_processes():
    found = short(60_000, 2, MEANS)
    assert list(found) == ["descriptors of a process"]
    assert "60,000 connections / 2 processes; hard limit 20,000 - 64" in found["descriptors of a process"]
    assert "--processes 4," in found["descriptors of a process"]


def test_the_way_out_is_one():
    assert not short(60_000, 4, MEANS)
    assert not short(70_000, 4, replace(MEANS, addresses=70))


def test_too_many_for_the_ports_says_how_many_addresses():
    found = short(70_000, 4, MEANS)
    assert "--sources with 70 addresses" in found["source ports"]


def test_memory_counts_both_ends_where_both_are_here():
    here = lines(10_000, "tls", 2, MEANS)[2]
    away = lines(10_000, "tls", 2, replace(MEANS, local=False))[2]
    assert here.need - away.need == 10_000 * 4_000 // (1 << 20)
    assert "memory, MiB" in short(500_000, 60, replace(MEANS, addresses=600), "tls")


def test_memory_that_could_not_be_read_is_said_not_refused():
    line = lines(10_000, "tls", 2, replace(MEANS, memory_available=None))[2]
    assert line.fits
    assert "has not known" in str(line)
