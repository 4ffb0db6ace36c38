"""Wrong inputs to the command: one clear line or an honest "not seen", the right code, never a traceback."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import REFERENCE, Ran, run

from kamtcp.record.archive import Answer, Failed, Recording, load, write

FAKE = str(Path(__file__).with_name("fake_kamailio.py"))
BUDGET = 8.0  # seconds a check may take while Kamailio doesn't answer


class TestARecording:
    """--from something that is none."""

    @pytest.fixture
    def whole(self) -> bytes:
        return Path(REFERENCE).read_bytes()

    def refused(self, capsys, path: object, *more: str) -> str:
        for command in (("check",), ("check", "--json")):
            found = run(capsys, *command, "--from", str(path), *more)
            assert (found.code, found.out) == (2, "")
            assert found.err.count("\n") == 1
            assert "Traceback" not in found.err
            assert found.err.startswith(f"kamtcp check: {path}: ")
        return found.err

    def test_none_of_that_name(self, capsys, tmp_path):
        assert "No such file or directory" in self.refused(capsys, tmp_path / "none.kamtcp")

    def test_a_directory(self, capsys, tmp_path):
        assert "Is a directory" in self.refused(capsys, tmp_path)

    def test_an_empty_file(self, capsys, tmp_path):
        (tmp_path / "f").touch()
        assert "empty file, not a recording" in self.refused(capsys, tmp_path / "f")

    @pytest.mark.parametrize("kept", [1, 20, 100, 1000, -1])
    def test_a_cut_one(self, capsys, tmp_path, whole, kept):
        (tmp_path / "f").write_bytes(whole[:kept])
        assert "cut: " in self.refused(capsys, tmp_path / "f")

    @pytest.mark.parametrize(
        "content", [b"#!/bin/sh\n", b"\x7fELF\x02\x01", b"\x1f\x8b\x08", b"{}", b"\0" * 5000]
    )
    def test_a_foreign_file(self, capsys, tmp_path, content):
        (tmp_path / "f").write_bytes(content)
        assert "not a recording of kamtcp" in self.refused(capsys, tmp_path / "f")

    @pytest.mark.parametrize("at", [200, 5000, -200])
    def test_a_damaged_one(self, capsys, tmp_path, whole, at):
        damaged = bytearray(whole)
        damaged[at] ^= 0x55
        (tmp_path / "f").write_bytes(damaged)
        assert "damaged" in self.refused(capsys, tmp_path / "f")

    def test_one_of_a_newer_kamtcp(self, capsys, tmp_path, whole):
        (tmp_path / "f").write_bytes(whole.replace(b"kamtcp-recording 1 ", b"kamtcp-recording 2 ", 1))
        assert "made by a newer kamtcp" in self.refused(capsys, tmp_path / "f")

    def test_a_path_with_a_nul(self, capsys):
        found = run(capsys, "check", "--from", "a\0b")
        assert (found.code, found.out) == (2, "")
        assert found.err.count("\n") == 1

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs root to take its privilege away")
    def test_one_that_may_not_be_read(self, capsys, tmp_path, monkeypatch):
        def refuse(*_: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied", REFERENCE)

        monkeypatch.setattr("builtins.open", refuse)
        assert "Permission denied" in self.refused(capsys, REFERENCE)


def altered(tmp_path: Path, *changes: tuple[str, Answer | object]) -> str:
    """The reference recording, with the answers changed whose key matches a pattern; a function gets the old answer."""
    made = load(REFERENCE)
    sample = dict(made.samples[0])
    for pattern, new in changes:
        keys = [key for key in sample if re.search(pattern, " ".join(map(str, key)))]
        assert keys, f"nothing in the recording matches {pattern}"
        for key in keys:
            sample[key] = new(sample[key]) if callable(new) else new
    path = str(tmp_path / "altered.kamtcp")
    write(path, Recording(made.header, [sample]), overwrite=True)
    return path


def half(answer: Answer) -> Answer:
    return answer[: len(answer) // 2] if isinstance(answer, bytes) else answer


class TestFilesOfTheKernel:
    def judged(self, capsys, tmp_path, *changes: tuple[str, Answer | object]) -> Ran:
        found = run(capsys, "check", "--from", altered(tmp_path, *changes))
        assert found.err == ""
        assert "Traceback" not in found.out
        return Ran(found.code, " ".join(found.out.split()), "")

    def test_no_netstat(self, capsys, tmp_path):
        """Nothing that check judges hangs on it."""
        found = self.judged(capsys, tmp_path, (r"/net/netstat$", Failed(errno.ENOENT)))
        assert found.code == 1
        assert "Stops at 998 connections" in found.out

    def test_limits_cut_short(self, capsys, tmp_path):
        """Its descriptors can't be told any more: a blind spot, and what is next is called the latest."""
        found = self.judged(capsys, tmp_path, (r"/proc/\d+/limits$", lambda answer: answer[:200]))
        assert "at the latest at 2,048 connections" in found.out
        assert re.search(
            r"descriptors of tcp main: /proc/\d+/limits: malformed \(.*?\); could lie below", found.out
        )

    @pytest.mark.parametrize(
        ("path", "said"),
        [
            (r"/proc/meminfo$", "memory of the machine for sockets: /proc/meminfo: malformed"),
            (
                r"/net/sockstat$",
                "tcp_mem, socket buffers of the whole machine: /proc/net/sockstat: malformed",
            ),
            (r"fs/file-nr$", "fs.file-max, open files of the machine: /proc/sys/fs/file-nr: malformed"),
        ],
    )
    def test_files_cut_short_cost_their_own_ceiling(self, path, said, capsys, tmp_path):
        found = self.judged(capsys, tmp_path, (path, lambda answer: answer[: len(answer) // 8]))
        assert said in found.out
        assert "998 connections: descriptors of tcp main" in found.out

    def test_unknown_extra_fields_and_lines_change_nothing(self, capsys, tmp_path):
        def with_more(answer: Answer) -> Answer:
            assert isinstance(answer, bytes)
            return answer + b"NewField: 5 kB\n"

        plain = self.judged(capsys, tmp_path, (r"/proc/meminfo$", lambda answer: answer))
        assert (
            self.judged(capsys, tmp_path, (r"/proc/meminfo$|/proc/\d+/status$", with_more)).out == plain.out
        )

    @pytest.mark.parametrize(
        ("path", "value", "said"),
        [
            (r"fs/nr_open$", b"-1\n", "0 ╌╌╌╌╌╌╌╌╌╌╌╌╌╌ fs.nr_open, how far RLIMIT_NOFILE can be raised"),
            (
                r"fs/nr_open$",
                b"18446744073709551616\n",
                "expected 1 or more numbers, got '18446744073709551616'",
            ),
            (r"fs/nr_open$", b"max\n", "fs.nr_open: malformed"),
            (r"ip_local_port_range$", b"-1\t-1\n", "1 ░░░░░░░░░░░░░░ ephemeral ports"),
            (r"ip_local_port_range$", b"\n", "ephemeral ports: net.ipv4.ip_local_port_range: malformed"),
            (r"tcp_mem$", b"max max max\n", "net.ipv4.tcp_mem: malformed"),
            (r"tcp_max_tw_buckets$", b"-1\n", "tcp_max_tw_buckets is negative: no limit on this kernel"),
            (r"memory.limit_in_bytes$", b"-1\n", "memory limit of the cgroup"),
            (r"fs/file-nr$", b"1\t0\t18446744073709551615\n", "fs.file-max is unlimited"),
            (r"handoff-messages$", b"0 0", "hand-off to the workers: socketpair probe: malformed"),
        ],
    )
    def test_absurd_values_are_numbers_limits_or_reasons(self, path, value, said, capsys, tmp_path):
        assert said in self.judged(capsys, tmp_path, (path, value)).out

    @pytest.mark.parametrize("word", [b"unlimited", b"18446744073709551615", b"0", b"-1"])
    def test_absurd_limits_of_a_process(self, word, capsys, tmp_path):
        def limits(answer: Answer) -> Answer:
            assert isinstance(answer, bytes)
            return re.sub(rb"(Max open files\s+)\S+", rb"\g<1>" + word, answer)

        found = self.judged(capsys, tmp_path, (r"/proc/\d+/limits$", limits))
        wanted = {
            b"unlimited": "RLIMIT_NOFILE of pid 42 is unlimited", b"18446744073709551615": "Stops at 2,048 connections",
            b"0": "Stops at 0 connections: descriptors of tcp main", b"-1": "descriptors of tcp main: /proc/",
        }  # fmt: skip
        assert wanted[word].replace("pid 42", "pid ") in re.sub(r"pid \d+", "pid ", found.out)

    def test_a_target_file_that_is_wrong_is_one_line(self, capsys, tmp_path, monkeypatch):
        made = load(REFERENCE)
        sample = {
            **made.samples[0],
            ("", "read", "/etc/kamtcp/target.toml"): b"[default]\nconnections = 'many'\n",
        }
        write(str(tmp_path / "f"), Recording(made.header, [sample]))
        monkeypatch.setattr("kamtcp.cli.target.TARGET_FILE", "/etc/kamtcp/target.toml")
        found = run(capsys, "check", "--from", str(tmp_path / "f"))
        assert (found.code, found.out) == (2, "")
        assert found.err.startswith("kamtcp check: /etc/kamtcp/target.toml: Expected `int | null`, got `str`")
        assert found.err.count("\n") == 1


@pytest.fixture
def fake(tmp_path, alone):
    """Starts a process with a ctl socket that behaves so; gives its pid."""
    started = []

    def start(behaviour: str) -> int:
        server = subprocess.Popen([sys.executable, "-S", FAKE, str(tmp_path / "kamailio_ctl"), behaviour],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
        started.append(server)
        assert server.stdout is not None
        assert server.stdout.readline() == b"up\n"
        return server.pid

    yield start
    for server in started:
        server.kill()
        server.communicate()


class TestAnRpcSocket:
    """Real servers on the path that a ctl socket has; the check runs as it would for an operator."""

    @pytest.mark.parametrize(
        ("behaviour", "said"),
        [
            ("hang", "no whole answer in 2 s"),
            ("garbage", "BINRPC header: expected 0xa1 (magic and version), got b'H'"),
            ("close", "reply cut after 0 bytes"),
            ("cut", "reply cut after"),
            ("says 50 MB", "reply of 52428810 bytes, more than 8388608"),
            ("sends 50 MB", "reply of 52428810 bytes, more than 8388608"),
        ],
    )
    def test_one_that_gives_no_answer_leaves_a_blind_spot_and_its_reason(self, behaviour, said, fake, capsys):
        pid = fake(behaviour)
        began = time.monotonic()
        found = run(capsys, "check", "--instance", str(pid))
        assert time.monotonic() - began < BUDGET
        assert (found.code, found.err) == (3, "")
        words = " ".join(found.out.split())
        assert "Kamailio RPC: " in words
        assert said in words
        assert "shared memory: " in words
        assert "could lie below" in words

    @pytest.mark.parametrize("behaviour", ["hang later", "nonsense later", "many", "version"])
    def test_one_that_answers_its_version_and_then_nonsense_is_seen_through(self, behaviour, fake, capsys):
        """What it said is used, the rest is absent; a server that hangs is not asked thirty times."""
        pid = fake(behaviour)
        began = time.monotonic()
        found = run(capsys, "check", "--instance", str(pid))
        assert time.monotonic() - began < BUDGET
        assert (found.code, found.err) == (3, "")
        assert re.search(r": kamailio(-\d+)? 5\.6\.3 \(pid", found.out)
        assert "shm.stats" in found.out

    def test_json_and_the_plug_in_line_say_so_as_well(self, fake, capsys):
        import json

        pid = fake("garbage")
        data = json.loads(run(capsys, "check", "--instance", str(pid), "--json").out)
        assert data["exit_code"] == 3
        assert "shared-memory" in data["judged"][0]["could_lie_below"]
        found = run(capsys, "check", "--instance", str(pid), "--nagios")
        assert found.code == 3
        assert found.out.startswith("KAMTCP UNKNOWN - ")

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs root to take its privilege away")
    def test_one_that_may_not_be_opened_is_denied(self, fake, capfd, tmp_path):
        from host.test_live import as_nobody
        from kamtcp.__main__ import main

        pid = fake("denied")
        main(["check", "--instance", str(pid), "--json"])  # loads what the child may not
        capfd.readouterr()
        code = as_nobody(lambda: main(["check", "--instance", str(pid)]))
        found = capfd.readouterr()
        assert (code, found.err) == (3, "")
        assert re.search(r"Kamailio\s+RPC:\s+denied", found.out)


def test_the_command_itself_shows_no_traceback(environment, fake):
    """In a process of its own, from outside, once."""
    pid = fake("garbage")
    line = [sys.executable, "-m", "kamtcp", "check", "--instance", str(pid)]
    found = subprocess.run(line, env=environment, capture_output=True, check=False, timeout=30)
    assert (found.returncode, found.stderr) == (3, b"")
