"""The target: from options, from target.toml, from the highest use seen; and --save-target."""

from __future__ import annotations

import errno
import os
import stat
from argparse import Namespace
from pathlib import Path

import pytest
from commands import REFERENCE, run
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_host import TreeHost
from kamtcp.cli import highest, save_target
from kamtcp.cli import target as targets
from kamtcp.cli.judge import verdicts
from kamtcp.cli.target import TargetFile, as_toml, of_instance, parse_file, read_file
from kamtcp.errors import UsageError
from kamtcp.model.target import Target
from situations import DENIED, instance, situation, snapshot

FULL = Target(
    connections=20_000, tls=5000, ws=100, wss=200, rate=500.5, storm=20_000, storm_seconds=60.0,
    outbound={"10.0.0.9:5060": 2000, "[2001:db8::1]:5061": 5}, active_share=0.25, registration_seconds=3600,
    keepalive_seconds=120, clients_per_source=300, outbound_rate={"10.0.0.9:5060": 12.5}, middle={"lb": 350, "nat a": 900},
)  # fmt: skip


class TestTheFile:
    def test_all_fields_read_back(self):
        text = as_toml(FULL, "") + "\n" + as_toml(Target(connections=5), 'sip.2 "x\\y"')
        assert parse_file(text.encode()) == TargetFile(FULL, {'sip.2 "x\\y"': Target(connections=5)})

    def test_parts_alone_make_the_whole(self):
        assert parse_file(b"[default]\ntls = 5\nwss = 6\n").default.connections == 11

    def test_an_empty_file_states_nothing(self):
        assert parse_file(b"") == TargetFile()
        assert not parse_file(b"").default.stated

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("[default", "not TOML: "),
            ("[default]\nconnections = 5\nconnections = 6\n", "not TOML: "),
            ("\udcff", "not TOML: "),
            ("[default]\nconnections = " + "9" * 5000, "not TOML: "),
            ("x = " + "[" * 100_000, "not TOML: "),
            ("[default]\nconnectoins = 5\n", "unknown field `connectoins`"),
            ("[defaults]\nconnections = 5\n", "unknown field `defaults`"),
            (
                '[default]\nconnections = "many"\n',
                "Expected `int | null`, got `str` - at `$.default.connections`",
            ),
            ("[default]\nconnections = 1.5\n", "Expected `int | null`"),
            ("[instance]\nsip1 = 5\n", "at `$.instance[...]`"),
            ("[default]\nconnections = -1\n", "[default] connections: expected 0 to 2,147,483,648, got -1"),
            ("[default]\nconnections = 2147483649\n", "[default] connections: expected 0 to"),
            ("[instance.a]\ntls = -1\n", "[instance.a] tls: expected 0 to"),
            ("[default]\nrate = nan\n", "[default] rate: expected 0 to 10,000,000, got nan"),
            ("[default]\nrate = inf\n", "[default] rate: expected"),
            ("[default]\nstorm = 5\nstorm_seconds = -0.5\n", "[default] storm_seconds: expected"),
            ("[default]\nactive_share = 1.01\n", "[default] active_share: expected 0 to 1, got 1.01"),
            ("[default]\nactive_share = -inf\n", "[default] active_share: expected 0 to 1"),
            (
                '[default]\noutbound = { "10.0.0.9" = 5 }\n',
                "[default] outbound: expected ADDR:PORT, got '10.0.0.9'",
            ),
            (
                '[default]\noutbound = { "10.0.0.9:5060" = -5 }\n',
                "[default] outbound 10.0.0.9:5060: expected 0 to",
            ),
            (
                '[default]\noutbound_rate = { "10.0.0.9:5060" = nan }\n',
                "[default] outbound_rate 10.0.0.9:5060: expected 0 to",
            ),
            (
                '[default]\noutbound_rate = { "10.0.0.9" = 5 }\n',
                "[default] outbound: expected ADDR:PORT, got '10.0.0.9'",
            ),
            (
                "[default]\nconnections = 10\ntls = 6\nws = 5\n",
                "[default] tls, ws and wss make 11, more than connections 10",
            ),
        ],
    )
    def test_what_no_host_can_mean_is_refused_with_table_and_field(self, text, said):
        with pytest.raises(UsageError) as error:
            parse_file(text.encode("utf-8", "surrogateescape"))
        assert said in str(error.value)
        assert str(error.value).startswith(f"{targets.TARGET_FILE}: ")

    @given(st.binary(max_size=300))
    @settings(max_examples=100, deadline=None)
    def test_no_bytes_whatever_escape_as_anything_else(self, data):
        try:
            parse_file(data)
        except UsageError:
            return

    @given(st.dictionaries(st.text(max_size=8), st.builds(
        Target, connections=st.integers(1, 2**31), rate=st.none() | st.floats(0, 1e7), tls=st.just(1))))  # fmt: skip
    @settings(max_examples=60, deadline=None)
    def test_what_is_written_reads_back_whatever_the_names(self, tables):
        """A name that TOML can't hold is refused before anything is written."""
        text = "".join(as_toml(each, name) for name, each in tables.items() if name)
        try:
            assert parse_file(text.encode("utf-8", "replace")).instance == {
                name: each for name, each in tables.items() if name
            }
        except UsageError:
            assert any(
                ord(letter) < 32 or ord(letter) == 127 or "\ud800" <= letter < "\ue000"
                for letter in "".join(tables)
            )

    def test_the_file_of_the_host_that_is_looked_at_counts(self):
        host = TreeHost({targets.TARGET_FILE: b"[default]\nconnections = 7\n"})
        assert read_file(host) == TargetFile(Target(connections=7))

    def test_none_is_no_error_and_a_denied_one_is(self):
        assert read_file(TreeHost({})) is None
        with pytest.raises(UsageError, match="Permission denied; state the target with --connections"):
            read_file(TreeHost({targets.TARGET_FILE: errno.EACCES}))


class TestWhichCounts:
    FILE = TargetFile(Target(connections=5), {"sip2": Target(connections=9), "idle": Target()})

    def test_options_come_first_then_the_instance_then_the_default(self):
        assert of_instance(Target(rate=1), self.FILE, "sip2") == (Target(rate=1), "options")
        assert of_instance(None, self.FILE, "sip2") == (Target(connections=9), targets.TARGET_FILE)
        assert of_instance(None, self.FILE, "sip1") == (Target(connections=5), targets.TARGET_FILE)

    def test_the_highest_use_seen_stands_in_and_is_called_no_target(self):
        assert of_instance(None, None, "sip1", 400) == (Target(connections=400), "")
        assert of_instance(None, self.FILE, "idle", 400) == (Target(connections=400), "")
        assert of_instance(None, None, "sip1", 0) == (Target(), "")


class TestTheHighestUse:
    def test_it_is_kept_and_only_grows(self, tmp_path, monkeypatch):
        monkeypatch.setattr(highest, "FILE", str(tmp_path / "state" / "highest.json"))
        path = Path(highest.FILE)

        def host() -> TreeHost:
            return TreeHost({highest.FILE: path.read_bytes()} if path.exists() else {})

        highest.keep(host(), snapshot(situation(opened=400)))
        assert path.read_bytes() == b'{"kamailio":400}'
        highest.keep(host(), snapshot(situation(opened=300)))
        assert highest.of(host(), instance(opened=300)) == 400
        highest.keep(host(), snapshot(situation(opened=500, name="sip2")))
        assert path.read_bytes() == b'{"kamailio":400,"sip2":500}'
        assert highest.of(host(), instance(opened=900)) == 900
        assert os.listdir(path.parent) == ["highest.json"]

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"kamailio":"x"}', b"\xff", errno.EACCES])
    def test_a_damaged_memory_is_none(self, content):
        assert highest.of(TreeHost({highest.FILE: content}), instance(opened=3)) == 3

    def test_connections_that_are_not_seen_are_not_kept(self, tmp_path, monkeypatch):
        monkeypatch.setattr(highest, "FILE", str(tmp_path / "highest.json"))
        highest.keep(TreeHost({}), snapshot(situation(opened=DENIED)))
        assert not os.path.exists(highest.FILE)

    def test_what_can_not_be_written_is_not_kept_and_nothing_fails(self):
        highest.keep(TreeHost({}), snapshot(situation()))


@pytest.fixture
def file(tmp_path, monkeypatch):
    """The target file, somewhere it may be written."""
    path = tmp_path / "etc" / "kamtcp" / "target.toml"
    monkeypatch.setattr(targets, "TARGET_FILE", str(path))
    return path


class TestSaving:
    def test_it_is_written_whole_and_read_back(self, file):
        assert save_target.save(FULL, "", recording=None) == f"kamtcp check: target written to {file}"
        assert parse_file(file.read_bytes()) == TargetFile(FULL)
        assert stat.S_IMODE(file.stat().st_mode) == 0o644
        assert os.listdir(file.parent) == ["target.toml"]

    def test_other_instances_keep_theirs(self, file):
        save_target.save(Target(connections=1), "", recording=None)
        save_target.save(Target(connections=2), "sip2", recording=None)
        save_target.save(Target(connections=3), "sip3", recording=None)
        save_target.save(Target(connections=4), "sip2", recording=None)
        wanted = {"sip2": Target(connections=4), "sip3": Target(connections=3)}
        assert parse_file(file.read_bytes()) == TargetFile(Target(connections=1), wanted)

    def test_a_file_that_is_wrong_is_left_as_it_is(self, file):
        file.parent.mkdir(parents=True)
        file.write_text("[default]\nconnectoins = 5\n")
        with pytest.raises(UsageError, match="unknown field"):
            save_target.save(FULL, "", recording=None)
        assert file.read_text() == "[default]\nconnectoins = 5\n"

    def test_a_name_that_toml_can_not_hold_writes_nothing(self, file):
        with pytest.raises(UsageError, match="not TOML"):
            save_target.save(FULL, "a\nb", recording=None)
        assert not file.exists()

    def test_where_it_can_not_be_written_it_says_so(self):
        with pytest.raises(UsageError, match=r"/proc/nowhere/target\.toml: .*; nothing was written"):
            save_target.save(FULL, "", recording=None)


class TestTheCommand:
    """kamtcp check on a host whose only Kamailio is called "kamailio", pid 812."""

    @pytest.fixture(autouse=True)
    def one_host(self, monkeypatch):
        monkeypatch.setattr("kamtcp.cli.source.hosts", lambda _: (TreeHost({}),))
        monkeypatch.setattr("kamtcp.cli.check.take", lambda *_, **__: snapshot(situation()))

    def test_it_saves_under_the_name_that_the_next_check_looks_up(self, file, capsys):
        """Though it was called by its pid."""
        found = run(capsys, "check", "--instance", "812", "--connections", "9,000", "--save-target")
        assert found.code == 0
        assert found.err == f"kamtcp check: target written to {file}\n"
        assert parse_file(file.read_bytes()) == TargetFile(Target(), {"kamailio": Target(connections=9000)})

    def test_an_instance_that_is_not_there_is_not_saved(self, file, capsys):
        found = run(capsys, "check", "--instance", "other", "--connections", "9000", "--save-target")
        assert (found.code, file.exists()) == (2, False)

    def test_the_offer_is_made_where_there_is_no_target(self, capsys):
        said = " ".join(run(capsys, "check").out.split())
        assert "No target. Judged by the highest use seen, 400 connections." in said
        assert "To keep one: kamtcp check --connections 400 --save-target" in said

    def test_a_host_without_a_target_is_judged_by_its_transports_of_now(self):
        """Else one with TLS connections would be told a ceiling of plain ones."""
        own = situation(opened=400, opened_tls=400, websocket=0)
        options = Namespace(connections=None, tls=None, ws=None, wss=None, rate=None, storm=None, outbound=[], outbound_rate=[],
                            instance=None)  # fmt: skip
        ((found, where),) = verdicts(snapshot(own), TreeHost({}), options)
        assert where == ""
        assert found.situation.mix.tls == 1.0

    def test_no_offer_is_made_to_a_recording(self, capsys, monkeypatch):
        monkeypatch.undo()
        assert "To keep one" not in run(capsys, "check", "--from", REFERENCE).out

    def test_options_are_the_target(self, capsys):
        out = run(capsys, "check", "--connections", "5_000", "--tls", "10", "--rate", "2.5", "--storm", "100/5",
                  "--outbound", "10.0.0.9:5060=20").out  # fmt: skip
        said = " ".join(out.split())
        wanted = "5,000 connections, 2.5 new a second, a storm of 100 in 5 s, 20 to 10.0.0.9:5060: met."
        assert f"Target (options): {wanted}" in said
        assert "Counted for 100% TCP, 0% TLS (target)." in said

    def test_parts_alone_make_the_whole(self, capsys):
        assert "10 connections: met." in run(capsys, "check", "--tls", "4", "--wss", "6").out
