"""Recordings: the raw answers of a host in one file, scrubbed before they are stored.

recorder.py   a Host that notes every answer of another Host
recorded.py   a Host that answers from a recording
archive.py    the file: one, portable, checked for cuts and damage
addresses.py  a keyed one-to-one map of addresses
scrub*.py     what is replaced in which answer
"""
