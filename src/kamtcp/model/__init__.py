"""The vocabulary of facts: what was seen, and what could not be.

    absent.py    Absent, Unlimited: values that are no numbers
    origin.py    where a number comes from; a number with its name and origin
    machine.py   facts of the machine and of its network namespaces
    settings.py  what files set at boot
    instance.py  facts of one running Kamailio
    snapshot.py  all of it at one moment, with a schema version
    target.py    what the operator wants to hold
    acceptance.py  findings that the operator accepts
    growth.py    two snapshots: what a connection costs here, measured

Imports nothing else of kamtcp. Facts are frozen, serialisable, and judged elsewhere.
"""
