from __future__ import annotations

import contextlib
import hashlib
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamtcp.errors import ParseError
from kamtcp.loadgen.digest import Challenge, parse, parse_answer, parse_any

RFC7616 = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={}, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
RFC2617 = (
    'Digest realm="testrealm@host.com",{} nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
    'opaque="5ccc069c403ebaf9f0171e9517f40e41"'
)


@pytest.mark.parametrize(
    ("header", "password", "cnonce", "response"),
    [
        (  # RFC 7616 section 3.9.1
            RFC7616.format("MD5"),
            "Circle of Life",
            "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
            "8ca523f5e9506fed4657c9700eebdbec",
        ),
        (
            RFC7616.format("SHA-256"),
            "Circle of Life",
            "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
        (  # RFC 2617 section 3.5
            RFC2617.format(' qop="auth,auth-int",'),
            "Circle Of Life",
            "0a4f113b",
            "6629fae49393a05397450978507c4ef1",
        ),
        # the same without qop, as RFC 2069 has it
        (RFC2617.format(""), "Circle Of Life", "0a4f113b", "670fd8c2df070c60b045671b8b24ff02"),
    ],
)
def test_examples_of_the_rfcs(header, password, cnonce, response):
    said = parse(header).answer(
        user="Mufasa", password=password, method="GET", uri="/dir/index.html", count=1, cnonce=cnonce
    )
    assert f'response="{response}"' in said
    assert parse_answer(said).verify(password=password, method="GET")


@pytest.mark.parametrize("algorithm", ["MD5-sess", "SHA-256-sess", "SHA-512-256", "sha-512-256-sess"])
def test_algorithms_without_example(algorithm):
    """Written out step by step from RFC 7616 section 3.4.2, for want of a vector."""
    name = {"m": "md5", "s": "sha256"}[algorithm[0].lower()] if "512" not in algorithm else "sha512_256"

    def h(text: str) -> str:
        return hashlib.new(name, text.encode()).hexdigest()

    a1 = h("bob:r:pw")
    if algorithm.endswith("-sess"):
        a1 = h(a1 + ":n:c")
    expected = h(f"{a1}:n:0000000a:c:auth:" + h("REGISTER:sip:x"))
    said = Challenge("r", "n", algorithm=algorithm).answer(
        user="bob", password="pw", method="REGISTER", uri="sip:x", count=10, cnonce="c"
    )
    assert f'response="{expected}"' in said
    assert f"algorithm={algorithm}" in said


texts = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=20)


@settings(max_examples=100, deadline=None)
@given(
    texts,
    texts,
    texts,
    texts,
    st.sampled_from([None, "MD5", "SHA-256", "md5-sess"]),
    st.booleans(),
    st.booleans(),
    texts,
)
def test_an_answer_proves_the_password_and_nothing_else_does(  # noqa: PLR0917
    user, password, realm, nonce, algorithm, qop, stale, opaque
):
    """Also with quotes, backslashes and letters of any script."""
    challenge = Challenge(realm, nonce, opaque, algorithm, qop, stale)
    assert parse(challenge.header()) == challenge
    said = challenge.answer(user=user, password=password, method="REGISTER", uri="sip:a", count=1, cnonce="c")
    answer = parse_answer(said)
    assert (answer.user, answer.realm, answer.nonce, answer.opaque) == (user, realm, nonce, opaque)
    assert answer.verify(password=password, method="REGISTER")
    assert not answer.verify(password=password + "x", method="REGISTER")
    assert not answer.verify(password=password, method="INVITE")


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text(max_size=10),
            st.sampled_from(
                [
                    "Digest ",
                    'realm="',
                    '"',
                    ",",
                    "=",
                    "nonce=x,",
                    "\\",
                    'realm="r",',
                    "qop=auth,",
                    "nc=1,",
                    "\udc80",
                    "\ud800",
                ]
            ),
        )
    )
)
def test_only_parse_errors_escape_from_any_header(parts):
    for read in (parse, parse_answer):
        for text in ("".join(parts), "Digest " + "".join(parts)):
            with contextlib.suppress(ParseError):
                read(text)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("Basic realm=x", "expected Digest"),
        ("Digestrealm=x, nonce=y", "expected Digest"),
        ("Digest nonce=y", "expected realm"),
        ('Digest realm="x"', "expected nonce"),
        ('Digest realm="x", realm="y", nonce=z', "one realm"),
        ('Digest realm="x, nonce=z', "name=value"),
        ("Digest realm=x, nonce=z, algorithm=AKAv1-MD5", "algorithm MD5"),
        ('Digest realm=x, nonce=z, qop="auth-int"', 'qop "auth"'),
        ("Digest realm=" + "x" * 9000, "at most 8192"),
    ],
)
def test_what_is_wrong_with_a_challenge_is_named(header, says):
    with pytest.raises(ParseError, match=re.escape(says)):
        parse(header)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (", qop=auth-int, nc=00000001, cnonce=c", "qop auth"),
        (", qop=auth", "nc and cnonce"),
        (", qop=auth, nc=1, cnonce=c", "nc and cnonce"),
    ],
)
def test_what_is_wrong_with_an_answer_is_named(more, says):
    with pytest.raises(ParseError, match=says):
        parse_answer("Digest username=u, realm=r, nonce=n, uri=sip:x, response=00" + more)


def test_the_topmost_challenge_that_is_spoken_here_is_taken():
    """RFC 8760: a server offers several, the one it likes best on top."""
    akav1, sha, md5 = (RFC7616.format(name) for name in ("AKAv1-MD5", "SHA-256", "MD5"))
    assert parse_any([akav1, sha, md5]).algorithm == "SHA-256"
    assert parse_any([md5, sha]).algorithm == "MD5"
    with pytest.raises(ParseError, match="AKAv1"):
        parse_any([akav1, "Basic x"])
    with pytest.raises(ParseError, match="a challenge"):
        parse_any([])


def test_stale_means_that_the_password_was_right():
    assert parse('Digest realm="r", nonce="n", stale=TRUE').stale
    assert not parse('Digest realm="r", nonce="n", stale=false').stale
