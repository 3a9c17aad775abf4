"""Test process: the project keeps the rules of its architecture, and the rules catch what breaks them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.layer_rules import (
    RULES,
    RUNGS,
    Rule,
    Tree,
    applications_see_the_face_only,
    every_module_names_its_process,
    exceptions_from_lint_have_a_reason,
    imports_run_down,
    no_import_circle,
    nothing_is_kept_in_a_drawer,
    nothing_runs_what_it_reads_or_shares_a_lock,
    only_aws_speaks_to_aws,
    policy_is_pure,
    rooms_have_a_size_one_can_hold,
    strangers_never_meet,
    user_code_pays_for_no_client_it_does_not_use,
)

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def project() -> Tree:
    return Tree(ROOT)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_project_keeps(rule: Rule, project: Tree) -> None:
    """Each rule holds for every module of worker/ and apps/."""
    assert list(rule(project)) == []


def test_the_rules_look_at_the_whole_project(project: Tree) -> None:
    """An empty tree would keep every rule: all rooms that exist are seen, and each has a rung."""
    rooms = {
        tree.name.removesuffix(".py") for tree in (ROOT / "worker").iterdir() if not tree.name.startswith(("_", "py."))
    }
    assert rooms <= {project.room(module.name) for module in project.modules}
    assert rooms <= RUNGS.keys()
    assert sum(len(module.imports) for module in project.modules) > 300


GOOD = {
    "worker/__init__.py": '"""The pool."""\nfrom typing import TYPE_CHECKING\nfrom worker.message import Message\n'
    '__all__ = ["Message"]\nif TYPE_CHECKING:\n    from worker.producer import sending\n'
    "def __getattr__(name):\n    from worker.producer import sending\n    return sending\n",
    "worker/producer/__init__.py": '"""Producer process: all."""\n',
    "worker/producer/sending.py": '"""Producer process: sending."""\nfrom worker.message import Message\n',
    "worker/message.py": '"""Every process: messages."""\n',
    "worker/settings.py": '"""Every process: settings."""\n',
    "worker/channel.py": '"""Every process: the stream."""\n',
    "worker/policy/__init__.py": '"""Pure rules: all."""\n',
    "worker/policy/ledger.py": '"""Pure rules: the ledger."""\nimport math\nfrom worker.message import Message\n',
    "worker/policy/credit.py": '"""Pure rules: credit."""\nfrom worker.policy.ledger import math\n',
    "worker/poller/__init__.py": '"""Poller process: all."""\n',
    "worker/poller/loop.py": '"""Poller process: loop."""\nfrom worker import channel\nimport worker.policy.ledger\n',
    "worker/aws/session.py": '"""Poller process: clients."""\nimport boto3  # type: ignore[x]  # no stubs\n',
    "worker/aws/idempotency.py": '"""Handler process: keys."""\ndef f():\n    import botocore\n',
    "apps/shop/handlers.py": '"""Handler process: orders."""\nfrom worker import Message\n',
}


def seeded(root: Path, path: str, source: str) -> Tree:
    """A small tree that keeps every rule, but for what is appended to one of its modules (or a new one)."""
    for name, text in GOOD.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(GOOD.get(path, "") + source)
    return Tree(root)


def test_a_tree_that_keeps_the_rules_passes(tmp_path: Path) -> None:
    """The seeded trees below differ from this one in their seed only."""
    tree = seeded(tmp_path, "worker/message.py", "")
    assert [violation for rule in RULES for violation in rule(tree)] == []


POLLER, POLICY = "worker/poller/loop.py", "worker/policy/ledger.py"


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        (imports_run_down, "worker/message.py", "import worker.channel\n"),
        (imports_run_down, "worker/channel.py", "from worker import poller\n"),
        (imports_run_down, "worker/channel.py", "from .policy import ledger\n"),
        (imports_run_down, "worker/channel.py", "def f():\n    from worker.poller.loop import channel\n"),
        (
            imports_run_down,
            POLLER,
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import worker.handler.run\n",
        ),
        (imports_run_down, POLLER, "from worker.testing import run_inline\n"),
        (imports_run_down, POLLER, "from ..supervisor import loop\n"),
        (imports_run_down, "worker/__init__.py", "def __getattr__(name):\n    import worker.poller\n"),
        (imports_run_down, "worker/__init__.py", "import worker.producer\n"),
        (imports_run_down, "worker/surprise.py", '"""Every process: x."""\nimport worker.message\n'),
        (strangers_never_meet, "worker/handler/run.py", "import worker.aws.session\n"),
        (strangers_never_meet, "worker/supervisor/loop.py", "from worker import aws\nfrom worker.aws import session\n"),
        (no_import_circle, "worker/policy/ledger.py", "import worker.policy.credit\n"),
        (no_import_circle, POLICY, "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .credit import x\n"),
        (policy_is_pure, POLICY, "import time\n"),
        (policy_is_pure, POLICY, "from random import random\n"),
        (policy_is_pure, POLICY, "def now():\n    import datetime\n"),
        (policy_is_pure, POLICY, "import worker.channel\n"),
        (policy_is_pure, POLICY, "open('x')\n"),
        (only_aws_speaks_to_aws, POLLER, "import boto3.session\n"),
        (only_aws_speaks_to_aws, "worker/envelopes.py", "from botocore.exceptions import ClientError\n"),
        (user_code_pays_for_no_client_it_does_not_use, "worker/aws/idempotency.py", "import botocore.session\n"),
        (
            user_code_pays_for_no_client_it_does_not_use,
            "worker/aws/idempotency.py",
            "def g():\n    import worker.aws.session\n",
        ),
        (applications_see_the_face_only, "apps/shop/handlers.py", "from worker.message import Message\n"),
        (applications_see_the_face_only, "apps/shop/handlers.py", "import worker.testing\n"),
        (applications_see_the_face_only, "apps/shop/handlers.py", "from worker import channel\n"),
        (nothing_runs_what_it_reads_or_shares_a_lock, POLLER, "import pickle\n"),
        (nothing_runs_what_it_reads_or_shares_a_lock, POLLER, "from multiprocessing import Queue\n"),
        (nothing_runs_what_it_reads_or_shares_a_lock, POLLER, "import multiprocessing.shared_memory\n"),
        (nothing_runs_what_it_reads_or_shares_a_lock, POLLER, "from concurrent.futures import ProcessPoolExecutor\n"),
        (nothing_runs_what_it_reads_or_shares_a_lock, POLLER, "eval('1')\n"),
        (nothing_runs_what_it_reads_or_shares_a_lock, POLLER, "def f(x):\n    exec(x)\n"),
        (nothing_runs_what_it_reads_or_shares_a_lock, POLLER, "from importlib import import_module\n"),
        (nothing_runs_what_it_reads_or_shares_a_lock, POLLER, "import importlib\n"),
        (every_module_names_its_process, "worker/poller/bare.py", "x = 1\n"),
        (every_module_names_its_process, "worker/poller/vague.py", '"""Extends leases."""\n'),
        (every_module_names_its_process, "worker/aws/lost.py", '"""Handler process: extends leases."""\n'),
        (every_module_names_its_process, "worker/poller/lost.py", '"""Handler process: extends leases."""\n'),
        (every_module_names_its_process, "apps/shop/service.py", '"""\nHandler: x."""\n'),
        (rooms_have_a_size_one_can_hold, POLLER, "x = 1\n" * 320),
        (rooms_have_a_size_one_can_hold, POLLER, "def f():\n" + "    x = 1\n" * 60),
        (nothing_is_kept_in_a_drawer, "worker/poller/utils.py", '"""Poller process: x."""\n'),
        (nothing_is_kept_in_a_drawer, "apps/shop/core/x.py", '"""Handler process: x."""\n'),
        (exceptions_from_lint_have_a_reason, POLLER, "x = 1  # noqa: F401\n"),
        (exceptions_from_lint_have_a_reason, POLLER, "x = 1  # type: ignore[attr-defined]\n"),
    ],
)
def test_a_seeded_violation_is_caught(rule: Rule, path: str, source: str, tmp_path: Path) -> None:
    """Each rule sees each way of breaking it, and says where."""
    violations = list(rule(seeded(tmp_path, path, source)))
    assert len(violations) == 1
    assert path in violations[0] or rule is no_import_circle
