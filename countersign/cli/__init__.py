"""The command line: parse, call, print. `main` is the entry point; one module per command group."""

from countersign.cli.app import main

__all__ = ["main"]
