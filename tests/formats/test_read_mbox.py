"""Mail: text without quotes and tags, threads as sessions, damage reported."""

from datetime import UTC, datetime
from pathlib import Path

from mnemic.formats import Message, Problem, read, sniff
from mnemic.formats.mbox import read_mbox, strip_tags, without_quotes

MAILBOX = b"""From ann@a.example Wed May  1 10:00:00 2024
From: =?utf-8?q?Ann_Gr=C3=BCn?= <ann@a.example>
To: Bob <bob@a.example>
Subject: Tea on
 Friday
Date: Wed, 1 May 2024 12:00:00 +0200
Message-ID: <m1@a.example>

Shall we?
>From noon on.

From bob@a.example Wed May  1 11:00:00 2024
From: bob@a.example
Subject: Re: Tea on Friday
Date: sometime
Message-ID: <m2@a.example>
In-Reply-To: <m1@a.example>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="b"

--b
Content-Type: multipart/alternative; boundary="c"

--c
Content-Type: text/html; charset=utf-8

<p>html</p>
--c
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Gladly =E2=98=95

On Wed, 1 May 2024 at 12:00, Ann wrote:
> Shall we?
> From noon on.
--c--
--b
Content-Type: image/png; name="cup.png"
Content-Disposition: attachment; filename="cup.png"
Content-Transfer-Encoding: base64

AAAA
--b--

From nobody Wed May  1 11:00:00 2024
no header here

From ann@a.example Wed May  1 12:00:00 2024
From: ann@a.example
Message-ID: <m3@a.example>
In-Reply-To: <m2@a.example>
Content-Type: text/html

<html><head><style>x</style></head><body><p>Good &amp; fine</p><p>See you</p></body></html>
"""


def test_mails_are_read_with_threads_parts_and_without_quotes(tmp_path: Path) -> None:
    path = tmp_path / "All mail.mbox"
    path.write_bytes(MAILBOX)
    assert sniff(path) == "mbox"
    found = list(read(path))
    messages = [one for one in found if isinstance(one, Message)]
    assert messages[0] == Message(
        text="Tea on Friday\n\nShall we?\nFrom noon on.",
        id="mbox:m1@a.example",
        location="All mail.mbox:1",
        actor="Ann Grün",
        session="m1@a.example",
        occurred_at=datetime(2024, 5, 1, 10, tzinfo=UTC),
        metadata={"subject": "Tea on Friday", "from": "Ann Grün <ann@a.example>", "to": "Bob <bob@a.example>"},
    )
    assert messages[1].text == "Re: Tea on Friday\n\nGladly ☕"
    assert messages[1].metadata["quoted_lines"] == 2
    assert messages[1].parts == ({"type": "file", "name": "cup.png", "content_type": "image/png", "size_bytes": 3},)
    assert messages[2].text == "Good & fine\n\nSee you"
    assert [one.session for one in messages] == ["m1@a.example"] * 3
    assert [one.location for one in found if isinstance(one, Problem)] == ["All mail.mbox:12", "All mail.mbox:46"]


def test_a_single_mail_is_read(tmp_path: Path) -> None:
    path = tmp_path / "one.eml"
    path.write_bytes(b"From: a@b.example\nSubject: Hi\n\nThere\n")
    (found,) = read(path)
    assert isinstance(found, Message)
    assert (found.text, found.occurred_at) == ("Hi\n\nThere", None)


def test_mail_of_an_unknown_charset_is_still_read(tmp_path: Path) -> None:
    path = tmp_path / "a.mbox"
    path.write_bytes(b"From x\nFrom: a@b.example\nContent-Type: text/plain; charset=klingon\n\ncaf\xe9\n")
    (found,) = read_mbox(path)
    assert isinstance(found, Message)
    assert found.text == "café"


def test_a_mail_of_endless_parts_is_reported_and_the_next_one_read(tmp_path: Path) -> None:
    depth = 2000
    nested = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (n, n) for n in range(depth))
    path = tmp_path / "a.mbox"
    path.write_bytes(b"From x\nFrom: a@b.example\n" + nested + b"\n\nFrom y\nFrom: c@d.example\nSubject: next\n\nok\n")
    found = list(read_mbox(path))
    assert [type(one) for one in found] == [Problem, Message]


def test_quotes_are_counted_with_what_follows_an_original_message() -> None:
    assert without_quotes("Yes.\n\nOn Monday,\nAnn wrote:\n> a\n> b\nThanks") == ("Yes.\nThanks", 2)
    assert without_quotes("Yes.\n-----Original Message-----\nFrom: Ann\nold") == ("Yes.", 3)
    assert without_quotes("nothing quoted") == ("nothing quoted", 0)


def test_tags_go_and_blocks_become_lines() -> None:
    assert strip_tags("<p>a <b>b</b><br>c</p><script>x()</script><li>d") == "a b\nc\n\nd"
