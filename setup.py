"""What pyproject.toml cannot say: a build of the distribution compiles the kernels.

Machine code of all kernels (guardrail/jit.py) goes into `guardrail/compiled`: of the wheel, or of
the checkout where the installation is editable. The compiler is the numba that constraints.txt
pins; with another one at run time, or on another kind of processor, kernels are compiled at their
first use.

    GUARDRAIL_COMPILE=no                            leaves it out: a pure Python wheel
    NUMBA_CPU_NAME=generic NUMBA_CPU_FEATURES=...   compiles for any processor with these features
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import ClassVar

from setuptools import Command, Distribution, setup
from setuptools.command.build import build

ROOT = Path(__file__).resolve().parent
COMPILE = os.environ.get("GUARDRAIL_COMPILE", "yes") != "no"
WARM_UP = "import sys; sys.path.insert(0, sys.argv[1]); import guardrail.warm_up as w; w.warm_up()"


class CompileKernels(Command):
    """A step of `build`, behind the one that copies the package."""

    description = "compile the kernels"
    user_options: ClassVar[list[tuple[str, str | None, str]]] = []
    editable_mode = False

    def initialize_options(self) -> None:
        self.build_lib: str | None = None

    def finalize_options(self) -> None:
        self.set_undefined_options("build", ("build_lib", "build_lib"))

    def run(self) -> None:
        root = self._package_root()
        if not self.editable_mode:
            shutil.rmtree(root / "guardrail" / "compiled", ignore_errors=True)
        with tempfile.TemporaryDirectory() as nothing:
            # So that no cache elsewhere has them: then they would not be written here.
            environment = {**os.environ, "XDG_CACHE_HOME": nothing}
            environment.pop("NUMBA_CACHE_DIR", None)
            command = [sys.executable, "-c", WARM_UP, str(root)]
            done = subprocess.run(command, env=environment, check=False)
        if done.returncode:
            self.warn("the kernels could not be compiled; they will be at their first use")

    def _package_root(self) -> Path:
        return ROOT if self.editable_mode else Path(self.build_lib or "").resolve()

    def get_source_files(self) -> list[str]:
        return []

    def get_outputs(self) -> list[str]:
        if self.editable_mode:
            return []
        return [str(path) for path in self._package_root().glob("guardrail/compiled/*/*")]

    def get_output_mapping(self) -> dict[str, str]:
        return {}


class Compiled(Distribution):
    """Of this Python version and kind of machine."""

    def has_ext_modules(self) -> bool:
        return True


def compilers() -> list[str]:
    """What the kernels need to run, as the requirements of the build."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = {line.partition("==")[0].lower(): line for line in lines if "==" in line}
    return [
        pins.get(wanted.partition(">")[0].strip().lower(), wanted)
        for wanted in project["dependencies"]
    ]


if COMPILE:
    build.sub_commands.append(("compile_kernels", None))
    setup(
        distclass=Compiled,
        cmdclass={"compile_kernels": CompileKernels},
        setup_requires=compilers(),
    )
else:
    setup()
