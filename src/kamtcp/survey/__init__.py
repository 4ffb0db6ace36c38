"""Looking at a whole machine once: Host -> Snapshot.

    take.py        the order of looking
    machine.py     facts that exist once per machine
    namespace.py   facts of one network namespace
    find.py        running Kamailios among all processes
    endpoints.py   where an instance may be asked by RPC
    instance.py    facts of one Kamailio
    processes.py   its processes: roles, limits, descriptors, memory pools
    parameters.py  its parameters in force: RPC, command line, file, compiled default

Calls `observe` and `kamailio`, judges nothing. What fails costs its own facts only.
"""
