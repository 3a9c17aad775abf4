"""Pure rules: what kind of failure an error of SQS is, and so what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FailureKind(StrEnum):
    """Each kind has its own consequence and its own word in logs."""

    TRANSIENT = "transient"  #: network, 5xx, an answer that is not JSON: again, with backoff
    THROTTLED = "throttled"  #: again, with backoff
    CREDENTIALS = "credentials"  #: missing, expired: again, slowly; the work in hand goes on
    CLOCK = "clock"  #: our clock is wrong, so signatures are refused: again, slowly
    DENIED = "denied"  #: IAM says no: again, slowly
    KMS = "kms"  #: the queue's key cannot be used: again, slowly
    QUEUE_GONE = "queue_gone"  #: does not exist (now): again, slowly
    LEASE = "lease"  #: the receipt is not ours any more: final
    CAPACITY = "capacity"  #: too many messages in flight: receives wait, deletes go on
    INVALID = "invalid"  #: SQS will never take this request: final, and a bug or a hostile message

    @property
    def final(self) -> bool:
        """Whether trying the same again is pointless."""
        return self in (FailureKind.LEASE, FailureKind.INVALID)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request or an entry of it failed; `text` is for operators."""

    kind: FailureKind
    code: str
    text: str

    @property
    def unknown(self) -> bool:
        """Whether SQS may have done all the same what it was asked for: the request was sent, its answer is lost."""
        return self.kind is FailureKind.TRANSIENT and self.code not in _NOT_DONE

    def __str__(self) -> str:
        return f"{self.code}: {self.text}" if self.text else self.code


#: Code of an entry of a batch that SQS said nothing about.
UNTOLD = "Missing"
#: Codes of requests that never left this machine, and of those that SQS itself says it has failed at.
_NOT_DONE = {
    *("EndpointConnectionError", "ConnectTimeoutError", "ProxyConnectionError", "SSLError"),
    *("InternalError", "InternalFailure", "InternalServerError", "ServiceUnavailable", "ServiceUnavailableException"),
}


#: Codes as botocore gives them; SQS has a query code and a shape name for most, and either may arrive. A bare status
#: is no answer of SQS: a proxy's 403 or 404 says nothing of permissions or queues, and a first boot gives up on those.
_KINDS = {
    FailureKind.THROTTLED: {
        *("RequestThrottled", "ThrottlingException", "Throttling", "ThrottledException", "TooManyRequestsException"),
        *("RequestLimitExceeded", "KmsThrottled", "KMS.ThrottlingException", "SlowDown", "429"),
    },
    FailureKind.CREDENTIALS: {
        *("ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"),
        *("SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature"),
        *("MissingAuthenticationToken", "InvalidAccessKeyId", "NotAuthorized"),
        *("NoCredentialsError", "CredentialRetrievalError", "PartialCredentialsError", "TokenRetrievalError"),
        *("SSOTokenLoadError", "UnauthorizedSSOTokenError", "InvalidIdentityToken", "IDPRejectedClaim"),
    },
    FailureKind.CLOCK: {"RequestTimeTooSkewed", "RequestExpired"},
    FailureKind.DENIED: {"AccessDenied", "AccessDeniedException", "AWS.SimpleQueueService.AccessDenied"},
    FailureKind.KMS: {
        *("KmsAccessDenied", "KMS.AccessDeniedException", "KmsDisabled", "KMS.DisabledException"),
        *("KmsInvalidState", "KMS.KMSInvalidStateException", "KmsNotFound", "KMS.NotFoundException"),
        *("KmsOptInRequired", "KMS.OptInRequired", "KmsInvalidKeyUsage", "KMS.InvalidKeyUsageException"),
    },
    FailureKind.QUEUE_GONE: {
        *("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "NonExistentQueue"),
        *("AWS.SimpleQueueService.QueueDeletedRecently", "QueueDeletedRecently"),
    },
    FailureKind.LEASE: {
        *("ReceiptHandleIsInvalid", "AWS.SimpleQueueService.MessageNotInflight", "MessageNotInflight"),
    },
    FailureKind.CAPACITY: {"OverLimit", "AWS.SimpleQueueService.OverLimit"},
    FailureKind.INVALID: {
        *("InvalidMessageContents", "UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation"),
        *("BatchEntryIdsNotDistinct", "AWS.SimpleQueueService.BatchEntryIdsNotDistinct", "InvalidBatchEntryId"),
        *("TooManyEntriesInBatchRequest", "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"),
        *("EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest", "MissingParameter"),
        *("BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong", "InvalidAddress"),
        *("InvalidParameterValue", "InvalidParameterValueException", "InvalidAttributeValue", "InvalidAttributeName"),
        "SerializationException",  # SQS cannot read the request: a lone surrogate in a body
        "ParamValidationError",  # boto3 refuses it before it is sent: a hostile message attribute on its way to a queue
    },
}
_CLOCK_WORDS = ("Signature expired", "Signature not yet current", "is now earlier than", "is still later than")
_BY_CODE = {code: kind for kind, codes in _KINDS.items() for code in codes}


def classify(codes: tuple[str, ...], text: str, *, sender_fault: bool | None = None) -> Failure:
    """The failure behind an error: its code and its other name, its message, an entry's SenderFault if it has one."""
    code = codes[0] if codes else "Unknown"
    known = [_BY_CODE[name] for name in codes if name in _BY_CODE]
    if "has expired" in text and "receipt handle" in text.lower():
        kind = FailureKind.LEASE  # FIFO says InvalidParameterValue for a receipt past its visibility timeout
    elif any(words in text for words in _CLOCK_WORDS):
        kind = FailureKind.CLOCK  # comes as InvalidSignatureException or SignatureDoesNotMatch
    elif known:
        kind = known[0]
    else:
        # An unknown code is tried again while the lease lasts: giving up early could only lose work.
        kind = FailureKind.INVALID if sender_fault else FailureKind.TRANSIENT
    return Failure(kind, code, text)
