"""Handler process: a request starts an execution of the state machine, and its image gets a row. As a Lambda too.

The execution comes first, the row second. Whatever dies in between, the message comes again, finds the execution by its
name and writes the row. An execution may be over before its row is written: the row of a version that is `completed` or
`failed` stays.
"""

from __future__ import annotations

import json
import logging
import time

from apps.image_pipeline import clients, rows
from apps.image_pipeline.environment import need
from apps.image_pipeline.rules import BadRequest, execution_arn, execution_name, read_request, timestamp
from worker import Message, Reject
from worker.aws_lambda import entry_point

STEP_FUNCTIONS_ARN = need("STEP_FUNCTIONS_ARN", "the state machine (a standard one) that processes images")
execution_arn(STEP_FUNCTIONS_ARN, "")  # raises here, at the start, where it is none
DYNAMODB_TABLE = need("DYNAMODB_TABLE", "the table of images, key imageId and userId")

_log = logging.getLogger(__name__)


def handle(message: Message) -> None:
    """A request. What is none is rejected; a failure of Step Functions or DynamoDB is a retry."""
    try:
        request = read_request(message.body)
    except BadRequest as error:
        raise Reject(str(error)) from None
    execution = _start(execution_name(request), message.text)
    left = rows.mark_processing(DYNAMODB_TABLE, request, execution=execution, at=timestamp(time.time()))
    if left:
        about = {"event": "row_left", "message": message.id, "image": request.image_id, "why": left}
        _log.warning(json.dumps(about | {"execution": execution}))


def _start(name: str, text: str) -> str:
    """The ARN of the execution of that name, which is started unless it was before.

    Names of standard state machines are taken for 90 days after an execution's end.
    https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
    """
    stepfunctions = clients.stepfunctions()
    try:
        started = stepfunctions.start_execution(stateMachineArn=STEP_FUNCTIONS_ARN, name=name, input=text)
    except stepfunctions.exceptions.ExecutionAlreadyExists:
        return execution_arn(STEP_FUNCTIONS_ARN, name)
    return started["executionArn"]


lambda_handler = entry_point(handle)
