"""Downloads a published file once: checked by its SHA-256, resumed after an interruption, placed in one step."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ATTEMPTS = 3  # per address; each continues where the one before broke off
_CHUNK = 1 << 18
_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class RemoteFile:
    """A published file: what it is called here, what it must contain, where it is."""

    name: str
    sha256: str
    urls: tuple[str, ...]


def cache_folder() -> Path:
    """Where downloads are kept: $CNNFAST_HOME, else $XDG_CACHE_HOME/cnnfast, else ~/.cache/cnnfast."""
    home = os.environ.get("CNNFAST_HOME")
    if home:
        return Path(home).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "cnnfast"


def fetch(file: RemoteFile, dataset: str) -> Path:
    """The local path of `file`, downloaded unless a copy with the right checksum is in the cache.

    Raises:
        OSError: no address delivered the file; the message tells what was tried and where to put it by hand.
    """
    target = cache_folder() / "datasets" / dataset / file.name
    if _is_intact(target, file.sha256):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with _lock(target):
        if _is_intact(target, file.sha256):  # another process was faster
            return target
        failures = []
        for url in file.urls:
            failure = _download(url, target, file.sha256)
            if failure is None:
                return target
            failures.append(f"{url}: {failure}")
    raise OSError(
        f"{dataset}: could not get {file.name}. Tried {'; '.join(failures)}. Without a network, put the file at "
        f"{target} by hand (sha256 {file.sha256}), or pass a local copy: {dataset}.load_data(path=...)"
    )


def fetch_from(url: str, target: Path, digest: str | None, algorithm: str, again: bool = False) -> None:
    """Download any file to `target`, unless it is there with the right checksum (or there at all, without one).

    Args:
        url: where it is.
        target: where it goes.
        digest: its checksum, in hexadecimal digits; None takes what comes.
        algorithm: "sha256" or "md5".
        again: whether to download it in any case.

    Raises:
        OSError: the address did not deliver the file.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with _lock(target):
        if not again and _is_intact(target, digest, algorithm):
            return
        if digest is None or again:  # nothing would tell whether a part is of the same file
            target.with_name(target.name + ".part").unlink(missing_ok=True)
        failure = _download(url, target, digest, algorithm)
    if failure is not None:
        raise OSError(f"could not get {target.name} from {url}: {failure}")


def _download(url: str, target: Path, digest: str | None, algorithm: str = "sha256") -> str | None:
    """Download to `target`; returns what went wrong, or None."""
    part = target.with_name(target.name + ".part")
    failure = ""
    for _ in range(_ATTEMPTS):
        resumed = part.exists() and part.stat().st_size > 0
        try:
            _transfer(url, part)
        except OSError as error:
            failure = str(error)
            if _is_refusal(error):
                break
            continue
        if _is_intact(part, digest, algorithm):
            os.replace(part, target)
            return None
        failure = f"checksum mismatch: got {algorithm} {_digest(part, algorithm)}, expected {digest}"
        part.unlink()
        if not resumed:  # what was continued may have been damaged; what came whole would come the same again
            break
    return failure


def _transfer(url: str, part: Path) -> None:
    """Append to `part` what it lacks of the file at `url`.

    Raises:
        OSError: the transfer failed or broke off; `part` keeps what has arrived.
    """
    import http.client
    import urllib.error
    import urllib.request

    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "cnnfast", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_SECONDS) as response:
            continued = have > 0 and response.status == 206 and _starts_at(response, have)
            if have and response.status == 206 and not continued:
                part.unlink()
                raise OSError("the server sent another range than asked for")
            _store(response, part, have if continued else 0)
    except urllib.error.HTTPError as error:
        error.close()
        # "Range not satisfiable": all of it may be here already; the checksum will tell.
        if not (error.code == 416 and have):
            raise
    except http.client.HTTPException as error:
        raise OSError(f"the transfer broke off: {error!r}") from None


def _store(response: Any, part: Path, have: int) -> None:
    from tqdm import tqdm

    length = response.headers.get("Content-Length")
    total = have + int(length) if length is not None else None
    with (
        open(part, "ab" if have else "wb") as out,
        # disable=None: no bar where the output is not a terminal.
        tqdm(desc=part.stem, total=total, initial=have, unit="B", unit_scale=True, disable=None) as bar,
    ):
        while chunk := response.read(_CHUNK):
            out.write(chunk)
            have += len(chunk)
            bar.update(len(chunk))
    if total is not None and have < total:
        raise OSError(f"the transfer broke off after {have} of {total} bytes")


def _starts_at(response: Any, offset: int) -> bool:
    return str(response.headers.get("Content-Range", "")).startswith(f"bytes {offset}-")


def _is_refusal(error: OSError) -> bool:
    """Whether the server answered that it will not deliver: asking again would not help."""
    return 400 <= getattr(error, "code", 0) < 500


def _is_intact(path: Path, digest: str | None, algorithm: str = "sha256") -> bool:
    return path.is_file() and (digest is None or _digest(path, algorithm) == digest.lower())


def _digest(path: Path, algorithm: str) -> str:
    import hashlib

    digest = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def _lock(target: Path) -> Iterator[None]:
    """Lets one process at a time download `target`, where the system can lock files."""
    try:
        import fcntl
    except ImportError:  # Windows: two downloads at once fail the checksum, nothing worse
        yield
        return
    with open(target.with_name(target.name + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
