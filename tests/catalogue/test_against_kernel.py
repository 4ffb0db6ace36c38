"""The catalogue against the kernel that runs: every sysctl entry's existence, scope, form, default and range.

Defaults and ranges are tested where a namespace of our own may be asked: entries of the machine are only read.
What can't be tested, and why, stands in tests/golden/untested-settings.txt.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kamtcp.catalogue.entry import Effect, Entry, Kind, Scope, Type
from kamtcp.catalogue.load import entries
from kamtcp.catalogue.versions import default_on, exists_on
from kernel_effects import NOT_SHOWN, OWN_TEST, READS_BACK, SOCKET_SAYS, inside, why_not_shown

RELEASE = os.uname().release
WRITE_ONLY = "net.ipv4.route.flush"
FAMILY = "kernel.sched_*"
#: a new namespace copies the first one's value, not the compiled default
COPIED = {"net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem", "net.ipv4.tcp_congestion_control"}


def of_files() -> list[Entry]:
    """Entries that are a file below /proc/sys."""
    return [
        each for each in entries().values()
        if each.id not in (FAMILY, WRITE_ONLY)
        and (each.kind is Kind.SYSCTL or (each.kind is Kind.COUNTER and each.id.startswith(("net.", "fs."))))
    ]  # fmt: skip


SYSCTLS = of_files()
PRESENT = [each for each in SYSCTLS if exists_on(each, RELEASE)]
OF_NAMESPACES = [each for each in PRESENT if each.scope is Scope.NAMESPACE]


def plain(default: str) -> bool:
    """Whether a default is what the kernel prints, not words about it."""
    return all(part.lstrip("-").isdigit() for part in default.split())


def bounds(entry: Entry) -> dict[str, bool]:
    """Values to write, and whether they must be taken."""
    found: dict[str, bool] = {}
    if entry.lowest is not None:
        found |= {str(entry.lowest): True, str(entry.lowest - 1): False}
    if entry.highest is not None:
        found |= {str(entry.highest): True, str(entry.highest + 1): False}
    if entry.type is Type.INTEGER and entry.range.startswith("any whole number"):
        found |= {"-1": True, "2147483647": True, "2147483648": False}
    if "negative values are taken" in entry.range:
        found |= {"-1": True}
    return found


def why_untested(entry: Entry) -> list[str]:
    """What of an entry no test here can show, with the reason."""
    if entry.is_gone:
        return []
    found = []
    if exists_on(entry, "6.18") is False:
        return [f"everything: only since {entry.project} {entry.since}"]
    if entry.scope is not Scope.NAMESPACE or not entry.id.startswith("net."):
        tuned = plain(entry.default) and entry.default and entry.scope is not Scope.IPC
        found += ["default: the machine may be tuned"] if tuned else []
        found += ["range: not ours to write"] if bounds(entry) else []
    elif entry.default and not plain(entry.default):
        found.append("default: depends on the machine")
    elif entry.id in COPIED:
        found.append("default: copied from the first namespace")
    if entry.range and not bounds(entry) and entry.id not in READS_BACK:
        found.append("range: in words")
    return [*found, *why_no_effect(entry)]


def why_no_effect(entry: Entry) -> list[str]:
    """Why no test shows what a change does."""
    if entry.kind is Kind.COUNTER or entry.id in OWN_TEST:
        return []
    if entry.scope is Scope.NAMESPACE and entry.id.startswith("net."):
        why = why_not_shown(entry.id)
        return [f"effect: {why}"] if why else []
    if entry.takes_effect is Effect.NEVER:
        return ["effect: nothing reads it"]
    return ["effect: not ours to write"] if entry.scope is not Scope.NAMESPACE_FIXED else []


def test_what_is_not_tested_is_listed_with_its_reason(golden):
    lines = [f"{each.id}: {'; '.join(why_untested(each))}" for each in SYSCTLS if why_untested(each)]
    golden("untested-settings.txt", "\n".join(lines) + "\n")


def test_effects_that_are_not_shown_are_named_once_and_exist():
    names = set(entries())
    assert OWN_TEST | set(SOCKET_SAYS) | set(READS_BACK) <= names
    assert not OWN_TEST & set(SOCKET_SAYS)
    assert all(any(name.startswith(start) for name in names) for start in NOT_SHOWN)


pytestmark = pytest.mark.netns


@pytest.fixture(scope="module")
def child():
    """What a fresh network namespace says and takes."""
    wanted = {
        "read": [each.id for each in SYSCTLS],
        "write": {
            each.id: list(bounds(each))
            for each in OF_NAMESPACES
            if each.id.startswith("net.") and bounds(each)
        },
    }
    script = Path(__file__).with_name("kernel_child.py")
    done = subprocess.run(["unshare", "--net", sys.executable, str(script)], input=json.dumps(wanted).encode(),
                          capture_output=True, check=False, timeout=60)  # fmt: skip
    if done.returncode:
        pytest.skip(f"no network namespace of our own: {done.stderr.decode()[-200:]}")
    return json.loads(done.stdout)


def here(name: str) -> str | None:
    """The value in this process's namespace; None where there is no such file."""
    try:
        return " ".join(Path("/proc/sys/" + name.replace(".", "/")).read_text().split())
    except OSError:
        return None


BEFORE = {each.id: here(each.id) for each in SYSCTLS}
IN_FIRST = here("net.core.netdev_max_backlog") is not None
HAS_CONNTRACK = here("net.netfilter.nf_conntrack_count") is not None


def loaded(entry: Entry) -> None:
    """Skip where the entry's feature isn't in this kernel."""
    if entry.id.startswith("net.netfilter.") and not HAS_CONNTRACK:
        pytest.skip("nf_conntrack is not loaded")
    if entry.id.startswith("net.ipv6.") and not os.path.exists("/proc/sys/net/ipv6"):
        pytest.skip("no IPv6 in this kernel")


@pytest.mark.parametrize("entry", SYSCTLS, ids=lambda entry: entry.id)
def test_it_exists_where_the_catalogue_says_so(entry, child):
    there = exists_on(entry, RELEASE)
    found = child["values"][entry.id] is not None or here(entry.id) is not None
    if entry.is_gone:
        assert not found
    elif there:
        loaded(entry)
        assert found or not IN_FIRST
    else:
        assert not found, f"{RELEASE} has it already"


@pytest.mark.parametrize("entry", PRESENT, ids=lambda entry: entry.id)
def test_its_scope_is_what_the_kernel_makes_of_it(entry, child):
    loaded(entry)
    mode = child["modes"].get(entry.id)
    if not entry.id.startswith("net."):
        assert entry.scope in (Scope.MACHINE, Scope.USER, Scope.PID, Scope.IPC)
    elif entry.scope is Scope.NAMESPACE:
        assert mode is not None, "a namespace of its own has none"
        assert mode & 0o222 or entry.kind is Kind.COUNTER, "read-only there"
    elif entry.scope is Scope.MACHINE:
        assert mode is None, "a namespace of its own has one too"
    else:
        assert mode is not None
        assert not mode & 0o222, "may be written there"


@pytest.mark.parametrize("entry", PRESENT, ids=lambda entry: entry.id)
def test_its_value_has_the_form_that_the_catalogue_says(entry, child):
    value = child["values"][entry.id]
    value = here(entry.id) if value is None else value
    loaded(entry)
    if value is None:
        assert not IN_FIRST
        pytest.skip("of the first network namespace, which this is not")
    if entry.type is Type.INTEGER:
        assert value.lstrip("-").isdigit()
    elif entry.type is Type.INTEGERS:
        assert len(value.split()) > 1
        assert all(part.lstrip("-").isdigit() for part in value.split())
    elif entry.type is Type.MASK:
        assert set(value) <= set("0123456789abcdef,")
    elif entry.type is Type.PORTS:
        assert set(value) <= set("0123456789,-")


DEFAULTS = [
    each for each in OF_NAMESPACES
    if each.id.startswith("net.") and each.kind is Kind.SYSCTL and plain(each.default) and each.id not in COPIED
]  # fmt: skip


@pytest.mark.parametrize("entry", DEFAULTS, ids=lambda entry: entry.id)
def test_a_new_namespace_starts_with_the_default(entry, child):
    loaded(entry)
    value = child["values"][entry.id]
    assert value == " ".join(default_on(entry, RELEASE).split())


@pytest.mark.parametrize(
    "entry",
    [each for each in OF_NAMESPACES if each.id.startswith("net.") and bounds(each)],
    ids=lambda entry: entry.id,
)
def test_it_takes_what_is_in_range_and_refuses_what_is_not(entry, child):
    loaded(entry)
    for value, takes in bounds(entry).items():
        back = child["taken"][entry.id][value]
        if not takes:
            assert back is None, f"took {value} as {back}"
        else:
            assert back == value, f"{value} reads back as {back}"


class TestWhenAChangeTakesEffect:
    def test_somaxconn_counts_at_the_next_listen(self):
        # tcpi_sacked of a listener is its backlog
        assert (
            inside("""
put("net.core.somaxconn", "50")
s = socket.socket(); s.bind(("127.0.0.1", 5060)); s.listen(1000)
first = backlog(s)
put("net.core.somaxconn", "500")
second = backlog(s)
s.listen(1000)
print(first, second, backlog(s))
""")
            == "50 50 500"
        )

    def test_accepted_connections_have_the_receive_buffer_of_their_listener(self):
        assert (
            inside("""
put("net.ipv4.tcp_rmem", "4096 20000 300000")
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
put("net.ipv4.tcp_rmem", "4096 40000 300000")
c = socket.create_connection(s.getsockname()); a, _ = s.accept()
print(a.getsockopt(1, 8) < 40000, socket.socket().getsockopt(1, 8))
""")
            == "True 40000"
        )

    def test_the_port_range_counts_at_the_next_connect(self):
        assert inside("""
put("net.ipv4.ip_local_port_range", "40000 40001")
s = socket.socket(); s.bind(("127.0.0.1", 5060)); s.listen()
held = [socket.create_connection(("127.0.0.1", 5060)) for _ in range(2)]
try: socket.create_connection(("127.0.0.1", 5060))
except OSError as error: print(error.errno)
put("net.ipv4.ip_local_port_range", "40000 40003")
print(socket.create_connection(("127.0.0.1", 5060)).getsockname()[1] >= 40002)
""").split() == ["99", "True"]

    def test_a_table_of_its_own_counts_for_namespaces_made_afterwards(self):
        if here("net.ipv4.tcp_child_ehash_entries") is None:
            pytest.skip("not in this release")
        read = "cat /proc/sys/net/ipv4/tcp_ehash_entries /proc/sys/net/ipv4/tcp_max_tw_buckets"
        assert inside(f"""
put("net.ipv4.tcp_child_ehash_entries", "4096")
print(int(get("net.ipv4.tcp_ehash_entries")) < 0)
print(subprocess.run(["unshare", "--net", "sh", "-c", {read!r}], capture_output=True).stdout.decode())
""").split() == ["True", "4096", "2048"]

    def test_max_syn_backlog_bounds_nothing_while_cookies_are_on(self):
        assert (
            inside("""
put("net.ipv4.tcp_max_syn_backlog", "1")
s = socket.socket(); s.bind(("127.0.0.1", 5060)); s.listen(100)
print(len([socket.create_connection(("127.0.0.1", 5060), 5) for _ in range(50)]))
""")
            == "50"
        )


def test_the_first_namespace_was_left_alone(child):
    """Everything above wrote into namespaces of its own only."""
    moving = {"fs.file-nr", "fs.inode-state", "fs.dentry-state", "net.netfilter.nf_conntrack_count"}
    assert {name: here(name) for name in BEFORE if name not in moving} == {
        name: value for name, value in BEFORE.items() if name not in moving
    }
