"""Turns the errors of Azure's client into the errors of base.py: one object's fault only if the store says so."""

from collections.abc import Iterator
from contextlib import contextmanager

from azure.core import exceptions as az

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

NO_CONTAINER = {"ContainerNotFound", "ContainerBeingDeleted", "ContainerDisabled"}
MISSING = {"BlobNotFound", "ResourceNotFound", "404"}
CHANGED = {"ConditionNotMet", "412"}
THERE = {"BlobAlreadyExists", "ConditionNotMet", "412"}  # answers to a write of a new object alone
MISNAMED = {"InvalidResourceName", "InvalidUri", "RequestUrlFailedToParse", "OutOfRangeInput"}
# of a login that is right, about one object or all
REFUSED = {"AuthorizationPermissionMismatch", "AuthorizationFailure", "AuthorizationResourceTypeMismatch"}
REFUSED |= {"AuthorizationProtocolMismatch", "AuthorizationServiceMismatch", "InsufficientAccountPermissions"}
REFUSED |= {
    "AuthorizationSourceIPMismatch",
    "PublicAccessNotPermitted",
    "AccountIsDisabled",
    "BlobImmutableDueToPolicy",
}
REFUSED |= {"LeaseIdMissing", "BlobImmutableDueToLegalHold", "403"}
LOGIN = {"AuthenticationFailed", "InvalidAuthenticationInfo", "NoAuthenticationInformation", "401"}
ARCHIVED = {"BlobArchived", "BlobBeingRehydrated"}
BUSY = {"ServerBusy", "OperationTimedOut", "429", "502", "503", "504"}
KNOWN = NO_CONTAINER | MISSING | CHANGED | MISNAMED | REFUSED | LOGIN | ARCHIVED | BUSY


def code_of(error: az.AzureError) -> str:
    """The code or status of a store's error; empty if the store has not answered, but perhaps who gives tokens."""
    response = getattr(error, "response", None)
    if response is None:
        return ""
    code = getattr(error, "error_code", None) or response.headers.get("x-ms-error-code")
    if not code and isinstance(error, az.ClientAuthenticationError):
        return ""
    return str(getattr(code, "value", code) or response.status_code)


def is_doubtful(error: az.AzureError) -> bool:
    """Whether an error of a read may be one object's fault or the store's; only other objects can show which."""
    return code_of(error) not in KNOWN | {""}


@contextmanager
def explained(uri: str, place: Access) -> Iterator[None]:
    """Raise errors of the client and the network as errors of base.py. `place` is the store."""
    try:
        yield
    except az.AzureError as error:
        raise (_of_store(error, uri, place) if code_of(error) else _of_client(error, uri, place)) from None
    except Broken as error:
        raise ObjectUnreadable(f"{uri} broke off {TRIES} times: {error}") from None


def _of_store(error: az.AzureError, uri: str, place: Access) -> UserError:
    code = code_of(error)
    if code in NO_CONTAINER:
        return UserError(
            f"container {split_s3(uri)[0]!r} does not exist at {place} ({code}): create it, or correct the URI {uri}"
        )
    if code in MISSING:
        return ObjectMissing(f"{uri} does not exist")
    if code in CHANGED:
        return ObjectChanged(f"{uri} is not the version that was listed")
    if code in MISNAMED:
        return NameUnsupported(f"{place} does not accept the name of {uri} ({code})")
    if code in REFUSED:
        return AccessRefused(f"{place} refuses access to {uri} ({code}): check its rights, or {place.settings}")
    if code in ARCHIVED:
        return ObjectUnreadable(f"{uri} is archived ({code}): restore it first")
    if code in LOGIN:
        return StoreUnavailable(
            f"{place} refuses access to {uri} ({code}): check {place.settings}, and this machine's clock"
        )
    return StoreUnavailable(f"the object store at {place} fails at {uri} ({code}): try again later")


def _of_client(error: az.AzureError, uri: str, place: Access) -> UserError:
    kind = type(error).__name__
    if isinstance(error, az.ClientAuthenticationError):
        return StoreUnavailable(
            f"no credentials for {uri} ({kind}): set account_key or sas_token of {place.settings}, or give this "
            "machine an identity of Azure; a public container wants anonymous: true"
        )
    return StoreUnavailable(
        f"the object store at {place} does not answer ({kind}): check the account or endpoint_url of {place.settings}, "
        "and the network"
    )
