"""Writes the generated files below docs/, or with --check says which of them are stale (exit 1).

    docs/check.schema.json         JSON Schema of `kamtcp check --json`
    docs/calibrate.schema.json     of `kamtcp calibrate --json`
    docs/load.schema.json          of `kamtcp load --json`
    docs/plan.schema.json          of `kamtcp plan --format json`
    docs/explain.schema.json       of `kamtcp explain --json`; explain-list.schema.json of its --list
    docs/reference/ceilings.md     a row for each ceiling that DESIGN names, and what it is on the reference set-up
    docs/reference/findings.md     every finding code
    docs/reference/...             a page for each setting, ceiling and finding, and indexes (reference_pages.py)

The reference set-up is a recording of a real Kamailio (tests/data/make_reference.py), judged here and now: the same
recording, the same code, the same bytes.
"""

from __future__ import annotations

import functools
import json
import sys
from pathlib import Path

import msgspec
from msgspec import Struct

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(Path(__file__).parent)]

import reference_pages  # noqa: E402

from kamtcp.capacity.catalogue import BY_NAME  # noqa: E402
from kamtcp.capacity.ceiling import Ceiling  # noqa: E402
from kamtcp.capacity.timer import Timer  # noqa: E402
from kamtcp.cli import calibrate_text, explain_document, load_document, plan_document  # noqa: E402
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
    Named("WebSocket pings", ("websocket-ping", "websocket-dead")),
    Named("keepalive as the listeners really have it", ("tcp-probe", "tcp-keepalive")),
    Named("connection lifetime by transport", ("tcp-lifetime", "tcp-silent", "tls-lifetime")),
    Named("message timeouts of 5.7.3+", ("message-data", "message-read")),
    Named("retransmission timeouts", ("retransmission",)),
    Named("connections closed towards a dead peer", ("orphan", "fin-wait-2")),
    Named("handshakes without an answer", ("syn-ack", "syn", "connect")),
    Named("conntrack timeouts", ("conntrack",)),
    Named("NAT timeouts", why="they are those of routers between the phones and this host, which nothing on this host"
          " shows: a row for each that `middle` of the target names"),
)  # fmt: skip


@functools.cache
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
            named.words, f"[`{name}`](ceilings/{name}.md)", entry.spec.effect.value, question, _state(row(name, verdict)),
            ", ".join(reference_pages.setting_link(each, "") for each in entry.spec.raised_by), entry.spec.source,
        ))  # fmt: skip
    return found


def _state(found: Row) -> str:
    return found.said if found.state == "computed" else f"{found.state}: {found.said}"


def _cells(*cells: str) -> str:
    return "| " + " | ".join(map(reference_pages.cell, cells)) + " |"


def findings_page() -> str:
    """docs/reference/findings.md."""
    lines = [
        "# Findings", "",
        "Made by `make docs` from `src/kamtcp/diagnose/codes.py`; don't edit. A code is never used for anything else.", "",
        "| code | name | severity | what is wrong | source |", "|---|---|---|---|---|",
    ]  # fmt: skip
    lines += [
        _cells(
            f"[{each.code}](findings/{each.code}.md)",
            f"`{each.name}`",
            each.severity.value,
            each.meaning,
            each.source,
        )
        for each in sorted(CODES, key=lambda each: each.code)
    ]
    return "\n".join(lines) + "\n"


SCHEMAS = {
    "docs/check.schema.json": (SCHEMA, "kamtcp check --json", Document),
    "docs/calibrate.schema.json": (calibrate_text.SCHEMA, "kamtcp calibrate --json", calibrate_text.Document),
    "docs/load.schema.json": (load_document.SCHEMA, "kamtcp load --json", load_document.Document),
    "docs/plan.schema.json": (plan_document.SCHEMA, "kamtcp plan --format json", plan_document.Document),
    "docs/explain.schema.json": (explain_document.SCHEMA, "kamtcp explain --json", explain_document.Document),
    "docs/explain-list.schema.json": (
        explain_document.LIST_SCHEMA, "kamtcp explain --list --json", explain_document.ListDocument,
    ),
}  # fmt: skip


def schema(name: str, command: str, shape: type[Struct]) -> str:
    """JSON Schema of what a command prints."""
    found = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{name}: what `{command}` prints",
        **msgspec.json.schema(shape),
    }
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def pages() -> dict[str, str]:
    """All generated files, by their path below the root."""
    verdict = reference()
    seen = {name: _state(row(name, verdict)) for name in BY_NAME}
    return {
        **{name: schema(*each) for name, each in SCHEMAS.items()},
        **reference_pages.pages(seen, verdict.findings),
        "docs/reference/ceilings.md": ceilings_page(),
        "docs/reference/findings.md": findings_page(),
    }


def left_over(wanted: dict[str, str]) -> list[str]:
    """Files of the reference that nothing makes any more."""
    there = (ROOT / reference_pages.FOLDER).rglob("*.md")
    return sorted(name for each in there if (name := str(each.relative_to(ROOT))) not in wanted)


def main(arguments: list[str]) -> int:
    """Write all pages and remove those that are no more; with --check do neither, name them."""
    wanted, check = pages(), "--check" in arguments
    stale = [name for name, text in wanted.items() if _text(ROOT / name) != text]
    gone = left_over(wanted)
    if check and (stale or gone):
        print(f"stale, run `make docs`: {_shown([*stale, *gone])}")
        return 1
    for name in stale:
        (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / name).write_text(wanted[name], encoding="utf-8")
    for name in gone:
        (ROOT / name).unlink()
    print(f"renewed: {_shown([*stale, *gone])}" if stale or gone else "nothing to renew")
    return 0


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _shown(names: list[str]) -> str:
    most = 8
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
