"""Prices that were measured here: kept by calibrate and by checks, trusted only where they hold, carried by recordings."""

from __future__ import annotations

import json
import os

import msgspec
import pytest
from msgspec.structs import replace

from fake_host import READER, TreeHost
from kamtcp.cli import calibrated, measured, seen, state
from kamtcp.cli.calibrated import Calibration, Calibrations
from kamtcp.host.door import Stat
from kamtcp.host.live import Live
from kamtcp.model.absent import Absent, Why
from kamtcp.model.instance import SharedMemory
from kamtcp.model.price import Conditions, Measured
from kamtcp.model.snapshot import Snapshot
from kamtcp.record.recorded import Recorded
from kamtcp.record.recorder import Recorder
from kamtcp.record.scrub import Scrubber
from situations import DENIED, situation, snapshot

HERE = Conditions("6.18.0", "x86_64", "6.1.4", 3, "qm", 16_384, tls=True)
NOON = 1_764_072_000.0  # 2025-11-25 12:00 UTC


def calibration(transport: str = "tcp", *values: float, **changes: object) -> Calibration:
    made = Calibration(transport, HERE, NOON, values or (17_416.0, 17_420.0, 17_500.0), 45.0)
    return replace(made, **changes)


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """A state directory of its own."""
    place = tmp_path / "state"
    for each in (calibrated, seen):
        monkeypatch.setattr(each, "FILE", str(place / os.path.basename(each.FILE)))
    return place


def prices(between=None, host=None, **changes):
    s = situation(**changes)
    assert s.instance is not None
    return measured.prices(host or Live(), s.machine, s.instance, between or {})


class TestCalibrations:
    def test_they_hold_with_their_spread_where_the_conditions_are_the_same(self, directory):
        calibrated.keep(Live(), [calibration(), calibration("tls", 76_000.0)])
        assert prices() == (
            {
                "tcp": Measured(17_420.0, 17_416.0, 17_500.0, 3, "calibrated on 2025-11-25"),
                "tls": Measured(76_000.0, 76_000.0, 76_000.0, 1, "calibrated on 2025-11-25"),
            },
            (),
        )

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"version": "5.6.3"}, "kamailio 6.1.4 then, 5.6.3 now; run kamtcp calibrate again"),
            ({"release": "6.19.0"}, "kernel 6.18.0 then, 6.19.0 now; run kamtcp calibrate again"),
            ({"parameters": {"tcp_rd_buf_size": 4096}}, "read buffer 16384 then, 4096 now; run kamtcp calibrate again"),
            ({"openssl": DENIED}, f"whether it holds here can't be told ({DENIED})"),
        ],
    )  # fmt: skip
    def test_elsewhere_they_are_not_used_and_one_line_says_why(self, directory, changes, said):
        calibrated.keep(Live(), [calibration(), calibration("ws")])
        assert prices(**changes) == (
            {},
            (Absent("calibrated price of tcp, ws", Why.MISSING, f"that of 2025-11-25 is not used: {said}"),),
        )

    def test_of_several_conditions_the_right_one_is_found_and_a_new_one_takes_the_place_of_its_own(
        self, directory
    ):
        other = replace(HERE, read_buffer=4096)
        calibrated.keep(Live(), [calibration("tcp", 5_128.0, conditions=other), calibration("tcp", 18_000.0)])
        calibrated.keep(Live(), [calibration("tcp", 17_416.0)])
        kept = calibrated.present(Live())
        assert isinstance(kept, Calibrations)
        assert [(each.conditions, each.values) for each in kept.prices] == [
            (other, (5_128.0,)),
            (HERE, (17_416.0,)),
        ]
        assert prices(parameters={"tcp_rd_buf_size": 4096})[0]["tcp"].middle == 5_128
        assert prices()[0]["tcp"].middle == 17_416


DAMAGED = {
    "cut": b'{"schema":1,"prices":[{"transport":"tcp","con',
    "no JSON": b"\xff\xfe\x00",
    "another form": b'{"schema":1,"prices":{"tcp":17416}}',
    "a list": b"[]",
    "a price that nothing costs": msgspec.json.encode(Calibrations(prices=(calibration("tcp", 1.0),))),
    "no value": msgspec.json.encode(Calibrations(prices=(replace(calibration(), values=()),))),
    "another moment": msgspec.json.encode(Calibrations(prices=(calibration(at=1e30),))),
    "a newer one": msgspec.json.encode(Calibrations(schema=2)),
    "deep": b"[" * 200_000,
}


class TestFilesThatCanNotBeUsed:
    @pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
    def test_one_line_says_so_and_nothing_is_written_over_them(self, directory, content):
        file = directory / "calibrated.json"
        directory.mkdir()
        file.write_bytes(content)
        found, (gap,) = prices()
        assert (found, gap.source, gap.why) == ({}, str(file), Why.MALFORMED)
        assert "nothing in it is used" in str(gap)
        assert "\n" not in str(gap)
        with pytest.raises(OSError, match="nothing in it is used"):
            calibrated.keep(Live(), [calibration()])
        assert file.read_bytes() == content

    @pytest.mark.parametrize(
        "content", [DAMAGED[name] for name in ("cut", "no JSON", "a list", "a newer one", "deep")]
    )
    def test_nor_over_what_checks_saw(self, directory, content):
        file = directory / "seen.json"
        directory.mkdir()
        file.write_bytes(content)
        for each in (look(), grown(1, 200, 17_500)):
            seen.keep(Live(), each)
        found, (gap,) = prices()
        assert (found, gap.source) == ({}, str(file))
        assert file.read_bytes() == content

    def test_a_file_that_others_may_write_is_not_trusted(self, directory):
        calibrated.keep(Live(), [calibration()])
        os.chmod(calibrated.FILE, 0o664)
        found, (gap,) = prices()
        assert (found, gap.why) == ({}, Why.DENIED)
        assert gap.detail == f"{calibrated.FILE} is writable by others (mode 0664); nothing in it is used"

    def test_nor_one_in_a_directory_that_others_may_write(self, directory):
        calibrated.keep(Live(), [calibration()])
        os.chmod(directory, 0o1777)
        found, (gap,) = prices()
        assert found == {}
        assert f"{directory} is writable by others (mode 1777)" in gap.detail

    def test_nor_one_of_another_user(self):
        class Theirs(TreeHost):
            def stat(self, path: str) -> Stat:
                return replace(super().stat(path), uid=1000)

        content = {calibrated.FILE: msgspec.json.encode(Calibrations(prices=(calibration(),)))}
        found, (gap,) = prices(host=Theirs(content))
        assert (found, gap.detail) == ({}, f"{calibrated.FILE} belongs to uid 1000; nothing in it is used")
        assert prices(host=Theirs(content, reader=replace(READER, uid=1000)))[0] != {}

    def test_what_is_written_is_not_writable_by_others_whatever_the_umask(self, directory):
        old = os.umask(0)
        try:
            calibrated.keep(Live(), [calibration()])
        finally:
            os.umask(old)
        assert os.stat(calibrated.FILE).st_mode & 0o777 == 0o644
        assert os.listdir(directory) == [os.path.basename(calibrated.FILE)]
        assert prices()[1] == ()


def pool(used: int) -> SharedMemory:
    return SharedMemory(64 << 20, (64 << 20) - used, used, used, used, 10)


def look(minutes: float = 0.0, **changes: object) -> Snapshot:
    """The instance so many minutes later; its age grows with them."""
    basis: dict[str, object] = {
        "opened": 100, "shared_memory": pool(5_000_000), "realtime": NOON + 60 * minutes,
        "uptime_seconds": int(1000 + 60 * minutes),
    }  # fmt: skip
    return snapshot(situation(**{**basis, **changes}))


def grown(minutes: float, count: int, each: int, **changes: object) -> Snapshot:
    """`count` connections of `each` bytes more than the first look had."""
    return look(minutes, opened=100 + count, shared_memory=pool(5_000_000 + count * each), **changes)


class TestNaturalChanges:
    def keep(self, *looks: Snapshot) -> dict[str, Measured]:
        for each in looks:
            seen.keep(Live(), each)
        return prices()[0]

    def test_two_hundred_more_of_one_transport_show_its_price(self, directory):
        assert self.keep(look(), grown(1, 200, 17_500)) == {
            "tcp": Measured(17_500.0, 17_500.0, 17_500.0, 1, "seen here between checks, last on 2025-11-25")
        }

    def test_so_do_those_that_went(self, directory):
        assert self.keep(grown(0, 900, 17_500), look(5))["tcp"].middle == 17_500

    @pytest.mark.parametrize(
        ("transport", "counts"),
        [
            ("tls", {"opened_tls": 300}),
            ("ws", {"websocket": 300}),
            ("wss", {"opened_tls": 300, "websocket": 300}),
        ],
    )
    def test_of_every_transport(self, directory, transport, counts):
        assert list(self.keep(look(), grown(1, 300, 80_000, **counts))) == [transport]

    def test_small_changes_add_up_over_several_checks(self, directory):
        assert self.keep(look(), grown(1, 80, 17_000), grown(2, 150, 17_000)) == {}
        assert self.keep(grown(3, 250, 17_000))["tcp"].middle == 17_000

    def test_several_make_the_spread(self, directory):
        found = self.keep(look(), grown(1, 200, 17_000), look(2), grown(3, 300, 18_000), look(4))
        assert found["tcp"].times == 4
        assert (found["tcp"].lowest, found["tcp"].middle, found["tcp"].highest) == (17_000, 17_500, 18_000)

    def test_only_the_latest_are_kept(self, directory):
        for turn in range(15):
            self.keep(look(2 * turn), grown(2 * turn + 1, 250, 17_000 + turn))
        assert prices()[0]["tcp"].times == 20

    @pytest.mark.parametrize(
        "later",
        [
            grown(1, 199, 17_500),
            grown(1, 300, 17_500, opened_tls=5),  # two transports at once
            grown(1, 300, 17_500, attendant=900),
            grown(1, 300, 17_500, uptime_seconds=3),  # it was restarted
            grown(61, 300, 17_500),  # too long ago
            grown(-1, 300, 17_500),  # the clock went back
            grown(1, 300, 12_000),  # less than its read buffer: something else gave memory back
            grown(1, 300, 17_500, version="6.1.5"),
            grown(1, 300, 17_500, opened_tls=DENIED),
            look(1, opened=400, shared_memory=DENIED),
        ],
        ids=range(10),
    )
    def test_anything_less_clear_shows_nothing(self, directory, later):
        assert self.keep(look(), later) == {}

    def test_memory_that_moves_without_connections_begins_anew(self, directory):
        """A table is loaded (9 MB): it must not become the price of connections that come later."""
        tables = 9_000_000
        reloaded = look(1, shared_memory=pool(5_000_000 + tables))
        later = look(2, opened=400, shared_memory=pool(5_000_000 + tables + 300 * 17_500))
        assert self.keep(look(), reloaded, later)["tcp"].middle == 17_500

    def test_its_own_change_is_firmer_than_a_calibration_and_a_recording_firmer_still(self, directory):
        calibrated.keep(Live(), [calibration("tcp", 17_416.0), calibration("tls", 76_000.0)])
        self.keep(look(), grown(1, 200, 17_500))
        found, gaps = prices()
        assert ({name: each.middle for name, each in found.items()}, gaps) == (
            {"tcp": 17_500.0, "tls": 76_000.0},
            (),
        )
        between = {"tcp": Measured(17_600.0, 17_600.0, 17_600.0, 1, "between two samples of this recording")}
        assert prices(between)[0]["tcp"].middle == 17_600

    def test_an_instance_has_its_own(self, directory):
        self.keep(look(), grown(1, 200, 17_500))
        s = situation(name="edge")
        assert s.instance is not None
        assert measured.prices(Live(), s.machine, s.instance, {}) == ({}, ())

    def test_where_nothing_can_be_written_nothing_is_lost(self, monkeypatch):
        monkeypatch.setattr(seen, "FILE", "/proc/nowhere/seen.json")
        assert self.keep(look(), grown(1, 200, 17_500)) == {}


def test_a_recording_carries_both_scrubbed(monkeypatch):
    """And the very same prices come out of it, without the host at hand."""
    monkeypatch.setattr(calibrated, "FILE", "/var/lib/kamtcp/calibrated.json")
    monkeypatch.setattr(seen, "FILE", "/var/lib/kamtcp/seen.json")
    real = replace(HERE, kernel="6.1.0-18-amd64", kamailio="5.6.3")
    kept = Calibrations(prices=(calibration("wss", 142_013.84, conditions=real),))
    was = seen.Seen(prices=(seen.Prices("kamailio", "tcp", real, NOON, (17_416.5, 17_417.25)),))
    host = TreeHost({calibrated.FILE: msgspec.json.encode(kept), seen.FILE: msgspec.json.encode(was)})
    recorder = Recorder(host)
    recorder.reader()
    measured.remember(recorder)
    scrubber = Scrubber(bytes(32))
    notes = sorted(recorder.notes.items(), key=lambda note: note[0][1] != "reader")
    stored = Recorded({scrubber.key(key): scrubber.answer(key, value) for key, value in notes})
    here = {"release": "6.1.0-18-amd64", "version": "5.6.3"}
    found, gaps = prices(host=stored, **here)
    assert (found, gaps) == prices(host=host, **here)
    assert set(found) == {"tcp", "wss"}


def test_a_recording_of_an_older_kamtcp_has_none():
    assert prices(host=Recorded({("", "reader"): READER})) == ({}, ())


def test_what_is_written_is_plain_json_with_its_schema(directory):
    calibrated.keep(Live(), [calibration()])
    text = json.loads((directory / "calibrated.json").read_text())
    assert text["schema"] == calibrated.SCHEMA
    assert text["prices"][0]["values"] == [17_416.0, 17_420.0, 17_500.0]
    assert state.read(Live(), calibrated.FILE, Calibrations, 1) == Calibrations(prices=(calibration(),))
