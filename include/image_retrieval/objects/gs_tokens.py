"""Tokens for Google Cloud Storage: of a service account's key, or of Application Default Credentials."""

import json
from functools import partial
from pathlib import Path
from threading import Lock

import google.auth
from google.auth.credentials import Credentials
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.auth.transport.requests import Request
from google.oauth2 import service_account

from image_retrieval.errors import UserError
from image_retrieval.objects.access import Access
from image_retrieval.objects.base import StoreUnavailable

SCOPES = ("https://www.googleapis.com/auth/devstorage.read_write",)


class Tokens:
    """Gives a token that is valid, and gets a new one in time. Raises UserError for a wrong service account."""

    def __init__(self, access: Access) -> None:
        self._access, self._lock = access, Lock()
        self._found: Credentials | None = _of_account(access)

    def now(self) -> str:
        """A token. Raises StoreUnavailable if there is none."""
        with self._lock:
            try:
                if self._found is None:
                    self._found = google.auth.default(scopes=SCOPES)[0]
                if not self._found.valid:
                    self._found.refresh(partial(Request(), timeout=self._access.timeout))
            except DefaultCredentialsError:
                raise StoreUnavailable(
                    f"no credentials for {self._access}: set {self._access.setting('service_account')}, or "
                    "GOOGLE_APPLICATION_CREDENTIALS; a public bucket wants anonymous: true"
                ) from None
            except GoogleAuthError as error:  # not chained: its text holds the answer
                raise StoreUnavailable(
                    f"Google gives no token for {self._access} ({type(error).__name__}): check "
                    f"{self._access.setting('service_account')}, or GOOGLE_APPLICATION_CREDENTIALS"
                ) from None
            return str(self._found.token)


def _of_account(access: Access) -> Credentials | None:
    """The credentials of the entry's service account, if it has one."""
    if access.store.service_account is None:
        return None
    given = access.store.service_account.get_secret_value()
    name = access.setting("service_account")
    try:
        content = json.loads(Path(given).read_text(encoding="utf-8") if given.startswith("/") else given)
    except OSError as error:
        raise UserError(f"the file of {name} cannot be read ({error.strerror}): correct its path") from None
    except ValueError:
        raise UserError(f"the file of {name} is not JSON: give the key file of a service account") from None
    try:
        found: Credentials = service_account.Credentials.from_service_account_info(content, scopes=SCOPES)
    except (ValueError, TypeError, AttributeError, GoogleAuthError):
        raise UserError(
            f"{name} is not the key of a service account: give the JSON file that Google made for it; other kinds of "
            "credentials belong into GOOGLE_APPLICATION_CREDENTIALS"
        ) from None
    return found
