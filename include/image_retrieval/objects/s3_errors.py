"""Turns an S3 client's errors into the errors of base.py: one object's fault only if the store says so."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore import exceptions as s3
from botocore.exceptions import BotoCoreError, ClientError

from image_retrieval.errors import UserError
from image_retrieval.objects.access import Access
from image_retrieval.objects.base import (
    AccessRefused,
    NameUnsupported,
    ObjectChanged,
    ObjectMissing,
    ObjectUnreadable,
    StoreUnavailable,
)
from image_retrieval.objects.retrying import TRIES, Broken
from image_retrieval.objects.uris import split_s3
from image_retrieval.redaction import redacted

MISSING = {"NoSuchKey", "NoSuchVersion", "404", "NotFound", "MethodNotAllowed", "405"}  # 405: a delete marker
CHANGED = {"PreconditionFailed", "412"}
OVERTAKEN = CHANGED | {"ConditionalRequestConflict", "409"}  # somebody else wrote it first, or is writing it
NOT_CONDITIONAL = {"NotImplemented", "501", "InvalidArgument"}  # answers of stores without conditional writes
MISNAMED = {"KeyTooLongError", "KeyTooLong", "InvalidURI", "InvalidObjectName", "XMinioInvalidObjectName"}
# may be about one object or all: rights, and encryption with a key that this client lacks
REFUSED = {"AccessDenied", "Forbidden", "403", "InvalidRequest"}
REFUSED |= {"KMS.DisabledException", "KMS.NotFoundException", "KMS.KMSInvalidStateException"}
ARCHIVED = {"InvalidObjectState"}
CLOCK = {"RequestTimeTooSkewed", "RequestExpired"}
KEYS = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired"}
KEYS |= {"AuthorizationHeaderMalformed", "AuthenticationRequired", "InvalidSecurity", "401", "Unauthorized"}
REGION = {"PermanentRedirect", "IllegalLocationConstraintException", "301"}
PATH_STYLE = {"SecondLevelDomainForbidden"}
KNOWN = PATH_STYLE | MISSING | CHANGED | MISNAMED | REFUSED | ARCHIVED | CLOCK | KEYS | REGION | {"NoSuchBucket"}
BUSY = {"SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests", "RequestTimeout"}
BUSY_STATUS = {429, 502, 503, 504}


def code_of(error: ClientError) -> str:
    """The code or status of a store's error."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_doubtful(error: ClientError) -> bool:
    """Whether an error of a read may be one object's fault or the store's; only other objects can show which."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return code_of(error) not in KNOWN | BUSY and status not in BUSY_STATUS


@contextmanager
def explained(uri: str, place: Access) -> Iterator[None]:
    """Raise errors of the client and the network as errors of base.py. `place` is the store."""
    try:
        yield
    except ClientError as error:
        raise _of_store(error, uri, place) from None
    except BotoCoreError as error:
        raise _of_client(error, uri, place) from None
    except Broken as error:
        raise ObjectUnreadable(f"{uri} broke off {TRIES} times: {error}") from None
    except UnicodeEncodeError:
        raise NameUnsupported(f"{uri!a} is not a valid key") from None


def _of_store(error: ClientError, uri: str, place: Access) -> UserError:
    code = code_of(error)
    if code == "NoSuchBucket":
        return UserError(f"bucket {split_s3(uri)[0]!r} does not exist at {place}: create it, or correct the URI {uri}")
    if code in MISSING:
        return ObjectMissing(f"{uri} does not exist")
    if code in CHANGED:
        return ObjectChanged(f"{uri} is not the version that was listed")
    if code in PATH_STYLE:
        return StoreUnavailable(
            f"{place} wants the bucket in the host ({code}): set {place.setting('addressing')} to virtual"
        )
    if code in MISNAMED:
        return NameUnsupported(f"{place} does not accept the key of {uri} ({code})")
    if code in REFUSED:
        return AccessRefused(f"{place} refuses access to {uri} ({code}): check its rights, or {place.settings}")
    if code in ARCHIVED:
        return ObjectUnreadable(f"{uri} is archived ({code}): restore it first")
    if code in CLOCK:
        message = "the clocks of the store and of this machine differ: set them"
        return StoreUnavailable(f"{place} refuses access to {uri} ({code}): {message}")
    if code in KEYS:
        return StoreUnavailable(f"{place} refuses access to {uri} ({code}): check {place.settings}")
    if code in REGION:
        return StoreUnavailable(f"{uri} is in another region than {place} ({code}): check {place.setting('region')}")
    return StoreUnavailable(f"the object store at {place} fails at {uri} ({code or 'no code'}): try again later")


def _of_client(error: BotoCoreError, uri: str, place: Access) -> UserError:
    kind = type(error).__name__
    match error:
        case s3.NoCredentialsError() | s3.PartialCredentialsError():
            return StoreUnavailable(f"no credentials for {uri}: set {place.settings}")
        case s3.CredentialRetrievalError() | s3.TokenRetrievalError() | s3.SSOError():
            return StoreUnavailable(f"no credentials could be obtained for {uri} ({kind}): check AWS's configuration")
        case s3.ParamValidationError():
            return NameUnsupported(f"{redacted(uri)!a} is not a valid S3 bucket and key: correct it")
        case s3.SSLError():
            return StoreUnavailable(
                f"TLS with the object store at {place} fails: does it speak https there (check "
                f"{place.setting('endpoint_url')}), and does AWS_CA_BUNDLE, if set, hold the issuer of its certificate?"
            )
        case s3.ProxyConnectionError():
            return StoreUnavailable(
                f"the proxy of HTTP_PROXY or HTTPS_PROXY does not reach the object store at {place}: "
                "correct it, or name the store in NO_PROXY"
            )
    return StoreUnavailable(
        f"the object store at {place} does not answer ({kind}): is it running? "
        f"`make up` starts the embedded one; check {place.settings} for another"
    )
