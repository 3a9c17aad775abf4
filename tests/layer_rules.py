"""Test process: the architecture as rules: who may import whom, what policy may touch, what no file may contain.

Each rule takes the whole tree and yields its violations. test_layers.py holds the project, and faults, against it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

#: The rooms of `worker`, from the top; a room imports rooms of lower rungs only. `face` is worker/__init__.py.
LADDER = (
    {"__main__"},
    {"cli"},
    {"testing", "aws_lambda"},
    {"template"},
    # idempotency is run by user code, in a handler process, and meets no room of the pool: its stores are its own.
    {"supervisor", "poller", "handler", "reporter", "producer", "idempotency"},
    {"aws", "protocol"},
    {"channel", "slots", "leases", "policy", "config"},
    {"platform", "face", "envelopes", "outgoing"},
    {"settings", "message", "telemetry"},
)
RUNGS = {room: rung for rung, rooms in enumerate(LADDER) for room in rooms}
#: Further rooms that never meet: user code's processes know nothing of AWS, the supervisor nothing of either.
STRANGERS = {
    ("handler", "aws"),
    ("handler", "policy"),
    ("handler", "leases"),
    ("supervisor", "aws"),
    ("supervisor", "config"),
    ("poller", "config"),
    ("handler", "config"),
    *(("template", room) for room in ("supervisor", "poller", "reporter", "aws", "policy", "leases", "config")),
    ("aws", "channel"),
    ("aws", "slots"),
    ("aws", "leases"),
    ("aws", "config"),
    ("policy", "platform"),
    *(("producer", room) for room in ("protocol", "channel", "slots", "leases", "config")),
}
#: What the face shows and imports when it is asked for: in a function, or for type checkers.
SHOWN_LATE = {"producer"}
PURE = {"__future__", "bisect", "collections", "dataclasses", "enum", "heapq", "itertools", "math", "typing"}
PURE_ROOMS = {"worker.policy", "worker.message", "worker.settings"}
IMPURE_CALLS = {"open", "print", "input", "eval", "exec", "__import__"}
#: multiprocessing brings shared locks that outlive their holder; pickle and its kin run what they read.
BANNED_IMPORTS = {"multiprocessing", "pickle", "cPickle", "_pickle", "dill", "cloudpickle", "marshal", "shelve"}
BANNED_NAMES = {"ProcessPoolExecutor"}
BANNED_CALLS = {"eval", "exec", "__import__"}
#: Where a module is imported by name: the config's handler function, and a command that the user typed.
DYNAMIC_IMPORTS = {"worker/handler/application.py", "worker/cli/entry.py", "worker/cli/demo/application.py"}
#: What applications import beside `worker` itself: pieces that would make its import heavy.
PUBLIC_MODULES = {"worker.aws_lambda", "worker.envelopes", "worker.idempotency"}
DRAWERS = {"util", "utils", "common", "helper", "helpers", "base", "core", "misc"}
LONGEST_MODULE, LONGEST_FUNCTION = 320, 60  #: lines

#: How the first line of a module's docstring may name its process, by the longest folder that has an entry; a file that
#: runs elsewhere than its folder has one of its own.
PROCESSES = {
    "worker": {"Every process", "Handler process", "Poller and supervisor", "Command line"},
    "worker/aws": {"Poller process", "Command line", "Lambda function"},
    "worker/aws_lambda": {"Lambda function"},
    # What user code asks of DynamoDB, it asks in its own process. All that speaks with AWS is in one room all the same.
    "worker/aws/dynamodb.py": {"Handler process"},
    "worker/aws/idempotency.py": {"Handler process"},
    "worker/cli": {"Command line"},
    "worker/config": {"Command line"},
    "worker/handler": {"Handler process"},
    "worker/policy": {"Pure rules"},
    "worker/producer": {"Producer process"},
    "worker/poller": {"Poller process"},
    "worker/reporter": {"Reporter process"},
    "worker/supervisor": {"Supervisor process"},
    "worker/template": {"Template process"},
    "worker/testing": {"Test process", "Command line", "Every process", "SQS server process", "AWS services process"},
    "apps": {"Handler process", "Command line", "Producer process", "Lambda function"},
}
#: Rooms of several processes: their first line says what the room is.
FACES = {"worker/__init__.py", "worker/testing/__init__.py", "apps/__init__.py"}


@dataclass(frozen=True)
class Import:
    """`import target`, or `from target import name`; `target` is absolute."""

    line: int
    target: str
    name: str = ""
    late: bool = False  #: not when the module is imported: in a function, or for type checkers


@dataclass(frozen=True)
class Module:
    path: str
    text: str
    tree: ast.Module = field(repr=False)

    @cached_property
    def name(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @cached_property
    def imports(self) -> list[Import]:
        """All of them: at the top, in functions, and those for type checkers only."""
        found, parts = [], self.path.removesuffix(".py").split("/")
        late = {
            inner
            for node in ast.walk(self.tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
            for inner in ast.walk(node)
        }
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found += [Import(node.lineno, alias.name, late=node in late) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                start = parts[: len(parts) - node.level] if node.level else []
                target = ".".join([*start, *([node.module] if node.module else [])])
                found += [Import(node.lineno, target, alias.name, late=node in late) for alias in node.names]
        return found

    def at(self, line: int, what: str) -> str:
        return f"{self.path}:{line}: {what}"


class Tree:
    """All modules below worker/ and apps/ of a root."""

    def __init__(self, root: Path) -> None:
        paths = sorted(path for top in ("worker", "apps") for path in (root / top).rglob("*.py"))
        texts = {path.relative_to(root).as_posix(): path.read_text() for path in paths}
        self.modules = [Module(path, text, ast.parse(text)) for path, text in texts.items()]
        self.names = {module.name for module in self.modules}

    def module(self, one: Import) -> str:
        """The module that an import of ours means: `from worker import slots` is worker.slots."""
        longer = f"{one.target}.{one.name}"
        return longer if longer in self.names else one.target

    def room(self, name: str) -> str:
        """The room of worker.X.y is X; of `worker` itself it is the face."""
        return name.split(".")[1] if "." in name else "face"

    def met(self) -> Iterator[tuple[Module, Import, str, str]]:
        """Each import between two rooms of worker: the module, the import, both rooms."""
        for module in self.modules:
            for one in module.imports:
                if module.path.startswith("worker/") and one.target.split(".")[0] == "worker":
                    own, other = self.room(module.name), self.room(self.module(one))
                    if own != other:
                        yield module, one, own, other


def imports_run_down(tree: Tree) -> Iterator[str]:
    """A room imports what stands on a lower rung; rooms of one rung are strangers."""
    for module, one, own, other in tree.met():
        unknown = {own, other} - RUNGS.keys()
        if unknown:
            yield module.at(one.line, f"{', '.join(unknown)} has no rung: give it one")
        elif RUNGS[other] <= RUNGS[own] and not (own == "face" and other in SHOWN_LATE and one.late):
            yield module.at(one.line, f"{own} imports {other}")


def strangers_never_meet(tree: Tree) -> Iterator[str]:
    for module, one, own, other in tree.met():
        if (own, other) in STRANGERS or (other, own) in STRANGERS:
            yield module.at(one.line, f"{own} meets {other}")


def no_import_circle(tree: Tree) -> Iterator[str]:
    """Module by module, with imports inside functions and for type checkers."""
    graph = {
        module.name: {tree.module(one) for one in module.imports if tree.module(one) in tree.names} - {module.name}
        for module in tree.modules
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        yield f"a circle: {' <- '.join(error.args[1])}"


def policy_is_pure(tree: Tree) -> Iterator[str]:
    """Arithmetic, containers and our types; nothing is read, written, or drawn from a clock."""
    for module in tree.modules:
        if not module.path.startswith("worker/policy/"):
            continue
        for one in module.imports:
            ours = any(f"{tree.module(one)}.".startswith(f"{room}.") for room in PURE_ROOMS)
            if not ours and one.target.split(".")[0] not in PURE:
                yield module.at(one.line, f"policy imports {one.target}")
        yield from _calls(module, IMPURE_CALLS)


def only_aws_speaks_to_aws(tree: Tree) -> Iterator[str]:
    """Of the library; what an application does with AWS is its own affair."""
    for module in tree.modules:
        for one in module.imports:
            speaks = one.target.split(".")[0] in {"boto3", "botocore"}
            if speaks and not module.path.startswith(("worker/aws/", "apps/")):
                yield module.at(one.line, f"imports {one.target}")


def user_code_pays_for_no_client_it_does_not_use(tree: Tree) -> Iterator[str]:
    """What speaks with AWS in a handler process imports botocore in functions only, and nothing of the poller's."""
    for module in tree.modules:
        if PROCESSES.get(module.path) != {"Handler process"}:
            continue
        top = {node.lineno for node in module.tree.body}
        for one in module.imports:
            if one.line in top and one.target.split(".")[0] in {"boto3", "botocore"}:
                yield module.at(one.line, f"imports {one.target} before it is asked for anything")
            if one.target.startswith("worker.aws") and PROCESSES.get(_path(one.target)) != {"Handler process"}:
                yield module.at(one.line, f"imports {one.target}, which is the poller's")


def applications_see_the_face_only(tree: Tree) -> Iterator[str]:
    """What an application imports of worker is public, or it could not be a user's. demonstration.py serves the CLI."""
    public = {
        name.value
        for module in tree.modules
        if module.path == "worker/__init__.py"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Assign)
        and ast.unparse(node.targets[0]) == "__all__"
        and isinstance(node.value, ast.List)
        for name in node.value.elts
        if isinstance(name, ast.Constant)
    }
    for module in tree.modules:
        for one in module.imports:
            shown = module.path.endswith("/demonstration.py") and one.target == "worker.testing.demonstration"
            face = one.target in PUBLIC_MODULES or (one.target == "worker" and one.name in public)
            inner = one.target.split(".")[0] == "worker" and not face
            if module.path.startswith("apps/") and inner and not shown:
                yield module.at(one.line, f"imports {one.target}{f'.{one.name}' if one.name else ''}")


def nothing_runs_what_it_reads_or_shares_a_lock(tree: Tree) -> Iterator[str]:
    """No pickle, no eval, no lock between processes, and no import by a name that a message could choose."""
    for module in tree.modules:
        for one in module.imports:
            if one.target.split(".")[0] in BANNED_IMPORTS or one.name in BANNED_NAMES | BANNED_IMPORTS:
                yield module.at(one.line, f"imports {one.target} {one.name}".rstrip())
            if one.target.split(".")[0] == "importlib" and module.path not in DYNAMIC_IMPORTS and _imports_by_name(one):
                yield module.at(one.line, "imports modules by name")
        yield from _calls(module, BANNED_CALLS)


def every_module_names_its_process(tree: Tree) -> Iterator[str]:
    for module in tree.modules:
        first = (ast.get_docstring(module.tree) or "").partition("\n")[0]
        folders = [folder for folder in PROCESSES if f"{module.path}/".startswith(f"{folder}/")]
        allowed = PROCESSES[max(folders, key=len)]
        if not first:
            yield module.at(1, "no docstring")
        elif module.path not in FACES and not re.match(rf"({'|'.join(sorted(allowed))}): \S", first):
            yield module.at(1, f"{first!r} does not begin with {' or '.join(sorted(allowed))}")


def rooms_have_a_size_one_can_hold(tree: Tree) -> Iterator[str]:
    for module in tree.modules:
        lines = module.text.count("\n")
        if lines > LONGEST_MODULE:
            yield module.at(lines, f"{lines} lines")
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > LONGEST_FUNCTION:
                    yield module.at(node.lineno, f"{node.name} has {lines} lines")


def nothing_is_kept_in_a_drawer(tree: Tree) -> Iterator[str]:
    for module in tree.modules:
        for part in DRAWERS.intersection(module.name.split(".")):
            yield module.at(1, f"{part} says nothing")


def exceptions_from_lint_have_a_reason(tree: Tree) -> Iterator[str]:
    """`# noqa: X - why`, or a second comment behind it."""
    for module in tree.modules:
        for number, line in enumerate(module.text.splitlines(), start=1):
            if re.search(r"# (noqa|type: ignore)", line) and not re.search(
                r"# (noqa|type: ignore).*( - |  # )\S", line
            ):
                yield module.at(number, "no reason beside it")


def _path(name: str) -> str:
    return f"{name.replace('.', '/')}.py"


def _calls(module: Module, names: set[str]) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            yield module.at(node.lineno, f"calls {node.func.id}")


def _imports_by_name(one: Import) -> bool:
    return (one.target, one.name) not in {("importlib", "metadata"), ("importlib.metadata", one.name)}


Rule = Callable[[Tree], Iterator[str]]
RULES: list[Rule] = [
    imports_run_down,
    strangers_never_meet,
    no_import_circle,
    policy_is_pure,
    only_aws_speaks_to_aws,
    user_code_pays_for_no_client_it_does_not_use,
    applications_see_the_face_only,
    nothing_runs_what_it_reads_or_shares_a_lock,
    every_module_names_its_process,
    rooms_have_a_size_one_can_hold,
    nothing_is_kept_in_a_drawer,
    exceptions_from_lint_have_a_reason,
]
