"""The distribution: its links, its metadata, and what importing it loads."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import guardrail

ROOT = Path(__file__).resolve().parent.parent
LINKS = ("indexes", "classifiers", "server")
HEAVY = ("torch", "transformers", "spacy", "numba", "fastapi", "pydantic", "pyarrow")


def python(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def project() -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return table


def requirements() -> list[Requirement]:
    """What pyproject.toml asks for, in the base install and in all extras."""
    table = project()
    lines = [*table["dependencies"]]
    for extra in table["optional-dependencies"].values():
        lines += extra
    return [
        requirement
        for requirement in map(Requirement, lines)
        if requirement.name != "corpus-guardrail"
    ]


def pins() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pairs = (line.partition("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): Version(version) for name, _, version in pairs}


@pytest.mark.parametrize("name", LINKS)
def test_the_package_reaches_its_folders_through_relative_links(name: str) -> None:
    link = ROOT / "guardrail" / name
    assert link.is_symlink()
    assert link.readlink() == Path("..") / name
    assert (link / "__init__.py").samefile(ROOT / name / "__init__.py")


@pytest.mark.parametrize("name", LINKS)
def test_the_folders_are_parts_of_the_package(name: str) -> None:
    spec = find_spec(f"guardrail.{name}")
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).samefile(ROOT / name / "__init__.py")


@pytest.mark.parametrize("name", LINKS)
def test_the_bare_names_are_not_importable(name: str, tmp_path: Path) -> None:
    done = python("-P", "-c", f"import {name}", cwd=tmp_path)
    assert done.returncode == 1
    assert f"No module named '{name}'" in done.stderr


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = f"import sys, guardrail; print([n for n in {HEAVY!r} if n in sys.modules])"
    done = python("-c", code, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_each_requirement_is_pinned_within_its_range() -> None:
    pinned = pins()
    for requirement in requirements():
        version = pinned.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} has no pin in constraints.txt"
        assert version in requirement.specifier, f"{requirement} does not admit the pin {version}"


def test_each_requirement_names_the_oldest_release_that_serves() -> None:
    for requirement in requirements():
        operators = {specifier.operator for specifier in requirement.specifier}
        assert ">=" in operators, f"{requirement} has no lower bound"


def test_the_pins_are_sorted_and_unique() -> None:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    names = [line.partition("==")[0].lower() for line in lines if line and line[0] != "#"]
    assert names == sorted(set(names))


def test_the_command_points_at_a_function() -> None:
    module, _, function = project()["scripts"]["guardrail"].partition(":")
    done = python("-c", f"from {module} import {function} as f; assert callable(f)", cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_the_package_knows_its_version() -> None:
    assert guardrail.__version__ == project()["version"]


def test_the_first_changelog_entries_are_unreleased_and_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings[0] == "## [Unreleased]"
    assert headings[1].startswith(f"## [{project()['version']}]")
