"""The generator's WebSocket and digest against a real Kamailio, which is what they are for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kamtcp.loadgen.order import Carrier, Closing, Order
from kamtcp.loadgen.population import Credentials, Keepalive
from kamtcp.loadgen.processes import Load
from kamtcp.loadgen.schedule import AtOnce
from kamtcp.loadgen.sources import Block
from kamtcp.rehearse.kamailio import packages_root, start_kamailio
from kamtcp.rehearse.scenario import Scenario
from kamtcp.rehearse.standin import StandIn

ROOT = packages_root(str(Path(__file__).parents[2] / ".cache/packages/root"))

pytestmark = [
    pytest.mark.kamailio,
    pytest.mark.skipif(
        os.geteuid() != 0 or ROOT is None, reason="needs root and a Kamailio from `make packages`"
    ),
]

SCENARIO = Scenario(tls_port=5061, websocket=True, tcp_children=2)
# a REGISTER must prove the password
ASKING = """
    if (is_method("REGISTER") && !pv_www_authenticate("kamailio.example", "wonderland", "0")) {
        www_challenge("kamailio.example", "1");
        exit;
    }
"""


@pytest.fixture(scope="module")
def server():
    with StandIn(ROOT) as host, start_kamailio(host, config=SCENARIO, nofile=(20000, 20000)) as running:
        yield running


@pytest.mark.parametrize(("carrier", "port"), [(Carrier.WS, 5060), (Carrier.WSS, 5061)])
def test_held_over_websocket_with_pings(server, carrier, port):
    """One TLS handshake at a time: this Kamailio with OpenSSL 3 dies of parallel ones."""
    order = Order(
        server.standin.address,
        port,
        AtOnce(20),
        carrier=carrier,
        keepalive=Keepalive("ping", 0.3),
        concurrency=1 if carrier.secure else None,
        hold_seconds=1.0,
        closing=Closing.FIN,
        netns_pid=server.standin.pid,
    )
    with Load(order) as load:
        result = load.result()
    assert (result.load.answered, result.load.statuses, result.load.failures.total()) == (20, {200: 20}, 0)
    assert (result.held_end, result.load.lost) == (20, 0)
    assert result.load.keepalives_answered >= 20


@pytest.fixture(scope="module", params=["MD5", "SHA-256"])
def guarded(request):
    load = f'loadmodule "auth.so"\nmodparam("auth", "qop", "auth")\nmodparam("auth", "algorithm", "{request.param}")'
    text = Scenario(websocket=True, tcp_children=2, modparams=(load,)).render()
    text = text.replace("request_route {", "request_route {" + ASKING, 1)
    with StandIn(ROOT) as host, start_kamailio(host, config=text, nofile=(20000, 20000)) as running:
        yield running


@pytest.mark.parametrize("carrier", [Carrier.TCP, Carrier.WS])
@pytest.mark.parametrize("password", ["wonderland", "looking-glass"])
def test_kamailio_verifies_the_password(guarded, carrier, password):
    order = Order(
        guarded.standin.address,
        5060,
        AtOnce(20),
        (
            Block("127.0.0.1", 0, 20),
        ),  # ports of the kernel's choice: those of a refused round are in TIME-WAIT
        carrier=carrier,
        question="register",
        credentials=Credentials(password),
        netns_pid=guarded.standin.pid,
    )
    with Load(order) as load:
        result = load.result()
    assert result.load.challenged >= 20
    if password == "wonderland":
        assert (result.load.answered, result.load.statuses) == (20, {200: 20})
    else:
        assert (result.load.answered, result.load.failures.sip_status) == (0, 20)
