from __future__ import annotations

import json
import os
import subprocess

import pytest

from fake_host import ThisHost, TreeHost
from kamtcp.errors import ParseError
from kamtcp.model.absent import Absent, Why
from kamtcp.observe import links


def test_the_recorded_pair(linux_6_18):
    """lo and both ends of a veth pair, one of them with a queueing discipline."""
    by_name = {device.link.name: device for device in links.collect(linux_6_18)}
    assert list(by_name) == ["lo", "edge1", "edge0"]
    lo, edge = by_name["lo"], by_name["edge0"]
    assert (lo.link.loopback, lo.link.mtu, lo.link.qdisc) == (True, 65536, "noqueue")
    assert (edge.link.mtu, edge.link.tx_queue_len, edge.link.qdisc) == (1500, 1000, "pfifo")
    assert [(qdisc.kind, qdisc.root, qdisc.drops) for qdisc in edge.qdiscs] == [("pfifo", True, 0)]
    assert lo.counters.rx_packets == 138
    assert edge.rx_queues.why is Why.MISSING


def test_names_with_a_colon_and_numbers_that_touch_it(linux_3_10):
    found = links.parse_dev(linux_3_10.read("/proc/net/dev"))
    assert found["lo"].rx_bytes == 12345678
    assert (found["eth0:1"].rx_drop, found["eth0:1"].rx_fifo, found["eth0:1"].tx_bytes) == (7, 3, 90)


def test_queues_of_another_namespace_are_not_visible(linux_6_18):
    """sysfs would show a device of the same name in the reader's namespace."""
    linux_6_18.files["/sys/class/net/lo/queues/rx-0/rps_cpus"] = b"3\n"
    linux_6_18.files["/sys/class/net/lo/queues/tx-0/xps_cpus"] = b"0\n"
    own = links.collect(linux_6_18)[0]
    assert (own.rx_queues, own.tx_queues, own.steering) == (1, 1, ("3",))
    assert links.collect(linux_6_18, 831)[0].rx_queues.why is Why.NOT_VISIBLE


def test_devices_without_netlink_are_an_error_of_the_kernel():
    with pytest.raises(OSError):
        links.collect(TreeHost())


def test_an_answer_cut_within_a_message_is_refused(linux_6_18):
    answer = linux_6_18.netlink(0, links.LINK_REQUEST)
    with pytest.raises(ParseError, match="within the answer"):
        links.parse_links(answer[:-1])


def _veth():
    for command in (
        "ip link add edge0 type veth peer edge1",
        "ip link set edge0 mtu 1400 txqueuelen 23 up",
        "tc qdisc add dev edge0 root pfifo limit 7",
    ):
        subprocess.run(command.split(), check=True)
    shown = json.loads(subprocess.run(["ip", "-j", "link"], capture_output=True, check=True).stdout)
    disciplines = json.loads(subprocess.run(["tc", "-j", "qdisc"], capture_output=True, check=True).stdout)
    return links.collect(ThisHost(), os.getpid()), shown, disciplines


@pytest.mark.netns
def test_devices_are_what_ip_and_tc_show(in_netns):
    devices, shown, disciplines = in_netns(_veth)
    assert [(d.link.index, d.link.name, d.link.mtu, d.link.tx_queue_len, d.link.qdisc) for d in devices] == [
        (row["ifindex"], row["ifname"], row["mtu"], row["txqlen"], row["qdisc"]) for row in shown
    ]
    assert {(d.link.name, q.kind) for d in devices for q in d.qdiscs} == {
        (row["dev"], row["kind"]) for row in disciplines
    }
    edge = next(d for d in devices if d.link.name == "edge0")
    assert (edge.link.mtu, edge.link.tx_queue_len) == (1400, 23)
    assert not isinstance(edge.counters, Absent)
