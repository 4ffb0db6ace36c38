"""Rules that stop a server, crash it, or keep its next start from succeeding."""

from __future__ import annotations

from kamtcp.capacity import reference
from kamtcp.capacity.ladder import Ladder
from kamtcp.capacity.situation import Situation
from kamtcp.diagnose.codes import BY_CODE
from kamtcp.diagnose.cures import lasting_descriptors
from kamtcp.diagnose.finding import Cure, finding, no_cure
from kamtcp.diagnose.places import lines_of
from kamtcp.diagnose.prlimit import CAP_SYS_RESOURCE, raise_descriptors
from kamtcp.diagnose.restart import cost
from kamtcp.diagnose.rule import Rule, Said, lacking
from kamtcp.diagnose.see import kamcmd, line_for
from kamtcp.model.absent import Absent, Unlimited, Why
from kamtcp.model.instance import Process


def _version(s: Situation) -> tuple[int, ...] | None:
    version = s.require().version
    return None if isinstance(version, Absent) else reference.version_tuple(version)


def _needed(s: Situation) -> int | Absent:
    """Descriptors that tcp_max_connections promises: the promise itself and five for each process."""
    limit = s.number("tcp_max_connections")
    return limit if isinstance(limit, Absent) else limit + 5 * s.require().process_count


def descriptors_below_max(s: Situation, ladder: Ladder) -> Said:
    """RLIMIT_NOFILE of tcp main below tcp_max_connections + 5 x processes."""
    main, need = s.tcp_main, _needed(s)
    if isinstance(main, Absent) or isinstance(need, Absent):
        yield from lacking(main, need)
        return
    soft = main.nofile_soft
    if isinstance(soft, Absent | Unlimited) or soft >= need:
        yield from lacking(soft)
        return
    limit = s.number("tcp_max_connections")
    held = next((each.limit for each in ladder.held if each.name == "tcp-main-descriptors"), None)
    at = f" at {held:,} connections" if isinstance(held, int) else ""
    yield finding(
        BY_CODE["FDS001"],
        f"tcp main may open {soft:,} files but tcp_max_connections is {limit:,} (needs {need:,}):{at} the accept loop"
        " spins and fills the log disk (27 MB/s seen)",
        line_for("tcp-main-descriptors", s),
        raise_descriptors(s, need + 64), lasting_descriptors(need + 64, s, ladder),
    )  # fmt: skip


def worker_below_main(s: Situation, ladder: Ladder) -> Said:
    """A worker's RLIMIT_NOFILE below tcp main's: what a half-done prlimit leaves behind."""
    main = s.tcp_main
    if isinstance(main, Absent) or not isinstance(main.nofile_soft, int):
        yield from lacking(main if isinstance(main, Absent) else main.nofile_soft)
        return
    yield from dict.fromkeys(lacking(*(w.nofile_soft for w in s.workers)))
    short = [w for w in s.workers if isinstance(w.nofile_soft, int) and w.nofile_soft < main.nofile_soft]
    if short:
        yield finding(
            BY_CODE["FDS002"],
            f"{len(short)} of {len(s.workers)} workers may open {_lowest(short):,} files, tcp main {main.nofile_soft:,}",
            line_for("worker-descriptors", s),
            raise_descriptors(s, main.nofile_soft), lasting_descriptors(main.nofile_soft, s, ladder),
        )  # fmt: skip


def _lowest(processes: list[Process]) -> int:
    return min(each.nofile_soft for each in processes if isinstance(each.nofile_soft, int))


def open_files_limit_above_hard(s: Situation, ladder: Ladder) -> Said:
    """open_files_limit above the hard limit, in a process that may not raise it."""
    wanted, main = s.number("open_files_limit"), s.tcp_main
    if isinstance(wanted, Absent) or isinstance(main, Absent) or not isinstance(main.nofile_hard, int):
        yield from lacking(wanted, main, None if isinstance(main, Absent) else main.nofile_hard)
        return
    highest = s.sysctl("fs.nr_open")
    if wanted <= main.nofile_hard:
        return
    privileged = _starts_with_privilege(s, main)
    beyond = isinstance(highest, int) and wanted > highest
    if isinstance(privileged, Absent) and not beyond:
        yield privileged
        return
    if beyond or not privileged:
        where = s.require().parameters["open_files_limit"].where
        who = (
            f"nobody may raise it beyond fs.nr_open={highest:,}"
            if beyond
            else f"{main.label} may not raise it"
        )
        yield finding(
            BY_CODE["FDS003"],
            f"open_files_limit={wanted:,} ({where}) is above the hard limit of {main.nofile_hard:,}, and {who}: the next start is"
            " aborted",
            line_for("tcp-main-descriptors", s),
            no_cure("nothing is wrong with the running process; don't restart it before this is mended"),
            Cure(f"open_files_limit at most {main.nofile_hard:,}, or a higher hard limit (LimitNOFILE)"),
            places=lines_of(s, "open_files_limit"),
        )  # fmt: skip


def _starts_with_privilege(s: Situation, main: Process) -> bool | Absent:
    """Whether Kamailio has CAP_SYS_RESOURCE when it raises its limit: started as root it does so before it becomes
    its user (Kamailio src/main.c: increase_open_fds() before main_loop() calls do_suid()).
    """
    bit = 1 << CAP_SYS_RESOURCE
    if isinstance(main.capabilities, int) and main.capabilities & bit:
        return True
    user, unit = s.parameter("user"), s.require().unit
    if isinstance(user, Absent) or (not isinstance(unit, Absent) and unit.user):
        return False  # it was the user that it is from the start
    if isinstance(main.bounding, int) and not main.bounding & bit:
        return False  # a container's root without it
    if isinstance(unit, Absent):
        return Absent(
            "how Kamailio is started",
            Why.NOT_VISIBLE,
            f"as root, before it became {user.value}, or as that user",
        )
    return True


def descriptor_beyond_table(s: Situation, ladder: Ladder) -> Said:
    """The highest descriptor number of tcp main close to the end of its table."""
    main, need = s.tcp_main, _needed(s)
    if isinstance(main, Absent) or isinstance(need, Absent) or isinstance(main.highest_descriptor, Absent):
        yield from lacking(main, need, None if isinstance(main, Absent) else main.highest_descriptor)
        return
    hard = s.number("tcp_max_connections_hard")
    table = need if isinstance(hard, Absent) else hard + 5 * s.require().process_count
    if main.highest_descriptor >= table - s.require().process_count:
        yield finding(
            BY_CODE["FDS004"],
            f"highest descriptor number of {main.label} is {main.highest_descriptor:,}, its table ends near {table:,}",
            line_for("descriptor-table", s),
            no_cure("the table is sized at start; keep new connections away from this instance"),
            Cure(f"tcp_max_connections {main.highest_descriptor - table + 1000:,} higher; takes a restart", risk=cost(s, ladder)),
        )  # fmt: skip


def private_memory_too_small(s: Situation, ladder: Ladder) -> Said:
    """The tables for the tcp_max_connections *in the file* don't fit -M: the next start fails."""
    ceiling = next((each for each in ladder.held if each.name == "private-memory"), None)
    wanted = s.number("tcp_max_connections_file")
    if (
        ceiling is None
        or not isinstance(ceiling.limit, int)
        or isinstance(wanted, Absent)
        or wanted <= ceiling.limit
    ):
        yield from lacking(wanted, None if ceiling is None else ceiling.limit)
        return
    yield finding(
        BY_CODE["MEM001"],
        f"tcp_max_connections={wanted:,} ({s.require().parameters['tcp_max_connections_file'].where}), but -M holds"
        f" tables for {ceiling.limit:,}: {ceiling.working}",
        line_for("private-memory", s),
        no_cure("nothing is wrong with the running process; don't restart it before this is mended"),
        Cure(f"-M {-(-(36 * wanted * 5 // 4 + (2 << 20)) // (1 << 20))} (PKG_MEMORY in /etc/default/kamailio)"),
        places=lines_of(s, "tcp_max_connections_file"),
    )  # fmt: skip


def per_source_zero(s: Situation, ladder: Ladder) -> Said:
    """tcp_accept_iplimit=0 on 5.7.3 to 5.7.7."""
    version, limit = _version(s), s.number("tcp_accept_iplimit")
    if version is None or isinstance(limit, Absent) or limit != 0:
        yield from lacking(s.require().version, limit)
        return
    if (5, 7, 3) <= version < (5, 8):
        where = s.require().parameters["tcp_accept_iplimit"].where
        yield finding(
            BY_CODE["CFG001"],
            f"tcp_accept_iplimit=0 ({where}) on {s.require().version} rejects every connection",
            f"{kamcmd(s)} core.version; {kamcmd(s)} stats.fetchn tcp:",
            no_cure("not settable at run time"),
            Cure("tcp_accept_iplimit=1000000 (0 means off from 5.8.0 only); takes a restart", risk=cost(s, ladder)),
            places=lines_of(s, "tcp_accept_iplimit"),
        )  # fmt: skip


def openssl_3(s: Situation, ladder: Ladder) -> Said:
    """TLS with OpenSSL 3, and neither a version nor a setting that keeps it from corrupting shared memory."""
    instance = s.require()
    version, tls = _version(s), instance.tls_ports
    if version is None or isinstance(instance.openssl, Absent) or instance.openssl < 3:
        yield from lacking(instance.version, instance.openssl)
        return
    if not isinstance(tls, Absent) and not tls:
        return
    if isinstance(instance.modules, Absent) or "tls" not in instance.modules:
        return
    mode = s.number("tls_threads_mode")
    too_old = version < (5, 7, 5)
    if not too_old and (isinstance(mode, Absent) or mode != 0):
        return
    cause = "has no tls_threads_mode" if too_old else "runs with tls_threads_mode=0"
    cure = (
        "Kamailio 5.7.5 or later with tls_threads_mode=2"
        if too_old
        else "tls_threads_mode=2 before loadmodule"
    )
    yield finding(
        BY_CODE["TLS001"],
        f"TLS on OpenSSL 3, and {instance.version} {cause}: handshakes in parallel corrupt shared memory and abort it"
        " (github.com/kamailio/kamailio/issues/3791)",
        f"grep -m1 libssl /proc/{instance.attendant}/maps; {kamcmd(s)} core.version",
        no_cure("nothing at run time; new TLS connections one after the other make it rarer"),
        Cure(f"{cure}; takes a restart", risk=cost(s, ladder)),
    )  # fmt: skip


RULES = (
    Rule(("FDS001",), descriptors_below_max),
    Rule(("FDS002",), worker_below_main),
    Rule(("FDS003",), open_files_limit_above_hard),
    Rule(("FDS004",), descriptor_beyond_table),
    Rule(("MEM001",), private_memory_too_small),
    Rule(("CFG001",), per_source_zero),
    Rule(("TLS001",), openssl_3),
)
