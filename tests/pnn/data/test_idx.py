import gzip
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pnn.data.idx import parse_idx, read_idx

CODES = {
    "uint8": 0x08,
    "int8": 0x09,
    "int16": 0x0B,
    "int32": 0x0C,
    "float32": 0x0D,
    "float64": 0x0E,
}


def idx_bytes(array):
    head = struct.pack(">HBB", 0, CODES[array.dtype.name], array.ndim)
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return head + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes()


any_array = st.sampled_from(sorted(CODES)).flatmap(
    lambda name: hnp.arrays(name, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5))
)


@settings(max_examples=100, deadline=None)
@given(any_array)
def test_what_was_written_is_read(array):
    found = parse_idx(idx_bytes(array))
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


@settings(max_examples=60, deadline=None)
@given(any_array, st.data())
def test_a_file_of_the_wrong_length_is_never_read(array, data):
    content = idx_bytes(array)
    cut = data.draw(st.integers(0, len(content) - 1))
    for wrong in (content[:cut], content + b"\0"):
        with pytest.raises(ValueError, match=r"^some\.idx: it"):
            parse_idx(wrong, "some.idx")


def test_a_known_file_byte_by_byte():
    content = bytes([0, 0, 0x0B, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0x01, 0x00, 0xFF, 0xFE])
    np.testing.assert_array_equal(parse_idx(content), [[256, -2]])


@pytest.mark.parametrize(
    "start", [b"\x01\0\x08\x01", b"\0\0\x0a\x01", b"\0\0\x08\0", b"<htm", b"\x89PNG"]
)
def test_a_wrong_magic_number_is_shown(start):
    with pytest.raises(ValueError, match=f"starts with the bytes {start[:4].hex(' ')}"):
        parse_idx(start + bytes(20))


def test_a_compressed_file_is_told_by_its_content(tmp_path):
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    for name, content in (
        ("raw", idx_bytes(array)),
        ("packed.gz", gzip.compress(idx_bytes(array))),
        ("unpacked-by-the-browser.gz", idx_bytes(array)),
    ):
        (tmp_path / name).write_bytes(content)
        np.testing.assert_array_equal(read_idx(tmp_path / name), array)


def test_a_damaged_compressed_file_is_named(tmp_path):
    whole = gzip.compress(idx_bytes(np.arange(200, dtype=np.uint8)))
    flipped = bytearray(whole)
    flipped[40] ^= 0xFF
    for content in (whole[:60], bytes(flipped)):
        (tmp_path / "x.gz").write_bytes(content)
        with pytest.raises(ValueError, match=r"x\.gz: the gzip file is damaged"):
            read_idx(tmp_path / "x.gz")
