"""The only door to a machine.

    door.py        Host: the few reads everything is made of, with their errors
    live.py        Live: this machine, and Within: as one process sees it
    nowhere.py     a place that may not be entered
    namespaces.py  a thread in another network namespace
    inroot.py      paths below another root, links followed as its processes mean them
    netlink.py     one dump into one buffer
    exchange.py    one RPC question and its answer; framing.py, local.py: how much is one answer, local sockets
    probes.py      harmless experiments on the kernel

Recorded hosts are in record/. Nothing here judges, and nothing here writes.
"""
