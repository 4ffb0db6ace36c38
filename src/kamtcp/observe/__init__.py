"""A module per source of the kernel: read through the Host, parsed apart from reading.

    attempt.py                 an error of reading or parsing becomes an Absent, with its reason
    sysctl.py, files.py, boot.py, memory.py, slabs.py, hashes.py, pressure.py, softnet.py    of the machine
    snmp.py, sockstat.py, conntrack.py, links.py (rtnetlink.py)                              of a network namespace
    sockets.py, census.py, halves.py (inet_diag.py), unix_diag.py                            sockets, by sock_diag
    processes.py, limits.py, descriptors.py, namespaces.py, cgroup.py                        of a process
    units.py (unitfiles.py)    the systemd unit with its drop-ins
    sysctlfiles.py, pamlimits.py, modprobe.py (confdirs.py)    what files set at boot, and which line wins
    logs.py                    where a process writes its log
    kernel_text.py             numbers as the kernel prints them

`parse` takes bytes and raises ParseError only; `collect` asks the Host.
"""
