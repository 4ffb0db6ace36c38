"""Recordings: the raw answers of a host in one file, scrubbed before they are stored."""
