"""Tables of numbers in NumPy's form, which may come from strangers.

NumPy's own reader takes what the header says for a Python expression, and makes room for what it promises. Here the
length of the file says how many rows there are, and the header has to be the one of so many.
"""

import io

import numpy as np


def content(table: np.ndarray, dtype: str) -> bytes:
    """A file with a table [rows, columns] of that type: `<u2`, say."""
    rows, columns = table.shape
    return _header(rows, columns, dtype) + table.astype(dtype).tobytes()


def parsed(file: bytes, dtype: str, columns: int) -> np.ndarray:
    """The table in a file as `content` writes it; it has one row or more.

    Raises:
        ValueError: It is something else.
    """
    start, size = len(_header(1, columns, dtype)), columns * np.dtype(dtype).itemsize
    rows = (len(file) - start) // size
    if rows < 1 or file[:start] != _header(rows, columns, dtype) or len(file) != start + size * rows:
        raise ValueError(f"no table of {columns} columns")
    return np.frombuffer(file, dtype, offset=start).reshape(rows, columns)


def _header(rows: int, columns: int, dtype: str) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": (rows, columns)})
    return stream.getvalue()
