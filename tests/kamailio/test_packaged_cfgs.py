"""Every *.cfg in Debian's Kamailio packages, against `kamailio -c` and `kamailio --cfg-print`.

Of all binary packages built from Debian 12's kamailio, only `kamailio` and `kamailio-tls-modules` hold any, and
`make packages` unpacks both.
"""

from __future__ import annotations

import glob
import os
import re

import pytest

import kamailio_check as checker
from kamtcp.kamailio import lexer
from kamtcp.kamailio.config import Config, read_config
from kamtcp.kamailio.kinds import NUMERIC
from kamtcp.kamailio.parameters import canonical

FILES = sorted(
    path[len(checker.ROOT) :]
    for pattern in ("*.cfg", "*.cfg.sample")
    for path in glob.glob(f"{checker.ROOT}/**/{pattern}", recursive=True)
    if "/kamailio/" in path
)

pytestmark = [
    pytest.mark.kamailio,
    pytest.mark.skipif(not checker.PRESENT, reason="KAMTCP_KAMAILIO_ROOT names no unpacked Kamailio"),
]


def read(path: str) -> Config:
    def open_file(name: str) -> bytes:
        with open(name, "rb") as file:
            return file.read()

    return read_config(open_file, path, {}, environ={}, version=(5, 6, 3), directory=os.path.dirname(path))


def test_there_are_as_many_as_debian_packs():
    assert len(FILES) > 60


@pytest.mark.parametrize("name", FILES)
def test_a_packaged_file_is_refused_where_kamailio_refuses_it_and_else_read(name):
    """What hangs on modules that are not here, or on the commands of routes, is told apart."""
    path = checker.ROOT + name
    done = checker.kamailio("-c", "-f", path, cwd=os.path.dirname(path))
    with open(path, errors="replace") as file:
        expected = checker.complaints(done.stdout + done.stderr, file.read().splitlines())
    config = read(path)
    ours = [each for each in config.refusals if each.sure]
    if done.returncode == 0:
        assert expected == []
    if not expected:
        missing = [each for each in ours if not each.text.endswith("is not there")]
        assert missing == []
        return
    if {text for _, text in expected} == {"different number of preprocessor directives"}:
        # Kamailio may have given up inside a branch, over a module that isn't here
        assert all("#!endif" in each.text for each in ours)
        return
    assert ours
    first = expected[0][0]
    assert first in (0, ours[0].line)
    assert ours[0].shown.splitlines()[-1].strip() == "^"
    for each in ours:
        with open(each.file, errors="replace") as file:
            assert each.code.rstrip() in file.read().splitlines()[each.line - 1].replace("\t", " ")


@pytest.mark.parametrize("name", FILES)
def test_what_is_read_of_it_is_what_kamailio_prints_of_it(name):
    path = checker.ROOT + name
    config = read(path)
    text = checker.printed(path)
    if any(each.text.endswith("is not there") for each in config.refusals):
        text = ""
        config = Config(path, {})  # Kamailio prints nothing after an include that is missing
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    modules = re.findall(r"^[ \t]*loadmodulex?[ \t]*\(?[ \t]*\"([^\"]*)\"", text, re.MULTILINE)
    assert [each.name for each in config.modules] == [
        each.rpartition("/")[2].removesuffix(".so") for each in modules
    ]
    modparams = re.findall(
        r"^[ \t]*modparamx?[ \t]*\([ \t]*\"([^\"]*)\"[ \t]*,\s*\"([^\"]*)\"", text, re.MULTILINE
    )
    assert [(each.modules, each.name) for each in config.modparams] == modparams
    numbers = [
        (canonical(key), lexer.number(value))
        for key, value in re.findall(r"^[ \t]*(\w+)[ \t]*=[ \t]*([0-9a-z]+)\b(?![.(])", text, re.MULTILINE)
        if key in NUMERIC
    ]
    known = [(key, number.value) for key, number in numbers if number is not None]
    assert [(each.name, int(each.value)) for each in config.assignments if each.name in dict(known)] == known
