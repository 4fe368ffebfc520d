"""Files from the network, kept in a cache."""

from __future__ import annotations

import os
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any

from cnnfast import downloads


def get_file(
    fname: str | os.PathLike[str] | None = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: Any = "auto",
    cache_dir: str | os.PathLike[str] | None = None,
    force_download: bool = False,
) -> str:
    """The path of a file from the network, downloaded unless it is in the cache.

    A broken download is continued where a checksum tells that the parts belong together, and the file appears in one
    step.

    Args:
        fname: its name in the cache; the address's last part if None.
        origin: its address.
        untar: as `extract`, for tar archives.
        md5_hash: its MD5 sum; `file_hash` is better.
        file_hash: its checksum; what differs is downloaded again, and an error if it still differs.
        cache_subdir: the folder within the cache.
        hash_algorithm: "sha256", "md5" or "auto", by the checksum's length.
        extract: whether to unpack an archive; then the result is the folder.
        archive_format: "tar", "zip", "auto" or several of them.
        cache_dir: the cache; cnnfast's own if None: $CNNFAST_HOME, else ~/.cache/cnnfast.
        force_download: whether to download it in any case.

    Raises:
        OSError: the address did not deliver the file.
        ValueError: the name or the address is missing or unusable, or the file is no such archive.

    Example:
        >>> _ = Path("somewhere.txt").write_text("content")
        >>> path = get_file(origin=Path("somewhere.txt").resolve().as_uri(), cache_dir="cache")
        >>> Path(path).read_text()
        'content'
    """
    from urllib.parse import unquote, urlsplit

    if origin is None:
        raise ValueError("get_file: origin expects the file's address, got None")
    name = os.fspath(fname) if fname is not None else unquote(urlsplit(origin).path).rsplit("/", 1)[-1]
    if not name or Path(name).name != name:
        raise ValueError(f"get_file: fname expects a name without folders, got {name!r}")
    digest = file_hash if file_hash is not None else md5_hash
    algorithm = _algorithm(hash_algorithm, digest, by_md5=file_hash is None and md5_hash is not None)
    folder = (Path(cache_dir).expanduser() if cache_dir is not None else downloads.cache_folder()) / cache_subdir
    target = folder / name
    downloads.fetch_from(origin, target, digest, algorithm, force_download)
    if not (extract or untar):
        return str(target)
    return str(_extracted(target, folder / f"{name.split('.')[0]}_extracted", "tar" if untar else archive_format))


def _algorithm(given: str, digest: str | None, by_md5: bool) -> str:
    if given not in ("auto", "sha256", "md5"):
        raise ValueError(f"get_file: hash_algorithm expects sha256, md5 or auto, got {given!r}")
    if by_md5:
        return "md5"
    if given != "auto":
        return given
    return "md5" if digest is not None and len(digest) == 32 else "sha256"


def _extracted(archive: Path, folder: Path, archive_format: Any) -> Path:
    """The folder with an archive's contents, put in place in one step."""
    kinds = ("tar", "zip") if archive_format == "auto" else archive_format
    kinds = (kinds,) if isinstance(kinds, str) else tuple(kinds or ())
    if folder.is_dir() and folder.stat().st_mtime >= archive.stat().st_mtime:
        return folder
    partial = folder.with_name(folder.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    if "tar" in kinds and tarfile.is_tarfile(archive):
        with tarfile.open(archive) as file:
            file.extractall(partial, filter="data")  # nothing outside the folder, no devices
    elif "zip" in kinds and zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            zipped.extractall(partial)
    else:
        partial.rmdir()
        raise ValueError(f"get_file: {archive} is no archive of the format {archive_format!r}")
    shutil.rmtree(folder, ignore_errors=True)
    os.utime(partial)
    os.replace(partial, folder)
    return folder
