"""Lambda function: runs the handler functions of a pool on the events that Lambda receives from SQS.

    lambda_handler = entry_point(place_order)

It reports the messages that failed, so the event source mapping must have `FunctionResponseTypes =
["ReportBatchItemFailures"]`: without it Lambda deletes the whole batch whatever the answer says.
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
"""

from worker.aws_lambda.entry import entry_point
from worker.aws_lambda.event import NotSQS

__all__ = ["NotSQS", "entry_point"]
