"""What a command is called: the program that does the work, and the words that say which work. Knows no crontab.

A name comes from its command alone wherever that tells commands apart, so that a line more or less in a file renames
no other job: their histories hang on the names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from itertools import pairwise

from jobctl.core.record import NamedTuple
from jobctl.crontab.shell import Simple, Word, parse, words

NAME_LENGTH = 63
_DEEPEST = 4  # scripts within scripts

_GRAMMAR = ("!", "{", "}", "then", "do", "else", "elif", "fi", "done", "esac", "if", "while", "until")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")
_SHELLS = re.compile(r"(ba|da|z|k|a|fi)?sh(\.exe)?")
_INTERPRETERS = re.compile(r"(python|pypy|perl|ruby|lua)[0-9.]*|(ea-|alt-)?php[0-9.-]*(cgi|cli|fpm)?|node(js)?|java"
                           r"|Rscript|deno|bun|tclsh|expect|pwsh|osascript")  # fmt: skip
_SUFFIX = re.compile(r"\.(sh|bash|zsh|ksh|py|pyc|pl|rb|php[0-9]?|phar|js|mjs|ts|jar|R|lua|exe|bat|cmd|cron|job|tcl)$")

# Words in front of a command that do not name what is done: which of their options have an argument, and how many
# arguments come before the command.
_WRAPPERS: dict[str, tuple[str, int]] = {
    "sudo": ("-u -g -h -p -C -r -t -T -U -D -R --user --group --chdir", 0),
    "doas": ("-u -C -a", 0),
    "su-exec": ("", 1),
    "gosu": ("", 1),
    "setuidgid": ("", 1),
    "chpst": ("-u -U -b -e -/ -n -l -L -m -d -o -p -f -c -t -k", 0),
    "envdir": ("", 1),
    "softlimit": ("-m -d -s -l -a -o -p -f -c -r -t", 0),
    "nice": ("-n --adjustment", 0),
    "ionice": ("-c -n -p --class --classdata", 0),
    "chrt": ("-T -P -D", 1),
    "taskset": ("", 1),
    "env": ("-u -C -S --unset --chdir", 0),
    "exec": ("-a", 0),
    "time": ("-f -o", 0),
    "timeout": ("-s -k --signal --kill-after", 1),
    "flock": ("-w -E --timeout --wait --conflict-exit-code", 1),
    "setlock": ("", 1),
    "lckdo": ("-W -w", 1),
    "lockf": ("-t", 1),
    "lockrun": ("-L", 0),
    "stdbuf": ("-i -o -e", 0),
    "screen": ("-S -dmS -dmLS -t -c -h -p -T", 0),
    "systemd-cat": ("-t -p --identifier --priority", 0),
    "systemd-run": ("-p -u -t --unit --property --slice --description --uid --gid --setenv -E", 0),
    "systemd-inhibit": ("--what --who --why --mode", 0),
    "xvfb-run": ("-n -s -f -e -p -w --server-args --server-num", 0),
    "caffeinate": ("-t -w", 0),
    "trickle": ("-u -d -w -t -l -L -p -n", 0),
    "cpulimit": ("-l -p -e -P", 0),
    "dotenv": ("-f -e", 0),
    "with-contenv": ("", 0),
    **dict.fromkeys(
        (
            "nohup", "chronic", "cronic", "setsid", "nocache", "eatmydata", "solo", "run-one", "run-one-constantly",
            "run-this-one", "keep-one-running", "unbuffer", "builtin", "command", "cronlog", "cronwrap", "fakeroot",
            "busybox", "coproc", "then", "dbus-launch", "aws-vault", "mispipe",
        ),
        ("", 0),
    ),
}  # fmt: skip
# `bundle exec rake …`: two words that stand in front of a command.
_PAIRS = {
    "bundle": ("exec",),
    "rbenv": ("exec",),
    "pyenv": ("exec",),
    "pipenv": ("run",),
    "poetry": ("run",),
    "uv": ("run",),
    "hatch": ("run",),
    "pdm": ("run",),
    "op": ("run",),
    "doppler": ("run",),
    "conda": ("run",),
    "mise": ("exec",),
    "asdf": ("exec",),
    "cronitor": ("exec",),
    "composer": ("exec",),
    "symfony": ("console", "php"),
    "rvm": ("do",),
}
_PAIR_OPTIONS = ("-n", "--name", "-p", "--prefix", "--directory", "--project", "--with", "--python", "--env-file")
_CONTAINERS = words("docker docker-compose podman podman-compose nerdctl kubectl lxc lxc-attach incus")
_CONTAINER_OPTIONS = words(
    "-e -u -w -v -p -f -n -c -l -h -m --env --user --workdir --volume --network --net --name --env-file --entrypoint "
    "--mount --publish --file --project-name --project-directory --namespace --container --label --hostname --memory "
    "--cpus --platform --pull --restart --volumes-from --link --add-host --log-driver --context -H --host --index"
)
# Front doors of a framework: the word behind them says all.
_DOORS = ("artisan", "manage", "console", "cli")

# What only looks, waits or makes ready. It names a job where nothing else does.
_GUARDS = words(
    "test [ [[ type which hash cd pushd popd : . source export set sleep umask ulimit true false wait trap unset "
    "local eval exit return shift for case select function break continue in"
)
_LOOKS = words(
    "ping ping6 fping pgrep pidof grep egrep fgrep zgrep mountpoint diff cmp date ps echo printf read mkdir cat sed "
    "awk gawk mawk cut sort uniq head wc tr tee xargs seq jot logger mail mailx sendmail touch ls stat expr nc "
    "on_ac_power hostname id whoami uname who lsof gzip bzip2 xz zstd killall kill pkill rm chmod chown ln ssh-agent "
    "ssh-add perl flock systemd-notify svok ifconfig ip dirname basename readlink realpath mktemp"
)
# Tools that say nothing of the purpose: what they are pointed at does.
_TOOLS = words(
    "find rsync rm tar cp mv curl wget tail truncate zip chown chmod ssh scp tmpreaper tmpwatch logrotate ln unison "
    "rclone sqlite3 gzip make http fetch lynx links aria2c"
)
# Scripts that everybody calls so, and folders that everybody has.
_EVERYBODYS = words("cron run main index job script start task tasks")
_FOLDERS = words(
    "bin sbin scripts script src lib usr local opt home srv var www html public public_html htdocs web app current cron"
    " etc root tmp"
)
_TMUX_OPTIONS = words("-s -n -c -t -x -y -e -F")
# They make a shell ready.
_SHELL_TOOLS = words("conda mamba micromamba rvm nvm pyenv rbenv workon sdk fnm asdf mise direnv")
_NO_WORDS = _LOOKS | words("mutt swaks notify-send wall")
_TOOL_OPTIONS = {
    "curl": "-o -d -H -u -X -A -m -T -F -b -c -e -x --data --header --user --output --max-time --request --retry"
            " --connect-timeout --user-agent --cacert --cert --key --data-raw --data-binary --url-query",
    "wget": "-O -o -P -t -T -U -a -i -e --user --password --output-document --timeout --tries --user-agent --header",
    "rsync": "-e --rsh --exclude --include --exclude-from --files-from --bwlimit --password-file --log-file --timeout",
    "tar": "-C -f --file -X --exclude -T --directory",
    "ssh": "-p -i -l -o -F -L -R -D -c -J",
    "scp": "-P -i -o -F -c -l",
    "logrotate": "-s --state -m --mail",
    "tail": "-n -c",
    "truncate": "-s --size",
    "make": "-f -j -I",
}  # fmt: skip
_GLOBALS = {
    "git": "-C -c --git-dir --work-tree",
    "drush": "-r -l -u --root --uri",
    "wp": "--path --url --user",
    "aws": "--profile --region --output",
    "systemctl": "",
    "restic": "-r --repo -p --password-file",
    "kubectl": "-n --namespace --context --kubeconfig",
}
_SUBCOMMAND = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[:_@-]+[A-Za-z0-9]+)*(?:\.(?:service|timer))?")
_FILE = re.compile(
    r"\.(log|txt|conf|cfg|ini|ya?ml|json|xml|sql|gz|zip|tgz|tar|bz2|xz|out|err|db|csv|html?|pid|lock|sh|py|php|pl|rb|js)$"
)
_SECRET = re.compile(r"pass|pwd|secret|token|key|auth|cred|user", re.IGNORECASE)
_MOST_WORDS = 2


class _Found(NamedTuple):
    name: str
    weight: int  # 3: the work; 2: something that is often only a look; 1: a preparation; 0: nothing
    rest: tuple[Word, ...] = ()  # what its program is given
    folder: str = ""  # that it lies in


def job_name(command: str) -> str:
    """`cd /srv && /usr/bin/python3 -u bin/report.py weekly --all` -> report-weekly."""
    return _named(command, 0).name or "job"


def job_names(commands: Sequence[str], taken: Collection[str] = (), also: Sequence[str] = ()) -> list[str]:
    """A name for each, none twice and none of those that are taken.

    Commands that would be called alike are told apart by the first word in which they differ, then by `also` (whose
    it is, the file), and only when nothing differs by a number.
    """
    names = [job_name(command) for command in commands]
    names = _told_apart(names, taken, lambda at: _details(commands[at]))
    if also:
        names = _told_apart(names, taken, lambda at: [_slug(also[at])] if also[at] else [])
    used = set(taken)
    numbers: dict[str, int] = {}  # the last one that was tried: a thousand of one name are not counted anew for each
    for at, name in enumerate(names):
        names[at] = unused(name, used, numbers)
        used.add(names[at])
    return names


def unused(name: str, taken: Collection[str], numbers: dict[str, int] | None = None) -> str:
    number, found = 1, name
    if numbers is not None and name in taken:
        number = numbers.get(name, 1)
    while found in taken:
        number += 1
        found = f"{name[: NAME_LENGTH - len(str(number)) - 1]}-{number}"
    if numbers is not None:
        numbers[name] = number
    return found


def _told_apart(names: list[str], taken: Collection[str], details: Callable[[int], list[str]]) -> list[str]:
    groups: dict[str, list[int]] = {}
    for at, name in enumerate(names):
        groups.setdefault(name, []).append(at)
    found = list(names)
    for name, members in groups.items():
        if len(members) == 1 and name not in taken:
            continue
        words = {at: details(at) for at in members}
        for place in range(max(map(len, words.values()), default=0)):
            there = [words[at][place] if place < len(words[at]) else "" for at in members]
            if len(set(there)) > 1 or (name in taken and any(there)):
                for at, word in zip(members, there, strict=True):
                    if word and word not in name.split("-"):
                        found[at] = f"{name}-{word}"[:NAME_LENGTH].strip("-_")
                break
    return found


def _details(command: str) -> list[str]:
    """What may tell it from another command of the same name: what its program is given, and where that lies.

    No argument of a short option, nor of one that is called like a secret: it may be one.
    """
    found = _named(command, 0)
    details: list[str] = []
    hidden = False
    for word in found.rest:
        if hidden:
            hidden = word.text.startswith("-")
        elif re.match(r"-[^-]", word.text):
            hidden = len(word.text) == 2
        elif word.text.startswith("--"):
            name, equals, value = word.text[2:].partition("=")
            hidden = _SECRET.search(name) is not None and not equals
            details += [_slug(name), *([_slug(_last_part(value))] if equals and not _SECRET.search(name) else [])]
        elif not _ASSIGNMENT.match(word.raw):
            said = word.text.split() or [""]
            details.append(_slug("-".join([*said[:-1][:2], _last_part(said[-1])][:3])))
    return [*details, _slug(found.folder)]


# --- one command -----------------------------------------------------------------------------------------------------


def _named(text: str, depth: int) -> _Found:
    best = _Found("", 0)
    for simple in parse(text).commands:
        found = _of_simple(simple, depth)
        if found.weight == 3:
            return found
        if found.name and (found.weight > best.weight or not best.name):
            best = found
    return best


def _of_simple(simple: Simple, depth: int) -> _Found:
    words = list(simple.words)
    while words and (words[0].raw in _GRAMMAR or _ASSIGNMENT.match(words[0].raw)):
        del words[0]
    return _of_words(words, depth) if words and depth < _DEEPEST else _Found("", 0)


def _of_words(words: list[Word], depth: int) -> _Found:
    """The name of `sudo -u bob nice tar …`: wrappers off, one after the other."""
    if not words or depth > 4 * _DEEPEST:
        return _Found("", 0)
    base = _last_part(words[0].text)
    rest = words[1:]
    options, positional = _WRAPPERS.get(base, ("", -1))
    if base in _SHELL_TOOLS and rest and rest[0].text in ("activate", "use", "init", "shell"):
        return _Found(base, 1)
    if base in _GUARDS or (base == "command" and rest and rest[0].text in ("-v", "-V")):
        return _Found(_slug(base), 1)
    if base in ("su", "runuser"):
        return _of_su(rest, depth) or _Found(base, 3)
    if base in ("flock", "lockf") and (script := _option_value(rest, "-c")):
        return _named(script, depth + 1)
    if positional >= 0:
        inner = _behind_options(rest, options.split(), positional)
        return _of_words(inner, depth + 1) if inner else _Found(_slug(base), 2)
    if base in _PAIRS and rest and any(word.text in _PAIRS[base] for word in rest[:3]):
        at = next(at for at, word in enumerate(rest) if word.text in _PAIRS[base])
        inner = _behind_options(rest[at + 1 :], list(_PAIR_OPTIONS), 1 if base == "cronitor" else 0)
        return _of_words(inner, depth + 1) if inner else _Found(base, 3)
    if base in _CONTAINERS:
        inner = _in_container(rest)
        return _of_words(inner, depth + 1) if inner else _of_program(base, _behind_options(rest, _CONTAINER_OPTIONS, 0))
    if base == "tmux" and rest and rest[0].text in ("new", "new-session"):
        inner = _behind_options(rest[1:], _TMUX_OPTIONS, 0)
        if inner:
            return _named(" ".join(word.raw for word in inner) if len(inner) > 1 else inner[0].text, depth + 1)
    if _SHELLS.fullmatch(base):
        return _of_shell(base, rest, depth)
    if _INTERPRETERS.fullmatch(base):
        return _of_interpreter(base, rest, depth)
    if base in ("run-parts", "run-crons"):
        folder = next((word for word in reversed(rest) if not word.text.startswith("-")), None)
        return _Found(_slug(_last_part(folder.text)) or base if folder else base, 3)
    return _of_program(_program(words[0].text), rest, words[0].text)


def _program(text: str) -> str:
    """The last part of its path; with the folder in front of it that says whose it is, where all are called so."""
    base = _last_part(text)
    if _SUFFIX.sub("", base) not in _EVERYBODYS:
        return base
    folders = [part for part in re.sub(r"\$\{?\w+\}?", "", text).split("/")[:-1] if _slug(part)]
    folder = next((part for part in reversed(folders) if part not in _FOLDERS and not part.startswith(".")), "")
    if not folder and folders and folders[-1] in ("app", "web", "html", "public", "htdocs", "scripts", "src"):
        folder = folders[-1]
    return f"{_slug(folder)}-{base}" if folder else base


def _of_program(base: str, rest: list[Word], path: str = "") -> _Found:
    folder = _last_part(path.rpartition("/")[0]) if "/" in path else ""
    return _called(base, rest)._replace(rest=tuple(rest), folder=folder)


def _called(base: str, rest: list[Word]) -> _Found:
    stem = _SUFFIX.sub("", base)
    name = _slug(stem)
    if not name:
        return _Found("", 0)
    if base in _TOOLS:
        target = _target(base, rest)
        return _Found(f"{name}-{target}"[:NAME_LENGTH].strip("-_") if target else name, 2 if base in _LOOKS else 3)
    if base in _NO_WORDS:
        return _Found(name, 2)
    said = _sub_commands(_behind_globals(base, rest))
    if stem in _DOORS and said and stem != "manage":
        return _Found("-".join(said)[:NAME_LENGTH].strip("-_"), 3)
    return _Found("-".join([name, *said])[:NAME_LENGTH].strip("-_"), 3)


def _behind_globals(base: str, rest: list[Word]) -> list[Word]:
    """`git -C /srv/repo pull`, `wp --path=/srv cron`: options of the program stand in front of what it is to do."""
    if base in _GLOBALS:
        return _behind_options(rest, _GLOBALS[base].split(), 0)
    at = next((at for at, word in enumerate(rest) if not re.match(r"--[a-z-]+=", word.text)), len(rest))
    return rest[at:]


def _sub_commands(rest: list[Word]) -> list[str]:
    """The words behind a program that say which of its works is meant: up to the first option, path or value."""
    said: list[str] = []
    for word in rest:
        fits = word.plain and _SUBCOMMAND.fullmatch(word.text) and not _FILE.search(word.text)
        if not fits or len(said) == _MOST_WORDS or len(word.text) > 30:
            break
        said.append(_slug(word.text))
        if ":" in word.text:  # `log:rotate` says it all
            break
    return said


def _target(base: str, rest: list[Word]) -> str:
    """What a tool is pointed at: the last part of its first argument that is none of an option."""
    options = _TOOL_OPTIONS.get(base, "").split()
    for at, word in enumerate(_behind_options(rest, options, 0, everywhere=True)):
        if base == "tar" and at == 0 and re.fullmatch(r"[A-Za-z]+", word.text):
            continue
        text = word.text
        if "://" in text or re.match(r"www\.|localhost", text):
            host, _, path = re.sub(r"[?#].*", "", text.rpartition("://")[2]).rstrip("/").partition("/")
            text = path or host.rpartition("@")[2].partition(":")[0]
        parts = [_last_part(text), _last_part(text.rstrip("/").rpartition("/")[0])]
        bare = [_SUFFIX.sub("", _FILE.sub("", part)) for part in parts if not re.fullmatch(r"\.\w+|", part)]
        target = next((slug for part in bare if (slug := _slug(part))), "")
        if target and not target.isdigit():
            return target
    return ""


def _of_su(rest: list[Word], depth: int) -> _Found | None:
    script = _option_value(rest, "-c") or _option_value(rest, "--command")
    if script:
        return _named(script, depth + 1)
    inner = _behind_options(rest, ["-u", "-s", "-g", "-G", "--user", "--shell", "--group"], 0)
    if inner and any(word.text in ("-u", "--user") for word in rest):
        return _of_words(inner, depth + 1)
    return None


def _of_shell(base: str, rest: list[Word], depth: int) -> _Found:
    for at, word in enumerate(rest):
        if re.fullmatch(r"-[A-Za-z]*c", word.text):
            script = next((other for other in rest[at + 1 :] if not other.text.startswith("-")), None)
            return _named(script.text, depth + 1) if script else _Found(base, 2)
        if not word.text.startswith(("-", "+")):
            if rest[at - 1].text in ("-o", "+o", "-O") and at:
                continue
            return _of_program(_program(word.text), rest[at + 1 :], word.text)
    return _Found(base, 2)


def _of_interpreter(base: str, rest: list[Word], depth: int) -> _Found:
    takes = {"-d", "-c", "-W", "-X", "-I", "-M", "-z", "-cp", "-classpath", "--class-path", "-r", "-B", "-R", "-E"}
    java = base == "java"
    php = base.startswith("php")
    skip = False
    for at, word in enumerate(rest):
        text = word.text
        if skip:
            skip = False
        elif text == "-m" and base.startswith(("python", "pypy")) and at + 1 < len(rest):
            return _of_program(rest[at + 1].text.removesuffix(".__main__").rpartition(".")[2], rest[at + 2 :])
        elif (text in ("-e", "-E", "-ne", "-pe", "-le", "--eval", "-p") and not php and not java) or (
            text in ("-r", "-c") and (php or base.startswith(("python", "pypy"))) and text == ("-r" if php else "-c")
        ):
            return _Found(_slug(base), 2)
        elif text in ("-jar", "-f", "--file") or (text == "-q" and php):
            continue
        elif text in takes:
            skip = True
        elif text.startswith("-"):
            continue
        else:
            script = _program(text)
            if java and "." in text and not text.endswith(".jar"):
                script = text.rpartition(".")[2]
            if script in _WRAPPERS or script in _PAIRS:
                return _of_words([Word(script, script, True), *rest[at + 1 :]], depth + 1)
            return _of_program(script, rest[at + 1 :], text)
    return _Found(_slug(base), 2)


def _in_container(rest: list[Word]) -> list[Word]:
    """What runs in the container of `docker compose -f x exec -T web cmd`; else which one it is."""
    verbs = ("exec", "run")
    at = next((at for at, word in enumerate(rest) if word.text in verbs), -1)
    if at < 0:
        return []
    behind = rest[at + 1 :]
    if any(word.text == "--" for word in behind):
        cut = next(at for at, word in enumerate(behind) if word.text == "--")
        return behind[cut + 1 :]
    inner = _behind_options(behind, _CONTAINER_OPTIONS, 0)
    if len(inner) > 1 and not inner[1].text.startswith("-"):
        return inner[1:]
    if not inner:
        return []
    image = re.sub(r"(@.*|:[^/]*)$", "", inner[0].text)
    return [inner[0]._replace(text=image)]


def _behind_options(
    words: list[Word], takes: Collection[str], positional: int, *, everywhere: bool = False
) -> list[Word]:
    """The words behind a wrapper's own options and arguments. `everywhere`: options may come later, too."""
    found: list[Word] = []
    skip = False
    for at, word in enumerate(words):
        if skip:
            skip = False
        elif word.text == "--" and not everywhere:
            return words[at + 1 :][positional:]
        elif word.text.startswith("-") and len(word.text) > 1:
            # `-Hu bob` is `-H -u bob`.
            skip = word.text in takes or (word.text[1:].isalpha() and f"-{word.text[-1]}" in takes)
        elif _ASSIGNMENT.match(word.raw) and not everywhere:
            continue
        elif everywhere:
            found.append(word)
        elif positional:
            positional -= 1
        else:
            return words[at:]
    return found


def _option_value(words: list[Word], option: str) -> str:
    for word, value in pairwise(words):
        if word.text == option:
            return value.text
    joined = next((word.text for word in words if word.text.startswith(f"{option}=")), "")
    return joined.partition("=")[2]


# --- words -----------------------------------------------------------------------------------------------------------


def _last_part(text: str) -> str:
    """The last part of a path; of one that is expanded, what is not. `$HOME/bin/x` -> x, `"$BACKUP"` -> BACKUP."""
    bare = re.sub(r"\$\([^)]*\)?|`[^`]*`?|\$\{[^}]*\}?|\$[A-Za-z_][A-Za-z0-9_]*|\$.", "", text)
    part = bare.rstrip("/").rpartition("/")[2]
    if _slug(part) or text != bare:
        named = re.search(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)", text)
        return part if _slug(part) or named is None else named[1].lower()
    return part


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-_")[:NAME_LENGTH].strip("-_")
