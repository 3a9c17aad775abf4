"""SQS server process: every error SQS answers with: shape, query code, HTTP status, and whose fault it is.

SQS speaks JSON and stays compatible with its older query protocol: the body names the shape in `__type`, the header
`x-amzn-query-error` holds the older code. botocore puts the older code into `Error.Code` and picks the exception class
by the shape, so both have to be right.
"""

from dataclasses import dataclass
from typing import Final

_SQS: Final = "com.amazonaws.sqs"
_CORAL: Final = "com.amazon.coral.service"
_SERVICE: Final = "AWS.SimpleQueueService."


@dataclass(frozen=True, slots=True)
class ErrorShape:
    """How one kind of error looks: `code` is the query protocol's, empty where SQS sends no such header."""

    code: str
    status: int = 400
    namespace: str = _SQS
    fault: str = "Sender"


SHAPES: Final[dict[str, ErrorShape]] = {
    "AccessDeniedException": ErrorShape("AccessDenied", 403, _CORAL),
    "BatchEntryIdsNotDistinct": ErrorShape(_SERVICE + "BatchEntryIdsNotDistinct"),
    "BatchRequestTooLong": ErrorShape(_SERVICE + "BatchRequestTooLong"),
    "EmptyBatchRequest": ErrorShape(_SERVICE + "EmptyBatchRequest"),
    "ExpiredTokenException": ErrorShape("ExpiredToken", 403, _CORAL),
    "IncompleteSignatureException": ErrorShape("IncompleteSignature", 403, _CORAL),
    "InternalFailure": ErrorShape("InternalFailure", 500, _CORAL, "Receiver"),
    "InvalidAddress": ErrorShape("InvalidAddress", 404),
    "InvalidAttributeName": ErrorShape("InvalidAttributeName"),
    "InvalidAttributeValue": ErrorShape("InvalidAttributeValue"),
    "InvalidBatchEntryId": ErrorShape(_SERVICE + "InvalidBatchEntryId"),
    "InvalidClientTokenId": ErrorShape("InvalidClientTokenId", 403, _CORAL),
    "InvalidIdFormat": ErrorShape("InvalidIdFormat"),
    "InvalidMessageContents": ErrorShape("InvalidMessageContents"),
    "InvalidParameterValueException": ErrorShape("InvalidParameterValue", 400, _CORAL),
    "InvalidSecurity": ErrorShape("InvalidSecurity", 403),
    "InvalidSignatureException": ErrorShape("InvalidSignatureException", 403, _CORAL),
    "KmsAccessDenied": ErrorShape("KMS.AccessDeniedException"),
    "KmsDisabled": ErrorShape("KMS.DisabledException"),
    "KmsInvalidKeyUsage": ErrorShape("KMS.InvalidKeyUsageException"),
    "KmsInvalidState": ErrorShape("KMS.InvalidStateException"),
    "KmsNotFound": ErrorShape("KMS.NotFoundException"),
    "KmsOptInRequired": ErrorShape("KMS.OptInRequired", 403),
    "KmsThrottled": ErrorShape("KMS.ThrottlingException"),
    "MessageNotInflight": ErrorShape(_SERVICE + "MessageNotInflight"),
    "MissingAuthenticationTokenException": ErrorShape("MissingAuthenticationToken", 403, _CORAL),
    "MissingRequiredParameterException": ErrorShape("MissingParameter", 400, _CORAL),
    "OverLimit": ErrorShape("OverLimit", 403),
    "PurgeQueueInProgress": ErrorShape(_SERVICE + "PurgeQueueInProgress", 403),
    "QueueDeletedRecently": ErrorShape(_SERVICE + "QueueDeletedRecently"),
    "QueueDoesNotExist": ErrorShape(_SERVICE + "NonExistentQueue"),
    "QueueNameExists": ErrorShape("QueueAlreadyExists"),
    "ReceiptHandleIsInvalid": ErrorShape("ReceiptHandleIsInvalid", 404),
    "RequestThrottled": ErrorShape("RequestThrottled", 403),
    "ResourceNotFoundException": ErrorShape("ResourceNotFoundException", 404),
    "SerializationException": ErrorShape("", 400, _CORAL),
    "ServiceUnavailable": ErrorShape("ServiceUnavailable", 503, _CORAL, "Receiver"),
    "SignatureDoesNotMatch": ErrorShape("SignatureDoesNotMatch", 403, _CORAL),
    "ThrottlingException": ErrorShape("ThrottlingException", 400, _CORAL),
    "TooManyEntriesInBatchRequest": ErrorShape(_SERVICE + "TooManyEntriesInBatchRequest"),
    "UnknownOperationException": ErrorShape("", 404, _CORAL),
    "UnsupportedOperation": ErrorShape(_SERVICE + "UnsupportedOperation"),
}


class SqsError(Exception):
    """An answer that is an error: `shape` is a key of SHAPES, or any name (then HTTP 400, without a namespace)."""

    def __init__(self, shape: str, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        known = SHAPES.get(shape, ErrorShape(shape, 400, ""))
        self.shape = shape
        self.message = message
        self.code = known.code
        self.status = status or known.status
        self.sender_fault = known.fault == "Sender"
        self.query_error = f"{known.code};{known.fault}" if known.code else ""
        self.type = f"{known.namespace}#{shape}" if known.namespace else shape

    def body(self) -> dict[str, str]:
        """The JSON body of the answer."""
        return {"__type": self.type, "message": self.message}

    def entry(self, entry_id: str) -> dict[str, str | bool]:
        """The same error as one element of a batch answer's `Failed`."""
        return {"Id": entry_id, "Code": self.code, "Message": self.message, "SenderFault": self.sender_fault}


def invalid_parameter(message: str) -> SqsError:
    """InvalidParameterValue with a message of its own."""
    return SqsError("InvalidParameterValueException", message)


def invalid_value(value: object, parameter: str, reason: str) -> SqsError:
    """InvalidParameterValue in the form that SQS gives to most of them."""
    return invalid_parameter(f"Value {value} for parameter {parameter} is invalid. Reason: {reason}")


def missing_parameter(parameter: str) -> SqsError:
    """A required parameter that is absent or empty."""
    return SqsError("MissingRequiredParameterException", f"The request must contain the parameter {parameter}.")


def invalid_attribute(name: str, reason: str = "") -> SqsError:
    """A queue attribute whose value is out of range or malformed."""
    text = f"Invalid value for the parameter {name}." + (f" Reason: {reason}" if reason else "")
    return SqsError("InvalidAttributeValue", text)


def unknown_attribute(name: str) -> SqsError:
    """A queue attribute that does not exist, or not for this type of queue."""
    return SqsError("InvalidAttributeName", f"Unknown Attribute {name}.")


def no_such_queue() -> SqsError:
    """The queue of a URL, name or ARN is not there."""
    return SqsError("QueueDoesNotExist", "The specified queue does not exist.")
