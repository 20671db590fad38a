"""Mail: an mbox file, as Google Takeout, Thunderbird and Apple Mail export it, or one message (.eml).

A message's text is its subject and its plain text part, or its HTML without tags. Quoted replies ("> …", and what
follows "-----Original Message-----") are kept out of the text and counted in its metadata; attachments are named in
parts and not kept. Deleted and moved mail is not told apart.

Ids: Message-ID, else a digest of the message. Times: Date. Session: Gmail's thread id, else the first of References,
else what In-Reply-To leads to, else the message itself. We split the file ourselves, on "From " after an empty line,
because the standard library's `mailbox` opens it for writing and does not know line numbers.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message as Mail
from email.utils import getaddresses, parsedate_to_datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from mnemic.clock import parse_time
from mnemic.errors import FormatError, InvalidTime
from mnemic.formats.limits import LIMITS, Limits
from mnemic.formats.message import Message, Problem, excerpt, make_id, whole
from mnemic.formats.source import Sample, Source, open_sources

_MEMBERS = re.compile(r".*\.(mbox|eml)", re.IGNORECASE)
_TELLING = re.compile(
    r"From \S+.*\n[\w-]+:|(?:[\w-]+: .*\n(?:[ \t].*\n)*)*(?:Message-ID|Received|Date): ", re.IGNORECASE
)
_ESCAPED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)
_MESSAGE_ID = re.compile(r"<[^<>\s]{1,300}>")
_ATTRIBUTION = re.compile(r"(?:On|Am|Le|El) .{5,200}(?:wrote|schrieb.{0,80}|écrit|escribió)\s*:")
_WROTE = re.compile(r".{0,100}\bwrote:")
_ORIGINAL = re.compile(r"-{3,}\s*(?:Original Message|Forwarded message)\s*-{3,}\s*$", re.IGNORECASE)
_BLOCKS = {"p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "table", "ul", "ol"}
_UNSEEN = {"script", "style", "head", "title"}


def is_mbox(sample: Sample) -> bool:
    """Whether it begins like a mailbox or a mail."""
    return sample.name.lower().endswith((".mbox", ".eml")) or bool(_TELLING.match(sample.head))


_LONGEST_HEADER = 10_000


def read_mbox(path: Path, limits: Limits = LIMITS) -> Iterator[Message | Problem]:
    """The mails in the order of the file."""
    for source in open_sources(path, _MEMBERS, limits):
        if isinstance(source, Problem):
            yield source
            continue
        roots: dict[str, str] = {}  # of each reply, the message that its thread began with
        for found in _mails(source):
            if isinstance(found, Problem):
                yield found
                continue
            location, content = found
            try:
                yield from _message(message_from_bytes(content), content, location, roots)
            except (RecursionError, MessageError, ValueError, LookupError) as error:  # what `email` raises on nonsense
                yield Problem(location, f"It is no mail that can be read: {error}.", excerpt(repr(content[:80])))


def _mails(source: Source) -> Iterator[tuple[str, bytes] | Problem]:
    content = bytearray()  # no list of lines: millions of empty ones would take many times their size
    length, number, first, is_after_blank = 0, 0, 1, True
    most_bytes = source.limits.entry_bytes
    try:
        while line := source.stream.readline(most_bytes):
            number += 1
            if is_after_blank and line.startswith(b"From "):
                yield from _mail(source, first, content, length)
                content, length, first = bytearray(), 0, number
            else:
                length += len(line)
                if length <= most_bytes:
                    content += line
                else:
                    content.clear()
            is_after_blank = not line.strip()
    except FormatError as error:
        yield Problem(f"{source.name}:{number + 1}", str(error))
    yield from _mail(source, first, content, length)


def _mail(source: Source, first: int, content: bytearray, length: int) -> Iterator[tuple[str, bytes] | Problem]:
    name, most_bytes = source.name, source.limits.entry_bytes
    if length > most_bytes:
        yield Problem(f"{name}:{first}", f"The mail is longer than {most_bytes} bytes.")
    elif mail := bytes(content.strip()):
        yield f"{name}:{first}", _ESCAPED_FROM.sub(rb"\1", mail)


def _message(mail: Mail, content: bytes, location: str, roots: dict[str, str]) -> Iterator[Message | Problem]:
    sender, subject = _addresses(mail, "from"), _header(mail, "subject")
    if not sender and not subject and "date" not in mail:
        yield Problem(location, "It is no mail: it has neither From, Subject nor Date.", excerpt(repr(content[:80])))
        return
    occurred_at = None
    if written := _header(mail, "date"):
        occurred_at = _time(written)
        if occurred_at is None:
            yield Problem(location, "Its Date is no time; the mail is kept without it.", excerpt(written))
    metadata: dict[str, Any] = {"subject": subject} if subject else {}
    metadata |= {key: found for key in ("from", "to", "cc") if (found := _addresses(mail, key))}
    text, parts = _body(mail)
    text, n_quoted = without_quotes(text)
    if n_quoted:
        metadata["quoted_lines"] = n_quoted
    own = _message_id(mail, "message-id")
    session = _session(mail, own, roots)
    text = "\n\n".join(one for one in (subject, text) if one)
    if not text and not parts:
        return
    yield whole(
        Message(
            text=text,
            id=make_id("mbox", own.strip("<>") or hashlib.sha256(content).hexdigest()[:32]),
            location=location,
            actor=_sender_name(mail) or None,
            session=session or None,
            occurred_at=occurred_at,
            metadata=metadata,
            parts=tuple(parts),
        )
    )


def _session(mail: Mail, own: str, roots: dict[str, str]) -> str:
    if thread := _header(mail, "x-gm-thrid"):
        return thread
    parent = _message_id(mail, "in-reply-to")
    root = _message_id(mail, "references") or roots.get(parent, parent)
    if root and own:
        roots[own] = root
    return (root or own).strip("<>")


def without_quotes(text: str) -> tuple[str, int]:
    """A mail's text without what it quotes, and how many lines that were."""
    lines = text.splitlines()
    end = next((number for number, line in enumerate(lines) if _ORIGINAL.match(line.strip())), len(lines))
    kept: list[str] = []
    for line in lines[:end]:
        if not line.startswith(">"):
            kept.append(line)
            continue
        while kept and not kept[-1].strip():
            kept.pop()
        above = [one.strip() for one in kept[-2:]]
        if above and _ATTRIBUTION.fullmatch(above[-1]):
            kept.pop()
        elif _ATTRIBUTION.fullmatch(" ".join(above)):  # broken over two lines
            del kept[-2:]
        elif above and _WROTE.fullmatch(above[-1]):
            kept.pop()
    n_quoted = sum(line.startswith(">") for line in lines[:end]) + len(lines) - end
    return "\n".join(kept).strip(), n_quoted


def _body(mail: Mail) -> tuple[str, list[dict[str, Any]]]:
    plain: list[str] = []
    marked: list[str] = []
    parts: list[dict[str, Any]] = []
    for part in mail.walk():
        if part.is_multipart():
            continue
        kind, name = part.get_content_type(), _decoded(part.get_filename() or "")
        if name or part.get_content_disposition() == "attachment" or kind not in ("text/plain", "text/html"):
            payload = part.get_payload(decode=True)
            size = len(payload) if isinstance(payload, bytes) else 0
            parts.append({"type": "file", "name": name, "content_type": kind, "size_bytes": size})
        elif kind == "text/plain":
            plain.append(_text(part))
        else:
            marked.append(strip_tags(_text(part)))
    return "\n\n".join(one.strip() for one in plain if one.strip()) or "\n\n".join(marked), parts


def _text(part: Mail) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    for charset in (part.get_content_charset() or "utf-8", "utf-8"):
        try:
            return payload.decode(charset)
        except (LookupError, UnicodeError):
            continue
    return payload.decode("latin-1")  # old mail without a charset; every byte is some character there


class _Words(HTMLParser):
    """Collects what a reader of a page sees."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._unseen += tag in _UNSEEN
        if tag in _BLOCKS:
            self.words.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._unseen = max(0, self._unseen - (tag in _UNSEEN))
        if tag in _BLOCKS:
            self.words.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.words.append(re.sub(r"\s+", " ", data))


def strip_tags(page: str) -> str:
    """The text of an HTML page, a line for each block."""
    words = _Words()
    words.feed(page)
    words.close()
    lines = (line.strip() for line in "".join(words.words).splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _decoded(value: str) -> str:
    value = value[:_LONGEST_HEADER]  # decoding many encoded words takes time by the square of their number
    with suppress(ValueError, LookupError, MessageError):  # it stays as it stands, then
        value = str(make_header(decode_header(value)))
    return re.sub(r"\s+", " ", value).strip()


def _header(mail: Mail, name: str) -> str:
    value = mail.get(name)
    return _decoded(str(value)) if value is not None else ""


def _addresses(mail: Mail, name: str) -> str:
    return ", ".join(_decoded(str(value)) for value in mail.get_all(name, []))


def _sender_name(mail: Mail) -> str:
    for name, address in getaddresses([str(value) for value in mail.get_all("from", [])]):
        return _decoded(name) or address
    return ""


def _message_id(mail: Mail, name: str) -> str:
    found = _MESSAGE_ID.search(str(mail.get(name, "")))
    return found[0] if found else ""


def _time(text: str) -> datetime | None:
    try:
        return parse_time(parsedate_to_datetime(text))
    except (ValueError, OverflowError, InvalidTime):
        return None
