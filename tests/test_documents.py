"""Test process: the documents are true: what they name exists, what they show runs."""

from __future__ import annotations

import importlib.util
import re
import sqlite3
import sys
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from types import ModuleType

import pytest

from worker.cli import main
from worker.cli.entry import COMMANDS
from worker.cli.skeleton import files
from worker.config.reading import load_text
from worker.message import Message, Reject
from worker.testing.run_inline import Kind, run_inline, run_inline_batch

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCUMENTS = [
    README,
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted(ROOT.glob("apps/*/README.md")),
]
#: Where a path may start: most documents leave out `worker/`, as its modules do.
FOLDERS = (ROOT, ROOT / "worker")
#: Files of a user's own application.
USERS = {*files("shop"), "worker.toml", "domains.json"}

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FILE = re.compile(r"(?<![\w./:$-])[\w-][\w.-]*(?:/[\w.-]+)*\.(?:py|md|toml|json|cfg)\b(?!/)")
_FOLDER = re.compile(r"(?<![^\s`(])(?:[a-z_]+/)+(?![\w.<*])")
_TEST = re.compile(r"\b(tests/[\w/]+\.py)::([\w:]+)")
_MAKE = re.compile(r"(?<![\w-])make ([a-z][a-z-]*)")
_WORKER = re.compile(r"(?:^|[|&;(] *|: )(?:\.venv/bin/)?worker ([a-z][a-z-]*)([^|&;\n#`]*)", re.MULTILINE)
_OPTION = re.compile(r"(?<!\S)--[a-z][a-z-]*")


def blocks(document: Path, language: str) -> list[str]:
    """The fenced blocks of a language; "" are those without one: commands, output, pictures."""
    return [text for found, text in _BLOCK.findall(document.read_text()) if found == language]


def commands(document: Path) -> Iterator[str]:
    """Every piece of a document that a reader may type."""
    text = document.read_text()
    yield from blocks(document, "")
    yield from blocks(document, "sh")
    yield from _SPAN.findall(_BLOCK.sub("", text))


def named_files(document: Path) -> set[str]:
    """Every path in a document but those inside of Python and TOML examples, and its links."""
    text = "\n".join([_BLOCK.sub("", document.read_text()), *blocks(document, "")])
    found = {*_FILE.findall(text), *_FOLDER.findall(text)}
    return {path for path in found if path not in USERS and "NAME" not in path}


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str, str], ModuleType]]:
    """Imports a piece of Python that a document shows, under a name of its own."""
    monkeypatch.syspath_prepend(str(tmp_path))
    names: list[str] = []

    def load(name: str, source: str) -> ModuleType:
        path = tmp_path / f"{name}.py"
        path.write_text(source)
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        names.append(name)
        spec.loader.exec_module(module)
        return module

    yield load
    for name in names:
        del sys.modules[name]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
class TestEachDocument:
    """What it names exists."""

    def test_its_make_targets_exist(self, document: Path) -> None:
        """Every `make x` is a target of the Makefile, and the scripts that it runs are there."""
        rules = re.findall(r"^([a-z-]+):(.*\n(?:\t.*\n)*)", (ROOT / "Makefile").read_text(), re.MULTILINE)
        targets = {target for target, recipe in rules if all((ROOT / path).exists() for path in _FILE.findall(recipe))}
        named = set(chain.from_iterable(_MAKE.findall(text) for text in commands(document)))
        assert named - targets == set()

    def test_its_commands_exist(self, document: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Every `worker x` is a command, and its --options are that command's."""
        for text in commands(document):
            for command, rest in _WORKER.findall(text):
                assert command in COMMANDS, text
                main([command, "--help"])
                shown = set(re.findall(r"--[a-z][a-z-]*", capsys.readouterr().out))
                assert set(_OPTION.findall(rest)) - shown == set(), text

    def test_its_files_exist(self, document: Path) -> None:
        """Every file and folder, from the project's folder, from worker/, or beside the document."""
        folders = (*FOLDERS, document.parent)
        missing = {path for path in named_files(document) if not any((folder / path).exists() for folder in folders)}
        assert missing == set()

    def test_its_tests_exist(self, document: Path) -> None:
        """Every `tests/file.py::test` is a function of that file, or of the class of that file that is named."""
        for path, name in _TEST.findall(document.read_text()):
            owner, _, test = name.rpartition("::")
            source = (ROOT / path).read_text()
            _, _, below = source.partition(f"\nclass {owner}:") if owner else ("", "", source)
            assert f"def {test}(" in below, f"{path}::{name}"

    def test_its_links_lead_somewhere(self, document: Path) -> None:
        """Every link to a file of the project, from the document's own folder."""
        links = [link for link in _LINK.findall(document.read_text()) if "://" not in link]
        assert [link for link in links if not (document.parent / link.partition("#")[0]).exists()] == []

    def test_it_names_nothing_outside_of_the_project(self, document: Path) -> None:
        """No path that leads out of the project's folder, and none of the machine it was written on."""
        assert re.findall(r"\.\./\S*|(?<![\w.])/(?:home|root|work|Users)/\S*", document.read_text()) == []


def test_the_checks_see_the_readme() -> None:
    """A pattern that finds nothing would find no fault either."""
    found = "\n".join(commands(README))
    assert {"demo", "test", "system"} <= set(_MAKE.findall(found))
    assert COMMANDS.keys() - {command for command, _ in _WORKER.findall(found)} == set()
    assert len(named_files(README)) > 8
    assert len(named_files(ROOT / "docs/design.md")) > 30
    assert len(_TEST.findall((ROOT / "docs/reliability.md").read_text())) > 40


def test_a_false_document_is_caught(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A target, a command, an option, a file, a folder and a link that are not there."""
    document = tmp_path / "README.md"
    check = TestEachDocument()
    for check_it, text in (
        (check.test_its_make_targets_exist, "see `make coffee`"),
        (lambda path: check.test_its_commands_exist(path, capsys), "```\nworker brew --config x\n```\n"),
        (lambda path: check.test_its_commands_exist(path, capsys), "see `worker drain --softly`"),
        (check.test_its_files_exist, "see `policy/lodger.py`"),
        (check.test_its_files_exist, "see `worker/kitchen/`"),
        (check.test_its_tests_exist, "see `tests/test_documents.py::test_of_the_coffee`"),
        (check.test_its_tests_exist, "see `tests/test_documents.py::Kitchen::test_its_tests_exist`"),
        (check.test_its_links_lead_somewhere, "see [this](docs/kitchen.md)"),
        (check.test_it_names_nothing_outside_of_the_project, "see ../kitchen.md"),
    ):
        document.write_text(text)
        with pytest.raises(AssertionError):
            check_it(document)


def test_the_readmes_handler_runs(example: Callable[[str, str], ModuleType]) -> None:
    """In fifteen lines of code: an ack, a reject, a retry, and a retry of what it cannot read."""
    source = next(block for block in blocks(README, "python") if "def place_order" in block)
    assert len(source.splitlines()) <= 15
    place_order = example("readme_handlers", source).place_order
    assert run_inline(place_order, {"id": 1, "total": 10}).kind is Kind.ACK
    rejected = run_inline(place_order, {"id": 2, "total": -1})
    assert (rejected.kind, rejected.reason) == (Kind.REJECT, "negative total")
    retried = run_inline(place_order, {"id": 3, "total": 10, "wait": True})
    assert (retried.kind, retried.after) == (Kind.RETRY, 30.0)
    assert run_inline(place_order, "no JSON").kind is Kind.RETRY


def test_the_readmes_batch_function_runs(example: Callable[[str, str], ModuleType]) -> None:
    """It is known as one, and rejects one message of its batch alone."""
    source = next(block for block in blocks(README, "python") if "def store" in block)
    outcomes = run_inline_batch(example("readme_batch", source).store, [{"total": 1}, {}, {"total": 2}])
    assert [outcome.kind for outcome in outcomes] == [Kind.ACK, Kind.REJECT, Kind.ACK]


def test_the_typed_function_that_is_shown_runs(example: Callable[[str, str], ModuleType]) -> None:
    """An order is taken, and a misfit gets the reason that the page shows."""
    page = ROOT / "docs/handlers.md"
    place_order = example(
        "typed_order", next(one for one in blocks(page, "python") if "class Order" in one)
    ).place_order
    assert run_inline(place_order, {"id": 1, "items": [{"sku": "a", "price": 1.5}]}).kind is Kind.ACK
    assert run_inline(place_order, {"id": 1, "items": []}).reason == "nothing ordered"
    misfit = run_inline(place_order, {"id": 1, "items": [{"sku": "a", "price": "1.5"}]})
    assert f"{misfit.reason}\n" in blocks(page, "")


def test_the_envelopes_that_are_shown_run(example: Callable[[str, str], ModuleType]) -> None:
    """Records of S3 are read, and a notification without a signature is rejected."""
    sources = blocks(ROOT / "docs/handlers.md", "python")
    resize = example("shown_records", next(one for one in sources if "def resize" in one)).resize
    assert run_inline(resize, {"Event": "s3:TestEvent"}).kind is Kind.ACK
    assert run_inline(resize, {}).reason == "decode: $.Records: missing, so this is no S3 event"
    verified = example("shown_verifier", next(one for one in sources if "SNSVerifier" in one)).place_order
    topic = "arn:aws:sns:eu-west-1:123456789012:orders"
    unsigned = {"Type": "Notification", "MessageId": "m", "TopicArn": topic, "Message": "x", "Timestamp": "t"}
    assert run_inline(verified, unsigned).reason == "signature: there is none (Signature, SigningCertURL)"


def test_the_lambda_function_that_is_shown_runs(example: Callable[[str, str], ModuleType]) -> None:
    """It answers with the message that failed."""
    lambda_handler = example("shown_lambda", blocks(ROOT / "docs/lambda.md", "python")[0]).lambda_handler
    bodies = {"good": '{"total": 1}', "bad": '{"total": -1}'}
    arn = {"eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:orders"}
    event = {"Records": [{"messageId": name, "body": body, **arn} for name, body in bodies.items()]}
    assert lambda_handler(event, None) == {"batchItemFailures": [{"itemIdentifier": "bad"}]}


def test_the_middleware_that_is_shown_runs(
    example: Callable[[str, str], ModuleType], caplog: pytest.LogCaptureFixture
) -> None:
    """The message's name and time are in the log, whatever becomes of it, and its outcome is the handler function's."""
    source = next(block for block in blocks(ROOT / "docs/configuration.md", "python") if "call_next" in block)
    shown = example("shop_middleware", source)

    def refuse(_message: Message) -> None:
        raise Reject("no")

    with caplog.at_level("INFO", logger="shop"):
        outcome = run_inline(refuse, {}, middleware=[shown.traced, shown.timed])
    assert (outcome.kind, outcome.reason) == (Kind.REJECT, "no")
    assert re.fullmatch(r"message [0-9a-f-]{36} took \d\.\d{3} s", caplog.messages[0])
    assert shown.message_id.get() == ""


def test_the_hooks_that_are_shown_run(
    example: Callable[[str, str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One opens what the other closes."""
    monkeypatch.chdir(tmp_path)
    source = next(block for block in blocks(ROOT / "docs/configuration.md", "python") if "def connect" in block)
    shown = example("shop_setup", source)
    shown.connect()
    assert shown.database.execute("SELECT 1").fetchone() == (1,)
    shown.disconnect()
    with pytest.raises(sqlite3.ProgrammingError):
        shown.database.execute("SELECT 1")


def test_the_readmes_tests_pass(example: Callable[[str, str], ModuleType], sqs_endpoint: str) -> None:
    """Those of a handler function, and those that take the fixture."""
    sources = blocks(README, "python")
    example("handlers", next(block for block in sources if "def place_order" in block))
    ran = 0
    for place, source in enumerate(block for block in sources if "def test_" in block):
        module = example(f"readme_tests_{place}", source)
        for name in [name for name in vars(module) if name.startswith("test_")]:
            test = getattr(module, name)
            takes = test.__code__.co_varnames[: test.__code__.co_argcount]
            test(*(sqs_endpoint for _ in takes))
            ran += 1
    assert ran == 2


@pytest.mark.parametrize(
    ("document", "text"),
    [
        (path, text)
        for path in (README, ROOT / "docs/configuration.md", ROOT / "docs/handlers.md")
        for text in blocks(path, "toml")
    ],
    ids=lambda value: value.name if isinstance(value, Path) else "",
)
def test_the_configs_that_are_shown_are_valid(document: Path, text: str, tmp_path: Path) -> None:
    """Every TOML block is a whole config without a fault."""
    assert load_text(text, path=tmp_path / document.name, environ={}).queues
