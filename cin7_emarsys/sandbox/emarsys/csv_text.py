"""The CSV rules that the uploads and the product file share: UTF-8, comma, `"` quoting, no newline inside a field."""

import csv
import io
from collections.abc import Iterator


def records(text: str) -> Iterator[tuple[int, list[str]]]:
    """Line number (header = 1) and cells. Raises ValueError for broken quoting and for a newline inside a field."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    number = 0
    try:
        for cells in reader:
            number += 1
            if reader.line_num != number:
                raise ValueError(f"line {number}: newline inside a field")
            yield number, cells
    except csv.Error as error:
        raise ValueError(f"line {number + 1}: {error}") from None
