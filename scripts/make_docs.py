"""Writes the generated files below docs/, or with --check says which of them are stale (exit 1).

    docs/check.schema.json         JSON Schema of `kamtcp check --json`
    docs/reference/ceilings.md     a row for each ceiling that DESIGN names, and what it is on the reference set-up
    docs/reference/findings.md     every finding code

The reference set-up is a recording of a real Kamailio (tests/data/make_reference.py), judged here and now: the same
recording, the same code, the same bytes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec
from msgspec import Struct

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))

from kamtcp.capacity.catalogue import BY_NAME  # noqa: E402
from kamtcp.capacity.ceiling import Ceiling  # noqa: E402
from kamtcp.capacity.timer import Timer  # noqa: E402
from kamtcp.cli.document import SCHEMA, Document  # noqa: E402
from kamtcp.diagnose.codes import ALL as CODES  # noqa: E402
from kamtcp.diagnose.verdict import Verdict, judge  # noqa: E402
from kamtcp.model.absent import Absent, Unlimited  # noqa: E402
from kamtcp.model.target import Target  # noqa: E402
from kamtcp.record.archive import load  # noqa: E402
from kamtcp.record.recorded import samples  # noqa: E402
from kamtcp.survey.take import take  # noqa: E402

REFERENCE = ROOT / "tests/data/reference.kamtcp"
TARGET = Target(
    connections=20_000, tls=5000, ws=1000, wss=2000, rate=500, storm=20_000, storm_seconds=60,
    outbound={"192.0.2.9:5060": 2000}, registration_seconds=3600, keepalive_seconds=120, clients_per_source=200,
)  # fmt: skip


class Named(Struct, frozen=True):
    """One ceiling as DESIGN section 6 names it.

    Args:
        words: DESIGN's words. by: names of ceilings or timers that compute it; none where `why` says why not.
    """

    words: str
    by: tuple[str, ...] = ()
    why: str = ""


HELD = (
    Named("`tcp_max_connections`", ("tcp-max-connections",)),
    Named("`tls_max_connections`", ("tls-max-connections",)),
    Named("per-source cap (5.7.3+)", ("per-source-limit",)),
    Named("descriptors of each Kamailio process", ("tcp-main-descriptors", "worker-descriptors")),
    Named("its descriptor table", ("descriptor-table",)),
    Named("`fs.nr_open`", ("nr-open",)),
    Named("`fs.file-max`", ("file-max",)),
    Named("Kamailio shared memory / price per transport", ("shared-memory",)),
    Named("TLS low-memory guard", ("tls-memory-guard",)),
    Named("private memory", ("private-memory",)),
    Named("kernel memory at a stated active share", ("kernel-memory",)),
    Named("`tcp_mem`", ("tcp-mem",)),
    Named("cgroup memory", ("cgroup-memory",)),
    Named("cgroup pids", ("cgroup-pids",)),
    Named("`epoll` watches", ("epoll-watches",)),
    Named("conntrack table", ("conntrack-table",)),
    Named("orphans on mass close", ("orphans",)),
    Named("ephemeral ports per outbound destination", ("ephemeral-ports",)),
    Named("the cost cliff at half the range", ("ephemeral-ports-half",)),
    Named("hash chains", ("hash-chains",)),
)
RATE = (
    Named("accept queue against burst", ("accept-queue",)),
    Named("accept rate", ("accept-rate",)),
    Named("the hand-off burst", ("hand-off",)),
    Named("the per-source scan", ("per-source-scan",)),
    Named("SYN queue and cookies", ("syn-queue",)),
    Named("TIME_WAIT buckets", ("time-wait-buckets",)),
    Named("conntrack churn", ("conntrack-churn",)),
    Named("outbound ports / TIME_WAIT", ("ephemeral-ports-rate",)),
    Named("softirq backlog", ("packet-backlog",)),
    Named("softirq budget", why="netdev_budget bounds packets per round, not per second: exceeding it only shows as"
          " time_squeeze in /proc/net/softnet_stat, which is a symptom to watch and no number of connections"),
    Named("TLS handshakes per core", ("tls-handshakes",)),
)  # fmt: skip
TIME = (
    Named("registration expiry", ("registration",)),
    Named("CRLF pings", ("crlf-ping",)),
    Named("WebSocket pings", ("websocket-ping",)),
    Named("keepalive as the listeners really have it", ("tcp-keepalive",)),
    Named("connection lifetime by transport", ("tcp-lifetime", "tls-lifetime")),
    Named("message timeouts of 5.7.3+", ("message-data", "message-read")),
    Named("retransmission timeouts", ("retransmission",)),
    Named("conntrack timeouts", ("conntrack",)),
    Named("NAT timeouts", why="they are those of routers between the phones and this host, which nothing on this host"
          " shows; what counts is that phones ping more often (state it: keepalive_seconds of the target)"),
)  # fmt: skip


def reference() -> Verdict:
    """The reference set-up, judged against TARGET."""
    snapshot = take(samples(load(REFERENCE))[0])
    return judge(snapshot, snapshot.instances[0], TARGET)


class Row(Struct, frozen=True):
    """What the reference set-up says to one name: a number, no limit, not running, or why not.

    Args:
        state: "computed", "no limit", "not running" or "why not".
    """

    name: str
    state: str
    said: str


def row(name: str, verdict: Verdict) -> Row:
    """The row of one ceiling or timer."""
    ceilings = {each.name: each for each in verdict.ladder.all}
    timers = {each.name: each for each in verdict.ladder.timers}
    return _ceiling(ceilings[name]) if name in ceilings else _timer(timers[name])


def _ceiling(ceiling: Ceiling) -> Row:
    if isinstance(ceiling.limit, Absent):
        return Row(ceiling.name, "why not", str(ceiling.limit))
    if isinstance(ceiling.limit, Unlimited):
        return Row(ceiling.name, "no limit", ceiling.working)
    return Row(
        ceiling.name,
        "computed",
        f"**{ceiling.limit:,}** {ceiling.unit} = {ceiling.working}; {ceiling.origin.value}",
    )


def _timer(timer: Timer) -> Row:
    if isinstance(timer.seconds, Absent):
        return Row(timer.name, "why not", str(timer.seconds))
    if timer.seconds is None:
        return Row(timer.name, "not running", timer.working)
    return Row(timer.name, "computed", f"**{timer.seconds:,g} s**: {timer.does} ({timer.working})")


def ceilings_page() -> str:
    """docs/reference/ceilings.md."""
    verdict = reference()
    lines = [
        "# Ceilings", "",
        "Made by `make docs` from `src/kamtcp/capacity/` and a recording of the reference set-up; don't edit.", "",
        "The reference set-up: Debian 12's Kamailio 5.6.3 with TCP, TLS and WebSocket, `-m 64 -M 8`, systemd's soft limit of",
        "1,024 descriptors, no connection yet; judged for 20,000 connections (5,000 TLS, 1,000 WS, 2,000 WSS), 500 new a second,",
        "a storm of 20,000 in a minute and 2,000 connections to one proxy.", "",
        "*Effect*: `stops` refuses connections; `slows` delays them; `loses protection` and `hurts others` never refuse one. Only",
        "`stops` can be binding for held connections, for new ones also `slows`.", "",
    ]  # fmt: skip
    for title, names in (("Held connections", HELD), ("New connections", RATE)):
        lines += [f"## {title}", "", "| ceiling | name | effect | question | on the reference set-up | raised by | source |",
                  "|---|---|---|---|---|---|---|"]  # fmt: skip
        lines += [line for named in names for line in _ceiling_rows(named, verdict)] + [""]
    lines += ["## Time: who closes first", "", "| timer | name | on the reference set-up |", "|---|---|---|"]
    for named in TIME:
        if named.why:
            lines.append(f"| {named.words} |  | not computed: {named.why} |")
        for name in named.by:
            found = row(name, verdict)
            lines.append(_cells(named.words, f"`{name}`", _state(found)))
    return "\n".join(lines) + "\n"


def _ceiling_rows(named: Named, verdict: Verdict) -> list[str]:
    if named.why:
        return [_cells(named.words, "", "", "", f"not computed: {named.why}", "", "")]
    found = []
    for name in named.by:
        entry = BY_NAME[name]
        question = (entry.compute.__doc__ or "").strip().split("\n\n")[0]
        found.append(_cells(
            named.words, f"`{name}`", entry.spec.effect.value, question, _state(row(name, verdict)),
            ", ".join(f"`{each}`" for each in entry.spec.raised_by), entry.spec.source,
        ))  # fmt: skip
    return found


def _state(found: Row) -> str:
    return found.said if found.state == "computed" else f"{found.state}: {found.said}"


def _cells(*cells: str) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def findings_page() -> str:
    """docs/reference/findings.md."""
    lines = [
        "# Findings", "",
        "Made by `make docs` from `src/kamtcp/diagnose/codes.py`; don't edit. A code is never used for anything else.", "",
        "| code | name | severity | what is wrong | source |", "|---|---|---|---|---|",
    ]  # fmt: skip
    lines += [
        _cells(each.code, f"`{each.name}`", each.severity.value, each.meaning, each.source)
        for each in sorted(CODES, key=lambda each: each.code)
    ]
    return "\n".join(lines) + "\n"


def schema() -> str:
    """docs/check.schema.json."""
    found = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{SCHEMA}: what `kamtcp check --json` prints",
        **msgspec.json.schema(Document),
    }
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


PAGES = {
    "docs/check.schema.json": schema,
    "docs/reference/ceilings.md": ceilings_page,
    "docs/reference/findings.md": findings_page,
}


def main(arguments: list[str]) -> int:
    """Write all pages; with --check write none, name the stale ones."""
    stale = []
    for name, make in PAGES.items():
        path, text = ROOT / name, make()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if "--check" in arguments and stale:
        print(f"stale, run `make docs`: {', '.join(stale)}")
        return 1
    print("nothing to renew" if not stale else f"renewed: {', '.join(stale)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
