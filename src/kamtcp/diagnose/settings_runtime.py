"""What was changed while Kamailio runs, and what of it counts: now, for inbound connections, after the next start."""

from __future__ import annotations

from collections.abc import Iterator

from kamtcp.capacity import reference
from kamtcp.capacity.ladder import Ladder
from kamtcp.capacity.situation import Situation
from kamtcp.diagnose.codes import BY_CODE
from kamtcp.diagnose.finding import Cure, finding, no_cure
from kamtcp.diagnose.restart import cost
from kamtcp.diagnose.rule import Rule, Said, lacking
from kamtcp.diagnose.see import kamcmd, quoted
from kamtcp.model.absent import Absent, Why
from kamtcp.model.instance import Parameter

#: settable at run time, and back to the file's value with the next start
SETTABLE = (
    "tcp_max_connections", "tls_max_connections", "tcp_connection_lifetime", "tcp_connect_timeout", "tcp_send_timeout",
    "tcp_conn_wq_max", "tcp_wq_max", "tcp_crlf_ping", "tcp_delayed_ack", "tcp_no_connect", "tcp_rd_buf_size", "tcp_wait_data",
)  # fmt: skip
#: configured once on each listener; what is accepted from it takes them over
OF_LISTENERS = ("tcp_linger2", "tcp_syncnt", "tcp_reuse_port")
#: since then tcp_send_timeout is also TCP_USER_TIMEOUT of the listeners: Kamailio pull request 3528
USER_TIMEOUT_SINCE = (5, 8)
ASKED = ("cfg.get tcp", "core.tcp_options", "core.tcp_info", "tls.options")
#: file's name, in force, option of the command line
BY_OPTION = (
    ("shm_mem_size", "shm_megabytes", "-m"),
    ("tcp_children", "tcp_children", "-N or -n"),
    ("tcp_poll_method", "tcp_poll_method", "-W"),
)


def _main(s: Situation) -> str:
    main = s.tcp_main
    return "PID" if isinstance(main, Absent) else str(main.pid)


def _config(s: Situation) -> str:
    return s.require().config_path or "kamailio.cfg"


def _differing(s: Situation, names: tuple[str, ...]) -> Iterator[tuple[str, Parameter, Parameter]]:
    """Parameters whose value over RPC is another than the file's; -1 and less stand for a default there."""
    for name in names:
        now, filed = s.require().parameters.get(name), s.require().parameters.get(f"{name}_file")
        if now is None or filed is None or now.where not in ASKED:
            continue
        if (
            isinstance(now.value, int)
            and isinstance(filed.value, int)
            and filed.value >= 0
            and now.value != filed.value
        ):
            yield name, now, filed


def not_kept(s: Situation, ladder: Ladder) -> Said:
    """Values set over RPC that the next start takes back."""
    changed = s.require().config_changed_since_start
    if isinstance(changed, Absent) or changed:
        yield from lacking(changed)
        return
    found = list(_differing(s, SETTABLE))
    if found:
        said = ", ".join(
            f"{name} is {now.value} by RPC, {filed.value} in the file ({filed.where})"
            for name, now, filed in found
        )
        yield finding(
            BY_CODE["CFG022"],
            f"{said}: the next start takes the file's",
            f"{kamcmd(s)} core.tcp_options; {kamcmd(s)} cfg.get tcp",
            no_cure("it is in force"),
            Cure(f"{', '.join(f'{name}={now.value}' for name, now, _ in found)} in {_config(s)}, if that is what is wanted"),
            places=tuple(filed.where for _, _, filed in found if ":" in filed.where),
        )  # fmt: skip


def file_is_newer(s: Situation, ladder: Ladder) -> Said:
    """The file was changed after the start, and says otherwise."""
    changed = s.require().config_changed_since_start
    if isinstance(changed, Absent) or not changed:
        yield from lacking(changed)
        return
    found = list(_differing(s, SETTABLE))
    if found:
        said = ", ".join(f"{name} {now.value} -> {filed.value} ({filed.where})" for name, now, filed in found)
        yield finding(
            BY_CODE["CFG025"],
            f"{_config(s)} was changed after Kamailio started, and is not what runs; the next start brings {said}",
            f"ls -l --time-style=full-iso {quoted(_config(s))}; ps -o lstart= -p {s.require().attendant}; {kamcmd(s)} core.tcp_options",
            no_cure("a file is read at start only; what may be set at run time, cfg.set_now_int sets"),
            Cure(f"kamailio -c -f {quoted(_config(s))} first, then a restart when connections are few", risk=cost(s, ladder)),
            places=tuple(filed.where for _, _, filed in found if ":" in filed.where),
        )  # fmt: skip


def overruled(s: Situation, ladder: Ladder) -> Said:
    """Lines of the file that an option of the command line goes before."""
    for name, in_force, option in BY_OPTION:
        filed, now = s.parameter(f"{name}_file"), s.parameter(in_force)
        if isinstance(filed, Absent) or isinstance(now, Absent):
            yield from lacking(filed, None if isinstance(filed, Absent) else now)
            continue
        if not now.where.startswith("command line") or str(now.value) == str(filed.value):
            continue
        yield finding(
            BY_CODE["CFG023"],
            f"{filed.where} sets {name}={filed.value}, which has no effect: {now.where} goes before it",
            f"tr '\\0' ' ' </proc/{s.require().attendant}/cmdline; grep -n {name} {quoted(_config(s))}",
            no_cure("chosen at start"),
            Cure(f"one of the two: without {option} on the command line (/etc/default/kamailio, or ExecStart= of its unit) the file"
                 " counts; takes a restart", risk=cost(s, ladder)),
            places=(filed.where,),
        )  # fmt: skip


def raise_clamped(s: Situation, ladder: Ladder) -> Said:
    """A limit raised over RPC above that of the start: answered with success, and not done."""
    log = s.require().log
    if s.require().foreseen is not None:
        return  # not started
    if isinstance(log, Absent):
        yield log
        return
    line = next((each for each in log if each.key == "hard-limit-kept"), None)
    if line is None:
        return
    hard = s.number("tcp_max_connections_hard")
    kept = "" if isinstance(hard, Absent) else f": it stays at {hard:,}"
    yield finding(
        BY_CODE["CFG024"],
        f"the log says so {line.count} times: a limit was to be raised above what it was at start, which is answered with success and"
        f" not done{kept}",
        f"grep -n 'cannot override hard' {quoted(s.require().log_source)}; {kamcmd(s)} core.tcp_info; {kamcmd(s)} core.tcp_options",
        no_cure("the tables were sized at start"),
        Cure(f"the higher value in {_config(s)}, with descriptors and memory for it; takes a restart", risk=cost(s, ladder)),
    )  # fmt: skip


def not_on_listeners(s: Situation, ladder: Ladder) -> Said:
    """Options of listeners that were changed at run time."""
    instance = s.require()
    if isinstance(instance.config_changed_since_start, Absent) or instance.config_changed_since_start:
        if instance.config_changed_since_start is True:
            yield Absent(_config(s), Why.NOT_VISIBLE, "changed since Kamailio started")
        yield from lacking(instance.config_changed_since_start)
        return
    version = instance.version
    timed = not isinstance(version, Absent) and reference.version_tuple(version) >= USER_TIMEOUT_SINCE
    found = list(_differing(s, (*OF_LISTENERS, *(("tcp_send_timeout",) if timed else ()))))
    if found:
        said = "; ".join(
            f"{name} is {now.value} by RPC, {filed.value} on the listeners ({filed.where})"
            for name, now, filed in found
        )
        yield finding(
            BY_CODE["ACC005"],
            f"{said}: inbound connections take the listener's, which was configured at start",
            f"{kamcmd(s)} cfg.get tcp; {kamcmd(s)} core.tcp_options",
            no_cure("run-time changes reach outbound connections only"),
            Cure(f"the wanted value in {_config(s)}; takes a restart", risk=cost(s, ladder)),
        )  # fmt: skip


def old_worker_sockets(s: Situation, ladder: Ladder) -> Said:
    """wmem_default raised after the sockets to the workers were made."""
    sizes, now = s.require().handoff_sndbufs, s.sysctl("net.core.wmem_default")
    if s.require().foreseen is not None:
        return  # not started
    if isinstance(sizes, Absent) or isinstance(now, Absent) or not sizes:
        yield from lacking(sizes, now)
        return
    if min(sizes) >= now:
        return
    each, buffer = s.machine.handoff_messages, s.machine.handoff_sndbuf
    takes = (
        f", about {each * min(sizes) // buffer:,} connections each"
        if isinstance(each, int) and isinstance(buffer, int) and buffer
        else ""
    )
    yield finding(
        BY_CODE["ACC006"],
        f"net.core.wmem_default={now:,}, but the sockets from tcp main to its workers were made with {min(sizes):,}{takes}: they keep it",
        f"sysctl net.core.wmem_default; ss -xmp | grep -A1 pid={_main(s)}",
        no_cure("a socket keeps the buffer that it was made with"),
        Cure("restart Kamailio when connections are few", risk=cost(s, ladder)),
    )  # fmt: skip


RULES = (
    Rule(("CFG022",), not_kept),
    Rule(("CFG025",), file_is_newer),
    Rule(("CFG023",), overruled),
    Rule(("CFG024",), raise_clamped),
    Rule(("ACC005",), not_on_listeners),
    Rule(("ACC006",), old_worker_sockets),
)
