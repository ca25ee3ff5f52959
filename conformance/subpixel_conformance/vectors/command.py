"""The command line: ``python -m subpixel_conformance.vectors make|check|publish [FOLDER]``, and what ``subpixel vectors`` needs.

Exit status: 0 all is well; 1 a vector or a file is not what it must be; 2 usage.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from subpixel_conformance.terminal import Cell, Screen

from .check import check
from .files import FOLDER
from .lock import publish
from .make import make
from .tensor import VectorError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "action",
        choices=("check", "make", "publish"),
        help="check: schema, checksums, the oracle's answers, and that no published vector changed; make: write the files anew; "
        "publish: lock the vectors that are new",
    )
    parser.add_argument(
        "folder", nargs="?", type=Path, default=FOLDER, metavar="FOLDER", help="the vectors of this distribution by default"
    )


def command(options: argparse.Namespace, screen: Screen) -> int:
    """Carry out one action and return the exit status."""
    folder: Path = options.folder
    if (folder.exists() and not folder.is_dir()) or (not folder.exists() and options.action != "make"):
        sys.stderr.write(f"subpixel vectors: FOLDER must be a folder; got {folder}\n")
        return 2
    try:
        if options.action == "make":
            for name, count in make(folder).items():
                screen.line(f"{name}: {count} vectors")
            return 0
        if options.action == "publish":
            published = publish(folder)
            screen.line(f"published {len(published)} vectors" if published else "every vector is published already")
            return 0
        return _check(folder, screen)
    except VectorError as error:
        sys.stderr.write(f"subpixel vectors: {error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"subpixel vectors: {error.filename or folder}: {error.strerror}\n")
        return 2


def _check(folder: Path, screen: Screen) -> int:
    checked = check(folder)
    for problem in checked.problems:
        sys.stderr.write(f"subpixel vectors: {problem}\n")
    if checked.problems:
        return 1
    rows: list[list[Cell]] = [[name, str(count)] for name, count in checked.counts.items()]
    screen.table("Vectors", ["file", "vectors"], rows, right=(1,))
    for note in checked.notes:
        screen.line(note, "yellow")
    for name in checked.unpublished:
        screen.line(f"not published: {name}", "yellow")
    total = sum(checked.counts.values())
    screen.line(f"{total} vectors are as the oracle says; {total - len(checked.unpublished)} published, none of them changed", "green")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m subpixel_conformance.vectors", description=__doc__)
    add_arguments(parser)
    return command(parser.parse_args(arguments), Screen())
