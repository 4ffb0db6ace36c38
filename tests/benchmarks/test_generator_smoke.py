"""The generator's benchmark measures runs that did what they should, and no others."""

import os
import pathlib
import shutil

import pytest

from kamtcp.rehearse.kamailio import packages_root

HERE = pathlib.Path(__file__).resolve().parents[2] / "benchmarks"
ROOT = packages_root(str(HERE.parent / ".cache/packages/root"))
ready = (
    os.geteuid() == 0
    and ROOT is not None
    and shutil.which("cc")
    and pathlib.Path(f"{ROOT}/usr/bin/sipp").exists()
)

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(not ready, reason="needs root, cc and SIPp from `make packages`"),
]


@pytest.fixture(scope="module")
def generator():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HERE))
        import generator

        yield generator


@pytest.fixture(scope="module")
def bench(generator):
    with generator.bench() as bench:
        yield bench


@pytest.mark.parametrize(
    ("who", "carrier"), [("C", "tcp"), ("OURS", "tcp"), ("EPOLL", "tcp"), ("ASYNCIO", "tls"), ("OURS", "tls")]
)
def test_a_contender_holds_what_it_should_and_its_cpu_is_known(generator, bench, who, carrier):
    with bench.holding(getattr(generator, who), carrier, 30) as process:
        assert bench.established(bench.port[carrier]) == 30
        assert generator.pss_of(process.pid) > 10_000
    assert 0 < process.used < 20
    assert process.returncode == 0


def test_sipp_is_waited_for_until_it_holds_all(generator, bench):
    with bench.holding(generator.SIPP, "tcp", 30) as process:
        assert bench.established(bench.port["tcp"]) == 30
    assert process.used > 0


def test_a_contender_that_fails_is_no_measurement(generator, bench):
    with pytest.raises(SystemExit, match="plain epoll loop"), bench.holding(generator.EPOLL, "tls", 1):
        pass
