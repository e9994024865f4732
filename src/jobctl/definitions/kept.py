"""Definitions files as they were understood last, kept in the state folder under `cache/`: who wants one job of a
thousand, or when they fire, reads no TOML and checks nothing again. An entry a file.

What is kept is what can be had from the file at any time: an entry that is missing, damaged, somebody else's or about
something else is not missed, and one that cannot be written is not either. `validate` and `doctor` never look here. An
entry counts for the bytes of its file, for jobctl as it is, and for the machine's zone. Secrets are not kept: a job
that has one is read from its file. Loaded by `status`: imports next to nothing.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping

import jobctl
from jobctl.core.errors import DefinitionError, Problem
from jobctl.definitions import files as definitions
from jobctl.host import machine
from jobctl.host.files import open_regular

try:
    from _blake2 import blake2b  # hashlib would load OpenSSL: a fourth of what Python takes to start
except ImportError:
    from hashlib import blake2b

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobctl.core.definition.jobs import Definitions
    from jobctl.core.model import Job, Queue

    Key = list[Any]

LARGEST = 32 * 1024 * 1024  # bytes of an entry
MOST = 40  # entries; of more the oldest go


class Entry:
    """What is kept of one file. `jobs`: of each its name, its schedules and their words, its zone, and the next fire
    time after `at`. The definitions stand in a text of their own, which most do not read."""

    def __init__(self, key: Key, path: str, data: bytes, body: dict[str, Any], texts: bytes) -> None:
        self._key = key  # [] for what cannot be kept
        self._path = path
        self._data = data
        self._body = body
        self._texts = texts  # job -> its definition as text, None for one that has secrets
        self.jobs: list[dict[str, Any]] = body["jobs"]

    @property
    def at(self) -> int | None:
        at: int | None = self._body["at"]
        return at

    def keep(self, at: int | None = None) -> None:
        """Write it, for the user's eyes only. Where that cannot be, or nothing has run yet: not."""
        self._body["at"] = at
        if self._key:
            _write(self._path, self._key, _json(self._body), self._texts)

    @property
    def whole(self) -> bool:
        """Whether the definitions are those that were kept with the rest."""
        sound: bool = _digest(self._texts) == self._body["texts"]
        return sound

    def definitions(self, file: str) -> definitions.Catalog:
        """The file's jobs, each made when it is asked for, and its queues, of an entry that is whole."""
        from jobctl.core.model import Queue

        def again() -> Mapping[str, Job]:
            found, problems = definitions.understand(file, self._data)
            if found is None:
                raise DefinitionError(problems)
            return found.jobs

        alone = _Alone(json.loads(self._texts), again)
        queues = {name: Queue(name, *rest) for name, *rest in self._body["queues"]}
        return definitions.Catalog(_Jobs(dict.fromkeys(alone.texts, alone)), queues)


class _Jobs(Mapping[str, "Job"]):
    """Jobs by name, made when they are asked for. `files`: job -> those of its file."""

    def __init__(self, files: dict[str, _Alone]) -> None:
        self.files = files
        self._made: dict[str, Job] = {}

    def __getitem__(self, name: str) -> Job:
        if name not in self._made:
            from jobctl.core.model import with_children

            alone = self.files[name]
            self._made[name] = with_children(alone[name], alone)
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self.files

    def __iter__(self) -> Iterator[str]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)


class _Alone(dict[str, "Job"]):
    """The jobs of one file without those that they start: as many as were asked for, from the texts that they are kept
    as. `again` reads the file itself."""

    def __init__(self, texts: dict[str, str | None], again: Callable[[], Mapping[str, Job]]) -> None:
        super().__init__()
        self.texts = texts
        self._again = again

    def __missing__(self, name: str) -> Job:
        from dataclasses import replace

        from jobctl.core.model import decode

        text = self.texts[name]
        if text is None:
            read = self._again()
            self.update((other, replace(read[other], children={})) for other, kept in self.texts.items() if not kept)
        else:
            self[name] = decode(text)
        return self[name]


def catalog(files: Iterable[str], state_dir: str) -> definitions.Catalog:
    """What these files define together. DefinitionError with the problems of all of them, as files.read_files."""
    sources = {file: definitions.data_of(file) for file in files}
    entries: dict[str, Entry] = {}
    for file, data in sources.items():
        found = _find(file, data, state_dir) if isinstance(data, bytes) else None
        if found is not None and found.whole:
            entries[file] = found
    if len(entries) == len(sources) and (together := _together(entries)) is not None:
        return together

    def look(file: str) -> tuple[Definitions | None, list[Problem]]:
        data = sources[file]
        if isinstance(data, Problem):
            return None, [data]
        understood, problems = definitions.understand(file, data)
        if understood is not None and file not in entries:
            _made(file, data, state_dir, understood).keep()
        return understood, problems

    return definitions.read_files(sources, look)


def _together(entries: dict[str, Entry]) -> definitions.Catalog | None:
    """The jobs and queues of entries as one; None where there is something to say of them: who reads all files does."""
    files: dict[str, _Alone] = {}
    queues: dict[str, Queue] = {}
    for file, found in entries.items():
        more = found.definitions(file)
        same_queues = all(queues.get(name, queue) == queue for name, queue in more.queues.items())
        if not same_queues or not files.keys().isdisjoint(more.jobs):
            return None
        assert isinstance(more.jobs, _Jobs)
        files.update(more.jobs.files)
        queues.update(more.queues)
    return definitions.Catalog(_Jobs(files), queues)


def entry(file: str, state_dir: str) -> tuple[Entry, bool]:
    """What is known of a definitions file, and whether it was kept. DefinitionError with all that is wrong with it."""
    data = definitions.data_of(file)
    if isinstance(data, Problem):
        raise DefinitionError([data])
    kept = _find(file, data, state_dir)
    if kept is not None:
        return kept, True
    understood, problems = definitions.understand(file, data)
    if understood is None:
        raise DefinitionError(problems)
    return _made(file, data, state_dir, understood), False


def _find(file: str, data: bytes, state_dir: str) -> Entry | None:
    key = _key(file, data, state_dir)
    path = _path(file, state_dir)
    found = _read(path, key) if key else None
    if found is None or found[0]["rules"] != machine.rule_marks(found[0]["rules"]):  # tzdata has changed
        return None
    return Entry(key, path, data, *found)


def _made(file: str, data: bytes, state_dir: str, found: Definitions) -> Entry:
    from dataclasses import asdict, replace

    from jobctl.core.model import encode_in_order
    from jobctl.core.schedule.words import all_in_words
    from jobctl.definitions.masking import redact

    jobs: list[dict[str, Any]] = [
        {
            "job": job.name,
            "schedule": all_in_words(job) or None,
            "schedules": [asdict(schedule) for schedule in job.schedules],
            "zone": job.timezone,
            "next": None,
        }
        for job in found.jobs.values()
    ]
    alone = [replace(job, children={}) for job in found.jobs.values()]
    texts = _json({job.name: encode_in_order(job) if redact(job) == job else None for job in alone})
    zones = {schedule["timezone"] or job["zone"] for job in jobs for schedule in job["schedules"]} - {None}
    body = {
        "rules": machine.rule_marks(sorted(zones)),
        "at": None,
        "queues": [(queue.name, queue.concurrency, queue.priority) for queue in found.queues.values()],
        "jobs": jobs,
        "texts": _digest(texts),
    }
    return Entry(_key(file, data, state_dir), _path(file, state_dir), data, body, texts)


def _key(file: str, data: bytes, state_dir: str) -> Key:
    """What an entry counts for; [] where nothing can be kept."""
    if file == definitions.STDIN or not os.path.isdir(state_dir):
        return []
    try:
        rules = _rules()
    except OSError:
        return []
    folder = os.path.dirname(os.path.abspath(file))
    return [jobctl.__version__, sys.hexversion, rules, file, folder, _digest(data), *machine.zone_marks()]


def _rules() -> list[int]:
    """What changes when the rules for definitions do, or how they are kept, also without another version: whoever works
    on them sees it."""
    newest = size = 0
    ahead = [os.path.join(os.path.dirname(jobctl.__file__), room) for room in ("core", "definitions")]
    while ahead:
        with os.scandir(ahead.pop()) as found:
            for one in found:
                if one.name.endswith(".py"):
                    state = one.stat()
                    newest, size = max(newest, state.st_mtime_ns), size + state.st_size
                elif "." not in one.name and not one.name.startswith("__"):
                    ahead.append(one.path)
    return [newest, size]


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=32).hexdigest()


def _path(file: str, state_dir: str) -> str:
    from zlib import crc32

    # Two files of one name in here only forget each other: which file it is about stands in the key.
    return os.path.join(state_dir, "cache", f"definitions-{crc32(os.fsencode(file)):08x}.json")


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _read(path: str, key: Key) -> tuple[dict[str, Any], bytes] | None:
    """What was kept under that key: three lines of JSON. The first says what the others are about and has the digest of
    the second; that has the digest of the third, the definitions, which are looked at when they are wanted."""
    try:
        with os.fdopen(open_regular(path), "rb") as source:
            about = os.fstat(source.fileno())
            if about.st_uid != os.geteuid() or about.st_mode & 0o022 or about.st_size > LARGEST:
                return None
            head, _, rest = source.read(LARGEST + 1).partition(b"\n")
        body, _, texts = rest.partition(b"\n")
        if json.loads(head) != [*key, _digest(body)]:
            return None
        return json.loads(body), texts
    except (OSError, ValueError, RecursionError):
        return None


def _write(path: str, key: Key, body: bytes, texts: bytes) -> None:
    whole = b"\n".join([_json([*key, _digest(body)]), body, texts])
    if len(whole) > LARGEST:
        return
    folder = os.path.dirname(path)
    new = f"{path}.{os.getpid()}"
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError:
        return
    try:
        with open(fd, "wb") as target:
            target.write(whole)
        os.replace(new, path)
        _remove_oldest(folder)
    except OSError:
        try:
            os.unlink(new)
        except OSError:
            pass


def _remove_oldest(folder: str) -> None:
    """Each folder that jobctl is ever called in would leave an entry, and one that was killed half of one."""
    names = os.listdir(folder)
    if len(names) > MOST:
        paths = sorted((os.path.join(folder, name) for name in names), key=lambda path: os.lstat(path).st_mtime)
        for path in paths[: len(names) - MOST]:
            os.unlink(path)
