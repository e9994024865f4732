"""Whether the commands of a crontab have a user in front of them, and whose crontab it is: what its path says, what its
words say. What is on this machine is asked through `Machine`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from jobctl.core.record import NamedTuple
from jobctl.crontab.shell import Word, parse, words

# In the images and packages of others there are users that this machine does not have.
_KNOWN = words(
    "root daemon bin sys sync games man lp mail news uucp proxy www-data backup list irc gnats nobody apache nginx "
    "http www mysql postgres postfix redis mongodb git gitlab gitlab-www ubuntu debian centos ec2-user vagrant admin "
    "deploy deployer jenkins tomcat zabbix nagios munin asterisk smmsp operator _apt sshd named bind ntp clamav "
    "amavis mailman nextcloud owncloud wordpress app web webapp cron prometheus grafana elasticsearch logcheck "
    "debian-spamd www-run wwwrun oracle hdfs hadoop hive solr rundeck puppet ansible homeassistant pi"
)
# Users that are called as commands and scripts are, too.
_AMBIGUOUS = words("backup app web list cron games mail man sync news deploy admin operator git lp pi named")
_PLACEHOLDER = re.compile(r"[#@%_<{\[]{1,3} ?\$?[A-Za-z][\w .-]* ?[#@%_>}\]]{1,3}|\$\{?[A-Z_]*USER(NAME)?\}?")
_NAME = re.compile(r"[a-z_][a-z0-9_.-]{0,31}\$?")
_PROGRAM = re.compile(r"(^|/)s?bin/|^(\./|\.\./|~/|\$\{?\w+\}?/)|\.(sh|bash|py|pl|rb|php|js|jar)$")
_BUILTINS = words(
    "cd test [ [[ . : source export set umask if for while until case eval exec command echo printf true false exit "
    "time { ( ! sleep wait trap ulimit alias type hash"
)
# Known by everybody, also where they are not installed.
_PROGRAMS = words(
    "sudo su doas nice ionice env nohup flock timeout chronic cronic solo run-one run-parts bash sh zsh dash ksh "
    "python python2 python3 perl ruby php node java docker docker-compose podman kubectl git svn hg make ant mvn "
    "bundle rake rails composer artisan drush wp npm yarn npx brew curl wget rsync rclone restic borg duplicity duply "
    "tar find mysqldump mysql pg_dump psql mongodump certbot logrotate systemctl service apt-get aptitude yum dnf apk "
    "pacman zfs lvm smartctl freshclam rkhunter sa-learn newsyslog periodic atrun savecore fstrim ntpdate hwclock "
    "modprobe reboot shutdown poweroff aws gcloud az s3cmd ansible ansible-playbook puppet chef-client vacuumdb "
    "reindexdb goaccess awstats webalizer"
)

_SPOOL = re.compile(
    r"(^|/)(var/spool/cron(/crontabs|/tabs)?|var/cron/tabs|usr/lib/cron/tabs)/(?P<user>[^/]+)$|^/etc/crontabs/(?P<alpine>[^/]+)$"
)
_SYSTEM = re.compile(r"(^|/)(etc/crontab|(etc/)?cron\.d/[^/]+)$")


class Machine(Protocol):
    def has_user(self, name: str) -> bool: ...

    def has_program(self, name: str) -> bool: ...


class Evidence(NamedTuple):
    """What the first words of the commands say."""

    users: int  # lines whose first word is a user
    commands: int  # lines whose first word is a command
    words: tuple[str, ...]  # the users, as they stand there


def has_user_field(path: str) -> bool:
    """Whether it is a file that cron reads with a user in front of each command: /etc/crontab, /etc/cron.d/*."""
    return _SYSTEM.search(path) is not None


def owner(path: str) -> str:
    """Whose crontab it is by the folder of crontabs that it lies in; "" for any other file."""
    match = _SPOOL.search(path)
    return (match["user"] or match["alpine"]) if match else ""


def evidence(commands: Sequence[str], machine: Machine) -> Evidence:
    """Of commands that were read as if there were no user in front of them."""
    firsts = [_first_words(command) for command in commands]
    same = len({first.text for first, _ in firsts if first}) == 1
    users = [first.text for first, second in firsts if first and _is_user(first, second, machine, same=same)]
    programs = sum(1 for first, _ in firsts if first and first.text not in users and _is_program(first, machine))
    return Evidence(len(users), programs, tuple(dict.fromkeys(users)))


def speaks_for_users(found: Evidence, total: int) -> bool:
    """Whether most lines begin with a user, so that a reading without one cannot be right."""
    return found.users > 0 and 3 * found.users >= 2 * total


def speaks_against_users(found: Evidence, total: int) -> bool:
    return found.users == 0 and found.commands > 0 and 3 * found.commands >= 2 * total


def _first_words(command: str) -> tuple[Word | None, Word | None]:
    blank = re.match(r"\s*(\S+)\s+(\S+)", command)
    if blank and _PLACEHOLDER.fullmatch(blank[1]):  # `#USER# cmd`: a comment for a shell
        return Word(blank[1], blank[1], False), Word(blank[2], blank[2], False)
    commands = parse(command).commands
    words = commands[0].words if commands else []
    return (words[0] if words else None), (words[1] if len(words) > 1 else None)


def _is_user(first: Word, second: Word | None, machine: Machine, *, same: bool) -> bool:
    if second is None:
        return False
    if _PLACEHOLDER.fullmatch(first.raw):
        return not first.raw.startswith("$") or _looks_run(second, machine)
    if first.raw != first.text or not _NAME.fullmatch(first.text):
        return False
    known = machine.has_user(first.text) or first.text in _KNOWN
    program = machine.has_program(first.text) or first.text in _PROGRAMS or first.text in _BUILTINS
    if known and first.text in _AMBIGUOUS:
        return _PROGRAM.search(second.text) is not None or ("/" not in second.text and _is_program(second, machine))
    if known:
        return not program or _looks_run(second, machine)
    return not program and _PROGRAM.search(second.text) is not None and (same or "/" in second.text)


def _looks_run(word: Word, machine: Machine) -> bool:
    return _is_program(word, machine) or "/" in word.text or re.match(r"[A-Za-z_]\w*=", word.text) is not None


def _is_program(word: Word, machine: Machine) -> bool:
    text = word.text
    if "/" in text:
        return _PROGRAM.search(text) is not None or text.startswith("/")
    return (
        text in _BUILTINS
        or text in _PROGRAMS
        or machine.has_program(text)
        or re.match(r"[A-Za-z_]\w*=", text) is not None
    )
