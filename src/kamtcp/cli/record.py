"""kamtcp record: keep everything that the readers read in one portable file, scrubbed before it is stored."""

from __future__ import annotations

import argparse
import os
import sys
import time

from kamtcp import __version__
from kamtcp.cli import out
from kamtcp.cli.exits import Exit
from kamtcp.errors import UsageError
from kamtcp.record.archive import Answer, Header, Key, Recording, writable, write
from kamtcp.record.recorder import Recorder
from kamtcp.record.scrub import Scrubber

_EPILOG = """Passwords, URLs, -A defines, environment, SIP users and log lines are scrubbed before anything is stored.
Addresses are replaced by a keyed one-to-one map that keeps equality, /24 and /64 prefixes, loopback and
private ranges, so that the ladder stays the same; the key is not kept. Judge it with kamtcp check --from FILE."""
MOST_SAMPLES = 100_000
_LIMITS: dict[object, tuple[int, ...]] = {"read": (4 << 20,), "tail": (256 << 10,)}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of record."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "-o", "--output", required=True, metavar="FILE", help="where to write it; must not exist"
    )
    parser.add_argument("--force", action="store_true", help="overwrite FILE")
    parser.add_argument(
        "--interval", type=_seconds, default=10.0, metavar="S", help="seconds between samples (10)"
    )
    parser.add_argument("--count", type=_samples, default=1, metavar="N", help="how many samples (1)")
    parser.add_argument("--keep-addresses", action="store_true", help="leave IP addresses as they are")
    parser.add_argument("--sockets", action="store_true", help="also every established connection")
    parser.add_argument("--note", default="", help="a sentence that goes into the file's header")


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.1 <= value <= 86400:
        raise argparse.ArgumentTypeError(f"expected 0.1 to 86400 seconds, got {text!r}")
    return value


def _samples(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST_SAMPLES:
        raise argparse.ArgumentTypeError(f"expected 1 to {MOST_SAMPLES} samples, got {text!r}")
    return int(text)


def run(options: argparse.Namespace) -> Exit:
    """Take the samples and write the file."""
    from kamtcp.cli.explain_here import read_all
    from kamtcp.cli.measured import remember
    from kamtcp.host.live import Live
    from kamtcp.survey.everything import look

    if os.path.lexists(options.output) and not options.force:
        raise UsageError(f"{options.output}: exists; name another file, or add --force")
    writable(options.output)
    _end_as_interrupted()
    scrubber = Scrubber(os.urandom(32), keep_addresses=options.keep_addresses)
    started, samples = time.time(), []
    try:
        for number in range(options.count):
            if number:
                time.sleep(options.interval)
            recorder = Recorder(Live())
            read_all(recorder, look(recorder, every_socket=options.sockets))
            remember(recorder)
            samples.append(scrubbed(recorder.notes, scrubber))
            _say(options, number + 1)
    except KeyboardInterrupt:
        if not samples:
            raise
        sys.stderr.write(f"\nkamtcp record: interrupted; the {len(samples)} samples taken so far are kept\n")
    samples = [{key: scrubber.again(value) for key, value in sample.items()} for sample in samples]
    header = Header(kamtcp=__version__, created=started, scrubbed=True, note=options.note)
    write(options.output, Recording(header, samples), overwrite=options.force)
    size = os.stat(options.output).st_size
    out.say(f"{options.output}: {len(samples)} sample(s), {size:,} bytes, mode 0600\n")
    return Exit.OK


def _end_as_interrupted() -> None:
    """A session that is lost, or a service that is stopped, keeps the samples taken so far, as Ctrl-C does."""
    import signal
    import threading

    if threading.current_thread() is not threading.main_thread():
        return  # only there may Python's handlers be set
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup has it ignored
            signal.signal(number, signal.default_int_handler)


def scrubbed(notes: dict[Key, Answer], scrubber: Scrubber) -> dict[Key, Answer]:
    """One sample, scrubbed; the reader first, since the scrubber learns the host's name from it."""
    order = sorted(notes, key=lambda key: key[1] != "reader")
    # the limits let the scrubber drop a line that one of them has cut: half a secret is not recognised
    return {scrubber.key(key): scrubber.answer((*key, *_LIMITS.get(key[1], ())), notes[key]) for key in order}


def _say(options: argparse.Namespace, taken: int) -> None:
    if options.count > 1 and sys.stderr.isatty():
        sys.stderr.write(f"\rsample {taken} of {options.count}")
        if taken == options.count:
            sys.stderr.write("\n")
        sys.stderr.flush()
