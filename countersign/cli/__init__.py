"""The command line: parse, call, print. `main` is the entry point; one module per command group."""

import sys

TYPE_CHECKING = False  # as type checkers read it; see the package's own docstring
if TYPE_CHECKING:
    from typing import NoReturn

INTERRUPTED = 130


def main() -> "NoReturn":
    """Import everything, which takes a second or two, and run the command line."""
    try:
        from countersign.cli.app import main as run  # noqa: PLC0415  # what is caught here is the import
    except (KeyboardInterrupt, RuntimeError) as error:
        # Python 3.11 makes a RuntimeError of it where a class is just being put together
        if KeyboardInterrupt not in (type(error), type(error.__cause__)):
            raise
        print("countersign: stopped before it began; the same command does it", file=sys.stderr)
        sys.exit(INTERRUPTED)
    run()


__all__ = ["INTERRUPTED", "main"]
