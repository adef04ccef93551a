"""Rows of a CSV export, or an error: never fewer than the system wrote.

What belongs here: bytes into rows. What does not: which columns an export needs, and what a row with another number of
cells means.
"""

import csv
import io

from countersign.errors import SourceError


def csv_rows(content: bytes, where: str) -> list[tuple[int, list[str]]]:
    """The header, and every row that is not empty, each with the line it ends on; UTF-8, with or without a BOM.

    Raises SourceError for another encoding, unbalanced quotes, and a last line without an end, which was cut off.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(f"{where}: not UTF-8: byte {error.start} cannot be decoded; export it as UTF-8") from error
    if not text.endswith(("\n", "\r")):
        line = max(len(text.splitlines()), 1)
        raise SourceError(f"{where}: cut off in line {line}; export it again, whole, with its last line ended")
    longest = csv.field_size_limit(len(text))  # a long cell is the change's matter, not a broken file
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        return [(reader.line_num, cells) for cells in reader if cells or reader.line_num == 1]
    except csv.Error as error:
        raise SourceError(f"{where}: not CSV at line {reader.line_num}: {error}; export it again, whole") from error
    finally:
        csv.field_size_limit(longest)
