"""What a recording carries for checks elsewhere: the accepted findings of its host, and what a start there would get."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from kamtcp.rehearse.kamailio import packages_root, start_kamailio
from kamtcp.rehearse.scenario import Scenario
from kamtcp.rehearse.standin import StandIn

SRC = str(Path(__file__).parents[2] / "src")
ENVIRONMENT = {**os.environ, "PYTHONPATH": SRC}
ACCEPTED = '[[accept]]\ncode = "FDS001"\nreason = "the new unit comes in spring"\nuntil = 2999-01-31\n'


def test_a_recording_carries_what_is_accepted_and_what_a_start_would_get(tmp_path):
    recording, config = str(tmp_path / "recording"), tmp_path / "next.cfg"
    config.write_text(Scenario(tcp_max_connections=100_000).render())
    with StandIn(packages_root(), name="far") as host:
        os.makedirs(host.path("/etc/kamtcp"))
        Path(host.path("/etc/kamtcp/accept.toml")).write_text(ACCEPTED)
        os.makedirs(host.path("/etc/systemd/system/kamailio.service.d"))
        Path(host.path("/etc/systemd/system/kamailio.service.d/a.conf")).write_text(
            "[Service]\nLimitNOFILE=4321\n"
        )
        with start_kamailio(host, config=Scenario(tcp_max_connections=100_000)):
            words = [sys.executable, "-m", "kamtcp", "record", "-o", recording]
            done = host.run(words, env=ENVIRONMENT, check=False, timeout=60)
            assert done.returncode == 0, done.stderr.decode()
    judged = check(recording)["judged"][0]
    accepted = next(each["acceptance"] for each in judged["findings"] if each["code"] == "FDS001")
    assert (accepted["reason"], accepted["in_force"]) == ("the new unit comes in spring", True)
    found = check(recording, "--kamailio-cfg", str(config), "--args", "-M 8")
    instance = found["snapshot"]["instances"][0]
    assert found["snapshot"]["machine"]["node"] != os.uname().nodename
    assert instance["version"] == "5.6.3"
    assert "kamailio.service" in instance["foreseen"]["descriptors"]
    assert {each["nofile_soft"] for each in instance["processes"]} == {4321}
    assert found["judged"][0]["start"]["starts"] is True
    again = next(each["acceptance"] for each in found["judged"][0]["findings"] if each["code"] == "FDS001")
    assert again["in_force"]


def check(recording: str, *arguments: str) -> dict:
    words = [sys.executable, "-m", "kamtcp", "check", "--from", recording, "--json", *arguments]
    done = subprocess.run(words, capture_output=True, env=ENVIRONMENT, check=False, timeout=60)
    assert done.stdout, done.stderr.decode()
    return json.loads(done.stdout)
