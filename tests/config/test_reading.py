"""A whole config file: what is taken, and how every fault is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.config import ConfigError, find_control_socket, load, load_text, parse_override
from worker.config.cloudwatch_keys import CLOUDWATCH
from worker.config.queue_keys import BATCH, QUEUE, RETRY
from worker.config.worker_keys import WORKER
from worker.settings import CloudWatchSettings, QueueSettings, RetrySettings, Settings, from_json, to_json

SMALLEST = '[queues.orders]\nname = "orders"\nhandler = "shop:place"\n'


def read(text: str, *sets: str, **environ: str) -> Settings:
    overrides = [parse_override(one) for one in sets]
    return load_text(text, path="/srv/shop/worker.toml", environ=environ, overrides=overrides)


def faults(text: str, *sets: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text, *sets, **environ)
    return [str(problem) for problem in caught.value.problems]


def fault(text: str, *sets: str, **environ: str) -> str:
    """The only fault of a text."""
    found = faults(text, *sets, **environ)
    assert len(found) == 1, found
    return found[0]


def queue(lines: str, *sets: str, **environ: str) -> QueueSettings:
    return read(SMALLEST + lines, *sets, **environ).queues[0]


def test_the_smallest_file_has_the_settings_own_defaults() -> None:
    """What is not written is as settings.py says, and the folders are absolute."""
    settings = read(SMALLEST)
    assert settings == Settings(
        name="shop",
        queues=(QueueSettings(name="orders", queue_name="orders", handler="shop:place"),),
        config="/srv/shop/worker.toml",
        paths=("/srv/shop", str(Path.cwd())),
    )
    assert from_json(to_json(settings)) == settings


def test_every_key_reaches_the_settings() -> None:
    """Each key of the schema, written once with a value that is not the default, is found in the settings."""
    settings = read(
        """
        [worker]
        name = "pool"
        drain_timeout = 30.5
        control_socket = "run/w.sock"
        region = "eu-west-1"
        endpoint_url = "http://example.org:4566"
        allow_insecure_endpoint = true
        log_level = "DEBUG"
        [queues.a]
        url = "https://sqs.eu-west-1.amazonaws.com/123456789012/a"
        when = "always"
        handler = "m.n:f"
        handlers = 3
        pollers = 2
        spares = 0
        wait = 5
        max_messages = 9
        visibility_timeout = 70
        handler_timeout = 12.5
        dead_letter = "a-dlq"
        role_arn = "arn:aws:iam::123456789012:role/x/y"
        polls = 4
        ready_messages = 50
        ready_bytes = 2000000
        retry = { first = 0.5, most = 8, attempts = 2 }
        [queues.a.cloudwatch]
        namespace = "Shop"
        period = 5
        deleted = "d"
        delete_failed = "f"
        not_resolved = "r"
        log_deletes_as = "l"
        [queues.b]
        ssm = "/b/url"
        handler = "m.n:g"
        poll_interval = 31.5
        """
    )
    assert settings == Settings(
        name="pool",
        drain_timeout=30.5,
        control_socket="/srv/shop/run/w.sock",
        region="eu-west-1",
        endpoint_url="http://example.org:4566",
        allow_insecure_endpoint=True,
        log_level="debug",
        config="/srv/shop/worker.toml",
        paths=("/srv/shop", str(Path.cwd())),
        queues=(
            QueueSettings(
                name="a",
                url="https://sqs.eu-west-1.amazonaws.com/123456789012/a",
                when="always",
                handler="m.n:f",
                handlers=3,
                pollers=2,
                spares=0,
                wait=5.0,
                max_messages=9,
                visibility_timeout=70.0,
                handler_timeout=12.5,
                dead_letter="a-dlq",
                role_arn="arn:aws:iam::123456789012:role/x/y",
                polls=4,
                ready_messages=50,
                ready_bytes=2_000_000,
                retry=RetrySettings(first=0.5, most=8.0, attempts=2),
                cloudwatch=CloudWatchSettings(
                    namespace="Shop", period=5.0, deleted="d", delete_failed="f", not_resolved="r", log_deletes_as="l"
                ),
            ),
            QueueSettings(name="b", ssm="/b/url", handler="m.n:g", wait=20.0, pause=11.5),
        ),
    )


def test_every_example_of_the_schema_is_taken() -> None:
    """The examples that complaints and the documentation show are valid themselves."""
    alternatives = {"name", "ssm", "poll_interval", "concurrency"}
    text = "[worker]\n" + "\n".join(key.example for key in WORKER)
    text += "\n[queues.orders]\n" + "\n".join(key.example for key in QUEUE if key.name not in alternatives)
    text += "\n[queues.orders.retry]\n" + "\n".join(key.example for key in RETRY)
    text += "\n[queues.orders.batch]\n" + "\n".join(key.example for key in BATCH)
    text += "\n[queues.orders.cloudwatch]\n" + "\n".join(key.example for key in CLOUDWATCH)
    read(text, ORDERS_TABLE="orders")
    for key in QUEUE:
        if key.name in alternatives:
            source = "" if key.name in {"name", "ssm"} else 'name = "x"\n'
            read(f'[worker]\ndrain_timeout = 27\n[queues.orders]\nhandler = "m:f"\n{source}{key.example}')


def test_all_faults_are_told_at_once_by_file_line_table_and_key() -> None:
    """One run of check shows everything that is wrong, in the order of the file."""
    found = faults(
        """[worker]
nmae = "x"
drain_timeout = "soon"
[queues.orders]
url = "${ORDERS_URL}"
handler = "no function"
visibilty_timeout = 60
[queues.orders.retry]
frist = 1
[queue.more]
"""
    )
    assert [re.sub(r"(;|,).*", "", one) for one in found] == [
        "/srv/shop/worker.toml:2: [worker] nmae: unknown key",
        "/srv/shop/worker.toml:3: [worker] drain_timeout: expected a number of seconds",
        "/srv/shop/worker.toml:5: [queues.orders] url: environment variable ORDERS_URL is not set (or empty)",
        '/srv/shop/worker.toml:6: [queues.orders] handler: expected "package.module:function"',
        "/srv/shop/worker.toml:7: [queues.orders] visibilty_timeout: unknown key",
        "/srv/shop/worker.toml:9: [queues.orders.retry] frist: unknown key",
        "/srv/shop/worker.toml:10: [queue]: unknown table",
    ]
    assert "did you mean 'name'?" in found[0]
    assert "such as drain_timeout = 25; got 'soon'" in found[1]
    assert "did you mean 'visibility_timeout'?" in found[4]
    assert "did you mean 'first'?" in found[5]
    assert "did you mean 'queues'?" in found[6]


def test_a_cloudwatch_table_names_its_namespace() -> None:
    """Without it nothing would be put, which nobody writes a table for; a reference that is empty turns it off."""
    assert "namespace: is required" in fault(SMALLEST + "cloudwatch = { period = 5 }")
    assert "did you mean 'namespace'" in faults(SMALLEST + 'cloudwatch = { namespce = "Shop" }')[0]
    off = 'cloudwatch = { namespace = "${METRICS:-}" }'
    assert queue(off).cloudwatch == CloudWatchSettings()
    assert queue(off, METRICS="Shop").cloudwatch.namespace == "Shop"
    assert "begin with AWS/" in fault(SMALLEST + 'cloudwatch = { namespace = "AWS/SQS" }')
    for bad in ('namespace = "a\u00e9"', 'namespace = " a"', 'namespace = "a", deleted = "\u00e9"'):
        assert "expected up to 255" in fault(SMALLEST + f"cloudwatch = {{ {bad} }}")
    assert "a word such as" in fault(SMALLEST + 'cloudwatch = { namespace = "a", log_deletes_as = "a b" }')


def test_variables_take_the_type_of_their_key() -> None:
    """The text of POLL_INTERVAL becomes seconds, that of HANDLERS a whole number."""
    made = queue('wait = "${POLL:-10}"\nhandlers = "${HANDLERS}"', HANDLERS="3")
    assert (made.wait, made.handlers) == (10.0, 3)


@pytest.mark.parametrize(
    ("interval", "wait", "pause"), [(0, 0, 0), (2.5, 2, 0.5), (10, 10, 0), (20, 20, 0), (20.5, 20, 0.5), (90, 20, 70)]
)
def test_poll_interval_is_a_wait_and_a_pause(interval: float, wait: float, pause: float) -> None:
    """Up to 20 whole seconds are waited in SQS, the rest is paused; one round takes the interval."""
    made = read(f"[worker]\ndrain_timeout = 30\n{SMALLEST}poll_interval = {interval}").queues[0]
    assert (made.wait, made.pause) == (wait, pause)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("wait = 10\npoll_interval = 10", "poll_interval: says the same as wait"),
        ('url = "https://h/1/orders"', "one queue, 2 names: keep one of url, name"),
        ('ssm = "/a"', "one queue, 2 names: keep one of name, ssm"),
        ("wait = 19", "set drain_timeout in [worker] to 26 or more (now 25), or wait to 18 or less"),
        ("poll_interval = 30", "poll_interval: a long poll of 20 s does not end within the drain"),
        ("visibility_timeout = 22", "visibility_timeout: must be at least 23 with wait = 10"),
        ("visibility_timeout = 43201", "must be 1 to 43,200"),
        ("visibility_timeout = 30.5", "whole seconds"),
        ("wait = 21", "must be 0 to 20, got 21"),
        ("wait = 1.5", "whole seconds"),
        ("max_messages = 11", "must be 1 to 10"),
        ("handlers = 0", "must be 1 to 1,000"),
        ("handlers = 1\npollers = 2", "2 pollers need as many handlers"),
        ("handler_timeout = 43196", "43,195"),
        ("handler_timeout = 0", "more than 0"),
        ("ready_messages = 9", "must be at least 10"),
        ("ready_bytes = 5", "at least 1,048,576"),
        ("retry = { first = 10, most = 5 }", "first (10) must not be more than most (5)"),
        ("retry = { most = 50000 }", "[queues.orders.retry] most"),
        ("retry = 5", "expected a table [queues.orders.retry]"),
        ('dead_letter = "a.b"', "dead_letter: expected up to 80 letters"),
        ('dead_letter = "orders-dlq.fifo"', "the dead-letter queue of a standard queue"),
        ('dead_letter = "arn:aws:sqs:x"', "a queue's ARN"),
        ('role_arn = "arn:aws:iam::1:role/x"', "expected a role"),
        ("threads = 257", "must be 1 to 256"),
        ("concurrency = 4097", "must be 1 to 4,096"),
        ("threads = 2\nconcurrency = 2", "keep one of the two"),
        ("batch = { size = 1001 }", "[queues.orders.batch] size: must be 1 to 1,000"),
        ("batch = { wait = 11 }", "must be 0 to 10"),
        ("concurrency = 500\nbatch = { size = 10 }", "batch: 500 calls of 10 messages are more than the 4,096"),
        ("threads = 100\nbatch = { size = 41 }", "batch: 100 calls of 41 messages are more than the 4,096"),
        ('retries = "x"', "did you mean 'retry'?"),
    ],
)
def test_a_broken_rule_is_told_with_what_would_be_right(lines: str, told: str) -> None:
    """Each rule of the reference page, on an otherwise good queue, gives exactly its own fault."""
    assert told in fault(SMALLEST + lines)


@pytest.mark.parametrize(
    "lines",
    [
        'dead_letter = "orders-dlq"',
        'dead_letter = "arn:aws:sqs:eu-west-1:123456789012:orders-dlq"',
        'dead_letter = "https://sqs.eu-west-1.amazonaws.com/123456789012/orders-dlq"',
        "wait = 18\nvisibility_timeout = 35",
        "wait = 0\nvisibility_timeout = 8",
        "visibility_timeout = 43200\nhandler_timeout = 43195",
        "retry = { first = 5, most = 5 }",
        "concurrency = 4096",
        "concurrency = 512\nbatch = { size = 8, wait = 10 }",
        "threads = 1\nconcurrency = 8",
    ],
)
def test_the_edges_of_the_rules_are_good(lines: str) -> None:
    """A value right at its limit is taken."""
    queue(lines)


def test_a_fifo_queue_has_one_poller() -> None:
    """FIFO is decided by the name or the URL."""
    fifo = SMALLEST.replace('"orders"', '"orders.fifo"') + "handlers = 4\npollers = 2\n"
    assert "FIFO queue has one poller" in fault(fifo)
    assert "FIFO queue has one poller" in fault(fifo.replace('name = "orders', 'url = "https://h/1/orders'))
    read(fifo.replace("pollers = 2", "pollers = 1"))
    assert "dead-letter queue of a FIFO queue" in fault(fifo.replace("pollers = 2", 'dead_letter = "plain"'))


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("orders", "expected a queue URL"),
        ("ftp://h/1/orders", "expected a queue URL"),
        ("https:///1/orders", "expected a queue URL"),
        ("https://h:port/1/orders", "expected a queue URL"),
        ("https://h/1/or ders", "expected a queue URL"),
        ("https://h", "the queue's name"),
        ("https://h/1/", "the queue's name"),
        ("https://h/1/orders?x=1", "no user, password, query"),
        ("https://user:secret@h/1/orders", "no user, password, query"),
        ("http://example.org/1/orders", "plain http to another machine"),
        ("http://127.example.org/1/orders", "plain http to another machine"),
    ],
)
def test_a_url_that_is_no_safe_queue_url_is_refused(url: str, told: str) -> None:
    """Queue URLs have host and name, are https unless local, and hold no secrets; a secret is not shown."""
    found = fault(f'[queues.orders]\nhandler = "m:f"\nurl = "{url}"')
    assert told in found
    assert "secret" not in found


@pytest.mark.parametrize("host", ["localhost:4566", "127.0.0.1", "127.9.9.9:1", "[::1]:4566", "sqs.localhost"])
def test_plain_http_to_this_machine_is_fine(host: str) -> None:
    """The embedded SQS and LocalStack work without a certificate."""
    read(f'[worker]\nendpoint_url = "http://{host}"\n[queues.o]\nhandler = "m:f"\nurl = "http://{host}/0/orders"')


def test_an_endpoint_holds_no_password() -> None:
    """It stands in logs and in `worker check`; the complaint does not show it either."""
    found = fault(SMALLEST + '[worker]\nendpoint_url = "https://me:hidden@sqs.example.org"')
    assert "no user and no password" in found
    assert "hidden" not in found


def test_plain_http_elsewhere_must_be_allowed() -> None:
    """endpoint_url, url, dead_letter and boto3's own variables are all held to it, and one key allows it."""
    lines = 'dead_letter = "http://h/1/dead"\n[worker]\nendpoint_url = "http://h"\n'
    found = faults(SMALLEST + lines)
    assert len(found) == 2
    assert all("allow_insecure_endpoint = true" in one for one in found)
    read(SMALLEST + lines + "allow_insecure_endpoint = true")
    assert "AWS_ENDPOINT_URL_SQS" in fault(SMALLEST, AWS_ENDPOINT_URL_SQS="http://h:4566")
    read(SMALLEST, AWS_ENDPOINT_URL_SQS="http://localhost:4566")
    read(SMALLEST, AWS_ENDPOINT_URL_SQS="http://h", AWS_IGNORE_CONFIGURED_ENDPOINT_URLS="true")


@pytest.mark.parametrize("text", ["", "[worker]\n", "[queues]\n", "queues = 1"])
def test_a_file_without_queues_is_refused(text: str) -> None:
    """A pool of nothing is a mistake."""
    assert any("no queue: write a table" in one for one in faults(text))


@pytest.mark.parametrize("when", ['"${ORDERS_TABLE:-}"', '"off"', '"No"', '"${ORDERS_TABLE:-0}"', '"false"'])
def test_a_table_whose_when_says_no_is_left_out_unread(when: str) -> None:
    """Its other keys need no variable and may even be wrong; the settings name it, and the other queue is there."""
    other = f'[queues.other]\nwhen = {when}\nurl = "${{MISSING}}"\nweight = 5\n'
    made = read(SMALLEST + other)
    assert ([queue.name for queue in made.queues], made.left_out) == (["orders"], ("other",))


@pytest.mark.parametrize("environ", [{"ORDERS_TABLE": "orders"}, {"ORDERS_TABLE": "yes"}])
def test_a_table_whose_when_says_anything_else_is_there(environ: dict[str, str]) -> None:
    """The text itself has no meaning: the name of a table that is given will do."""
    made = read(SMALLEST + 'when = "${ORDERS_TABLE:-}"\n', **environ)
    assert ([queue.name for queue in made.queues], made.left_out) == (["orders"], ())


def test_when_can_be_set_beside_the_file_and_is_judged_itself() -> None:
    """`--set` decides too; a broken `when` leaves nothing out silently; a pool without any queue is a mistake."""
    other = '[queues.other]\nname = "other"\nhandler = "m:f"\n'
    assert read(SMALLEST + other, "queues.other.when=off").left_out == ("other",)
    assert "expected text" in fault(SMALLEST + other + "when = false")
    assert "MISSING is not set" in fault(SMALLEST + other + 'when = "${MISSING}"')
    assert "all are left out by their `when`" in fault(SMALLEST + 'when = "off"')


@pytest.mark.parametrize(
    ("environ", "url", "ssm"),
    [({"URL": "https://h/1/orders"}, "https://h/1/orders", ""), ({"ENVIRONMENT": "dev"}, "", "/shop-dev/orders-url")],
)
def test_a_url_may_be_that_of_a_parameter(environ: dict[str, str], url: str, ssm: str) -> None:
    """One key serves both: the variable, or else the SSM parameter of the environment."""
    text = '[queues.orders]\nhandler = "m:f"\nurl = "${URL:-ssm:/shop-${ENVIRONMENT}/orders-url}"\n'
    [made] = read(text, **environ).queues
    assert (made.url, made.ssm, made.queue_name) == (url, ssm, "")


def test_a_url_of_a_parameter_is_judged() -> None:
    """Without either variable both are named; a parameter's name has a form; two sources stay a fault."""
    text = '[queues.orders]\nhandler = "m:f"\n'
    assert "URL or ENVIRONMENT is not set" in fault(text + 'url = "${URL:-ssm:/shop-${ENVIRONMENT}/orders-url}"')
    assert "expected a parameter's name" in fault(text + 'url = "ssm:/shop orders"')
    assert "keep one of url, ssm" in fault(text + 'url = "ssm:/a"\nssm = "/b"')


def test_a_queue_must_say_which_and_what() -> None:
    """Neither the queue nor the handler function is guessed."""
    found = faults("[queues.orders]\n")
    assert "write one of url, name and ssm" in found[0]
    assert "handler: is required" in found[1]


@pytest.mark.parametrize("name", ["Orders", "-orders", '"a b"', '"a.b"'])
def test_table_names_are_plain(name: str) -> None:
    """Table names are shown in logs and taken by `worker scale`, so they stay simple."""
    assert "lower-case letters" in fault(f'[queues.{name}]\nname = "orders"\nhandler = "m:f"')


@pytest.mark.parametrize(
    ("text", "told"),
    [("[worker\n", "is not TOML"), ("x = " + "[" * 100_000, "nested too deep"), ("x = " + "9" * 5000, "is not TOML")],
)
def test_what_is_not_toml_is_told_so(text: str, told: str) -> None:
    """A file that tomllib refuses, in whatever way, is one fault and no stack trace."""
    assert told in fault(text)


def test_overrides_take_the_place_of_keys() -> None:
    """`--set` replaces a key, its alternatives with it, makes sub-tables, and unsets with an empty text."""
    made = queue(
        "poll_interval = 30", "queues.orders.wait=5", "queues.orders.url=https://h/1/x", "queues.orders.handlers=7"
    )
    assert (made.wait, made.pause, made.url, made.queue_name, made.handlers) == (5.0, 0.0, "https://h/1/x", "", 7)
    assert queue("", "queues.orders.retry.first=0.5").retry.first == 0.5
    assert read(SMALLEST + "wait = 21", "queues.orders.wait=", "worker.log_level=debug").log_level == "debug"
    assert queue('role_arn = "${ROLE}"', "queues.orders.role_arn=").role_arn == ""


def test_a_bad_override_is_told_as_one() -> None:
    """An unknown table or key of `--set` is a fault like any other."""
    assert "--set queues.odrers.wait: the file has no such table" in fault(SMALLEST, "queues.odrers.wait=5")
    assert "unknown key" in fault(SMALLEST, "queues.orders.weight=5")
    assert "from --set" in fault(SMALLEST, "queues.orders.wait=x")
    for bad in ("wait=5", "queues.orders.wait", "=5", "a..b=5"):
        with pytest.raises(ValueError, match=re.escape(r"expected TABLE.KEY=VALUE")):
            parse_override(bad)


@given(st.text(max_size=60) | st.text(st.sampled_from('[]queuesworkr.=\n"${}:-1 '), max_size=60))
def test_no_text_makes_reading_fail_in_another_way(text: str) -> None:
    """Whatever stands in the file, it gives settings or a ConfigError whose text names the file."""
    try:
        assert load_text(text, path="w.toml", environ={}).queues
    except ConfigError as error:
        told = str(error)
    else:
        told = "w.toml"
    assert "w.toml" in told


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "worker.toml"
    path.write_text(SMALLEST)
    path.chmod(0o644)
    return path


def test_a_file_is_loaded_from_its_folder(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path gives the same absolute settings as an absolute one."""
    monkeypatch.chdir(file.parent)
    settings = load("worker.toml", {})
    assert settings == load(file, {})
    assert settings.config == str(file)
    assert settings.paths == (str(file.parent),)


@pytest.mark.parametrize("mode", [0o646, 0o666, 0o622])
def test_a_file_that_others_may_write_is_refused(file: Path, mode: int) -> None:
    """The fault names the mode and the command that mends it, beside the other faults."""
    file.write_text("[queues.orders]")
    file.chmod(mode)
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    told = str(caught.value)
    assert f"mode {mode:04o}" in told
    assert f"chmod go-w {file}" in told
    assert "handler: is required" in told


def test_a_folder_that_anybody_may_write_is_refused_unless_sticky(file: Path) -> None:
    """In such a folder the file can be replaced by anybody; /tmp with its sticky bit is fine."""
    file.parent.chmod(0o777)
    with pytest.raises(ConfigError, match="chmod o-w"):
        load(file, {})
    file.parent.chmod(0o1777)
    load(file, {})


def test_an_unreadable_file_is_one_fault(tmp_path: Path) -> None:
    """A missing file, a folder and a file that is no text are told by name."""
    for path, told in ((tmp_path / "none.toml", "No such file"), (tmp_path, "directory")):
        with pytest.raises(ConfigError, match=told) as caught:
            load(path, {})
        assert str(path) in str(caught.value)
    (tmp_path / "binary").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(tmp_path / "binary", {})


def test_the_control_socket_is_found_without_the_rest(file: Path) -> None:
    """An operator's shell need not hold the queues' variables to find the socket."""
    file.write_text('[worker]\nname = 5\ncontrol_socket = "${RUN:-run}/w.sock"\n[queues.x]\nurl = "${NOT_SET}"\n')
    assert find_control_socket(file, {}) == str(file.parent / "run/w.sock")
    assert find_control_socket(file, {"RUN": "/run/shop"}) == "/run/shop/w.sock"
    file.write_text(SMALLEST)
    assert find_control_socket(file, {}) == ""
    file.write_text("[worker]\ncontrol_socket = 5")
    with pytest.raises(ConfigError, match="control_socket"):
        find_control_socket(file, {})


def test_a_socket_path_that_no_kernel_takes_is_refused() -> None:
    """sockaddr_un holds 103 bytes on macOS."""
    assert "a unix socket's has 103" in fault(SMALLEST + f'[worker]\ncontrol_socket = "{"x" * 100}"')


def test_hints_come_from_the_nearest_key_of_the_table() -> None:
    """A typo of any key is answered with that key."""
    for key in QUEUE:
        typo = key.name[:-1] + "_" + key.name[-1]
        found = [one for one in faults(f"[queues.orders]\n{typo} = 1") if "unknown key" in one]
        assert f"did you mean {key.name!r}?" in found[0]
