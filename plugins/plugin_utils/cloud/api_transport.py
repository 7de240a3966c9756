# SPDX-FileCopyrightText: The pelion.mbl contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One call of the Pelion API over HTTPS: retries, limits, and every failure as one clear error."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..errors import PelionError
from ..libraries import Absent, AbsentError, is_installed
from ..words import printable
from .api_host import api_url, is_loopback
from .clock import ahead_of_cloud, clock_difference
from .errors import ApiError

if TYPE_CHECKING or is_installed("requests"):
    import requests
    import urllib3
    from requests.auth import AuthBase
    from urllib3.exceptions import HTTPError, InvalidHeader, MaxRetryError, ReadTimeoutError
    from urllib3.util import Retry
else:
    requests = urllib3 = AuthBase = Retry = Absent()
    HTTPError = InvalidHeader = MaxRetryError = ReadTimeoutError = AbsentError


# The largest answers are pages of 1000 entries of some kilobytes each.
LARGEST_ANSWER = 16 * 1024 * 1024

_ADVICE: dict[str | int, str] = {
    "account_limit_exceeded": "The account has as many trusted certificates as it may have: delete one that is no "
    "longer needed, or use an existing one.",
    401: "The API key{origin} is not valid at this host: check it, or make a new one in the portal.",
    403: "The API key{origin}, or the account's type, does not allow this: use a key with the rights for it.",
    404: "If every call to this host fails like this, api_host is not a Pelion API.",
    429: "The service asks to slow down: try again later.",
}


class ApiTransport:
    """Calls to one host with one key, over one kept connection.

    ``ca_path`` is a file or directory of CA certificates (else REQUESTS_CA_BUNDLE and certifi's list
    serve); ``timeout`` is how many seconds one attempt may take from its begin to the end of its answer;
    ``retries`` is how often a GET or DELETE is repeated after a lost connection, 429 or 5xx. Other calls are
    repeated only when no connection came about, so that nothing is done twice. Proxies come from the
    environment, but this machine itself is never asked through one. ``warn`` is called once when the service's clock
    and ours differ. ``origin`` says in errors where the key was found.
    """

    def __init__(
        self,
        host: str,
        key: str,
        *,
        warn: Callable[[str], None] | None = None,
        ca_path: str | None = None,
        validate_certs: bool = True,
        timeout: int = 30,
        retries: int = 4,
        origin: str = "",
    ) -> None:
        self._origin = f" ({origin})" if origin else ""
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            raise PelionError(
                f"The API key{self._origin} is empty or has characters that are not allowed in a key (spaces, line "
                "ends, non-ASCII). Check that exactly the key was copied."
            )
        if timeout < 1 or not 0 <= retries <= 20:
            raise PelionError(
                f"api_timeout must be at least 1 second (is {timeout}), api_retries 0 to 20 (is {retries})."
            )
        if ca_path:
            _require_ca_certificates(ca_path)
        self.url = api_url(host)
        self.ahead = timedelta(0)
        """By how much this machine's clock was ahead of the service's, at the last answer."""
        self._warn = warn
        self._key = key
        self._timeout = timeout
        # Attempts are repeated here and not by requests, which would not bound them, and would read an answer of any
        # length to its end before it judged it.
        self._retry = _Retry(
            total=retries,
            other=0,
            allowed_methods={"GET", "DELETE"},
            backoff_factor=_Retry.FIRST_PAUSE,
            status_forcelist={429, 500, 502, 503, 504},
        )
        self._session = requests.Session()
        self._session.auth = _Bearer(key)  # also keeps ~/.netrc from taking the header's place
        self._session.headers.update(
            {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "pelion.mbl"}
        )
        # Given per call, since a session's own `verify` yields to REQUESTS_CA_BUNDLE.
        self._verify = (ca_path or True) if validate_certs else False
        if not validate_certs:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        name = urlsplit(self.url).hostname or ""
        self._proxies = {"no_proxy": name} if is_loopback(name) else {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"

    def close(self) -> None:
        """End the connection."""
        self._session.close()

    def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | None = None,
        form: Mapping[str, str | bytes] | None = None,
    ) -> dict[str, Any]:
        """The answer's JSON object; an empty dict for an answer without content. ``body`` is sent as JSON; or ``form``
        as fields of a form (multipart/form-data), of which bytes are files. Raises ApiError."""
        what = f"{method} {self.url}{path}"
        retry = self._retry
        while True:
            try:
                response, content = self._attempt(method, path, query, body, form)
                self._compare_clocks(response)
            except (requests.RequestException, HTTPError) as error:
                try:
                    retry = retry.increment(method, path, error=_library_error(error))
                except HTTPError:
                    raise self._no_answer(what, error) from error
                retry.sleep()
                continue
            again = retry.total and retry.is_retry(method, response.status_code, "Retry-After" in response.headers)
            if not again:
                return self._answer(response, content, what, attempts=len(retry.history) + 1)
            retry = retry.increment(method, path, response=response.raw)
            retry.sleep(response.raw)

    def _compare_clocks(self, response: requests.Response) -> None:
        # An answer with an age was kept by something in between.
        if "Age" in response.headers:
            return
        date, now = response.headers.get("Date"), datetime.now(timezone.utc)
        self.ahead = ahead_of_cloud(date, now) or self.ahead
        if self._warn and (difference := clock_difference(date, now)):
            self._warn(difference)
            self._warn = None

    def _attempt(self, method: str, path: str, *content: Mapping[str, Any] | None) -> tuple[requests.Response, bytes]:
        """The answer to one request, with its whole body. Raises RequestException, HTTPError or ApiError.

        It is waited for in a thread: requests bounds how long each read may take, so that an answer that trickles in,
        in its head or its body, would take for ever. A thread that is given up does nothing but wait.
        """
        outcome: list[tuple[requests.Response, bytes] | BaseException] = []
        end = time.monotonic() + self._timeout

        def work() -> None:
            try:
                with self._send(method, path, *content) as response:
                    outcome.append((response, self._content(response, f"{method} {self.url}{path}", end)))
            except BaseException as error:
                outcome.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        # A moment longer than requests waits for a connection: its error tells that nothing was sent.
        thread.join(self._timeout + 0.25)
        if not outcome:
            raise requests.exceptions.ReadTimeout(f"{path}: the attempt as a whole took too long")
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        return outcome[0]

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None,
        body: Mapping[str, Any] | None,
        form: Mapping[str, str | bytes] | None,
    ) -> requests.Response:
        files = {name: (name if isinstance(field, bytes) else None, field) for name, field in (form or {}).items()}
        return self._session.request(
            method,
            self.url + path,
            params=query,
            json=body,
            files=files or None,
            timeout=self._timeout,
            verify=self._verify,
            proxies=self._proxies,
            allow_redirects=False,
            stream=True,
        )

    def _content(self, response: requests.Response, what: str, end: float) -> bytes:
        content = bytearray()
        while chunk := response.raw.read1(65536, decode_content=True):
            content += chunk
            if len(content) > LARGEST_ANSWER:
                raise self._unusable(response, what, f"is longer than {LARGEST_ANSWER >> 20} MiB")
            if time.monotonic() > end:
                raise requests.exceptions.ReadTimeout(f"{what}: the answer took too long")
        return bytes(content)

    def _answer(self, response: requests.Response, content: bytes, what: str, attempts: int) -> dict[str, Any]:
        if 300 <= response.status_code < 400:
            raise ApiError(
                f"{what}: redirected ({response.status_code}) to {self._clean(response.headers.get('Location'))}. "
                "The API key is not sent there: set api_host to the API itself.",
                status=response.status_code,
            )
        if response.status_code >= 400:
            raise self._refusal(response, content, what, attempts)
        if not content:
            return {}
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError):
            kind = self._clean(response.headers.get("Content-Type")) or "unknown"
            raise self._unusable(response, what, f"is not JSON (its type is {kind})") from None
        if not isinstance(answer, dict):
            raise self._unusable(response, what, "is not a JSON object")
        return answer

    def _refusal(self, response: requests.Response, content: bytes, what: str, attempts: int) -> ApiError:
        """The error that the service answered. Its ``fields`` are a list or a single object."""
        status = response.status_code
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError):
            answer = None
        said = answer if isinstance(answer, dict) else {}
        kind = self._clean(said.get("type"))
        request_id = self._clean(said.get("request_id"))
        fields = list(self._fields(said.get("fields")))
        parts = [f"{what}: {status} {kind or self._clean(response.reason)}".rstrip()]
        if message := self._clean(said.get("message")):
            parts.append(f": {message}")
        if fields:
            parts.append(" (" + ", ".join(f"{field['name']}: {field['message']}" for field in fields) + ")")
        if attempts > 1:
            parts.append(f", at each of {attempts} attempts")
        if request_id:
            parts.append(f" [request_id {request_id}]")
        advice = (_ADVICE.get(kind) or _ADVICE.get(status, "")).format(origin=self._origin)
        if not advice and status >= 500:
            advice = "The service has a problem: try again later, and report the request_id if it persists."
        text = "".join(parts)
        return ApiError(
            f"{text}. {advice}" if advice else text,
            status=status,
            type=kind or None,
            fields=fields,
            request_id=request_id or None,
            undecided=status >= 500,
        )

    def _fields(self, fields: Any) -> Iterator[dict[str, str]]:
        for field in [fields] if isinstance(fields, dict) else fields if isinstance(fields, list) else []:
            if isinstance(field, dict):
                yield {name: self._clean(field.get(name)) for name in ("name", "message")}

    def _unusable(self, response: requests.Response, what: str, why: str) -> ApiError:
        return ApiError(
            f"{what}: the answer ({response.status_code}) {why}. Is api_host a Pelion API, and is there "
            "a proxy or a login page in between?",
            status=response.status_code,
            undecided=True,
        )

    def _no_answer(self, what: str, error: Exception) -> ApiError:
        causes = list(_causes(error))
        unsent = any(isinstance(cause, _NEVER_SENT) for cause in causes)
        untrusted = next((cause for cause in causes if isinstance(cause, ssl.SSLCertVerificationError)), None)
        if untrusted is not None:
            text = (
                f"the host's TLS certificate is not trusted: {untrusted.verify_message}. If its CA is private, set "
                "ca_path to the CA's file; otherwise somebody may be intercepting the connection."
            )
        elif isinstance(error, requests.exceptions.ProxyError):
            text = "the proxy that the environment names does not let it through. Check HTTPS_PROXY and NO_PROXY."
        elif isinstance(error, requests.exceptions.SSLError):
            reason = next((cause.reason for cause in causes if isinstance(cause, ssl.SSLError)), None)
            text = f"TLS failed ({reason or 'no reason given'}). Is api_host's port one for https?"
        elif isinstance(error, (requests.Timeout, ReadTimeoutError)):
            text = f"no complete answer within {self._timeout} s (api_timeout). Is the service reachable from here?"
        elif isinstance(error, HTTPError):
            text = (
                "the answer was cut off. Try again; if it keeps happening, check what is between here and the service."
            )
        else:
            reasons = [cause.strerror for cause in causes if isinstance(cause, OSError) and cause.strerror]
            text = f"no answer ({reasons[-1] if reasons else 'connection lost'}). Is the service reachable from here?"
        return ApiError(f"{what}: {text}", undecided=not unsent)

    def _clean(self, text: Any) -> str:
        """``text`` of the service, short and printable, and without our key should it echo it."""
        if not isinstance(text, str):
            return ""
        return printable(text.replace(self._key, "********"), 500)


class _Bearer(AuthBase):
    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._key}"
        return request


class _Retry(Retry):
    """Pauses of 0, 1, 2, 4 … seconds, or as the service's Retry-After says, within reason."""

    FIRST_PAUSE = 0.5  # urllib3 doubles it per attempt, beginning with the second
    LONGEST_PAUSE = 60

    def get_retry_after(self, response: Any) -> float | None:
        try:
            seconds = super().get_retry_after(response)
        except (InvalidHeader, ValueError, OverflowError):
            return None
        return None if seconds is None else min(seconds, self.LONGEST_PAUSE)


_NEVER_SENT = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.NameResolutionError,
    urllib3.exceptions.ProxyError,
    ssl.SSLCertVerificationError,
)


def _library_error(error: Exception) -> HTTPError:
    """What urllib3 said, which a Retry judges by its kind: nothing was sent, or the answer was lost."""
    said = (cause for cause in _causes(error) if isinstance(cause, HTTPError) and not isinstance(cause, MaxRetryError))
    return next(said, HTTPError(str(error)))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """``error`` and all that it wraps: requests, urllib3 and the standard library each wrap in their own way."""
    seen: list[BaseException] = []
    waiting: list[Any] = [error]
    while waiting:
        cause = waiting.pop(0)
        if isinstance(cause, BaseException) and cause not in seen:
            seen.append(cause)
            yield cause
            waiting += [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]


def _require_ca_certificates(path: str) -> None:
    try:
        if not Path(path).is_dir():
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except OSError as error:  # of which ssl.SSLError is one
        reason = "it holds no PEM certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise PelionError(f"The CA certificates at ca_path {path!r} cannot be used: {reason}.") from error
