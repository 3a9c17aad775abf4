"""Test process: the three parts as Lambda functions, on events as Lambda gives them; see apps/image_pipeline."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from tests.apps.conftest import take_all
from tests.apps.image_pipeline.conftest import BUCKET, TABLE, TEST_EVENT, Part, World, in_sns, record, request, s3_event
from tests.aws_lambda import events
from worker import Reject


def of_sqs(*bodies: object) -> dict[str, Any]:
    """An event of SQS with these bodies, the messages id-0, id-1 and so on."""
    texts = [one if isinstance(one, str) else json.dumps(one) for one in bodies]
    return events.event(*(events.record(number, text) for number, text in enumerate(texts)))


def failed(answer: dict[str, Any]) -> list[str]:
    return [one["itemIdentifier"] for one in answer["batchItemFailures"]]


def test_s3_itself_may_call(world: World, part: Part) -> None:
    """Each record becomes a request with its attributes; the answer counts them."""
    versions = {key: world.put(key, {"camera": "x1"}) for key in ("uploads/u/a.jpg", "uploads/zoë +/b c.d.PNG")}
    event = s3_event(*(record(key, version=version) for key, version in versions.items()))
    world.put("uploads/zoë +/b c.d.PNG", {"camera": "of a later version"})
    answer = part("s3_event").lambda_handler(event, events.Context())
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"]) == {"message": "S3 events processed", "processedCount": 2}
    assert answer.keys() == {"statusCode", "body"}
    sent = take_all(world.sqs, world.requests)
    bodies = {body["s3Key"]: body for body in (json.loads(one["Body"]) for one in sent)}
    assert bodies["uploads/zoë +/b c.d.PNG"] == {
        "imageId": "b c.d",
        "userId": "zoë +",
        "s3Key": "uploads/zoë +/b c.d.PNG",
        "fileName": "b c.d.PNG",
        "fileSize": 6,
        "fileType": "image/png",
        "uploadTimestamp": "2026-01-01T00:00:00.000Z",
        "bucketName": BUCKET,
        "objectVersion": versions["uploads/zoë +/b c.d.PNG"],
        "metadata": {"camera": "x1"},
    }
    assert bodies.keys() == versions.keys()
    attributes = [{name: one["StringValue"] for name, one in each["MessageAttributes"].items()} for each in sent]
    assert {"imageId": "b c.d", "userId": "zoë +", "priority": "normal", "processingType": "standard"} in attributes


def test_metadata_that_s3_does_not_give_is_left_out(world: World, part: Part) -> None:
    """The object was deleted meanwhile: the request is sent all the same."""
    answer = part("s3_event").lambda_handler(s3_event(record("uploads/u/gone.png", version="none")), None)
    assert answer["statusCode"] == 200
    [sent] = take_all(world.sqs, world.requests)
    assert "metadata" not in json.loads(sent["Body"])


def test_s3_that_does_not_answer_is_asked_once_for_an_event(
    world: World, part: Part, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Ten times the timeouts would be more than a function may take: all requests go without metadata."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    event = s3_event(*(record(f"uploads/u/{number}.png", version="1") for number in range(10)))
    answer = part("s3_event").lambda_handler(event, None)
    assert json.loads(answer["body"])["processedCount"] == 10
    assert not any("metadata" in json.loads(one["Body"]) for one in take_all(world.sqs, world.requests))
    assert [json.loads(line.message)["key"] for line in caplog.records if "metadata_missing" in line.message] == [
        "uploads/u/0.png"
    ]


def test_a_failed_record_raises_where_s3_calls(world: World, part: Part) -> None:
    """Lambda tries the event again and keeps it; the good records were sent, the error names the bad key."""
    event = s3_event(record("thumbnails/u/x.png", version="1"), record("uploads/u/good.png", version="2"))
    with pytest.raises(Reject, match=r"1 of 2 records are no uploaded images: key 'thumbnails/u/x.png'"):
        part("s3_event").lambda_handler(event, None)
    [sent] = take_all(world.sqs, world.requests)
    assert json.loads(sent["Body"])["imageId"] == "good"


def test_many_bad_records_are_counted_not_listed(part: Part) -> None:
    """Three reasons, and how many more there are."""
    event = s3_event(*(record(f"x/{number}", version="1") for number in range(50)))
    with pytest.raises(Reject, match=r"50 of 50 records .*'x/2'.*; and 47 more$"):
        part("s3_event").lambda_handler(event, None)


def test_what_is_no_event_raises(part: Part) -> None:
    """An event of something else is no success."""
    for event in ({}, {"Records": []}, {"Records": "x"}, {"Records": [1]}, {"Records": [{"eventSource": "aws:sns"}]}):
        with pytest.raises(Reject, match="decode: "):
            part("s3_event").lambda_handler(event, None)


def test_the_queue_of_s3_events_may_call(world: World, part: Part) -> None:
    """S3's own events, in SNS too, and s3:TestEvent: 200, nothing failed, and the images are counted."""
    event = of_sqs(
        s3_event(record("uploads/u/a.png", version="1"), record("uploads/u/b.png", version="2")),
        in_sns(json.dumps(s3_event(record("uploads/u/c.png", version="3")))),
        TEST_EVENT,
        in_sns(json.dumps(TEST_EVENT)),
    )
    answer = part("s3_event").lambda_handler(event, events.Context())
    assert (answer["statusCode"], failed(answer)) == (200, [])
    assert json.loads(answer["body"])["processedCount"] == 3
    assert {json.loads(one["Body"])["imageId"] for one in take_all(world.sqs, world.requests)} == {"a", "b", "c"}


def test_a_failed_record_fails_its_message_and_is_no_200(world: World, part: Part) -> None:
    """Bad key, bad JSON, not S3: their messages fail, the other is done; the status says that something failed."""
    event = of_sqs(
        s3_event(record("uploads/u/a.png", version="1"), record("uploads/u/a/b.png", version="2")),
        s3_event(record("uploads/u/b.png", version="2")),
        "{",
        {"hello": "world"},
    )
    answer = part("s3_event").lambda_handler(event, events.Context())
    assert failed(answer) == ["id-0", "id-2", "id-3"]
    assert answer["statusCode"] == 207
    told = json.loads(answer["body"])
    assert told == {"message": "3 messages failed and stay in the queue", "processedCount": 1}
    assert {json.loads(one["Body"])["imageId"] for one in take_all(world.sqs, world.requests)} == {"a", "b"}


def test_a_queue_of_requests_that_is_gone_fails_the_message(world: World, part: Part) -> None:
    """What was not sent is no success, whoever calls."""
    module = part("s3_event")
    world.sqs.delete_queue(QueueUrl=world.requests)
    event = s3_event(record("uploads/u/a.png", version="1"))
    assert failed(module.lambda_handler(of_sqs(event), events.Context())) == ["id-0"]
    with pytest.raises(Exception, match=r"NonExistentQueue|does not exist"):
        module.lambda_handler(event, None)


def test_the_orchestrator_answers_which_messages_failed(world: World, part: Part) -> None:
    """A request starts its execution and has its row, twice as well as once; what is no request fails."""
    handler = part("orchestrator").lambda_handler
    assert events.failed(handler(of_sqs(request("a"), "{", request("a"), request("b")), events.Context())) == ["id-1"]
    assert sorted(one["imageId"] for one in world.executions().values()) == ["a", "b"]
    assert {image: row["status"] for (image, _), row in world.rows().items()} == {"a": "processing", "b": "processing"}


def test_a_request_that_differs_is_the_same_execution(world: World, part: Part) -> None:
    """HeadObject failed for one of two events: Step Functions refuses another input under the name it has, and the row
    gets the execution's ARN all the same."""
    handler = part("orchestrator").lambda_handler
    assert events.failed(handler(of_sqs(request("a")), events.Context())) == []
    world.dynamodb.delete_item(TableName=TABLE, Key={"imageId": {"S": "a"}, "userId": {"S": "u"}})
    assert events.failed(handler(of_sqs(request("a") | {"metadata": {"camera": "x"}}), events.Context())) == []
    [arn] = world.executions()
    assert world.row("a")["stepFunctionsArn"] == arn


def test_dead_letters_are_marked_and_told(world: World, part: Part) -> None:
    """A row and an alert for a request, an alert for the rest; with a crash where the pool noted one."""
    crash = events.attribute('{"signal":"SIGSEGV"}')
    event = of_sqs(request("a"), "broken", request("b"))
    event["Records"][2]["messageAttributes"] = {"worker.crash": crash}
    assert events.failed(part("dlq").lambda_handler(event, events.Context())) == []
    rows = {image: row for (image, _), row in world.rows().items()}
    assert {image: (row["status"], row["errorInfo"]["reason"]) for image, row in rows.items()} == {
        "a": ("failed", "Message moved to DLQ"),
        "b": ("failed", "Message moved to DLQ"),
    }
    assert rows["a"]["errorInfo"].keys() == {"reason", "timestamp", "receiveCount"}
    assert rows["a"]["errorInfo"]["receiveCount"] == 2
    assert rows["b"]["errorInfo"]["crash"] == '{"signal":"SIGSEGV"}'
    alerts = dict(world.alerts())
    assert alerts.keys() == {f"Image Processing Failed - {image}" for image in ("a", "b", "unknown")}
    assert alerts["Image Processing Failed - a"]["messageBody"] == json.dumps(request("a"))
    assert "SIGSEGV" in alerts["Image Processing Failed - b"]["error"]
    assert alerts["Image Processing Failed - unknown"]["messageBody"] == "broken"


def test_a_letter_whose_alert_is_not_published_stays(world: World, part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    """The topic is gone: the row is marked first, and the message fails."""
    monkeypatch.setenv("SNS_TOPIC_ARN", f"{world.topic}-gone")
    assert events.failed(part("dlq").lambda_handler(of_sqs(request("a")), events.Context())) == ["id-0"]
    assert world.row("a")["status"] == "failed"


def test_nothing_is_told_before_the_table_knows(world: World, part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is gone: no alert, and the message fails."""
    monkeypatch.setenv("DYNAMODB_TABLE", "gone")
    assert events.failed(part("dlq").lambda_handler(of_sqs(request("a")), events.Context())) == ["id-0"]
    assert world.alerts() == []


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("s3_event", "SQS_QUEUE_URL"),
        ("orchestrator", "STEP_FUNCTIONS_ARN"),
        ("orchestrator", "DYNAMODB_TABLE"),
        ("dlq", "DYNAMODB_TABLE"),
        ("dlq", "SNS_TOPIC_ARN"),
    ],
)
def test_a_part_names_the_variable_that_it_lacks(
    part: Part, monkeypatch: pytest.MonkeyPatch, name: str, variable: str
) -> None:
    """At its start, before any message."""
    monkeypatch.setenv(variable, " ")
    with pytest.raises(RuntimeError, match=f"{variable} is not set"):
        part(name)


def test_a_part_needs_no_variable_of_another(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a Lambda of its own, and the orchestrator serves other pools too."""
    needed = {"s3_event": {"SQS_QUEUE_URL"}, "orchestrator": {"STEP_FUNCTIONS_ARN", "DYNAMODB_TABLE"}}
    needed["dlq"] = {"DYNAMODB_TABLE", "SNS_TOPIC_ARN"}
    for name, own in needed.items():
        with monkeypatch.context() as patch:
            for variable in {one for some in needed.values() for one in some} - own:
                patch.delenv(variable)
            patch.delitem(sys.modules, f"apps.image_pipeline.{name}", raising=False)
            assert callable(getattr(part("handlers"), name))


def test_a_fifo_queue_of_requests_is_refused(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each send would fail there, message by message."""
    monkeypatch.setenv("SQS_QUEUE_URL", "http://localhost:4566/000000000000/images.fifo")
    with pytest.raises(RuntimeError, match="is a FIFO queue"):
        part("s3_event")


def test_the_queue_of_requests_may_be_on_another_machine_where_that_is_allowed(
    part: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ALLOW_INSECURE_URLS=1, as for the pool; without it the producer refuses."""
    monkeypatch.setenv("SQS_QUEUE_URL", "http://localstack:4566/000000000000/images")
    assert not part("s3_event")._producer()._engine.target.allow_insecure_endpoint
    monkeypatch.setenv("ALLOW_INSECURE_URLS", "1")
    assert part("s3_event")._producer()._engine.target.allow_insecure_endpoint


def test_what_is_no_state_machine_is_named_at_the_start(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ARN of an activity, say, would fail message by message."""
    monkeypatch.setenv("STEP_FUNCTIONS_ARN", "arn:aws:states:us-east-1:000000000000:activity:x")
    with pytest.raises(ValueError, match="no ARN of a state machine"):
        part("orchestrator")
