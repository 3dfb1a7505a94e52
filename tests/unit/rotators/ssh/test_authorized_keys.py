"""Lines of authorized_keys: which of them lets a key in, and what stays byte by byte."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.rotators.ssh.authorized_keys import holds, is_options, with_key, without_keys

KEY = b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20" + bytes(range(32))
OTHER = KEY[:-1] + b"\xff"
TEXT = b64encode(KEY)
LINE = b"ssh-ed25519 " + TEXT + b" keyturn:1"

lines = st.lists(
    st.one_of(
        st.binary(max_size=60).map(lambda line: line.replace(b"\n", b"")),
        st.sampled_from(
            [
                b"",
                b"# a comment",
                b"#ssh-ed25519 " + TEXT,
                b"ssh-ed25519 " + b64encode(OTHER) + b" another",
                b'from="a b",no-pty ssh-rsa AAAA somebody',
                b"\r",
            ]
        ),
    ),
    max_size=6,
)
contents = st.builds(
    lambda lines, end: b"\n".join(lines) + end, lines, st.sampled_from([b"", b"\n"])
)


@pytest.mark.parametrize(
    "line",
    [
        b"ssh-ed25519 " + TEXT,
        b"ssh-ed25519 " + TEXT + b" somebody else",
        b"ssh-ed25519\t" + TEXT,
        b"ssh-ed25519   " + TEXT + b"\tx",
        b"  \t ssh-ed25519 " + TEXT,
        b"ssh-ed25519 " + TEXT + b"\r",
        b"no-pty ssh-ed25519 " + TEXT,
        b'command="echo \\"ssh-rsa AAAA\\" # x",no-pty ssh-ed25519 ' + TEXT,
        b'environment="A=cert-authority" ssh-ed25519 ' + TEXT,
        b'from="10.0.0.0/8, ::1"\tssh-ed25519 ' + TEXT,
    ],
)
def test_a_line_that_lets_the_key_in_is_found_and_taken_away(line: bytes) -> None:
    content = b"# a\n" + line + b"\n# b\n"

    assert holds(content, KEY)
    assert with_key(content, KEY, LINE) == content
    assert without_keys(content, {KEY}) == b"# a\n# b\n"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"# ssh-ed25519 " + TEXT,
        b"ssh-ed25519 " + TEXT[:-4],
        b"ssh-ed25519 " + b64encode(OTHER),
        b"ssh-ed25519 !" + TEXT,
        b"ssh-ed25519",
        b"ssh-ed25519 ",
        TEXT,
        b'command="open ssh-ed25519 ' + TEXT,
        b"cert-authority ssh-ed25519 " + TEXT,
        b'principals="a",CERT-AUTHORITY ssh-ed25519 ' + TEXT,
        b'command="ssh-ed25519 ' + TEXT + b'" ssh-rsa AAAA',
    ],
)
def test_a_line_that_does_not_is_left_alone(line: bytes) -> None:
    content = line + b"\n"

    assert not holds(content, KEY)
    assert without_keys(content, {KEY}) == content


@given(contents)
def test_what_is_added_and_taken_away_leaves_every_byte(content: bytes) -> None:
    added = with_key(content, KEY, LINE)

    assert holds(added, KEY)
    assert added.startswith(content)
    assert with_key(added, KEY, LINE) == added
    assert without_keys(added, {KEY}) == content


@given(contents, contents)
def test_what_others_add_later_stays(before: bytes, after: bytes) -> None:
    content = with_key(before + b"\n", KEY, LINE) + after

    assert without_keys(content, {KEY}) == before + b"\n" + after


@pytest.mark.parametrize(
    ("content", "added"),
    [
        (b"", LINE + b"\n"),
        (b"# a\n", b"# a\n" + LINE + b"\n"),
        (b"# a", b"# a\n" + LINE),
        (b"# a\r\n", b"# a\r\n" + LINE + b"\r\n"),
    ],
)
def test_the_ends_of_lines_are_those_of_the_file(content: bytes, added: bytes) -> None:
    assert with_key(content, KEY, LINE) == added


def test_a_key_that_stands_twice_goes_twice() -> None:
    assert without_keys(LINE + b"\n# a\n" + LINE, {KEY}) == b"# a"


@pytest.mark.parametrize(
    ("options", "fine"),
    [
        (b"restrict,pty", True),
        (b'command="echo \\"a b\\"",from="::1"', True),
        (b"", False),
        (b"no-pty x", False),
        (b'command="open', False),
        (b"no-pty\n", False),
        (b"#no-pty", False),
        (b"ssh-rsa", False),
        (b"cert-authority", False),
        (b"no-pty,Cert-Authority", False),
        (b'command="cert-authority"', True),
    ],
)
def test_options_are_all_of_what_stands_before_the_key(options: bytes, fine: bool) -> None:
    assert is_options(options) is fine
