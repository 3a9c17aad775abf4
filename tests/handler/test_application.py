"""Test process: a handler function is imported, or one line says why not; see worker/handler/application.py."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from worker.handler.application import CannotImport, load
from worker.message import Message
from worker.settings import BatchSettings, QueueSettings

numbers = itertools.count()

Module = Callable[[str], str]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Module:
    """Writes an application into a folder of its own; gives its name."""
    monkeypatch.setattr(sys, "path", list(sys.path))

    def write(source: str) -> str:
        name = f"application_{next(numbers)}"
        (tmp_path / f"{name}.py").write_text(source)
        return name

    return write


def queue(handler: str, **keys: Any) -> QueueSettings:
    return QueueSettings(name="orders", handler=handler, url="https://x", **keys)


def refusal(handler: str, *paths: str, **keys: Any) -> str:
    with pytest.raises(CannotImport) as caught:
        load(queue(handler, **keys), paths)
    assert repr(handler) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("def handle(message): return message", "handle"),
        ("def handle(message, *, retries=3): return message", "handle"),
        ("def handle(*messages): return messages[0]", "handle"),
        ("handle = lambda message: message", "handle"),
        ("class Shop:\n    @staticmethod\n    def handle(message): return message", "Shop.handle"),
        ("class Shop:\n    def __call__(self, message): return message\nhandle = Shop()", "handle"),
        ("import functools\nhandle = functools.partial(lambda a, message: message, 1)", "handle"),
    ],
)
def test_any_callable_of_one_message_will_do(module: Module, tmp_path: Path, source: str, name: str) -> None:
    """Functions, methods, objects and partials are handler functions."""
    function = load(queue(f"{module(source)}:{name}"), [str(tmp_path)])
    message = Message(id="m", body=b"", queue="q")
    assert function(message) is message


def test_the_given_folders_come_first(module: Module, tmp_path: Path) -> None:
    """The application is found in the config's folder even where another of its name is installed."""
    load(queue(f"{module('def handle(m): pass')}:handle"), [str(tmp_path), "/nowhere"])
    assert sys.path[:2] == [str(tmp_path), "/nowhere"]


def test_a_missing_module_says_where_it_was_looked_for(module: Module) -> None:
    """The folders are in the reason."""
    module("")
    assert refusal("no_such_shop.handlers:place_order", "/srv/shop", "/srv") == (
        "cannot import 'no_such_shop.handlers:place_order': "
        "ModuleNotFoundError: No module named 'no_such_shop' (looked in /srv/shop, /srv)"
    )


def test_a_missing_dependency_names_the_line_that_wants_it(module: Module, tmp_path: Path) -> None:
    """It is not the application that is missing, and the reason says so."""
    name = module("\nimport no_such_dependency\ndef handle(m): pass")
    reason = refusal(f"{name}:handle", str(tmp_path))
    assert reason.endswith(f"No module named 'no_such_dependency' ({tmp_path}/{name}.py, line 2)")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import os\nos.environ['NO_SUCH_VARIABLE']", "KeyError: 'NO_SUCH_VARIABLE'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("def handle(m)\n  pass", "SyntaxError"),
        ("def handle(m): pass\n\n  x = 1", "IndentationError"),
    ],
)
def test_whatever_an_import_raises_is_the_reason(module: Module, tmp_path: Path, source: str, words: str) -> None:
    """The exception and its line, for anything that user code may do at import."""
    name = module(source)
    reason = refusal(f"{name}:handle", str(tmp_path))
    assert words in reason
    assert f"{tmp_path}/{name}.py, line " in reason


def test_what_a_module_raises_when_it_is_asked_is_the_reason(module: Module, tmp_path: Path) -> None:
    """A module that imports its functions by a __getattr__ fails there: the error is named, with the line."""
    lazy = module("def __getattr__(name):\n    raise RuntimeError('TABLE is not set')")
    words = f"RuntimeError: TABLE is not set ({tmp_path}/{lazy}.py, line 2)"
    assert words in refusal(f"{lazy}:handle", str(tmp_path))


def test_a_misspelt_function_gets_a_hint(module: Module, tmp_path: Path) -> None:
    """The nearest name of the module is offered."""
    name = module("def place_order(message): pass")
    assert refusal(f"{name}:place_ordr", str(tmp_path)).endswith(
        f"module {name} ({tmp_path}/{name}.py) has no 'place_ordr'; did you mean 'place_order'?"
    )


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("handle = 'text'", "it is a str, not a function"),
        ("async def handle(message): pass", "async def"),
        ("async def handle(message): yield", "it has a yield"),
        ("class Shop:\n    async def __call__(self, message): pass\nhandle = Shop()", "async def"),
        ("def handle(message): yield", "yield"),
        ("def handle(): pass", "one argument"),
        ("def handle(message, context): pass", "missing a required argument: 'context'"),
        ("def handle(*, message): pass", "one argument"),
        ("class Shop:\n    def handle(self, message): pass\nhandle = Shop.handle", "one argument"),
    ],
)
def test_what_could_never_handle_a_message_is_refused(module: Module, tmp_path: Path, source: str, words: str) -> None:
    """At boot, and not with the first message: calling it would run nothing, or fail each time."""
    assert words in refusal(f"{module(source)}:handle", str(tmp_path))


ORDER = "from dataclasses import dataclass\nfrom worker import Message\n@dataclass\nclass Order:\n    id: int\n"
LATER = "from __future__ import annotations\n"


@pytest.mark.parametrize("source", [ORDER, LATER + ORDER], ids=["now", "later"])
@pytest.mark.parametrize("parameters", ["order: Order", "order: Order, message: Message", "order: 'Order', message"])
def test_a_typed_function_is_called_with_what_it_asks_for(
    module: Module, tmp_path: Path, source: str, parameters: str
) -> None:
    """Annotations are read once, here, whether they are text or not."""
    function = load(queue(f"{module(f'{source}def handle({parameters}): return order.id')}:handle"), [str(tmp_path)])
    assert function(Message(id="m", body=b'{"id": 7}', queue="q")) == 7


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            f"{LATER}def handle(order: Order): pass",
            "the annotation 'Order' of its parameter 'order' cannot be evaluated",
        ),
        (
            "class Order: pass\ndef handle(order: Order): pass",
            "its parameter 'order': Order cannot be decoded: nothing is",
        ),
        (f"{ORDER}def handle(order: Order, message: int): pass", "its second parameter, 'message', gets the message"),
        (f"{ORDER}def handle(order: Order, a, b): pass", "nothing is known of its parameter 'b'"),
        ("def handle(order, message): pass", "with two, the body and the message, if the first is annotated"),
    ],
)
def test_a_typed_function_that_cannot_be_served_is_refused(
    module: Module, tmp_path: Path, source: str, words: str
) -> None:
    """At boot, by the parameter and with what to write."""
    assert words in refusal(f"{module(source)}:handle", str(tmp_path))


def test_a_plain_function_is_loaded_as_it_is(module: Module, tmp_path: Path) -> None:
    """Without annotation or with Message, what the loop calls is the function itself."""
    name = module("from worker import Message\ndef bare(m): ...\ndef noted(m: Message): ...")
    for function in ("bare", "noted"):
        assert load(queue(f"{name}:{function}"), [str(tmp_path)]) is getattr(sys.modules[name], function)


PLAIN, ASYNC = "def handle(message): pass", "async def handle(message): pass"
BATCH = "from worker import Message\ndef handle(messages: list[Message]): pass"
BODIES = "from worker import Message\ndef handle(orders: list[dict], messages: list[Message]): pass"
TEN = BatchSettings(size=10)


@pytest.mark.parametrize(
    ("source", "keys", "words"),
    [
        (ASYNC, {}, "such as concurrency = 100"),
        (ASYNC, {"threads": 8}, "write concurrency = 8, and no threads"),
        (PLAIN, {"concurrency": 8}, "write threads instead"),
        (PLAIN, {"batch": TEN}, "annotated as list[Message]"),
        (BATCH, {}, "such as batch = { size = 10 }"),
        (BODIES, {}, "such as batch = { size = 10 }"),
        ("def handle(orders: list[dict]): pass", {"batch": TEN}, "orders: list[Order], messages: list[Message]"),
    ],
)
def test_a_function_and_its_table_must_fit(
    module: Module, tmp_path: Path, source: str, keys: dict[str, Any], words: str
) -> None:
    """What would never run as its table says is refused, with the key to change."""
    assert words in refusal(f"{module(source)}:handle", str(tmp_path), **keys)


@pytest.mark.parametrize(
    ("source", "keys"),
    [
        (ASYNC, {"concurrency": 1}),
        (PLAIN, {"threads": 8}),
        (BATCH, {"batch": TEN}),
        (BODIES, {"batch": TEN}),
        (BODIES.replace("def", "async def"), {"batch": TEN, "concurrency": 4}),
        (PLAIN, {"envelope": "sns"}),
        (BATCH, {"batch": TEN, "envelope": "sns"}),
        (BATCH, {"batch": TEN, "threads": 4}),
        (BATCH.replace("def", "async def"), {"batch": TEN, "concurrency": 4}),
    ],
)
def test_every_form_has_its_keys(module: Module, tmp_path: Path, source: str, keys: dict[str, Any]) -> None:
    """Plain functions take threads, async ones concurrency, both take batches."""
    load(queue(f"{module(source)}:handle", **keys), [str(tmp_path)])


def test_a_function_without_a_signature_is_taken(module: Module, tmp_path: Path) -> None:
    """Of some functions written in C only a call can tell how they are called."""
    name = module("handle = type")
    assert load(queue(f"{name}:handle"), [str(tmp_path)]) is type


def test_an_application_named_like_this_library_gets_a_hint() -> None:
    """worker.py is a likely name for a first application, and is never found."""
    assert "this library's own name" in refusal("worker:handle")


MIDDLEWARE = "def around(message, call_next): return (call_next(message),)\n"


def test_middleware_is_put_around_the_function(module: Module, tmp_path: Path) -> None:
    """By name, from the same folders, each as often as the config names it."""
    handler = f"{module('def handle(message): return message')}:handle"
    around = f"{module(MIDDLEWARE)}:around"
    function = load(queue(handler, middleware=(around, around)), [str(tmp_path)])
    message = Message(id="m", body=b"", queue="q")
    assert function(message) == ((message,),)


@pytest.mark.parametrize(
    ("source", "name", "words"),
    [
        (MIDDLEWARE, "arround", "did you mean 'around'?"),
        ("import no_such_dependency", "around", "No module named 'no_such_dependency'"),
        ("around = 5", "around", "it is a int, not a function"),
        ("def around(message, call_next): yield", "around", "it has a yield"),
        ("def around(message): pass", "around", "two arguments"),
        ("async def around(message, call_next): pass", "around", "the handler function a plain one"),
    ],
)
def test_middleware_of_no_use_is_refused(module: Module, tmp_path: Path, source: str, name: str, words: str) -> None:
    """As a handler function is, with its own name and its key of the config."""
    around = f"{module(source)}:{name}"
    good = f"{module(MIDDLEWARE)}:around"
    with pytest.raises(CannotImport) as caught:
        load(queue(f"{module(PLAIN)}:handle", middleware=(good, around)), [str(tmp_path)])
    assert f"middleware {around!r}: " in str(caught.value)
    assert words in str(caught.value)
    assert caught.value.key == "middleware"
