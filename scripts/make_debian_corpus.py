#!/usr/bin/env python3
"""Build a large plain-text corpus from Debian documentation packages, for the benchmarks.

    python scripts/make_debian_corpus.py OUT_DIR                        about 250 MB of text
    python scripts/make_debian_corpus.py OUT_DIR --packages perl-doc    chosen packages only
    python scripts/make_debian_corpus.py BIG_DIR --vary 8 --source OUT_DIR/corpus.jsonl

Packages are fetched with ``apt-get download`` and unpacked with ``dpkg-deb -x``; nothing is
installed. HTML, POD, roff, rst, info and dictionary files become plain text. The result is
``OUT_DIR/corpus.jsonl``, one JSON object a line with ``id``, ``collection`` and ``text``, in an
order that depends on the package versions alone. A run that was cut off goes on where it stopped:
downloads (``debs/``) and converted packages (``parts/``) are kept.

``--vary N`` writes a corpus N times the size of ``--source``. The first copy is the source itself;
each further copy puts other words in the place of all words, by a seeded permutation of vowels, of
consonants, of digits and of the letters of each other script. Lengths, word frequencies and
repetitions stay as they are, and the copies share next to no passages.

Needs apt and lxml. Everything else is the standard library.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

DEFAULT_PACKAGES = (
    "linux-doc-6.1",
    "python3.11-doc",
    "debian-handbook",
    "postgresql-doc-15",
    "perl-doc",
    "openjdk-17-doc",
    "erlang-doc",
    "dict-gcide",
    "dict-wn",
    "dict-foldoc",
    "apache2-doc",
    "sqlite3-doc",
    "octave-doc",
    "git-doc",
    "python-scipy-doc",
    "libstdc++-12-doc",
    "manpages-dev",
    "manpages-de",
    "manpages-fr",
)

MAX_DOCUMENT_CHARS = 1_000_000  # a longer text becomes several documents
MIN_DOCUMENT_CHARS = 200  # redirect stubs and empty pages
MAX_FILE_BYTES = 64_000_000
MEGABYTE = 1_000_000


class CorpusError(Exception):
    """Something outside this script prevents the corpus from being built."""


# --- Conversion of one file -----------------------------------------------------------------------

# A line break before each of these keeps words of neighbouring cells and paragraphs apart; done on
# the bytes, because a Python loop over the parsed elements takes several times as long.
_BLOCK_TAG = re.compile(
    rb"<(?=/?(?:address|article|blockquote|br|caption|dd|div|dl|dt|figure|footer|form|h[1-6]|header"
    rb"|hr|li|main|ol|option|p|pre|section|table|tbody|td|th|thead|title|tr|ul)[\s/>])",
    re.IGNORECASE,
)
_DROPPED_TAGS = ("script", "style", "nav", "noscript", "template", "svg", "button", "select")
_SPACES = re.compile(r"[^\S\n]+")
_BLANK_LINES = re.compile(r" ?\n(?:\s*\n)?\s*?(?=\S|$)")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ufffe\uffff\ud800-\udfff]")


def decode(data: bytes) -> str:
    """Text of a file whose encoding is UTF-8 or, failing that, taken to be Latin-1."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def tidy(text: str) -> str:
    """Collapse blanks inside lines and runs of empty lines; drop control characters."""
    text = _CONTROL.sub(" ", text)
    text = _SPACES.sub(" ", text)
    return _BLANK_LINES.sub(lambda m: "\n\n" if m.group().count("\n") > 2 else "\n", text).strip()


def html_to_text(data: bytes) -> str:
    from lxml import etree  # type: ignore[import-untyped]

    try:
        data.decode("utf-8")
        encoding: str | None = "utf-8"
    except UnicodeDecodeError:
        encoding = None  # what the page declares
    parser = etree.HTMLParser(
        encoding=encoding, remove_comments=True, remove_pis=True, huge_tree=True
    )
    root = etree.fromstring(_BLOCK_TAG.sub(b"\n<", data), parser)
    if root is None:
        return ""
    etree.strip_elements(root, *_DROPPED_TAGS, with_tail=False)
    return tidy(str(etree.tostring(root, method="text", encoding="unicode")))


_POD_COMMAND = re.compile(r"^=(\w+)[ \t]*(.*)$", re.MULTILINE)
_POD_FORMAT = re.compile(r"\b([BCEFILSXZ])(?:<([^<>]*)>|<<+\s(.*?)\s>>+)", re.DOTALL)
_POD_ESCAPES = {"lt": "<", "gt": ">", "verbar": "|", "sol": "/"}


def _pod_command(match: re.Match[str]) -> str:
    return match.group(2) if match.group(1).startswith(("head", "item")) else ""


def _pod_format(match: re.Match[str]) -> str:
    code = match.group(1)
    body = match.group(2) if match.group(2) is not None else match.group(3)
    if code in "XZ":
        return ""
    if code == "E":
        return _POD_ESCAPES.get(body, "")
    if code == "L":
        return body.split("|", 1)[0]
    return body


def pod_to_text(data: bytes) -> str:
    text = decode(data)
    text = _POD_COMMAND.sub(_pod_command, text)
    for _ in range(4):  # nested formatting codes, innermost first
        replaced = _POD_FORMAT.sub(_pod_format, text)
        if replaced == text:
            break
        text = replaced
    return tidy(text)


_ROFF_ESCAPE = re.compile(
    r"\\(?:f(?:\[[^\]]*\]|\(..|.)|s[+-]?\d+|[*n](?:\[[^\]]*\]|\(..|.)|[mkFM]\[[^\]]*\]"
    r"|[hvwXZ]'[^']*'|[|^&%)/,:cpdu]|\".*)"
)
_ROFF_NAMED = {
    "em": "\u2014", "en": "\u2013", "bu": "\u2022", "co": "\u00a9", "aq": "'", "Aq": "'", "dq": '"',
    "lq": "\u201c", "rq": "\u201d", "oq": "\u2018", "cq": "\u2019", "ha": "^", "ti": "~",
    "rs": "\\", "ga": "`", "mu": "\u00d7", "+-": "\u00b1", "->": "\u2192",
    "<=": "\u2264", ">=": "\u2265",
}  # fmt: skip
_ROFF_GLYPH = re.compile(r"\\\*?(?:\((..)|\[([^\]\s]{1,16})\])|\\([-e ~0'`.])")


def _roff_glyph(match: re.Match[str]) -> str:
    long, bracketed, short = match.groups()
    if short:
        return {"e": "\\", "~": " ", "0": " "}.get(short, short)
    return _ROFF_NAMED.get(long or bracketed, "")


_ROFF_SHOWN = frozenset(
    {"SH", "SS", "B", "I", "BR", "IR", "RB", "RI", "BI", "IB", "SM", "SB", "IP", "TP"}
    | {"Dd", "Nm", "Nd", "Fl", "Ar", "Xr", "Sh", "Ss", "It"}
)
_ROFF_CONDITIONAL = re.compile(r"^\.\s*(?:if|ie|el|de|ig)\b")


def man_to_text(data: bytes) -> str:
    lines: list[str] = []
    skipping = False
    for line in decode(data).splitlines():
        if skipping:
            skipping = line.rstrip() not in ("..", ".\\}")
            continue
        if line.startswith((".", "'")):
            if _ROFF_CONDITIONAL.match(line):
                skipping = line.rstrip().endswith("\\{\\") or line.startswith((".de", ".ig"))
                continue
            name, _, rest = line[1:].lstrip().partition(" ")
            if name in ("PP", "P", "LP", "sp"):
                lines.append("")
            if name not in _ROFF_SHOWN:
                continue
            if name in ("SH", "SS", "Sh", "Ss"):
                lines.append("")
            # The alternating-font macros set their arguments without a space between them.
            glue = "" if name in ("BR", "IR", "RB", "RI", "BI", "IB") else " "
            arguments = re.findall(r'"([^"]*)"|(\S+)', rest)
            line = glue.join(quoted or plain for quoted, plain in arguments)
        lines.append(line)
    text = _ROFF_GLYPH.sub(_roff_glyph, "\n".join(lines))
    return tidy(_ROFF_ESCAPE.sub("", text))


_RST_ROLE = re.compile(r":[\w:+.-]+:`([^`<]*?)(?:\s*<[^`>]*>)?`")
_RST_DIRECTIVE = re.compile(r"^\s*\.\. (?:[\w:-]+::|_[^:\n]*:|\|[^|\n]*\|).*$", re.MULTILINE)
_RST_RULE = re.compile(r"^\s*([=\-~^\"'`#*+.:_])\1{2,}\s*$", re.MULTILINE)


def rst_to_text(data: bytes) -> str:
    text = _RST_DIRECTIVE.sub("", decode(data))
    text = _RST_RULE.sub("", _RST_ROLE.sub(r"\1", text))
    return tidy(text.replace("``", "").replace("**", ""))


def plain_to_text(data: bytes) -> str:
    return tidy(decode(data))


def info_to_text(data: bytes) -> str:
    text = decode(data)
    tag_table = text.find("\x1f\nTag Table:")
    return tidy(text if tag_table < 0 else text[:tag_table])


# --- Which files of a package, in which form ------------------------------------------------------

Converter = Callable[[bytes], str]

# By preference: of several forms of one page only the first is taken.
_FORMATS: tuple[tuple[tuple[str, ...], Converter], ...] = (
    ((".html", ".htm", ".xhtml"), html_to_text),
    ((".pod",), pod_to_text),
    ((".dict",), plain_to_text),
    ((".rst",), rst_to_text),
    ((".txt", ".yaml", ".md"), plain_to_text),
    (tuple(f".{section}{suffix}" for section in range(1, 10) for suffix in ("", "pm", "perl")),
     man_to_text),
    ((".info",), info_to_text),
)  # fmt: skip
_INFO_RANK = len(_FORMATS) - 1
_SKIPPED_FOLDERS = frozenset({"_sources", "_static", "_modules", "search.d", "lintian", "doc-base"})


@dataclass(frozen=True, slots=True)
class Source:
    path: Path
    name: str  # inside the package
    rank: int
    compressed: bool


def sources(root: Path) -> list[Source]:
    """The files of an unpacked package that become documents, in the order of their names."""
    candidates: list[Source] = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(set(folders) - _SKIPPED_FOLDERS)
        for file in sorted(files):
            path = Path(folder, file)
            if path.is_symlink() or path.stat().st_size > MAX_FILE_BYTES:
                continue
            stem = file
            for ending in (".gz", ".dz"):
                stem = stem.removesuffix(ending)
            for rank, (endings, _) in enumerate(_FORMATS):
                if stem.lower().endswith(endings):
                    name = str(path.relative_to(root))
                    candidates.append(Source(path, name, rank, stem != file))
                    break
    best: dict[str, int] = {}
    for source in candidates:
        page = _page(source)
        best[page] = min(best.get(page, source.rank), source.rank)
    has_html = any(source.rank == 0 for source in candidates)
    return [
        source
        for source in candidates
        if source.rank == best[_page(source)] and not (has_html and source.rank == _INFO_RANK)
    ]


def _page(source: Source) -> str:
    return source.path.name.split(".", 1)[0]


def split(text: str, limit: int = MAX_DOCUMENT_CHARS) -> Iterator[str]:
    """The text in pieces of at most ``limit`` characters, cut at line ends where there are any."""
    start = 0
    while len(text) - start > limit:
        end = max(text.rfind("\n\n", start + limit // 2, start + limit), 0)
        end = end or max(text.rfind("\n", start + limit // 2, start + limit), 0) or start + limit
        yield text[start:end].strip()
        start = end
    yield text[start:].strip()


@dataclass(slots=True)
class Tally:
    documents: int = 0
    bytes: int = 0
    characters: int = 0
    canonical: int = 0
    words: int = 0

    def add(self, text: str) -> None:
        encoded = text.encode()
        self.documents += 1
        self.bytes += len(encoded)
        self.characters += len(text)
        # Letters and digits, which is what an overlap index sees of a text.
        self.canonical += len(encoded.translate(None, _NOT_ASCII_ALNUM))
        if len(encoded) != len(text):
            self.canonical += len(_NON_ASCII_ALNUM.findall(text))
        self.words += len(text.split())

    def __iadd__(self, other: Tally) -> Tally:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self


_NOT_ASCII_ALNUM = bytes(b for b in range(256) if not (b < 128 and chr(b).isalnum()))
_NON_ASCII_ALNUM = re.compile(r"[^\W_\x00-\x7f]")


def convert_package(package: str, deb: Path, part: Path, scratch: Path) -> None:
    """Write the documents of one package as JSON Lines; the file appears only when complete."""
    failed = 0
    seen: set[bytes] = set()
    with tempfile.TemporaryDirectory(prefix="unpacked-", dir=scratch) as folder:
        _command(["dpkg-deb", "-x", str(deb), folder], f"unpacking {deb.name}")
        unfinished = part.with_suffix(".tmp")
        with unfinished.open("w", encoding="utf-8") as out:
            for source in sources(Path(folder)):
                data = source.path.read_bytes()
                try:
                    if source.compressed:
                        data = gzip.decompress(data)
                    text = _FORMATS[source.rank][1](data)
                except (OSError, EOFError, ValueError, SyntaxError):
                    failed += 1  # a damaged archive or markup that lxml gives up on
                    continue
                if len(text) < MIN_DOCUMENT_CHARS:
                    continue
                digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
                if digest in seen:
                    continue
                seen.add(digest)
                pieces = list(split(text))
                for number, piece in enumerate(pieces):
                    name = f"{package}/{source.name}"
                    if len(pieces) > 1:
                        name += f"#{number}"
                    record = {"id": name, "collection": package, "text": piece}
                    out.write(json.dumps(record, ensure_ascii=False) + "\n")
        unfinished.replace(part)
    if failed:
        print(f"  {package}: {failed} files could not be converted", file=sys.stderr)


# --- Downloads ------------------------------------------------------------------------------------


def _command(command: Sequence[str], doing: str, cwd: Path | None = None) -> None:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise CorpusError(
            f"{doing}: the command {command[0]!r} is not installed; this script needs Debian or a "
            "system with its apt and dpkg"
        ) from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.startswith(("E:", "dpkg"))]
        detail = "; ".join(lines[:3]) or done.stderr.strip()[-300:] or f"exit {done.returncode}"
        raise CorpusError(f"{doing} failed: {detail}")


def download(packages: Sequence[str], folder: Path) -> dict[str, Path]:
    """One archive per package; those already in ``folder`` are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {package: _downloaded(package, folder) for package in packages}
    if any(deb is None for deb in found.values()):
        try:
            _command(["apt-get", "-q", "update"], "updating the package lists")
        except CorpusError as error:
            if shutil.which("apt-get") is None:
                raise
            # Not root, or offline with lists that may still do.
            print(f"  {error}; trying with the lists that are there", file=sys.stderr)
    for package in packages:
        if found[package] is None:
            with tempfile.TemporaryDirectory(prefix="download-", dir=folder) as partial:
                print(f"  downloading {package}", file=sys.stderr)
                try:
                    _command(
                        ["apt-get", "-q", "download", package],
                        f"downloading {package}",
                        Path(partial),
                    )
                except CorpusError as error:
                    raise CorpusError(
                        f"{error}. Check the network and the package name (apt-cache policy "
                        f"{package}), or leave it out with --packages"
                    ) from None
                for deb in Path(partial).glob("*.deb"):
                    deb.replace(folder / deb.name)
            found[package] = _downloaded(package, folder)
    result: dict[str, Path] = {}
    for package, archive in found.items():
        if archive is None:
            raise CorpusError(f"downloading {package} produced no archive in {folder}")
        result[package] = archive
    return result


def _downloaded(package: str, folder: Path) -> Path | None:
    return max(folder.glob(f"{package}_*.deb"), default=None, key=lambda deb: deb.name)


# --- Assembly -------------------------------------------------------------------------------------


def shares(sizes: dict[str, int], limit: int) -> dict[str, float]:
    """The share of each package that fits into ``limit``: small packages whole, large ones cut."""
    if sum(sizes.values()) <= limit:
        return dict.fromkeys(sizes, 1.0)
    level, left = 0.0, float(limit)
    ordered = sorted(sizes.values())
    for index, size in enumerate(ordered):
        level = left / (len(ordered) - index)
        if size > level:
            break
        left -= size
    return {package: min(1.0, level / size) if size else 1.0 for package, size in sizes.items()}


def text_bytes(part: Path) -> int:
    with part.open("rb") as lines:
        return sum(len(json.loads(line)["text"].encode()) for line in lines)


def build(out: Path, packages: Sequence[str], size_mb: float) -> None:
    started = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    debs = download(packages, out / "debs")
    parts_folder = out / "parts"
    parts_folder.mkdir(exist_ok=True)
    parts: dict[str, Path] = {}
    for package, deb in debs.items():
        parts[package] = parts_folder / f"{deb.stem}.jsonl"
        if not parts[package].exists():
            began = time.perf_counter()
            convert_package(package, deb, parts[package], out)
            seconds = time.perf_counter() - began
            megabytes = parts[package].stat().st_size / MEGABYTE
            print(f"  {package}: {megabytes:.1f} MB in {seconds:.1f} s", file=sys.stderr)

    sizes = {package: text_bytes(path) for package, path in parts.items()}
    keep = shares(sizes, int(size_mb * MEGABYTE))
    unfinished = out / "corpus.jsonl.tmp"
    tallies: dict[str, Tally] = {}
    with unfinished.open("wb") as target:
        for package, path in parts.items():
            tally = tallies[package] = Tally()
            threshold = int(keep[package] * 2**32)
            with path.open("rb") as lines:
                for line in lines:
                    record = json.loads(line)
                    digest = hashlib.blake2b(record["id"].encode(), digest_size=4).digest()
                    # By hash rather than from the top, so that a cut package keeps all its parts.
                    if int.from_bytes(digest) < threshold:
                        target.write(line)
                        tally.add(record["text"])
    unfinished.replace(out / "corpus.jsonl")
    report(tallies, out / "corpus.jsonl", time.perf_counter() - started)


def report(tallies: dict[str, Tally], path: Path, seconds: float) -> None:
    total = Tally()
    print(f"{'collection':<20}{'documents':>10}{'MB':>9}{'M chars':>9}{'M canon':>9}{'M words':>9}")
    for name, tally in tallies.items():
        total += tally
        print(_row(name, tally))
    print(_row("total", total))
    print(f"{path}: {path.stat().st_size / MEGABYTE:.1f} MB on disk, {seconds:.0f} s")


def _row(name: str, tally: Tally) -> str:
    millions = (tally.bytes, tally.characters, tally.canonical, tally.words)
    figures = "".join(f"{value / MEGABYTE:>9.2f}" for value in millions)
    return f"{name:<20}{tally.documents:>10}{figures}"


# --- Varied copies --------------------------------------------------------------------------------

# Exchanged among themselves, and with the same permutation in both cases.
_ASCII_GROUPS = ("aeiouy", "bcdfghjklmnpqrstvwxz", "0123456789")
# Accented Latin, Greek, Cyrillic, Hebrew, Arabic, kana, Han and Hangul; small letters and capitals.
_LETTER_RANGES = (
    (0xC0, 0xD6), (0xD8, 0xDE), (0xE0, 0xF6), (0xF8, 0xFE), (0x100, 0x17F), (0x391, 0x3A1),
    (0x3A3, 0x3A9), (0x3B1, 0x3C9), (0x410, 0x42F), (0x430, 0x44F), (0x5D0, 0x5EA), (0x621, 0x63A),
    (0x641, 0x64A), (0x3041, 0x3096), (0x30A1, 0x30FA), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3),
)  # fmt: skip
_NON_ASCII = re.compile(r"[^\x00-\x7f]+")


class Variation:
    """One seeded rewriting of texts. Translation tables, because word tables are far slower."""

    def __init__(self, seed: str) -> None:
        rng = random.Random(seed)
        before, after = "", ""
        for group in _ASCII_GROUPS:
            moved = _cycled(group, rng)
            before += group + (group.upper() if group.isalpha() else "")
            after += moved + (moved.upper() if group.isalpha() else "")
        self._ascii = bytes.maketrans(before.encode(), after.encode())
        self._others: dict[int, int] = {}
        for first, last in _LETTER_RANGES:
            letters = "".join(map(chr, range(first, last + 1)))
            self._others.update(
                (ord(old), ord(new))
                for old, new in zip(letters, _cycled(letters, rng), strict=True)
            )

    def apply(self, text: str) -> str:
        # On UTF-8 this touches ASCII alone: the bytes of longer sequences are 0x80 and above.
        varied = text.encode().translate(self._ascii).decode()
        if varied.isascii():
            return varied
        return _NON_ASCII.sub(lambda run: run.group().translate(self._others), varied)


def _cycled(letters: str, rng: random.Random) -> str:
    """Each letter's image under a random permutation of one cycle: none stays where it is."""
    order = list(letters)
    rng.shuffle(order)
    image = dict(zip(order, order[1:] + order[:1], strict=True))
    return "".join(image[letter] for letter in letters)


def vary(source: Path, out: Path, copies: int, seed: int) -> None:
    if not source.is_file():
        raise CorpusError(f"--source {source} does not exist; build the corpus first")
    target_path = out / "corpus.jsonl"
    out.mkdir(parents=True, exist_ok=True)
    if target_path.exists() and target_path.samefile(source):
        raise CorpusError(f"OUT_DIR holds the source {source} itself; choose another folder")
    unfinished = out / "corpus.jsonl.tmp"
    started = time.perf_counter()
    documents = written = 0
    with unfinished.open("wb") as target:
        for copy in range(copies):
            change = Variation(f"{seed}:{copy}") if copy else None
            with source.open("rb") as lines:
                for line in lines:
                    if change is not None:
                        record = json.loads(line)
                        record["id"] = f"{record['id']}~{copy}"
                        record["text"] = change.apply(record["text"])
                        line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
                    target.write(line)
                    documents += 1
                    written += len(line)
            rate = written / MEGABYTE / (time.perf_counter() - started)
            print(
                f"  copy {copy + 1} of {copies}: {written / MEGABYTE:.0f} MB, {rate:.0f} MB/s",
                file=sys.stderr,
            )
    unfinished.replace(target_path)
    print(f"{target_path}: {documents} documents, {written / MEGABYTE:.1f} MB on disk")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Build a plain-text benchmark corpus from Debian documentation packages."
    )
    parser.add_argument("out", type=Path, metavar="OUT_DIR")
    parser.add_argument("--packages", nargs="+", default=DEFAULT_PACKAGES, metavar="NAME")
    parser.add_argument("--size-mb", type=float, default=250.0, metavar="N")
    parser.add_argument("--vary", type=int, metavar="N", help="write N varied copies of --source")
    parser.add_argument("--source", type=Path, metavar="CORPUS", help="what --vary reads")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if (options.vary is None) != (options.source is None):
        parser.error("--vary and --source go together")
    if options.vary is not None and options.vary < 1:
        parser.error(f"--vary {options.vary}: at least 1 copy")
    if options.size_mb <= 0:
        parser.error(f"--size-mb {options.size_mb}: must be positive")
    try:
        if options.vary is not None:
            vary(options.source, options.out, options.vary, options.seed)
        else:
            build(options.out, list(dict.fromkeys(options.packages)), options.size_mb)
    except CorpusError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error.strerror}: {error.filename}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
