"""Compare a built wheel and sdist with the source tree that they were built from.

    python scripts/check_dist.py TREE DIST

Every file of the package has to be in both, once, with the same bytes, and nothing else may be: no
tests, no bare `indexes`, `classifiers` or `server` beside the package.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tarfile
import tomllib
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from email.parser import BytesParser
from pathlib import Path, PurePosixPath

# What the sdist holds beside the package: for building, for the licence, and for people.
SDIST_ROOT = {
    "CHANGELOG.md",
    "LICENSE",
    "MANIFEST.in",
    "NOTICE",
    "README.md",
    "constraints.txt",
    "pyproject.toml",
    "setup.py",
}
COMPILED = "guardrail/compiled/"
SDIST_GENERATED = {"PKG-INFO", "setup.cfg"}
WHEEL_INFO = {
    "METADATA",
    "RECORD",
    "WHEEL",
    "entry_points.txt",
    "licenses/LICENSE",
    "licenses/NOTICE",
    "top_level.txt",
}


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def package_files(tree: Path) -> dict[str, str]:
    """Path and digest of each file of the package, read through the links."""
    files = {}
    for folder, folders, names in os.walk(tree / "guardrail", followlinks=True):
        folders[:] = [name for name in folders if name not in ("__pycache__", "compiled")]
        for name in names:
            path = Path(folder, name)
            files[path.relative_to(tree).as_posix()] = digest(path.read_bytes())
    return files


def wheel_entries(path: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if not info.is_dir():
                yield info.filename, archive.read(info)


def sdist_entries(path: Path) -> Iterator[tuple[str, bytes]]:
    """Names without the leading NAME-VERSION folder; a link has no bytes, so it never compares."""
    with tarfile.open(path) as archive:
        for member in archive:
            if not member.isdir():
                stream = archive.extractfile(member) if member.isreg() else None
                name = PurePosixPath(*PurePosixPath(member.name).parts[1:]).as_posix()
                yield name, stream.read() if stream else b""


def compare(
    label: str, entries: Iterator[tuple[str, bytes]], package: Mapping[str, str], others: set[str]
) -> Iterator[str]:
    """Complaints about an archive that should hold `package` and `others`, each once."""
    seen: Counter[str] = Counter()
    for name, data in entries:
        seen[name] += 1
        if name in package:
            if digest(data) != package[name]:
                yield f"{label}: {name} differs from the source"
        elif name not in others:
            yield f"{label}: {name} does not belong there"
    for name in sorted(package.keys() | others):
        if seen[name] != 1:
            yield f"{label}: {name} is there {seen[name]} times instead of once"


def complaints(tree: Path, wheel: Path, sdist: Path) -> Iterator[str]:
    project = tomllib.loads((tree / "pyproject.toml").read_text("utf-8"))["project"]
    package = package_files(tree)
    for needed in (
        "guardrail/py.typed",
        "guardrail/canonical.npz",
        "guardrail/indexes/__init__.py",
    ):
        if needed not in package:
            yield f"source tree: {needed} is missing"

    info = f"corpus_guardrail-{project['version']}.dist-info"
    others = {f"{info}/{name}" for name in WHEEL_INFO}
    compiled = {name for name, _ in wheel_entries(wheel) if name.startswith(COMPILED)}
    yield from compare("wheel", wheel_entries(wheel), package, others | compiled)
    if not any(name.endswith(".kernel") for name in compiled):
        yield "wheel: there is no machine code in it"
    if wheel.name.endswith("-any.whl"):
        yield f"wheel: {wheel.name} holds machine code and should be of one platform"
    metadata = BytesParser().parsebytes(dict(wheel_entries(wheel))[f"{info}/METADATA"])
    for field, expected in (
        ("Name", project["name"]),
        ("Version", project["version"]),
        ("License-Expression", project["license"]),
        ("Requires-Python", project["requires-python"]),
    ):
        if metadata[field] != expected:
            yield f"wheel: {field} is {metadata[field]!r}, expected {expected!r}"
    if not metadata.get_payload():
        yield "wheel: the description is empty; README.md did not get in"

    # setuptools leaves its own bookkeeping in the sdist; it names files and holds none.
    sdist_files = (
        (name, data)
        for name, data in sdist_entries(sdist)
        if not name.startswith("corpus_guardrail.egg-info/")
    )
    yield from compare("sdist", sdist_files, package, SDIST_ROOT | SDIST_GENERATED)


def only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise SystemExit(f"{folder} holds {len(found)} files that match {pattern}, expected one")
    return found[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tree", type=Path, metavar="TREE")
    parser.add_argument("dist", type=Path, metavar="DIST")
    arguments = parser.parse_args()
    wheel, sdist = only(arguments.dist, "*.whl"), only(arguments.dist, "*.tar.gz")
    found = list(complaints(arguments.tree, wheel, sdist))
    if found:
        sys.exit("\n".join(found))
    files = len(package_files(arguments.tree))
    for archive in (wheel, sdist):
        size = archive.stat().st_size
        print(f"{archive.name}: {files} package files, each once, {size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
