from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from kamtcp.model.absent import Absent, Why
from kamtcp.observe import softnet

U32 = st.integers(0, 2**32 - 1)


def test_a_row_names_its_cpu(linux_6_18):
    assert [row.cpu for row in softnet.collect(linux_6_18)] == [0, 1]


def test_an_old_row_has_neither_cpu_nor_backlog(linux_3_10):
    """11 columns: a row number is not a CPU, as offline ones are left out."""
    first, second = softnet.collect(linux_3_10)
    assert (first.processed, first.dropped, first.time_squeeze) == (0x74A, 5, 2)
    assert (first.received_rps, first.flow_limit) == (11, 1)
    assert first.cpu.why is Why.MISSING
    assert first.backlog.why is Why.MISSING
    assert second.processed == 2**32 - 1


@settings(max_examples=60, deadline=None)
@given(st.integers(9, 17), st.lists(st.lists(U32, min_size=17, max_size=17), min_size=1, max_size=4))
def test_reads_back_what_the_kernel_prints(columns, table):
    """Any number of columns from 9 on is read; what is there is right, what isn't is missing."""
    data = "".join(" ".join(f"{value:08x}" for value in row[:columns]) + "\n" for row in table).encode()
    for row, read in zip(table, softnet.parse(data), strict=True):
        assert (read.processed, read.dropped, read.time_squeeze) == tuple(row[:3])
        for number, value in (
            (10, read.received_rps),
            (11, read.flow_limit),
            (12, read.backlog),
            (13, read.cpu),
        ):
            assert value == row[number - 1] if columns >= number else isinstance(value, Absent)
