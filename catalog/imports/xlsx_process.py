"""The child process that reads the first sheet of an XLSX file from standard input.

It writes each row that is not blank as a line of JSON: the row's number, then its cells. A number
is one, a time is an object. It sets limits for itself first, because a file of a few kilobytes can
unpack to gigabytes.
"""

import json
import os
import sys
from collections.abc import Iterator
from datetime import date, time, timedelta
from typing import IO, Any

from common.process_limits import limit_lifetime, limit_resources

EXIT_DAMAGED, EXIT_OUT_OF_MEMORY = 3, 4
SIGNIFICANT_DIGITS = 15  # that Excel stores and shows


def main(arguments: dict[str, Any]) -> None:
    limit_lifetime(arguments["parent"], arguments["timeout_s"])
    limit_resources(
        memory_bytes=arguments["memory_bytes"], cpu_s=arguments["cpu_s"], output_bytes=2**40
    )
    try:
        for line in read_lines(sys.stdin.buffer, arguments["max_rows"]):
            sys.stdout.write(line)
        sys.stdout.flush()
    except MemoryError:
        os._exit(EXIT_OUT_OF_MEMORY)
    except BrokenPipeError:
        os._exit(0)
    except Exception:  # the parser raises errors of several types on damaged files
        os._exit(EXIT_DAMAGED)
    os._exit(0)


def read_lines(file: IO[bytes], max_rows: int | None) -> Iterator[str]:
    from python_calamine import CalamineWorkbook  # deferred until the limits are set

    sheet = CalamineWorkbook.from_filelike(file).get_sheet_by_index(0)
    first_line = sheet.start[0] + 1 if sheet.start else 1
    rows = sheet.to_python(skip_empty_area=True, nrows=max_rows) if max_rows else sheet.iter_rows()
    for number, row in enumerate(rows, first_line):
        if any(cell != "" for cell in row):
            yield f"{json.dumps([number, [convert(cell) for cell in row]])}\n"


def convert(cell: Any) -> Any:
    """Return the JSON value of a cell."""
    if isinstance(cell, float):
        return int(cell) if cell.is_integer() else float(f"{cell:.{SIGNIFICANT_DIGITS}g}")
    if isinstance(cell, date | time | timedelta):
        return {"time": str(cell)}
    return cell


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
