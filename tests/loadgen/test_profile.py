from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamtcp.loadgen.phases import PHASES, Burst, Ramp, Storm
from kamtcp.loadgen.population import Credentials, Keepalive, Population, Tls
from kamtcp.loadgen.profile import ProfileError, read

EXAMPLE = Path(__file__).parents[2] / "docs/examples/load-profile.toml"
SMALL = '[[population]]\nname = "a"\nconnections = 10\n[[phase]]\nkind = "ramp"\nrate = 5\n'


def mistakes(text: str) -> tuple[str, ...]:
    with pytest.raises(ProfileError) as caught:
        read(text, "f.toml")
    assert str(caught.value) == "\n".join(caught.value.mistakes)
    return caught.value.mistakes


def test_the_documented_example_is_a_profile():
    profile = read(EXAMPLE.read_text(), EXAMPLE.name)
    phones = profile.populations[0]
    assert phones.keepalive == Keepalive("crlf", 30)
    assert phones.credentials == Credentials("secret", "load{n}")
    assert phones.tls.ca_file == "ca.pem"
    assert [each.name for each in profile.of(profile.phases[0])] == ["phones", "browsers", "stuck", "mute"]
    assert [each.name for each in profile.of(profile.phases[3])] == ["phones"]


def test_the_documented_example_shows_every_key_and_every_phase():
    text = EXAMPLE.read_text()
    for struct in (Population, Keepalive, Credentials, Tls, *PHASES.values()):
        for field in struct.__struct_fields__:
            assert f"{field} = " in text, f"{struct.__name__}.{field}"
    for kind in PHASES:
        assert f'kind = "{kind}"' in text


def test_the_documented_defaults_are_the_defaults():
    text = EXAMPLE.read_text()
    for struct, key in (
        (Storm, "backoff"),
        (Storm, "jitter"),
        (Storm, "seconds"),
        (Burst, "seconds"),
        (Ramp, "share"),
    ):
        default = next(each.default for each in msgspec.structs.fields(struct) if each.name == key)
        shown = f"{default:g}" if isinstance(default, float) else default
        section = text.split(f'kind = "{struct.__struct_config__.tag}"')[1].split("[[phase]]")[0]
        line = next(line for line in section.splitlines() if line.startswith(f"{key} = "))
        assert f"default: {shown}" in line


def test_what_is_left_out_has_its_default():
    profile = read(SMALL, "f")
    assert profile.populations == (Population("a", 10),)
    assert profile.phases == (Ramp(rate=5.0),)


def test_every_mistake_has_a_line_of_its_own():
    text = """\
[[population]]
name = "a b"
connectoins = 4
carrier = "udp"
tls = { lowst = "1.2" }
port = 70000
[population.keepalive]
what = "smoke"
every = 0

[[phase]]
kind = "hod"
[[phase]]
kind = "hold"
[[phase]]
kind = "storm"
within = "soon"
"""
    assert mistakes(text) == (
        "f.toml:2: population 1: name: expected letters, digits, '.', '_' and '-', got 'a b'",
        "f.toml:3: population 1: unknown key 'connectoins', did you mean connections?",
        "f.toml:4: population 1: carrier: expected one of tcp, tls, ws, wss, got 'udp'",
        "f.toml:5: population 1: tls: unknown key 'lowst', did you mean lowest?",
        "f.toml:6: population 1: port: expected a whole number <= 65535, got 70000",
        "f.toml:7: population 1: keepalive: what: expected one of options, register, crlf, ping, got 'smoke'",
        "f.toml:7: population 1: keepalive: every: expected a number > 0.0, got 0",
        "f.toml:1: population 1: connections is missing",
        "f.toml:12: phase 1: kind: expected one of ramp, hold, burst, churn, storm, close, reconnect, got 'hod'",
        "f.toml:13: phase 2 (hold): seconds is missing",
        "f.toml:17: phase 3 (storm): within: expected a number, got 'soon'",
    )


@pytest.mark.parametrize(
    ("population", "says"),
    [
        (
            'carrier = "tcp"\ntls = { }',
            "4: population 1: tls: expected carrier tls or wss beside it, got 'tcp'",
        ),
        (
            'path = "/x"\ncarrier = "tls"',
            "3: population 1: path: expected carrier ws or wss beside it, got 'tls'",
        ),
        (
            'behaviour = "silent"\nquestion = "options"',
            "4: population 1: question: a silent population sends nothing",
        ),
        ('behaviour = "slow-reader"', "1: population 1: read_rate: expected beside behaviour slow-reader"),
        ("read_rate = 5", "3: population 1: read_rate: expected beside behaviour slow-reader"),
        (
            'question = "crlf"\ncredentials = { password = "x" }',
            "4: population 1: credentials: expected question",
        ),
        ("expires = 60", "3: population 1: expires: expected question or keepalive register"),
        ('sources = "10.0.0.1/8"', "3: population 1: sources: expected ADDRESS/PREFIX, got '10.0.0.1/8'"),
        (
            'tls = { lowest = "1.3", highest = "1.2" }',
            "3: population 1: tls: lowest: expected at most highest",
        ),
        ('path = "x"', "3: population 1: path: expected a path that begins with '/'"),
    ],
)
def test_what_does_not_go_together_in_a_population(population, says):
    text = f'[[population]]\nname = "a"\n{population}\nconnections = 10\n[[phase]]\nkind = "ramp"\nrate = 5\n'
    (said,) = mistakes(text)
    assert said.startswith(f"f.toml:{says}")


@pytest.mark.parametrize(
    ("phases", "says"),
    [
        ('kind = "hold"\nseconds = 1', "phase 1: nothing is open; expected a ramp or reconnect before it"),
        ('kind = "reconnect"\nrate = 1', "phase 1: nothing was open before"),
        ('kind = "ramp"', "phase 1 (ramp): expected either rate or seconds"),
        ('kind = "ramp"\nrate = 1\nseconds = 1', "phase 1 (ramp): expected either rate or seconds"),
        ('kind = "ramp"\nrate = 1\npopulations = ["b"]', "phase 1: no population is named 'b' (there are a)"),
        (
            'kind = "ramp"\nrate = 1\n[[phase]]\nkind = "close"\n[[phase]]\nkind = "hold"\nseconds = 1',
            "phase 3: nothing is open",
        ),
        (
            'kind = "storm"\nwithin = 1\nfirst = 100',
            "phase 1 (storm): first: expected at most highest (60), got 100",
        ),
    ],
)
def test_what_does_not_go_together_in_phases(phases, says):
    (said,) = mistakes(f'[[population]]\nname = "a"\nconnections = 1\n[[phase]]\n{phases}\n')
    assert says in said
    assert said.startswith("f.toml:")


def test_a_closed_population_may_come_back():
    more = '[[phase]]\nkind = "close"\n[[phase]]\nkind = "reconnect"\nseconds = 3\n[[phase]]\nkind = "hold"\nseconds = 1\n'
    assert len(read(SMALL + more, "f").phases) == 4


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = [", "f.toml: no TOML: "),
        ("", "f.toml: expected at least one [[population]] table"),
        ("population = 3", "f.toml:1: expected at least one [[population]] table"),
        (SMALL + "[other]\nx = 1\n", "f.toml:7: other: expected [[population]] and [[phase]] tables alone"),
        (
            SMALL.replace("[[phase]]", '[[population]]\nname = "a"\nconnections = 1\n[[phase]]'),
            "f.toml:5: population 2: another one is named 'a' too",
        ),
        ("#" * (1 << 21), "f.toml: expected at most 1048576 bytes"),
    ],
)
def test_what_is_no_profile(text, says):
    assert mistakes(text)[0].startswith(says)


values = st.recursive(
    st.none().map(lambda _: "true")
    | st.integers().map(str)
    | st.sampled_from(['"ramp"', '"a"', "1.5", "nan", "inf", "1979-05-27"]),
    lambda inner: st.lists(inner, max_size=3).map(lambda each: "[" + ", ".join(each) + "]"),
    max_leaves=4,
)
keys = st.sampled_from([*Population.__struct_fields__, *Storm.__struct_fields__, "kind", "rate", "x"])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["population", "phase"]), st.dictionaries(keys, values, max_size=5)),
        max_size=4,
    )
)
def test_only_its_own_error_escapes_from_any_toml(tables):
    text = "".join(
        f"[[{name}]]\n" + "".join(f"{key} = {value}\n" for key, value in table.items())
        for name, table in tables
    )
    said: tuple[str, ...] = ()
    try:
        read(text, "f.toml")
    except ProfileError as error:
        said = error.mistakes or ("nothing",)
    assert all(each.startswith("f.toml") and "\n" not in each for each in said)
