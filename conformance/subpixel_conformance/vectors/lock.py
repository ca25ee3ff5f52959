"""The lock: which vectors are published, each with its checksum, its file and the version of the specification it was published in.

A published vector is never changed, removed or moved: whoever runs it tomorrow must get the answer of today.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from .files import FOLDER, LOCK, Vector, checksum, read_json
from .tensor import VectorError

Entry = dict[str, str]
KEYS = ("file", "sha256", "spec")


def read_lock(folder: Path) -> dict[str, Entry]:
    """Return the entries by id; none where the folder has no lock yet. Raises VectorError for a file that is no lock."""
    path = folder / LOCK
    if not path.exists():
        return {}
    content = read_json(path)
    published = content.get("published") if isinstance(content, dict) else None
    if not isinstance(published, dict):
        raise VectorError(f"{LOCK}: must hold the object 'published'")
    for name, entry in published.items():
        if not isinstance(entry, dict) or sorted(entry) != sorted(KEYS) or not all(isinstance(value, str) for value in entry.values()):
            raise VectorError(f"{LOCK}: {name}: must have the texts {', '.join(KEYS)}")
    return published


def write_lock(entries: Mapping[str, Entry]) -> str:
    """Return the text of the lock: one vector per line, sorted by id."""
    lines = (f"{json.dumps(name)}: {json.dumps({key: entries[name][key] for key in KEYS})}" for name in sorted(entries))
    return '{\n"published": {\n' + ",\n".join(lines) + "\n}\n}\n"


def effective(folder: Path) -> tuple[dict[str, Entry], list[str]]:
    """Return what is published for a folder, and what its lock denies of it.

    The lock of this distribution holds for every copy of the vectors, so that an edit of a copy does not pass with an edit of its lock.
    A copy may know more, when it is newer than this suite.
    """
    own, ours = read_lock(folder), read_lock(FOLDER)
    problems = [] if own or not ours else [f"{LOCK}: is missing in {folder}"]
    if own:
        problems += [f"{LOCK}: {name}: is published, and missing in the lock" for name in ours if name not in own]
        problems += [f"{LOCK}: {name}: is published as another vector" for name in ours if name in own and own[name] != ours[name]]
    return {**own, **ours}, problems


def violations(entries: Mapping[str, Entry], present: Mapping[str, tuple[str, Vector]], unread: Iterable[str] = ()) -> dict[str, str]:
    """Return, by id, how published vectors differ from what is there; ``present`` maps an id to its file and the vector.

    Vectors of the files in ``unread`` are not called removed.
    """
    found = {}
    for name, entry in entries.items():
        if name not in present:
            if entry["file"] not in unread:
                found[name] = f"{entry['file']}: {name}: is published and must not be removed or renumbered"
            continue
        file, vector = present[name]
        if file != entry["file"]:
            found[name] = f"{file}: {name}: is published in {entry['file']} and must not be moved"
        elif checksum(vector) != entry["sha256"]:
            found[name] = (
                f"{file}: {name}: is published and must not be changed; its sha256 is {checksum(vector)[:12]}…, not {entry['sha256'][:12]}…"
            )
    return found


def publish(folder: Path = FOLDER) -> list[str]:
    """Add every vector that is not published yet to the lock, and return their ids. Raises VectorError where the check finds anything."""
    from subpixel_conformance.clauses import specification_version

    from .check import check

    checked = check(folder)
    if checked.problems:
        raise VectorError(checked.problems[0])
    entries = read_lock(folder)
    for name in checked.unpublished:
        file, vector = checked.present[name]
        entries[name] = {"file": file, "sha256": checksum(vector), "spec": specification_version()}
    if checked.unpublished:
        (folder / LOCK).write_text(write_lock(entries), encoding="utf-8")
    return checked.unpublished
