"""kamtcp explain: what a setting, counter, ceiling or finding is, its value here, and what kamtcp would set."""

from __future__ import annotations

import argparse

from kamtcp.cli import out, source, target
from kamtcp.cli.exits import Exit
from kamtcp.cli.explain_find import Subject, Unknown, find, name_of, subjects
from kamtcp.errors import UsageError

_EPILOG = """NAME is a sysctl, counter, Kamailio parameter, systemd directive, ceiling or finding, in any of its
spellings: somaxconn, net/core/somaxconn, TcpExtListenOverflows, TCP_BUF_SIZE, LimitNOFILE, tcp-main-descriptors,
FDS001. What is gone from Linux or Kamailio is explained too: exit 0. An unknown name is exit 2, with names like it."""

#: Kamailio's options are names too, and look like options of ours
LETTERS = ("-M", "-N", "-T", "-W", "-X", "-m", "-n", "-x")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of explain."""
    parser.epilog = _EPILOG
    parser.add_argument("names", nargs="*", metavar="NAME", help="what to explain")
    for letter in LETTERS:
        parser.add_argument(
            letter, dest="letters", action="append_const", const=letter, help=argparse.SUPPRESS
        )
    parser.add_argument("--list", action="store_true", help="list everything that can be explained")
    parser.add_argument(
        "--symptoms",
        action="store_true",
        help="what is seen, and where to look; only rows with the words of NAME",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document")
    target.add_options(parser, saving=False)
    parser.add_argument("--instance", metavar="NAME|PID", help="only this Kamailio, where several run")
    source.add_options(parser)


def run(options: argparse.Namespace) -> Exit:
    """Look up, look around, write."""
    options.names += options.letters or ()
    if options.symptoms:
        out.say(_symptoms(options))
        return Exit.OK
    if options.list:
        if options.names:
            raise UsageError("--list takes no NAME")
        out.say(_list_json() if options.json else _list())
        return Exit.OK
    if not options.names:
        raise UsageError("expected a NAME, such as somaxconn or FDS001 (--list shows all)")
    chosen = [subject for name in options.names for subject in _known(name)]
    return _explain(chosen, options)


def _known(name: str) -> tuple[Subject, ...]:
    found = find(name)
    if isinstance(found, Unknown):
        hint = (
            f"did you mean: {', '.join(found.close)}?" if found.close else "kamtcp explain --list shows all"
        )
        if " " in name.strip():
            hint += "; --symptoms WORD finds what goes wrong"
        raise UsageError(f"no setting, counter, ceiling or finding {name!r}; {hint}")
    return found


def _explain(chosen: list[Subject], options: argparse.Namespace) -> Exit:
    from kamtcp.cli.explain_facts import facts
    from kamtcp.cli.judge import verdicts
    from kamtcp.survey.take import take

    host = source.hosts(options)[-1]
    only = options.instance if options.instance and options.instance.isdecimal() else ""
    snapshot = take(host, only=only)
    judged = tuple(verdict for verdict, _ in verdicts(snapshot, host, options))
    found = [facts(subject, host, snapshot, judged) for subject in chosen]
    if options.json:
        from kamtcp.cli.explain_document import document

        out.say(document(options.names, found).decode())
        return Exit.OK
    from kamtcp.cli.explain_text import text
    from kamtcp.cli.wrap import screen

    where_to = screen()
    out.say(("\n" + "=" * where_to.width + "\n\n").join(text(each, where_to) for each in found))
    return Exit.OK


def _symptoms(options: argparse.Namespace) -> str:
    """The index by symptom, or its rows that have all words."""
    from kamtcp.catalogue.symptoms import symptoms
    from kamtcp.cli.wrap import screen, wrapped

    if options.list or options.json:
        raise UsageError("--symptoms takes neither --list nor --json")
    words = " ".join(options.names).lower().split()
    rows = [
        each for each in symptoms() if all(word in f"{each.seen} {each.because}".lower() for word in words)
    ]
    if not rows:
        raise UsageError(f"no symptom has the words {' '.join(options.names)!r}; --symptoms alone shows all")
    where_to = screen()
    found = []
    for each in rows:
        lines = [where_to.style(line, "bold") for line in wrapped(each.seen, where_to.width, "")]
        lines += wrapped(each.because, where_to.width, "  ")
        lines += wrapped(f"look at: {', '.join(each.look)}", where_to.width, "  ")
        found.append("\n".join(lines) + "\n")
    return "\n".join(found)


def _list() -> str:
    """A line for each: name, and as much of its title as fits."""
    from kamtcp.cli.wrap import screen

    width = screen().width
    lines: list[str] = []
    group = ""
    for subject in subjects():
        here, name, title = _row(subject)
        if here != group:
            lines += [*([""] if lines else []), here]
            group = here
        line = f"  {name:<36}  {title}"
        lines.append(line if len(line) <= width else line[: width - 3].rstrip() + "...")
    return "\n".join(lines) + "\n"


def _row(subject: Subject) -> tuple[str, str, str]:
    from kamtcp.catalogue.entry import Entry
    from kamtcp.diagnose.codes import Code

    if isinstance(subject, Entry):
        return subject.subject, subject.id, ("gone: " if subject.is_gone else "") + subject.title
    if isinstance(subject, Code):
        return "findings", f"{subject.code} {subject.name}", subject.meaning
    return "ceilings", subject.name, subject.title


def _list_json() -> str:
    from kamtcp.cli.explain_document import Listed, listed
    from kamtcp.cli.explain_links import page_of

    rows = [Listed(group, name_of(each), title, page_of(each))
            for each in subjects() for group, _, title in (_row(each),)]  # fmt: skip
    return listed(rows).decode()
