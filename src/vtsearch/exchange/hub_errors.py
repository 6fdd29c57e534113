"""Errors of the hub's client as errors of vtsearch: one line that says what to do."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from vtsearch.errors import VtsearchError, first_line, require_extra

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOG_IN = "log in with `hf auth login`, or set HF_TOKEN"
_NETWORK = ("httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3", "ssl")
"""Packages whose errors mean that there was no answer."""

_SENTENCES = (
    ("GatedRepoError", f"its authors must grant you access at {{endpoint}}; then {_LOG_IN}"),
    ("RepositoryNotFoundError", f"{{endpoint}} has no such repository, or refuses without a token for it; {_LOG_IN}"),
    ("RevisionNotFoundError", "expected a branch, a tag or a commit of the repository, got another revision"),
    ("LocalEntryNotFoundError", "no such folder; {endpoint} cannot be reached, and its cache has no copy"),
    ("EntryNotFoundError", "not a model of vtsearch (no config.json or no model.safetensors)"),
    ("LocalTokenNotFoundError", f"{{endpoint}} refuses without a token; {_LOG_IN}"),
)
"""Class of an error -> what to say; the first that fits, since some are classes of others."""


def hub_client() -> Any:
    """The package ``huggingface_hub``, with the parts of it that are not imported on their own.

    Raises:
        ModuleNotFoundError: the extra ``train`` is not installed.
    """
    for part in ("constants", "errors", "utils"):
        require_extra(f"huggingface_hub.{part}")
    return require_extra("huggingface_hub")


@contextlib.contextmanager
def hub_errors(name: str, *, reading: bool = False) -> Iterator[None]:
    """Errors of the hub's client, in one line each that begins with the name of the repository.

    Raises:
        FileNotFoundError: no such repository, when reading: it may have been meant for a folder.
        VtsearchError: any other error of the hub or of the network.
    """
    try:
        yield
    except Exception as error:
        hub = hub_client()
        if reading and _is(hub, error, "RepositoryNotFoundError") and not _is(hub, error, "GatedRepoError"):
            raise FileNotFoundError(
                f"{name}: expected a model folder, or a repository of {hub.constants.ENDPOINT}; there is neither, "
                f"or it is private ({_LOG_IN})"
            ) from error
        sentence = _sentence(hub, error)
        if sentence is None:
            raise
        raise VtsearchError(f"{name}: {sentence}") from error


def _sentence(hub: Any, error: Exception) -> str | None:
    """What to say of an error of the client or of the network; None for any other."""
    if isinstance(error, RuntimeError) and isinstance(error.__cause__, Exception):  # of an upload: what was behind it
        return _sentence(hub, error.__cause__)
    endpoint = hub.constants.ENDPOINT
    for kind, sentence in _SENTENCES:
        if _is(hub, error, kind):
            return sentence.format(endpoint=endpoint)
    if _is(hub, error, "HfHubHTTPError"):
        status = getattr(getattr(error, "response", None), "status_code", None)
        of_rights = f"without a token that has the right to it; {_LOG_IN}"
        return f"{endpoint} refuses " + (of_rights if status in {401, 403} else f"({first_line(error)})")
    if type(error).__module__.partition(".")[0] in _NETWORK or isinstance(error, ConnectionError):
        return f"{endpoint} cannot be reached ({first_line(error)})"
    if isinstance(error, OSError) and error.errno is None:  # of the client, such as a file of another length
        return f"{endpoint} gave something else than a model ({first_line(error)})"
    return None


def _is(hub: Any, error: Exception, kind: str) -> bool:
    return isinstance(error, getattr(hub.errors, kind))
