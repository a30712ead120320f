"""The values of one Parquet column chunk, straight into an array.

A general reader puts lists together value by value, as any of them might be null or of another
length. In what pricon writes none is: there are pages of plain values side by side, and whatever
else is found is refused. Owns the layout of these pages; fetches and checks nothing.

Source: the Parquet format, https://parquet.apache.org/docs/file-format/data-pages
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_ZSTD = (0xFD2FB528).to_bytes(4, "little")
"""Starts a compressed page. Others start with the number of bytes of their levels, far smaller."""

_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _BINARY, _STRUCT = 1, 2, 3, 4, 5, 6, 8, 12
"""Types of fields in Thrift's compact protocol, those that headers of pages have."""


def read_pages(data: memoryview, values: NDArray[Any]) -> None:
    """Fill `values` with a column.

    Args:
        data: the bytes of its pages.
        values: contiguous, first axis windows; more axes where each of these holds a list.

    Raises:
        ValueError: the pages hold something else, or another number of values.
    """
    assert values.flags.c_contiguous
    flat = values.reshape(-1)
    num_levels = 1 if values.ndim == 1 else 2
    filled = 0
    for num_values, payload in _pages(data):
        start = 0
        for _ in range(num_levels):
            start += 4 + int.from_bytes(payload[start : start + 4], "little")
        if num_values * flat.itemsize != len(payload) - start or filled + num_values > len(flat):
            raise ValueError(f"a page of {num_values:,} values has {len(payload) - start:,} bytes")
        found = np.frombuffer(payload, flat.dtype, num_values, start)
        flat[filled : filled + num_values] = found
        filled += num_values
    if filled != len(flat):
        raise ValueError(f"{filled:,} values")


def _pages(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number of values and content of each page: levels, then values."""
    position = 0
    while position < len(data):
        header, position = _struct(data, position)
        match header:
            case {1: 0, 2: int(size), 3: int(stored), 5: {1: int(num_values), 2: 0}}:
                # Type DATA_PAGE, and in its own header the encoding PLAIN: both are number 0.
                payload = data[position : position + stored]
            case _:
                raise ValueError("a page that is no plain data page")
        if payload[:4] == _ZSTD:
            payload = _decompress(payload, size)
        if len(payload) != size:
            raise ValueError(f"a page of {len(payload):,} bytes, expected {size:,}")
        yield num_values, payload
        position += stored


def _decompress(payload: memoryview, size: int) -> memoryview:
    try:
        return memoryview(pa.decompress(payload, size, codec="zstd"))
    except OSError as err:
        raise ValueError(f"a page that cannot be decompressed ({err})") from err


def _struct(data: memoryview, position: int) -> tuple[dict[int, Any], int]:
    """A Thrift structure as field -> value, and where it ends.

    >>> _struct(memoryview(bytes([0x15, 0x00, 0x15, 0x08, 0x00])), 0)
    ({1: 0, 2: 4}, 5)
    """
    fields: dict[int, Any] = {}
    number = 0
    while True:
        byte, position = _byte(data, position)
        if byte == 0:
            return fields, position
        number += byte >> 4
        if byte < 16:
            raw, position = _integer(data, position)
            number = _signed(raw)
        kind = byte & 15
        if kind in {_TRUE, _FALSE}:
            fields[number] = kind == _TRUE
        elif kind == _BYTE:
            fields[number], position = _byte(data, position)
        elif kind in {_I16, _I32, _I64}:
            raw, position = _integer(data, position)
            fields[number] = _signed(raw)
        elif kind == _BINARY:
            size, position = _integer(data, position)
            position += size
        elif kind == _STRUCT:
            fields[number], position = _struct(data, position)
        else:
            raise ValueError(f"a header with a field of type {kind}")


def _byte(data: memoryview, position: int) -> tuple[int, int]:
    if position >= len(data):
        raise ValueError("a header that ends before its end")
    return data[position], position + 1


def _integer(data: memoryview, position: int) -> tuple[int, int]:
    """Seven bits a byte, low ones first; the eighth says that more follow."""
    value = shift = 0
    while True:
        byte, position = _byte(data, position)
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, position


def _signed(value: int) -> int:
    """Thrift's zigzag: 0, -1, 1, -2 ... are written as 0, 1, 2, 3 ..."""
    return (value >> 1) ^ -(value & 1)
