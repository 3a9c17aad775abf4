"""Variables from a `.env` file."""

from __future__ import annotations

import string
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.cli.env_file import open_secrets, read_env_file
from worker.config import ConfigError

NAMES = st.text(string.ascii_letters + string.digits + "_", min_size=1).filter(lambda name: not name[0].isdigit())


def written(folder: Path, text: str) -> Path:
    path = folder / ".env"
    path.write_text(text, encoding="utf-8", newline="")
    path.chmod(0o600)
    return path


def test_a_file_is_read_as_docker_compose_reads_one(tmp_path: Path) -> None:
    """Comments, `export`, both quotes, several lines in quotes and bare text; a `$` is never expanded."""
    text = r"""
# a comment
PLAIN=one two   # said
export EXPORTED = yes
SINGLE='a "b" $c # d'
DOUBLE="a\n\"b\" # c" # outside
EMPTY=
HASH=a#b
URL=https://example.org/?a=b
PRICE=$PLAIN ${PLAIN}
KEY="-----BEGIN
of two lines"
"""
    assert read_env_file(written(tmp_path, text)) == {
        "PLAIN": "one two",
        "EXPORTED": "yes",
        "SINGLE": 'a "b" $c # d',
        "DOUBLE": 'a\n"b" # c',
        "EMPTY": "",
        "HASH": "a#b",
        "URL": "https://example.org/?a=b",
        "PRICE": "$PLAIN ${PLAIN}",
        "KEY": "-----BEGIN\nof two lines",
    }


@pytest.mark.parametrize(
    "line",
    ["no-equals-secret", "1A=secret", "A='secret", 'A="secret" b', "=secret", "A-B=secret", "A=secret\0", "secret/+=="],
)
def test_a_bad_line_is_named_by_file_and_number(tmp_path: Path, line: str) -> None:
    """Blank lines before it count, and its text is not shown: it may be a secret."""
    path = written(tmp_path, f"A=b\n\n{line}\nB=c\n")
    with pytest.raises(ConfigError) as caught:
        read_env_file(path)
    (problem,) = caught.value.problems
    assert str(problem).startswith(f"{path}:3: ")
    assert problem.text.replace("no-equals-secret", "").count("secret") == 0


def test_a_file_that_is_missing_or_no_text_is_named(tmp_path: Path) -> None:
    """With the reason of the system."""
    with pytest.raises(ConfigError, match=r"nowhere: cannot be read: No such file"):
        read_env_file(tmp_path / "nowhere")
    (tmp_path / "latin").write_bytes(b"A=\xe9\n")
    with pytest.raises(ConfigError, match=r"latin: cannot be read: is not UTF-8"):
        read_env_file(tmp_path / "latin")


def test_a_file_that_others_may_write_is_refused(tmp_path: Path) -> None:
    """It could choose what code runs; the complaint holds the command that mends it."""
    path = written(tmp_path, "A=b\n")
    path.chmod(0o602)
    with pytest.raises(ConfigError, match=r"others may write this file .*chmod go-w"):
        read_env_file(path)


def test_secrets_that_everybody_may_read_are_named(tmp_path: Path) -> None:
    """Only names, only those that sound secret, and only where the mode lets others read."""
    path = written(tmp_path, "")
    names = ["PORT", "AWS_SECRET_ACCESS_KEY", "DB_PASSWORD"]
    assert open_secrets(path, names) == ()
    path.chmod(0o644)
    assert open_secrets(path, names) == ("AWS_SECRET_ACCESS_KEY", "DB_PASSWORD")
    assert open_secrets(path, ["PORT"]) == ()


@given(st.dictionaries(NAMES, st.text(string.printable.replace("\r", ""))))
def test_double_quoted_values_round_trip(variables: dict[str, str]) -> None:
    """Any printable text can be written in double quotes and is read back."""
    lines = [
        f'{name}="{value.translate({ord(chr(92)): chr(92) * 2, ord(chr(34)): chr(92) + chr(34)})}"'
        for name, value in variables.items()
    ]
    with tempfile.TemporaryDirectory() as folder:
        assert read_env_file(written(Path(folder), "\n".join(lines))) == variables
