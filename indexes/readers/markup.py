"""HTML to the text that a reader of the page sees.

A scanner of our own rather than the standard library's parser, which takes quadratic time on
unclosed tags (a minute for 80 KB of `<a "`) and raises on some malformed declarations. Every step
here moves forward, and what looks like a tag but never ends is kept as text.
"""

from __future__ import annotations

import html
import re

from guardrail.indexes.readers.decoding import check_is_text, decode

# Their content is not text of the page. The rest of `head` holds no text at all.
_HIDDEN = frozenset({"script", "style", "title"})

# Between inline elements words run on; every other element breaks the line.
_INLINE = frozenset(
    (
        "a",
        "abbr",
        "acronym",
        "b",
        "bdi",
        "bdo",
        "big",
        "cite",
        "code",
        "data",
        "del",
        "dfn",
        "em",
        "font",
        "i",
        "img",
        "ins",
        "kbd",
        "label",
        "mark",
        "meter",
        "nobr",
        "output",
        "q",
        "rp",
        "rt",
        "ruby",
        "s",
        "samp",
        "small",
        "span",
        "strike",
        "strong",
        "sub",
        "sup",
        "time",
        "tt",
        "u",
        "var",
        "wbr",
    )
)

_NAME = re.compile(r"[a-zA-Z][^\s/>]*")
# To the closing bracket, over quoted attribute values that hold brackets themselves.
_QUOTED_TAG = re.compile(r"""(?:[^>=]++|=\s*+(?:"[^"]*+"|'[^']*+')?+)*+>""")
_END_OF_HIDDEN = {
    name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in sorted(_HIDDEN)
}
_MAX_FAILED_QUOTES = 16

_BLANKS = re.compile(r"[ \t\r\f\v]+")
_BREAKS = re.compile(r" ?\n[ \n]*")

_DECLARED = re.compile(
    rb"<(?:meta|\?xml)[^>]*?(?:charset|encoding)\s*=\s*[\"']?\s*([\w.:-]+)", re.I
)


def page_text(data: bytes) -> str:
    """The visible text of an HTML or XHTML file, in the encoding that it declares."""
    check_is_text(data)
    declared = _DECLARED.search(data[:4096])
    return visible_text(decode(data, declared[1].decode("ascii", "ignore") if declared else None))


def visible_text(markup: str) -> str:
    """The text of a page: no scripts, styles, titles, comments or tags, entities decoded.

    Runs of blanks become one space, elements that break the line become a line break. Time grows
    linearly with the length, and nothing raises.
    """
    texts: list[str] = []
    position = 0
    failed_quotes = 0
    unclosed: set[str] = set()
    while True:
        opening = markup.find("<", position)
        if opening == -1:
            break
        if markup.startswith(("<!", "<?"), opening):
            texts.append(_text(markup[position:opening]))
            position = _after_declaration(markup, opening, unclosed)
            continue
        closing_tag = markup.startswith("/", opening + 1)
        name_match = _NAME.match(markup, opening + 1 + closing_tag)
        if name_match is None:
            # A lone `<`: text, as in `a < b`.
            texts.append(_text(markup[position : opening + 1]))
            position = opening + 1
            continue
        tag = None
        if failed_quotes < _MAX_FAILED_QUOTES:
            tag = _QUOTED_TAG.match(markup, name_match.end())
            failed_quotes += tag is None
        # Looking for quotes after so many failures would make the whole scan quadratic.
        end = tag.end() if tag else markup.find(">", name_match.end()) + 1
        if end == 0:
            break
        texts.append(_text(markup[position:opening]))
        position = end
        name = name_match[0].lower()
        if name not in _INLINE:
            texts.append("\n")
        if name in _HIDDEN and not closing_tag and name not in unclosed:
            close = _END_OF_HIDDEN[name].search(markup, position)
            if close:
                position = close.start()
            else:
                # What hides the whole rest is more likely a fault: better too much text.
                unclosed.add(name)
    texts.append(_text(markup[position:]))
    return _BREAKS.sub("\n", _BLANKS.sub(" ", "".join(texts))).strip()


def _text(raw: str) -> str:
    return html.unescape(raw) if "&" in raw else raw


def _after_declaration(markup: str, opening: int, unclosed: set[str]) -> int:
    """Where text goes on after a comment, doctype or processing instruction.

    One that never ends hides only its own mark. `unclosed` remembers what is not worth another
    search to the end.
    """
    if markup.startswith("<![CDATA[", opening):
        # Text in XHTML, a comment in HTML: taken as text, without its brackets.
        return opening + len("<![CDATA[")
    # `<!-->` is a whole comment, so the search begins inside the mark.
    mark, ending = ("<!--", "-->") if markup.startswith("<!--", opening) else ("<!", ">")
    if mark not in unclosed:
        found = markup.find(ending, opening + 2)
        if found != -1:
            return found + len(ending)
        unclosed.add(mark)
    return opening + len(mark)
