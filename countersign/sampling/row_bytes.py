"""The bytes of a row that its digest is over: the row as one RFC 8785 object, made for whole columns at a time.

What belongs here: bytes of rows and lines. What does not: files, and what a column means.

A row is an object of all its columns: text as a string, an instant as `2026-11-23T14:05:06.000007Z`, a list as an
array, a record as an object, a missing value as null. So whoever has the row has the bytes:
`json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False)`. Arrow puts them together a column at a
time, at a tenth of what an object for every row costs.
"""

import json
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_JOIN = pc.binary_join_element_wise
_QUOTED = ("text", "instant")


def row_bytes(batch: pa.RecordBatch) -> pa.Array:
    """Each row of a batch as its RFC 8785 bytes (binary); floats, of which RFC 8785 has a form of its own, are none."""
    return _objects(batch.schema, batch.columns).cast(pa.binary())


def json_ascii(texts: pa.Array) -> pa.Array:
    """Texts as JSON strings in ASCII, as `json.dumps` writes them: one line each, whatever they hold."""
    if _plain(texts, highest=0x7F):
        return _JOIN('"', texts, '"', "")
    return pa.array([json.dumps(text) for text in texts.to_pylist()], pa.string())


def _objects(schema: pa.Schema | pa.StructType, columns: list[pa.Array]) -> pa.Array:
    """JSON objects with sorted keys, one for each row."""
    by_name = sorted(zip((field.name for field in schema), columns, strict=True), key=lambda pair: pair[0])
    parts: list[pa.Array | str] = []
    between = "{"
    for name, column in by_name:
        before, value, after = _value(column)
        parts += [f'{between}"{name}":{before}', value]
        between = f"{after},"
    return _JOIN(*parts, between[:-1] + "}", "")


def _value(column: pa.Array) -> tuple[str, pa.Array, str]:
    """A column as JSON values, with what still has to stand before and after each: joined in one go that is cheaper."""
    kind = column.type
    before, after = "", ""
    if pa.types.is_string(kind):
        before, value, after = '"', _escaped(column), '"'
    elif pa.types.is_timestamp(kind):
        printed = column.cast(pa.timestamp("us")).cast(pa.string())  # 2026-11-23 14:05:06.000007
        before, value, after = '"', pc.binary_replace_slice(printed, 10, 11, "T"), 'Z"'
    elif pa.types.is_list(kind):
        value = _arrays(column)
    else:
        value = column.cast(pa.string())  # whole numbers, true and false
    if column.null_count:
        return "", _whole(before, value, after).fill_null("null"), ""
    return before, value, after


def _whole(before: str, value: pa.Array, after: str) -> pa.Array:
    return _JOIN(before, value, after, "") if before else value


def _arrays(column: pa.ListArray) -> pa.Array:
    """Lists as JSON arrays."""
    elements = column.flatten()
    kind = column.type.value_type
    if pa.types.is_struct(kind):
        fields = [elements.field(number) for number in range(kind.num_fields)]
        values = _records(kind, fields)
    else:
        values = _whole(*_value(elements))
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    joined = _JOIN("[", pc.binary_join(pa.ListArray.from_arrays(offsets, values), ","), "]", "")
    return pc.if_else(column.is_valid(), joined, None) if column.null_count else joined


def _records(kind: pa.StructType, fields: list[pa.Array]) -> pa.Array:
    """Records as JSON objects; where all fields are texts there are few different ones, and each is made once."""
    if not all(pa.types.is_string(field.type) and not field.null_count for field in fields):
        return _objects(kind, fields)
    encoded = [field.dictionary_encode() for field in fields]
    codes = np.zeros(len(fields[0]), np.int64)
    for field in encoded:
        codes = codes * len(field.dictionary) + field.indices.to_numpy()
    different = pa.array(codes).dictionary_encode()
    left, distinct = different.dictionary.to_numpy(), []
    for field in reversed(encoded):
        left, which = np.divmod(left, max(len(field.dictionary), 1))
        distinct.append(field.dictionary.take(pa.array(which)))
    return _objects(kind, distinct[::-1]).take(different.indices)


def _escaped(texts: pa.Array) -> pa.Array:
    """Texts as they stand between the quotes of a JSON string; hardly ever is there anything to escape."""
    if _plain(texts, highest=0xFF):
        return texts
    dumps: Callable[[str], str] = lambda text: json.dumps(text, ensure_ascii=False)[1:-1]  # noqa: E731
    return pa.array([None if text is None else dumps(text) for text in texts.to_pylist()], pa.string())


def _plain(texts: pa.Array, *, highest: int) -> bool:
    """Whether the UTF-8 bytes of these texts hold nothing that JSON escapes, and none above `highest`."""
    _, offsets, data = texts.buffers()
    if data is None or len(texts) == 0:
        return True
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    held = np.frombuffer(data, np.uint8)[ends[0] : ends[-1]]
    if not len(held):
        return True
    # scans at the speed of memory, where a regular expression takes as long as everything else together
    return bool(held.min() >= 0x20 and held.max() <= highest) and not ((held == 0x22) | (held == 0x5C)).any()
