"""Models of the Hugging Face hub: fetched into its cache, and uploaded.

A model is two files there, as here: ``config.json`` and ``model.safetensors``. No other file is fetched, and nothing in
them is executed.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vtsearch._atomic_io import recover_folder
from vtsearch._json import read_json
from vtsearch.errors import VtsearchError
from vtsearch.exchange.hub_errors import hub_client, hub_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT = "vtsearch-model"
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
CARD = "README.md"
MOST_CONFIG_BYTES = 2**20

_NAME = re.compile(r"([A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9_][\w.-]{0,95})(?:@([\w./-]+))?", re.ASCII)


class HubName(NamedTuple):
    """A repository of the hub, and which state of it."""

    repository: str
    """Such as "user/name"."""
    revision: str | None
    """A branch, a tag or a commit; None is the newest commit of the main branch."""

    def __str__(self) -> str:
        """``user/name`` or ``user/name@revision``."""
        return self.repository if self.revision is None else f"{self.repository}@{self.revision}"


class LocatedModel(NamedTuple):
    """A model's folder on this machine, and where the model is found again."""

    folder: Path
    address: str
    """The absolute path of the folder, or "user/name@commit" of the hub."""


class Pushed(NamedTuple):
    """What an upload wrote."""

    repository: str
    commit: str
    url: str


def hub_name(text: str) -> HubName | None:
    """The repository that a text names as ``user/name`` or ``user/name@revision``; None if it cannot name one."""
    found = _NAME.fullmatch(text)
    return None if found is None or ".." in text or "--" in found[1] else HubName(found[1], found[2])


def checked_repository(name: str) -> str:
    """The name of a repository to write to.

    Raises:
        ValueError: another text, or one with a revision.
    """
    found = hub_name(os.fspath(name))
    if found is None or found.revision is not None:
        raise ValueError(f"repository: expected user/name, got {name!r}")
    return found.repository


def may_be_model(model: str) -> bool:
    """Whether a text is a folder, or may name a repository of the hub; nothing is asked of the hub."""
    return Path(model).is_dir() or _name_elsewhere(model) is not None


def _name_elsewhere(model: str | Path) -> HubName | None:
    """The repository that a text names, if its first part is no folder here: a mistyped ``runs/best`` is no user's."""
    if not isinstance(model, str) or Path(model).exists() or Path(model).parent.is_dir():
        return None
    return hub_name(model)


def locate_model(model: str | Path) -> LocatedModel:
    """The folder of a model: a folder of this machine or, where there is none of that name, a model of the hub.

    Args:
        model: a folder; or, as text, ``user/name`` or ``user/name@revision``, where ``user`` is no folder here. If the
            hub does not answer, the copy in its cache is used.

    Raises:
        FileNotFoundError: neither a folder nor a repository.
        ModuleNotFoundError: the extra ``train`` is not installed.
        VtsearchError: a repository that may not be read or holds no model; a hub that does not answer, and no copy.
    """
    folder = Path(model)
    recover_folder(folder)
    if folder.is_dir():
        return LocatedModel(folder, str(folder.absolute()))
    name = _name_elsewhere(model)
    if name is None:
        is_name = isinstance(model, str) and hub_name(model) is not None and folder.parent.is_dir()
        here = f"; {folder.parent} is a folder here, so that the hub is not asked" if is_name else ""
        raise FileNotFoundError(
            f"{model}: expected a model folder ({CONFIG} and {WEIGHTS}), or user/name of the Hugging Face hub{here}"
        )
    return _fetch(name)


def check_config(path: Path, where: str) -> dict[str, object]:
    """The content of a model's ``config.json``.

    Raises:
        VtsearchError: of another format, or damaged.
    """
    content = read_json(path, MOST_CONFIG_BYTES)
    if content.get("format") != FORMAT or content.get("version") != 1:
        raise VtsearchError(f"{where}: expected format {FORMAT!r}, version 1")
    return content


def upload(folder: Path, repository: str, card: str, *, private: bool, revision: str | None) -> Pushed:
    """Upload the two files of a model folder and a card, in one commit; the repository is made if there is none.

    Args:
        folder: of the model.
        repository: ``user/name``.
        card: content of its README.md.
        private: whether only its owner sees it.
        revision: the branch, made if there is none; None is the main branch.

    Raises:
        ModuleNotFoundError: the extra ``train`` is not installed.
        ValueError: ``private``, and the repository is public.
        VtsearchError: no token, or one without the right to write; a hub that does not answer.
    """
    hub = hub_client()
    api = hub.HfApi(endpoint=hub.constants.ENDPOINT)
    with hub_errors(repository), _quiet(hub):
        api.create_repo(repository, private=private or None, exist_ok=True)
        if private and not api.model_info(repository).private:
            raise ValueError(f"private: expected a private repository, got {repository}, which exists and is public")
        if revision is not None:
            api.create_branch(repository, branch=revision, exist_ok=True)
        files = {CARD: card.encode(), **{name: folder / name for name in (CONFIG, WEIGHTS)}}
        operations = [hub.CommitOperationAdd(name, content) for name, content in files.items()]
        message = f"Upload a model with vtsearch {hub_version()}"
        done = api.create_commit(repository, operations, commit_message=message, revision=revision)
    return Pushed(repository, str(done.oid), f"{hub.constants.ENDPOINT}/{repository}")


def hub_version() -> str:
    """The version of vtsearch, for messages of commits."""
    from vtsearch._native import __version__  # noqa: PLC0415 (the engine is not needed otherwise)

    return __version__


def _fetch(name: HubName) -> LocatedModel:
    """A model of the hub in its cache; the configuration comes first, so that no weights of other models do."""
    hub = hub_client()
    with hub_errors(str(name), reading=True), _quiet(hub):
        config = Path(hub.hf_hub_download(name.repository, CONFIG, revision=name.revision))
        commit = config.parent.name
        address = f"{name.repository}@{commit}"
        check_config(config, f"{name}: not a model of vtsearch ({CONFIG})")
        hub.hf_hub_download(name.repository, WEIGHTS, revision=commit)
    return LocatedModel(config.parent, address)


@contextlib.contextmanager
def _quiet(hub: Any) -> Iterator[None]:
    """Without warnings of the hub's client about itself, nor progress bars where nobody watches.

    Its own variable HF_HUB_DISABLE_PROGRESS_BARS comes first.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with _without_bars(hub):
            yield


@contextlib.contextmanager
def _without_bars(hub: Any) -> Iterator[None]:
    if sys.stderr.isatty() or hub.constants.HF_HUB_DISABLE_PROGRESS_BARS is not None:
        yield
        return
    hub.utils.disable_progress_bars()
    try:
        yield
    finally:
        hub.utils.enable_progress_bars()
