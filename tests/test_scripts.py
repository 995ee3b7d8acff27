"""The programs in scripts/: the sample corpus, commands of documents, contents of distributions."""

from __future__ import annotations

import json
import mailbox
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"

# Enough letters and digits not to be there by chance; a protected run is longer than that.
RUN = 40
LATIN = str.maketrans("асеіорѕху", "aceiopsxy")


def script(name: str, *arguments: str | Path, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / name), *map(str, arguments)],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def squeezed(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.casefold().translate(LATIN))


def runs(text: str) -> set[str]:
    units = squeezed(text)
    return {units[start : start + RUN] for start in range(len(units) - RUN + 1)}


def records(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "out"
    status, output = script("make_sample.py", folder, "--documents", "150")
    assert status == 0, output
    return folder


def corpus_texts(sample: Path) -> list[str]:
    corpus = sample / "corpus"
    texts = [
        path.read_text("utf-8")
        for kind in ("contracts", "code")
        for path in sorted((corpus / kind).rglob("*"))
        if path.is_file()
    ]
    texts += [record["text"] for record in records(corpus / "clinic" / "notes.jsonl")]
    texts += [record["text"] for record in records(corpus / "tickets" / "tickets.jsonl")]
    with closing(mailbox.mbox(corpus / "mail" / "team.mbox")) as messages:
        for message in messages:
            payload = message.get_payload(decode=True)
            assert isinstance(payload, bytes)
            texts.append(payload.decode("utf-8"))
    return texts


def test_the_sample_is_the_same_bytes_for_the_same_seed(sample: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    arguments = (again, "--documents", "150", "--seed", "7")
    status, output = script("make_sample.py", *arguments, PYTHONHASHSEED="5", LC_ALL="C")
    assert status == 0, output
    assert contents(again) == contents(sample)


def test_another_seed_gives_another_sample(sample: Path, tmp_path: Path) -> None:
    status, output = script("make_sample.py", tmp_path, "--documents", "150", "--seed", "8")
    assert status == 0, output
    assert contents(tmp_path) != contents(sample)


def test_the_sample_holds_as_many_different_documents_as_asked(sample: Path) -> None:
    texts = corpus_texts(sample)
    assert len(texts) == len(set(texts)) == 150


def test_a_document_does_not_depend_on_how_many_there_are(sample: Path, tmp_path: Path) -> None:
    status, output = script("make_sample.py", tmp_path, "--documents", "5")
    assert status == 0, output
    few, many = (records(root / "corpus/clinic/notes.jsonl") for root in (tmp_path, sample))
    assert few == many[:1]


# Leaks without a verbatim run or a phrase in them.
OTHERWISE = {"leak-edited", "leak-spliced", "leak-base64", "personal", "secret"}


def test_answers_are_what_they_are_said_to_be(sample: Path) -> None:
    known = set().union(*map(runs, corpus_texts(sample)))
    phrases = (sample / "phrases.txt").read_text("utf-8").splitlines()
    answers = records(sample / "responses.jsonl")
    assert {answer["expect"] for answer in answers} == {"clean", "leak"}
    assert len({answer["id"] for answer in answers}) == len(answers)
    for answer in answers:
        text = answer["text"]
        named = any(squeezed(phrase) in squeezed(text) for phrase in phrases)
        leaks = bool(runs(text) & known) or named or answer["id"] in OTHERWISE
        assert leaks == (answer["expect"] == "leak"), answer["id"]


def test_the_sample_does_not_write_over_something(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("x")
    status, output = script("make_sample.py", tmp_path)
    assert status == 2
    assert "is not an empty folder" in output
    assert contents(tmp_path) == {"precious": b"x"}


def fenced(mark: str, language: str, text: str) -> str:
    return f"{mark}\n```{language}\n{text}\n```\n"


@pytest.mark.parametrize(
    ("document", "status", "said"),
    [
        (fenced("<!-- run -->", "bash", "echo hello > made"), 0, "README.md:2: bash ok"),
        (fenced("<!-- run -->\n", "sh", "true"), 0, "sh ok"),
        (fenced("<!-- run -->", "console", "$ cat \\\n>   /dev/null\nno command"), 0, "console ok"),
        (fenced("<!-- run -->", "python", "import json"), 0, "python ok"),
        (fenced("<!-- run -->", "bash", "false\ntrue"), 1, "ended with status 1, expected 0"),
        (fenced("<!-- run -->", "python", "raise SystemExit(3)"), 1, "ended with status 3"),
        (fenced("<!-- run exit=3 -->", "bash", "exit 3"), 0, "bash ok"),
        (fenced("<!-- run exit=3 -->", "bash", "true"), 1, "ended with status 0, expected 3"),
        (fenced("<!-- run soon -->", "bash", "true"), 1, "unknown option 'soon'"),
        (fenced("<!-- run -->", "toml", "x = 1"), 1, "cannot run toml"),
        (fenced("<!-- run -->", "console", "no prompt"), 1, "holds no command"),
        ("<!-- run -->\n\ntext\n", 1, "a block has to follow"),
        ("<!-- run -->\n", 1, "the last mark has no block"),
        ("<!-- run -->\n```bash\ntrue\n", 1, "never closed"),
        (fenced("", "bash", "false"), 1, "no block is marked as runnable"),
        (fenced("", "", fenced("<!-- run -->", "toml", "x").replace("```", "~~~")), 1, "no block"),
    ],
)
def test_marked_blocks_of_a_document_run(
    tmp_path: Path, document: str, status: int, said: str
) -> None:
    path = tmp_path / "README.md"
    path.write_text(document, "utf-8")
    found, output = script("readme_commands.py", path)
    assert said in output
    assert found == status


def test_blocks_share_a_folder_and_run_in_order(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    second = "$ cat made\nhello\n$ test -d scripts"
    path.write_text(
        fenced("<!-- run -->", "bash", "echo hello > made")
        + fenced("", "bash", "rm made")
        + fenced("<!-- run -->", "console", second),
        "utf-8",
    )
    status, output = script("readme_commands.py", path)
    assert status == 0, output
    assert output.count(" ok, ") == 2
    assert not (tmp_path / "made").exists()


PYPROJECT = """
[project]
name = "corpus-guardrail"
version = "0.1.0"
license = "Apache-2.0"
requires-python = ">=3.11"
"""
METADATA = """Name: corpus-guardrail
Version: 0.1.0
License-Expression: Apache-2.0
Requires-Python: >=3.11

The description.
"""
PACKAGE = {
    f"guardrail/{name}": name
    for name in ("py.typed", "canonical.npz", "indexes/__init__.py", "policy.yaml")
}
INFO = "corpus_guardrail-0.1.0.dist-info"
WHEEL = PACKAGE | {
    f"{INFO}/METADATA": METADATA,
    **{f"{INFO}/{name}": "" for name in ("RECORD", "WHEEL", "entry_points.txt", "top_level.txt")},
    **{f"{INFO}/licenses/{name}": "" for name in ("LICENSE", "NOTICE")},
    "guardrail/compiled/here/a.kernel": "",
}
SDIST_OTHERS = (
    *("CHANGELOG.md", "LICENSE", "MANIFEST.in", "NOTICE", "README.md", "constraints.txt"),
    *(
        "pyproject.toml",
        "setup.py",
        "PKG-INFO",
        "setup.cfg",
        "corpus_guardrail.egg-info/SOURCES.txt",
    ),
)
SDIST = PACKAGE | dict.fromkeys(SDIST_OTHERS, "")


def distributions(
    folder: Path, wheel: Sequence[tuple[str, str]], sdist: Mapping[str, str]
) -> tuple[Path, Path]:
    """A source tree whose folder `indexes` is a link, and archives that hold what is given."""
    tree, dist = folder / "tree", folder / "dist"
    (tree / "indexes").mkdir(parents=True)
    (tree / "guardrail").mkdir()
    (tree / "guardrail" / "indexes").symlink_to("../indexes")
    for name, text in (PACKAGE | {"pyproject.toml": PYPROJECT}).items():
        (tree / name).write_text(text, "utf-8")
    dist.mkdir()
    with zipfile.ZipFile(
        dist / "corpus_guardrail-0.1.0-cp311-cp311-linux_x86_64.whl", "w"
    ) as archive:
        for name, text in wheel:
            archive.writestr(name, text)
    loose = folder / "loose"
    with tarfile.open(dist / "corpus_guardrail-0.1.0.tar.gz", "w:gz") as archive_tar:
        for name, text in sdist.items():
            loose.write_text(text, "utf-8")
            archive_tar.add(loose, f"corpus_guardrail-0.1.0/{name}")
    return tree, dist


def test_a_distribution_with_everything_once_is_accepted(tmp_path: Path) -> None:
    status, output = script("check_dist.py", *distributions(tmp_path, [*WHEEL.items()], SDIST))
    assert status == 0, output
    assert output.count("4 package files, each once") == 2


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
@pytest.mark.parametrize(
    ("wheel", "sdist", "said"),
    [
        ([("tests/test_x.py", "")], {}, "wheel: tests/test_x.py does not belong there"),
        ([("indexes/__init__.py", "")], {}, "wheel: indexes/__init__.py does not belong there"),
        ([("guardrail/py.typed", "py.typed")], {}, "guardrail/py.typed is there 2 times"),
        ([], {"indexes/__init__.py": ""}, "sdist: indexes/__init__.py does not belong there"),
        ([], {"guardrail/canonical.npz": "old"}, "sdist: guardrail/canonical.npz differs"),
    ],
)
def test_what_does_not_belong_in_a_distribution_is_named(
    tmp_path: Path, wheel: list[tuple[str, str]], sdist: dict[str, str], said: str
) -> None:
    folders = distributions(tmp_path, [*WHEEL.items(), *wheel], SDIST | sdist)
    status, output = script("check_dist.py", *folders)
    assert status == 1
    assert said in output


@pytest.mark.parametrize("name", [*PACKAGE, f"{INFO}/licenses/NOTICE"])
def test_what_is_missing_from_a_wheel_is_named(tmp_path: Path, name: str) -> None:
    wheel = [entry for entry in WHEEL.items() if entry[0] != name]
    status, output = script("check_dist.py", *distributions(tmp_path, wheel, SDIST))
    assert status == 1
    assert f"wheel: {name} is there 0 times instead of once" in output
