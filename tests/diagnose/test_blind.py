"""A host of which nothing can be seen: every rule says so, and none passes it or finds anything."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import fields, replace

from kamtcp.capacity.ladder import build
from kamtcp.capacity.situation import Situation
from kamtcp.diagnose import rules
from kamtcp.diagnose.finding import Finding
from kamtcp.model.absent import Absent, Why
from kamtcp.model.instance import Foreseen, Instance, Process
from kamtcp.model.machine import Machine, Namespace
from kamtcp.model.settings import BootFiles, SettingFiles
from situations import DENIED, situation

FORESEEN = Foreseen("next.cfg", "-m 2", False, "assumed", 600_000, 1_600_000, 2_200_000, 3_000_000, "told")
#: what a process or an instance can't be without
KEPT = {
    Process: {"pid", "inner_pid", "role", "description"},
    Instance: {"name", "attendant", "netns", "config_path", "rpc_tried", "version_origin", "processes", "process_count",
               "opened_origin", "parameters", "log_source", "unsure", "away", "foreseen"},
    Namespace: {"id", "sysctls"},
    Machine: {"node", "release", "architecture", "cpus", "page_size", "clock_ticks", "realtime", "boottime", "uid", "gid",
              "capabilities", "netns", "sysctls", "settings", "boot_files"},
}  # fmt: skip


def blind(struct: object) -> object:
    """Everything of it denied that can be."""
    kept = KEPT[type(struct)]
    return replace(struct, **{each.name: DENIED for each in fields(type(struct)) if each.name not in kept})  # type: ignore[type-var]


def blind_situation(*, away: bool = False, **target: Any) -> Situation:
    healthy = situation(target=target, away=away)
    instance = healthy.require()
    processes = tuple(blind(each) for each in instance.processes)
    instance = replace(blind(instance), processes=processes, parameters={})  # type: ignore[type-var]
    denied_files = tuple(Absent(path, Why.DENIED, "EACCES") for path in ("/etc/sysctl.d/x.conf",))
    boot = tuple(Absent(path, Why.DENIED, "EACCES") for path in (
        "/etc/security/limits.conf", "/etc/modprobe.d/x.conf", "/etc/systemd/system.conf"))  # fmt: skip
    machine = replace(
        blind(healthy.machine), sysctls=dict.fromkeys(healthy.machine.sysctls, DENIED),  # type: ignore[type-var]
        settings=SettingFiles(problems=denied_files), boot_files=BootFiles(problems=boot),
    )  # fmt: skip
    namespace = replace(blind(healthy.namespace), sysctls=dict.fromkeys(healthy.namespace.sysctls, DENIED))  # type: ignore[type-var]
    return Situation(machine, namespace, instance, healthy.target, healthy.mix)


def test_nothing_is_found_where_nothing_is_seen():
    s = blind_situation(connections=10, tls=5, ws=5)
    assert [each.code for each in rules.judge(s, build(s)).findings] == []


@pytest.mark.parametrize("code", sorted({code for rule in rules.ALL for code in rule.codes}))
def test_every_rule_says_that_it_could_not_judge(code):
    if code in ("MEM008", "CFG022"):  # without a target
        s = blind_situation()
    elif code == "SYS034":  # in a namespace of its own
        s = blind_situation(away=True)
    elif code == "TIM005":  # with a box on the way
        s = blind_situation(middle={"lb": 350})
    elif code == "TIM006":  # with phones that register
        s = blind_situation(connections=10, registration_seconds=3600)
    else:
        s = blind_situation(connections=10, tls=5, ws=5)
    if code == "MEM030":  # before a start
        s = replace(s, instance=replace(s.require(), foreseen=FORESEEN))
    ladder = build(s)
    said = [each for rule in rules.ALL if code in rule.codes for each in rule.judge(s, ladder)]
    assert not [each for each in said if isinstance(each, Finding)]
    assert [each for each in said if isinstance(each, Absent) and each.why is not Why.MISSING], (
        "silence is no pass"
    )
    named = " ".join(each.detail for each in rules.judge(s, ladder).unjudged)
    assert code in named.replace(",", " ").split()
