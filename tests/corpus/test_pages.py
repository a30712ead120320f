import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pricon.corpus.pages import read_pages


def column(table: pa.Table, **options: object) -> memoryview:
    """The bytes of the only column."""
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=table.num_rows, **options)
    data = sink.getvalue()
    found = pq.read_metadata(pa.BufferReader(data)).row_group(0).column(0)
    start = found.dictionary_page_offset or found.data_page_offset
    return memoryview(data)[start:][: found.total_compressed_size]


def lists(values: NDArray[np.float32]) -> pa.Table:
    flat = pa.array(values.ravel())
    return pa.table({"x": pa.FixedSizeListArray.from_arrays(flat, values.shape[1])})


@settings(max_examples=60, deadline=None)
@given(
    num=st.integers(1, 400),
    width=st.integers(1, 40),
    compression=st.sampled_from(["none", "zstd"]),
    page_bytes=st.sampled_from([64, 5000, 1 << 20]),
    seed=st.integers(0, 99),
)
def test_lists_come_back_bit_by_bit(
    num: int, width: int, compression: str, page_bytes: int, seed: int
) -> None:
    values = np.random.default_rng(seed).standard_normal((num, width)).round(2).astype(np.float32)
    values[values > 1] = np.nan
    data = column(
        lists(values),
        compression=compression,
        use_dictionary=False,
        write_statistics=seed % 2 == 0,
        data_page_size=page_bytes,
    )
    found = np.zeros_like(values)
    read_pages(data, found)
    np.testing.assert_array_equal(found.view(np.int32), values.view(np.int32))


def test_numbers_come_back() -> None:
    values = np.array([0.5, np.nan, -2.0] * 50_000)
    found = np.zeros_like(values)
    read_pages(column(pa.table({"x": values}), use_dictionary=False, compression="zstd"), found)
    np.testing.assert_array_equal(found, values)


def test_a_sequence_of_frames_is_one_list() -> None:
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    found = np.zeros_like(values)
    data = column(lists(values.reshape(2, 12)), use_dictionary=False, compression="none")
    read_pages(data, found)
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize(
    ("table", "options", "match"),
    [
        ({"x": pa.array([1.0, None, 3.0])}, {}, r"a page of 3 values has 16 bytes"),
        ({"x": [1.0, 2.0]}, {}, r"^2 values"),
        ({"x": [1.0, 2.0, 3.0, 4.0]}, {}, r"a page of 4 values"),
        ({"x": [1.0, 2.0, 3.0]}, {"use_dictionary": True}, "no plain data page"),
        ({"x": [1.0, 2.0, 3.0]}, {"data_page_version": "2.0"}, "no plain data page"),
        ({"x": [1.0] * 9}, {"compression": "snappy"}, "expected"),
        (
            {"x": [1.0, 2.0, 3.0]},
            {"column_encoding": {"x": "BYTE_STREAM_SPLIT"}},
            "no plain data page",
        ),
    ],
)
def test_other_pages_are_refused(
    table: dict[str, object], options: dict[str, object], match: str
) -> None:
    data = column(pa.table(table), **{"use_dictionary": False, "compression": "none"} | options)
    with pytest.raises(ValueError, match=match):
        read_pages(data, np.zeros(3))


@given(data=st.binary(max_size=60))
def test_bytes_of_anything_else_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # whatever is wrong with them
        read_pages(memoryview(data), np.zeros(3, np.float32))


def test_pages_cut_short_are_refused() -> None:
    data = column(pa.table({"x": [1.0, 2.0, 3.0]}), use_dictionary=False, compression="none")
    for end in range(len(data)):
        with pytest.raises(ValueError, match=r"header|values|bytes"):
            read_pages(data[:end], np.zeros(3))
