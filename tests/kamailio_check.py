"""What the unpacked Kamailio says of a file without starting: `kamailio -c`, `kamailio --cfg-print`."""

from __future__ import annotations

import glob
import os
import re
import subprocess
from collections.abc import Sequence

ROOT = os.environ.get("KAMTCP_KAMAILIO_ROOT", "")
PRESENT = os.path.exists(f"{ROOT}/usr/sbin/kamailio")

# complaints about what is outside of a configuration's own text
_ELSEWHERE = re.compile(r"failed to load module|Can't set module parameter")
_ROUTE = re.compile(r"\s*\w*route\b")
_PLACED = re.compile(r"parse error in config file (.*), (?:from )?line (\d+), column (\d+)[^:]*: (.*)")
_UNPLACED = re.compile(
    r"cannot open included file|different number of preprocessor directives|pp_endif\(\): invalid position"
    r"|too many includes|must be between quotes|already defined|not allowed"
)


def kamailio(*options: str, cwd: str = "/", **environ: str) -> subprocess.CompletedProcess[bytes]:
    """Run it to its end."""
    libraries = glob.glob(f"{ROOT}/usr/lib/*-linux-gnu") + glob.glob(f"{ROOT}/lib/*-linux-gnu")
    modules = glob.glob(f"{ROOT}/usr/lib/*/kamailio/modules")[:1]
    return subprocess.run(
        [f"{ROOT}/usr/sbin/kamailio", "-E", *(["-L", modules[0]] if modules else []), *options],
        env={"PATH": "/usr/bin:/bin", **environ, "LD_LIBRARY_PATH": ":".join(libraries)},
        cwd=cwd,
        capture_output=True,
        check=False,
        timeout=60,
    )


def complaints(output: bytes, lines: Sequence[str] = ()) -> list[tuple[int, str]]:
    """(line, text) of each complaint about the text itself; line 0 where none is named.

    Args:
        output: of `kamailio -c`.
        lines: of the file; complaints about what stands in its route blocks are left out. A block ends with a
            brace in the first column, as in every packaged file.
    """
    found: list[tuple[int, str]] = []
    for line in output.decode(errors="replace").splitlines():
        if placed := _PLACED.search(line):
            number = int(placed.group(2))
            if not _ELSEWHERE.search(placed.group(4)) and not _in_route(lines[: number - 1]):
                found.append((number, placed.group(4)))
        elif unplaced := _UNPLACED.search(line):
            found.append((0, unplaced.group()))
    return found


def _in_route(before: Sequence[str]) -> bool:
    for line in reversed(before):
        if line.startswith("}"):
            return False
        if _ROUTE.match(line):
            return True
    return False


def printed(path: str, *options: str) -> str:
    """What --cfg-print leaves of a file: included files in it, left-out branches not."""
    return kamailio("--cfg-print", "-f", path, *options, cwd=os.path.dirname(path)).stdout.decode(
        errors="replace"
    )
