"""The machinery around the rows: the dead-man, what is kept of a row, the page."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import truth_host
from truth_host import PERMISSION, changed
from truth_page import page
from truth_row import NotProven, Outcome, Result, Row, Server
from truth_state import State

HERE = Path(__file__).parent


@pytest.fixture
def value(tmp_path, monkeypatch) -> Path:
    """A file that stands for a value of the machine, which may be changed; and a lock of its own."""
    monkeypatch.setenv(PERMISSION, "1")
    monkeypatch.setattr(truth_host, "LOCK", tmp_path / "lock")
    file = tmp_path / "value"
    file.write_text("1000\n")
    return file


class TestDeadMan:
    def test_a_value_is_changed_inside_and_back_outside(self, value):
        with changed(str(value), 4000, in_use=1000):
            assert value.read_text() == "4000\n"
        assert value.read_text() == "1000"

    def test_it_is_back_after_an_error(self, value):
        with pytest.raises(KeyError), changed(str(value), 4000, in_use=0):
            raise KeyError
        assert value.read_text() == "1000"

    def test_it_is_back_when_time_is_up_and_the_row_is_told(self, value):
        with (
            pytest.raises(AssertionError, match="put back after"),
            changed(str(value), 4000, in_use=0, seconds=0.2),
        ):
            until_reads(value, "1000")
        assert value.read_text() == "1000"

    def test_it_is_back_when_the_process_is_killed(self, value):
        code = (
            f"import sys; sys.path.insert(0, {str(HERE)!r}); import truth_host, pathlib, time\n"
            f"truth_host.LOCK = pathlib.Path({str(value) + '.lock'!r})\n"
            f"with truth_host.changed({str(value)!r}, 4000, in_use=0):\n"
            "    print('changed', flush=True); time.sleep(60)\n"
        )
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "changed\n"
            assert value.read_text() == "4000\n"
            os.kill(process.pid, signal.SIGKILL)
        until_reads(value, "1000")

    def test_nothing_below_four_times_what_is_in_use(self, value):
        with pytest.raises(NotProven, match="less than four times"), changed(str(value), 3999, in_use=1000):
            pass
        assert value.read_text() == "1000\n"

    def test_nothing_without_permission(self, value, monkeypatch):
        monkeypatch.delenv(PERMISSION)
        with pytest.raises(NotProven, match="needs --disposable-host"), changed(str(value), 4000, in_use=0):
            pass
        assert value.read_text() == "1000\n"


def until_reads(file: Path, text: str) -> None:
    end = time.monotonic() + 20
    while file.read_text() != text:
        assert time.monotonic() < end, file.read_text()
        time.sleep(0.01)


def measured() -> Outcome:
    return Outcome(100, 99, "connections", "counted")


ROW = Row("one", "a case", "file-max", 0.02, measured)


class TestState:
    def test_a_row_is_kept_over_runs(self, tmp_path):
        State(tmp_path / "state.json").keep(ROW, Result(measured()))
        assert State(tmp_path / "state.json").get(ROW) == Result(measured())

    def test_another_kamailio_is_measured_again(self, tmp_path):
        State(tmp_path / "state.json", "5.6.3").keep(ROW, Result(measured()))
        assert State(tmp_path / "state.json", "5.8.0").get(ROW) is None

    def test_a_file_of_another_form_keeps_nothing(self, tmp_path):
        (tmp_path / "state.json").write_text('["what"]')
        assert State(tmp_path / "state.json").get(ROW) is None


class TestPage:
    def test_real_and_stand_in_are_apart_and_what_is_missing_says_why(self):
        import msgspec

        other = msgspec.structs.replace(ROW, name="two", case="another", server=Server.STAND_IN)
        third = msgspec.structs.replace(ROW, name="three", case="a third")
        results = {
            "one": Result(measured()),
            "two": Result(measured()),
            "three": Result(None, not_proven="no reason"),
        }
        text = page((ROW, other, third), results, "5.6.3", {"nr-open": "too high"})
        real, _, rest = text.partition("## With a stand-in")
        assert "a case" in real and "another" not in real
        assert (
            "another" in rest
            and "| a third | file-max | no reason |" in rest
            and "|  | nr-open | too high |" in rest
        )

    def test_a_missed_prediction_says_so(self):
        missed = Result(Outcome(150, 100, "connections", "counted"), failed="far off")
        assert "+50.00 % **missed**" in page((ROW,), {"one": missed}, "5.6.3", {})
