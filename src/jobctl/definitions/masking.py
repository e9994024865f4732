"""Secrets in what jobctl itself prints and stores: which values are secret, and texts without them. The environment of
a step's process is never masked; what control sequences do to a terminal is cli/printing.py's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from jobctl.core.model import Job

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MASK = "***"

_SECRET = re.compile(r"TOKEN|PASSWORD|SECRET|KEY", re.IGNORECASE)
_SHORTEST = 4  # shorter values, such as "1" or "yes", stand in texts by chance

# What stands under these keys in documents was said by commands and callers: secrets may be in it.
_FOREIGN = frozenset(
    {"comment", "cursor", "error", "error_type", "item", "outputs", "params", "payload", "reason", "stdout", "why"}
)


def is_secret(key: str) -> bool:
    """Whether a variable of this name is taken for a secret: *TOKEN*, *PASSWORD*, *SECRET*, *KEY*, any case."""
    return _SECRET.search(key) is not None


def _secrets_of(job: Job) -> Callable[[str], bool]:
    """Whether a variable of this name is a secret of the job: its name says so, or a step of it sends it somewhere."""
    from jobctl.core import kinds

    sent = {name for step in job.steps if (row := kinds.of(step)).secrets is not None for name in row.secrets(step)}
    return (lambda key: key in sent or is_secret(key)) if sent else is_secret


def redact(job: Job) -> Job:
    """The job with MASK for the values of its secret variables: what is printed, and kept with a run."""
    secret = _secrets_of(job)

    def redacted(env: Mapping[str, str]) -> dict[str, str]:
        return {key: MASK if secret(key) else value for key, value in env.items()}

    return replace(
        job,
        default_env=redacted(job.default_env),
        env=redacted(job.env),
        steps=tuple(replace(step, env=redacted(step.env)) if step.env else step for step in job.steps),
        children={name: redact(child) for name, child in job.children.items()},
    )


class Masker:
    """Replaces every occurrence of some values by MASK. Of two values that begin alike, the longer one goes first.

    The lines of a value of several, a private key say, are hidden one by one too: output is looked at in lines.
    """

    def __init__(self, values: Iterable[str]) -> None:
        parts = {part for value in values for part in (value, *value.splitlines())}
        secrets = sorted({part for part in parts if len(part) >= _SHORTEST}, key=lambda part: (-len(part), part))
        self._text = re.compile("|".join(map(re.escape, secrets))) if secrets else None
        self._data = re.compile(b"|".join(re.escape(value.encode()) for value in secrets)) if secrets else None

    def text(self, text: str) -> str:
        return self._text.sub(MASK, text) if self._text else text

    def data(self, data: bytes) -> bytes:
        return self._data.sub(MASK.encode(), data) if self._data else data


def masker(job: Job, *env_files: Mapping[str, str]) -> Masker:
    """For a job's output and messages: its secret variables and those of its children, and all that env files hold."""
    secrets = [value for secret, env in _layers(job) for key, value in env.items() if secret(key) and "{{" not in value]
    return Masker([*secrets, *(value for env_file in env_files for value in env_file.values())])


def _layers(job: Job) -> Iterator[tuple[Callable[[str], bool], Mapping[str, str]]]:
    """Variables of a job and of its children, each with what is secret of them."""
    for one in (job, *job.children.values()):
        secret = _secrets_of(one)
        for env in (one.default_env, one.env, *(step.env for step in one.steps)):
            yield secret, env


def masked(value: Any, mask: Callable[[str], str], *, foreign: bool = False) -> Any:
    """A document or a value - of a run, or an event's data - whose foreign texts have been through `mask`."""
    if isinstance(value, str):
        return mask(value) if foreign else value
    if isinstance(value, list):
        return [masked(item, mask, foreign=foreign) for item in value]
    if isinstance(value, dict):
        # An event has the items of a list themselves; a step's document, which has a name, has documents about them.
        return {
            key: masked(item, mask, foreign=foreign or key in _FOREIGN or (key == "items" and "name" not in value))
            for key, item in value.items()
        }
    if isinstance(value, tuple) and hasattr(value, "_fields"):  # a value of views/: its fields are called as JSON's
        fields = zip(value._fields, value, strict=True)
        return type(value)(*(masked(item, mask, foreign=foreign or name in _FOREIGN) for name, item in fields))
    return value


def unmask(job: Job, jobs: Mapping[str, Job]) -> tuple[Job, list[str]]:
    """A job that was kept with a run, with its secrets as the `jobs` of the definitions file have them now.

    Secrets are not kept with a run. Returns the job, without the variables whose value is nowhere to be had, and the
    names of those.
    """
    now = jobs.get(job.name)
    missing: list[str] = []
    children: dict[str, Job] = {}
    for name, child in job.children.items():
        children[name], lost = unmask(child, jobs)
        missing += [f"{variable} of job {name}" for variable in lost]

    secret = _secrets_of(job)

    def restored(env: Mapping[str, str], known: Mapping[str, str], where: str) -> dict[str, str]:
        out = {}
        for key, value in env.items():
            if value != MASK or not secret(key):
                out[key] = value
            elif key in known:
                out[key] = known[key]
            else:
                missing.append(f"{where}{key}")
        return out

    steps = {step.name: step for step in now.steps} if now is not None else {}
    return (
        replace(
            job,
            default_env=restored(job.default_env, now.default_env if now else {}, ""),
            env=restored(job.env, now.env if now else {}, ""),
            steps=tuple(
                replace(
                    step, env=restored(step.env, steps[step.name].env if step.name in steps else {}, f"{step.name}.")
                )
                if step.env
                else step
                for step in job.steps
            ),
            children=children,
        ),
        missing,
    )


def has_secrets(job: Job) -> bool:
    """Whether `redact` left something out of this job."""
    return any(value == MASK and secret(key) for secret, env in _layers(job) for key, value in env.items())
