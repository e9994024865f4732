"""Crontabs of strangers, imported: what 148 real files, and the crons they were written for, taught.

Fire times of BusyBox and supercronic are in data/other_crons.jsonl.gz: the first by its own ParseField, FixDayDow and
flag_starting_jobs over each minute, the second by its own cronexpr. Clock changes are in the first only: what
supercronic does then depends on what Go makes of a time that is not there.
"""

from __future__ import annotations

import gzip
import json
import os
import tomllib
import zoneinfo
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobctl.cli import crontab_files
from jobctl.cli.main import main
from jobctl.core.definition import jobs as definition
from jobctl.core.model import Job
from jobctl.core.schedule.schedule import fires
from jobctl.core.schedule.zones import changes_in, load, offset_at
from jobctl.crontab import Became, Dialect, How, Source, busybox, convert, convert_all, to_toml
from jobctl.crontab.names import job_name, job_names

DATA = Path(__file__).parent.parent / "data" / "other_crons.jsonl.gz"
ROWS = [json.loads(line) for line in gzip.decompress(DATA.read_bytes()).splitlines()]
DAY = 86_400

Output = pytest.CaptureFixture[str]


def jobs_of(text: str, dialect: Dialect = Dialect.DEBIAN, **how: Any) -> dict[str, Job]:
    found = convert(text, dialect, **{"user_field": False, "user": "ann", **how})
    definitions, problems = definition.parse(to_toml(found).encode(), file="jobs.toml", folder="/")
    assert definitions is not None, [str(problem) for problem in problems]
    return dict(definitions.jobs)


def only(text: str, dialect: Dialect = Dialect.DEBIAN, **how: Any) -> Job:
    (job,) = jobs_of(text, dialect, **how).values()
    return job


def why(text: str, dialect: Dialect = Dialect.DEBIAN) -> str:
    return convert(text, dialect, user_field=False, user="ann").lines[-1].why


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with no file of the user's around it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("JOBCTL_STATE_DIR", str(tmp_path / "state"))
    for name in ("JOBCTL_FILE", "JOBCTL_DEBUG", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("$HOME/src/gh-backup/backup.py >> $HOME/src/gh-backup/log 2>&1", "backup"),
        ("test -x $HOME/.cron/every-hour.sh && $HOME/.cron/every-hour.sh > /dev/null 2>&1", "every-hour"),
        ("${HOME}/.local/src/cron/battery.sh", "battery"),
        ("/bin/sh $SUGARD/bin/renew-certs >/dev/null", "renew-certs"),
        ('"$BACKUP_COMMAND" --all', "backup_command"),
        (r"test -x /usr/bin/certbot -a \! -d /run/systemd/system && perl -e 'sleep int(rand(9))' && certbot -q renew",
         "certbot"),
        ("if [ -x /x ] && [ $(date +%d) -le 7 ]; then /usr/share/mdadm/checkarray --cron --all; fi", "checkarray"),
        ("command -v debian-sa1 > /dev/null && debian-sa1 1 1", "debian-sa1"),
        ("if ! nocache nice ionice -c3 /usr/sbin/fcheck -a > /run/x 2>&1; then mailx -s x root </run/x; fi", "fcheck"),
        ("sleep $(( ( RANDOM % 600 ) + 1 ))m && test -x /opt/pull && /opt/pull --quiet", "pull"),
        ("[ $(du -k .xsession-errors | cut -f1) -gt 5000000 ] && tail -n 100 .xsession-errors", "tail-xsession-errors"),
        ("su -s/bin/bash www-data -c 'cd /srv && bundle exec rake congress:update'", "rake-congress-update"),
        ('bash -c "CLUSTER=\\$(hostname); /opt/snapshot.sh \\$CLUSTER"', "snapshot"),
        ("cronic ./symfony log:rotate frontend prod", "symfony-log-rotate"),
        ("solo -port=3801 ./symfony project:send-emails", "symfony-project-send-emails"),
        ("run-parts --report /etc/cron.daily", "cron-daily"),
        ("test -x /usr/sbin/anacron || { cd / && run-parts --report /etc/cron.weekly; }", "cron-weekly"),
        ("brew upgrade", "brew-upgrade"),
        ("periodic monthly", "periodic-monthly"),
        ("duply root backup", "duply-root-backup"),
        ("/srv/manage.py runjobs daily", "manage-runjobs-daily"),
        # Of the same kinds.
        ("type -p mandb >/dev/null 2>&1 && nice -n 19 mandb --quiet", "mandb"),
        ("which ntpdate > /dev/null; /usr/sbin/ntpdate -s time.example.org", "ntpdate"),
        ("docker compose -f /srv/c.yml exec -T web python manage.py clearsessions", "manage-clearsessions"),
        ("docker exec -u www-data nextcloud php -f /var/www/nextcloud/cron.php", "nextcloud-cron"),
        ("docker run --rm -v /a:/b registry.example.org/tools/backup:1.2", "backup"),
        ("kubectl exec -n x pod-1 -- /usr/bin/vacuum --full", "vacuum"),
        ("php artisan schedule:run >> /dev/null 2>&1", "schedule-run"),
        ("cd /srv && /usr/bin/php -d memory_limit=1G bin/console cache:clear -e prod", "cache-clear"),
        ("python3 -m awslogs.main fetch", "main-fetch"),
        ("runuser -u postgres -- pg_dumpall -f /b/all.sql", "pg_dumpall"),
        ("su - postgres -c 'pg_dumpall > /b/all.sql'", "pg_dumpall"),
        ("flock -n /run/x.lock -c '/opt/import.sh all'", "import-all"),
        ("/usr/bin/env -i HOME=/x PATH=/bin bash -lc 'bin/rails runner Cleanup'", "rails-runner-Cleanup"),
        ("for d in a b; do /opt/work $d; done", "work"),
        ("ping -c1 host >/dev/null && /opt/sync-all.sh", "sync-all"),
        ("(cd /srv && ./nightly.sh) 2>&1 | logger -t nightly", "nightly"),
        ("curl -fsS -m 10 'https://example.org/tasks/reindex?key=hunter2' > /dev/null", "curl-reindex"),
        ("wget -qO- http://user:hunter2@example.org/", "wget-example-org"),
        ("rsync -a --exclude /proc -e ssh /home/ host:/b", "rsync-home"),
        ("find /var/cache/x -type f -mtime +7 -delete", "find-x"),
        ("/opt/a.sh > /tmp/b 2>&1 & ", "a"),
        ("/opt/a.sh >& /tmp/b; date", "a"),
        ("echo done", "echo"),
        ("date=`date -I`; rm /b/sql/${date}.sql", "rm-sql"),
        ("source ~/.bashrc && conda activate x && python b.py", "b"),
        ("docker-compose -f /srv/c.yml up -d", "docker-compose-up"),
        ("/usr/bin/screen -dmS bot /home/pi/bot/start.sh", "bot-start"),
        ("sudo -Hu postgres psql -c 'VACUUM'", "psql"),
        ("/usr/local/bin/ea-php72 /home/u/public_html/artisan queue:work --stop", "queue-work"),
        ("/usr/local/rvm/bin/rvm default do bundle exec rake a:b", "rake-a-b"),
        ("wp --path=/var/www/html cron event run --due-now", "wp-cron-event"),
        ("git -C /srv/repo pull -q", "git-pull"),
        ("/usr/sbin/ntpdate pool.ntp.org > /dev/null 2>&1; /sbin/hwclock -w", "ntpdate"),
        ("systemctl restart nginx.service", "systemctl-restart-nginx-service"),
        ("tmux new-session -d -s foo 'python3 /x/listen.py --all'", "listen"),
    ],
)  # fmt: skip
def test_a_job_is_called_after_what_it_runs(command: str, name: str) -> None:
    assert job_name(command) == name


STABLE = [
    "run-parts --report /etc/cron.hourly",
    "brew update",
    "/srv/manage.py runjobs daily",
    "/usr/bin/php /var/www/a/bin/magento cron:run",
    "/opt/backup.sh --to nas",
    "rsync -a /home /b",
]


@pytest.mark.parametrize(
    "more",
    [
        "run-parts --report /etc/cron.15min",
        "brew cleanup",
        "/srv/manage.py runjobs hourly",
        "/usr/bin/php /var/www/a/bin/magento index:run",
        "rsync -a /etc /b",
        "/opt/other.sh",
    ],
)
def test_a_line_that_is_put_in_renames_no_other(more: str) -> None:
    before = dict(zip(STABLE, job_names(STABLE), strict=True))
    for at in range(len(STABLE) + 1):
        lines = [*STABLE[:at], more, *STABLE[at:]]
        after = dict(zip(lines, job_names(lines), strict=True))
        assert {line: after[line] for line in STABLE} == before
        assert len(set(after.values())) == len(lines)


def test_no_name_repeats_what_may_be_a_secret() -> None:
    lines = [
        "redis-cli -a hunter2 save",
        "redis-cli -a hunter3 save",
        "mysqldump -uroot -phunter2 app",
        "mysqldump -uroot -phunter3 app",
        "/opt/x.sh --api-key hunter2",
        "/opt/x.sh --api-key hunter3",
        "/opt/y.sh --token=hunter2",
        "/opt/y.sh --token=hunter3",
        "curl -u me:hunter2 https://example.org/a?key=hunter2",
    ]
    assert "hunter" not in " ".join(job_names(lines))


def test_what_cannot_be_told_by_its_first_words_is_told_by_the_first_that_differs() -> None:
    lines = ["/opt/b.sh --to nas", "/opt/b.sh --to cloud", "/opt/b.sh --to tape", "/opt/c", "/opt/c"]
    assert job_names(lines) == ["b-nas", "b-cloud", "b-tape", "c", "c-2"]
    assert job_names(["/opt/b.sh"] * 2, also=["ann", "bob"]) == ["b-ann", "b-bob"]
    assert job_names(["/opt/b.sh --to nas"], taken={"b"}) == ["b-to"]


# --- is there a user in front? ---------------------------------------------------------------------------------------


class NoMachine:
    """A machine with nothing on it but what every one has."""

    def has_user(self, name: str) -> bool:
        return name in ("root", "backup", "mail", "sync", "www-data")

    def has_program(self, name: str) -> bool:
        return name in ("sh", "sync", "tar", "find", "install", "test")


@pytest.fixture
def no_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crontab_files, "ThisMachine", NoMachine)


USERS = [
    "*/1 * * * * www-data /usr/local/bin/php /var/www/html/bin/magento cron:run\n",
    "*/5 * * * * opsifin_admin /opt/bin/a.sh\n7 * * * * opsifin_admin /opt/bin/b.sh\n",
    "0 1 * * * #USER# /srv/app/bin/nightly\n",
    "0 1 * * * {{app_user}} /srv/app/bin/nightly\n",
    "0 1 * * * __USER__ cd /srv && ./x\n",
    "0 1 * * * root tar cf /b /home\n@daily\troot\tfind /tmp -delete\n0 2 * * * backup-all --now\n",
    "30 2 * * * backup /usr/bin/pg_dumpall\n",
    "30 2 * * * mail /usr/lib/mailman/bin/senddigests\n",
]
NO_USERS = [
    "0 1 * * * mail -s report ann < /tmp/x\n",
    "0 1 * * * sync\n",
    "0 1 * * * backup /srv/data\n",
    "0 1 * * * brew update\n0 2 * * * brew upgrade\n",
    "0 1 * * * rclone sync /a remote:/a\n",
    "0 1 * * * php /srv/x.php\n0 2 * * * php /srv/y.php\n",
    "0 1 * * * cronic ./a.sh\n0 2 * * * cronic ./b.sh\n",
    "0 1 * * * apt-get install -y x\n",
    "0 1 * * * flexget --cron execute\n",
    "0 1 * * * mytool /srv/data\n",
    "0 1 * * * $HOME/x.sh y\n",
    "0 1 * * * git pull\n",
    "0 1 * * * cd /srv && ./x\n",
]


@pytest.mark.usefixtures("no_machine")
@pytest.mark.parametrize("text", USERS)
def test_a_user_field_that_was_forgotten_is_an_error_with_what_to_type(text: str, folder: Path, capsys: Output) -> None:
    (folder / "my cron").write_text(text)
    assert main(["import", "crontab", "my cron", "--dialect", "cronie", "-o", "jobs.toml"]) == 1
    out, err = capsys.readouterr()
    assert not (folder / "jobs.toml").exists()
    assert err.startswith("error: my cron: these lines have a user in front of the command: ")
    [hint] = [line for line in err.splitlines() if line.startswith("hint: ")]
    assert hint.startswith("hint: jobctl import crontab 'my cron' --dialect cronie -o jobs.toml --user-field;")
    assert out == ""
    assert main(["import", "crontab", "my cron", "--no-user-field", "-o", "jobs.toml"]) == 0
    assert main(["import", "crontab", "my cron", "--user-field", "-o", "other.toml"]) == 0


@pytest.mark.usefixtures("no_machine")
@pytest.mark.parametrize("text", NO_USERS)
def test_commands_are_not_taken_for_users(text: str, folder: Path) -> None:
    (folder / "crontab").write_text(text)
    assert main(["import", "crontab", "crontab", "-o", "jobs.toml"]) == 0


@pytest.mark.usefixtures("no_machine")
@pytest.mark.parametrize("path", ["etc/crontab", "etc/cron.d/app", "cron.d/app"])
def test_a_path_tells_that_there_is_a_user(path: str, folder: Path, capsys: Output) -> None:
    file = folder / path
    file.parent.mkdir(parents=True)
    file.write_text("0 1 * * * nobody-i-know ./x\n")
    assert main(["import", "crontab", path, "--sudo"]) == 0
    assert "sudo -H -u nobody-i-know -- /bin/sh -c ./x" in capsys.readouterr().out
    file.write_text("0 1 * * * /usr/bin/x\n0 2 * * * tar cf x y\n")
    assert main(["import", "crontab", path]) == 1
    err = capsys.readouterr().err
    assert f"jobctl import crontab {path} --no-user-field" in err
    assert main(["import", "crontab", path, "--no-user-field"]) == 0


# --- the crons of containers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['dialect']}-{row['expr']}-{row['zone']}")
def test_it_fires_when_busybox_and_supercronic_do(row: dict[str, Any]) -> None:
    how = How(Dialect(row["dialect"]), "root", zone=row["zone"])
    found = convert_all([Source(f"{row['expr']} cmd\n")], how)
    assert (Became.REFUSED in {line.became for line in found.lines}) == (row["next"] is None)
    if row["next"] is None:
        return
    definitions, problems = definition.parse(to_toml(found).encode(), file="jobs.toml", folder="/")
    assert definitions is not None, [str(problem) for problem in problems]
    (job,) = definitions.jobs.values()
    first, last = row["start"] * 1000, (row["start"] + 400 * DAY) * 1000
    if row["dialect"] == "supercronic":
        last = row["next"][-1] * 1000 if row["next"] else last
    times = sorted(time // 1000 for s in job.schedules for time in fires(s, first, last, row["zone"], 8))
    assert times[:8] == row["next"]


def test_no_clock_changes_at_an_hour_that_busybox_jobs_do_not_heed() -> None:
    hours = set()
    for name in sorted(zoneinfo.available_timezones() - {"localtime", "Factory"}):
        zone = load(name)
        for change in changes_in(zone, 1_767_225_600, 1_861_920_000):  # 2026 to 2028
            before, after = offset_at(zone, change - 1), offset_at(zone, change)
            skipped_or_twice = range(change + min(before, after), change + max(before, after), 60)
            hours |= {wall % DAY // 3600 for wall in skipped_or_twice}
    assert hours
    assert sum(1 << hour for hour in hours) & ~busybox.CHANGING_HOURS == 0


@pytest.mark.parametrize(
    ("text", "dialect", "command"),
    [
        ('0 5 * * * date +"%Y-%m-%d" >> /x\n', Dialect.BUSYBOX, 'date +"%Y-%m-%d" >> /x'),
        ('0 5 * * * date +"%Y-%m-%d" >> /x\n', Dialect.SUPERCRONIC, 'date +"%Y-%m-%d" >> /x'),
        ("0 5 * * * a # b\n", Dialect.BUSYBOX, "a"),
        ("0 5 * * * a # b\n", Dialect.SUPERCRONIC, "a # b"),
        ("0 5 * * * a \\\n  b\n", Dialect.BUSYBOX, "a   b"),
        ("* * * * * * * a b\n", Dialect.SUPERCRONIC, "a b"),
        ("0 5 * * * a\r\n", Dialect.SUPERCRONIC, "a"),
    ],
)
def test_commands_of_other_crons_are_read_as_they_do(text: str, dialect: Dialect, command: str) -> None:
    (step,) = only(text, dialect).steps
    assert step.command == command


def test_what_other_crons_do_beside_the_times() -> None:
    text = "0 5 * * * a\nSHELL=/bin/bash\nPATH=/x\nX=1\nMAILTO=ann\n0 6 * * * b\n"
    first, second = jobs_of(text, Dialect.BUSYBOX).values()
    assert (first.shell, second.shell, second.default_env | second.env) == ("/bin/sh", "/bin/bash", {"PATH": "/x"})
    assert [len(first.notify), len(second.notify)] == [0, 1]
    assert (first.cwd, str(first.overlap)) == ("~", "skip")
    first, second = jobs_of(text + "CRON_TZ=Asia/Tokyo\n", Dialect.SUPERCRONIC).values()
    assert first.shell == second.shell == "/bin/bash"  # its variables hold for the whole file
    assert (first.timezone, first.inherit_env, first.cwd, first.notify) == ("Asia/Tokyo", True, None, ())
    assert first.default_env["X"] == "1"


def test_neither_of_them_knows_users(folder: Path, capsys: Output) -> None:
    (folder / "crontab").write_text("0 5 * * * root /bin/x\n")
    assert main(["import", "crontab", "crontab", "--dialect", "busybox"]) == 0
    assert main(["import", "crontab", "crontab", "--dialect", "supercronic", "--user-field"]) == 2
    assert "error: supercronic has no crontabs with a user in them" in capsys.readouterr().err


# --- refusals, and the way out ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "way_out"),
    [
        ("* * * * * * * x", '--dialect supercronic: schedule = { every = "1s" }'),
        ("*/10 * * * * * * x", 'schedule = { every = "10s" }'),
        (
            "0 0 1 * * * x",
            '--dialect supercronic: schedule = "0 0 1 * *". If the first one is seconds, it is "0 1 * * *"',
        ),
        ("@Daily x", "write @daily"),
        ("@every 5m x", 'schedule = { every = "5m" }'),
        ("0 0 ? * * x", "write *"),
        ("0 0 L * * x", 'jobctl itself knows it: schedule = "0 0 L * *"'),
        ("0 0 * * 5L x", 'jobctl itself knows it: schedule = "0 0 * * 5L"'),
        ("H 3 * * * x", "jitter"),
        ("0 3 15W * * x", "mon#1"),
        ("0 3 * * monday x", "write mon"),
        ("0 24 * * * x", "midnight is hour 0"),
        ("5/10 * * * * x", "write 5-59/10"),
        ("0 0 31 2 * x", '"0 0 L 2 *"'),
        ("0 0 * * fri-sun x", "it would never fire"),
    ],
)
def test_each_refusal_says_how_jobctl_would_say_it(line: str, way_out: str) -> None:
    assert way_out in why(f"{line}\n")


# --- % ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        "tar czf /b/$(date +%Y-%m-%d).tgz /home",
        "mysqldump x > /b/`date +%F`.sql",
        'echo "$(date +"%H:%M") x" >> /log',
        "sh -c 'date +%s > /x'",
        "sleep $(( ( RANDOM % 600 ) + 1 ))m && x",
        "date +%F >> /x",
        "printf '%s\\n' x",
    ],
)
def test_a_percent_sign_that_cannot_have_worked_is_said_and_not_run(command: str) -> None:
    found = convert(f"0 1 * * * {command}\n", Dialect.DEBIAN, user_field=False, user="ann")
    [line], [table] = found.lines, found.jobs.values()
    assert line.became is Became.DISABLED
    assert "a percent sign is \\% there" in line.why
    assert 'schedule = "0 1 * * *"' in line.why
    assert table["command"] == command
    assert any("--dialect" in note for note in found.notes)


@pytest.mark.parametrize("command", ["cat%hello", "mail -s 'a b' bob%Hi%there", "date +\\%F", "echo 50\\%", "wall%50"])
def test_a_percent_sign_that_may_be_meant_is_kept(command: str) -> None:
    assert only(f"0 1 * * * {command}\n").schedules


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("mail -s 'a b' bob%Hi,%%it's me%", "mail -s 'a b' bob <<'END'\nHi,\n\nit's me\nEND\n"),
        ("cat%END", "printf '%s\\n' END | /bin/sh -c cat"),
        ("cat | tac%x", "printf '%s\\n' x | /bin/sh -c 'cat | tac'"),
        ("cat > /x%y", "printf '%s\\n' y | /bin/sh -c 'cat > /x'"),
        ("while read x%y", "printf '%s\\n' y | /bin/sh -c 'while read x'"),
    ],
)
def test_the_input_of_a_single_command_stands_behind_it(line: str, command: str) -> None:
    assert only(f"0 5 * * * {line}\n").steps[0].command == command
    csh = only(f"SHELL=/bin/csh\n0 5 * * * {line}\n").steps[0].command
    assert isinstance(csh, str)
    assert "| /bin/csh -c" in csh


# --- values, bytes ---------------------------------------------------------------------------------------------------


def test_a_file_of_dos_is_read_and_said_once() -> None:
    text = "\ufeff# Dump\r\nX=1\r\n\r\n0 5 * * * dump\r\n0 6 * * * other\r\n"
    found = convert(text, Dialect.DEBIAN, user_field=False, user="ann")
    assert [table["command"] for table in found.jobs.values()] == ["dump", "other"]
    assert found.jobs["dump"]["env"] == {"X": "1"}
    assert sum("DOS line ends" in note for note in found.notes) == 1
    assert sum("byte order mark" in note for note in found.notes) == 1
    assert "\r" not in to_toml(found)
    assert all("carriage" not in line.why for line in found.lines)


def test_utf_16_is_a_sentence(folder: Path, capsys: Output) -> None:
    (folder / "crontab").write_bytes("0 5 * * * x\n".encode("utf-16"))
    assert main(["import", "crontab", "crontab"]) == 1
    assert "UTF-16" in capsys.readouterr().err


# --- comments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("above", "description"),
    [
        ("# min hour day month weekday command\n", ""),
        ("# minute - hour - day of month - month - day of week\tcommand\n", ""),
        ("# m h dom mon dow user  command\n", ""),
        ("# .------- minute (0 - 59)\n# |  .------- hour (0 - 23)\n# *  *  user-name command to be executed\n", ""),
        ("#=====\n# Dump\n#=====\n", "Dump"),
        ("# First thing\n#\n# Dump\n", "Dump"),
        ("# By default, run at 00:57 on every Sunday, but do nothing unless the day of\n# the month is not 7; therefore"
         " this\n# hack (see #380425).\n",
         "By default, run at 00:57 on every Sunday, but do nothing unless the day of the month is not 7; therefore this"
         " hack (see #380425)."),
        ("# Nightly dump\n# Takes an hour\n", "Nightly dump. Takes an hour"),
        ("# caf\udce9\n", "café"),
        ("# café\n", "café"),
        ("#~ MAGENTO START 5f4dcc3b\n", ""),
        ("# Begin Whenever generated tasks for: app at: 2020-01-01\n", ""),
        ("#Ansible: nightly report\n", "nightly report"),
        ("# │    └──── day of week (0 - 7) (0 or 7 are Sunday, or use names)\n# └───── min (0 - 59)\n", ""),
        ("# Run every hour of the day\n", "Run every hour of the day"),
        ("#PASSWORD=hunter2\n", ""),
        ("# DO NOT EDIT THIS FILE - edit the master and reinstall.\n", ""),
    ],
)  # fmt: skip
def test_the_description_is_what_a_person_wrote(above: str, description: str) -> None:
    found = convert(f"{above}0 5 * * * cmd\n", Dialect.DEBIAN, user_field=False, user="ann")
    assert found.jobs["cmd"].get("description", "") == description
    assert "hunter2" not in to_toml(found)


def test_comments_about_more_than_one_line_stay_comments() -> None:
    found = convert(
        "# Jobs of db1\n\n####\n# Backups\n####\n0 1 * * * a\n0 2 * * * b\n\n# Old things\n\n0 3 * * * c\n# The end\n",
        Dialect.DEBIAN, user_field=False, user="ann",
    )  # fmt: skip
    text = to_toml(found)
    assert text.startswith("# Jobs of db1\n\n[defaults]\n")
    assert "# Backups\n[jobs.a]\nschedule" in text
    assert "# Old things\n[jobs.c]\nschedule" in text
    assert text.endswith("\n# The end\n")
    framed = convert("# x\n### Backups ###\n0 1 * * * a\n0 2 * * * b\n", Dialect.DEBIAN, user_field=False, user="ann")
    assert "# x\n#\n# Backups\n[jobs.a]\nschedule" in to_toml(framed)


def test_not_scheduled_ends_sentences_once() -> None:
    assert only("# A comment.\n0 0 31 2 * x\n").description.startswith("A comment. Not scheduled: ")


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("# nothing\n#\n", 0, "nothing to import: there are only comments in it"),
        ("# at 5 a.m every week with:\n# 0 5 * * 1 tar -zcf /var/backups/home.tgz /home/\n", 0, "only comments in it"),
        ("# 0 5 * * * x\n#@daily y\n", 0, "2 entries are commented out, and left out: lines 1, 2"),
        ("", 0, "nothing to import: there is no entry in it"),
        ("PATH=/bin\n", 0, "nothing to import"),
        ("nonsense\n", 1, "error: no line of it became a job"),
        ("# x\nnonsense\n", 1, "error: no line of it became a job"),
    ],
)
def test_a_file_without_entries_is_no_failure(text: str, code: int, says: str, folder: Path, capsys: Output) -> None:
    (folder / "crontab").write_text(text)
    assert main(["import", "crontab", "crontab", "-o", "jobs.toml"]) == code
    assert says in capsys.readouterr().err
    assert not (folder / "jobs.toml").exists()


# --- how it is written -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "written"),
    [
        (r'. "$DEFAULT" ; x', """'. "$DEFAULT" ; x'"""),
        (r"test -a \! -d 'x' y", r"""'''test -a \! -d 'x' y'''"""),
        ("x 'y'", '''"x 'y'"'''),
        ("x \"y\" 'z'", r'''"x \"y\" 'z'"'''),
        ("x\ty\\", '"x\\ty\\\\"'),
        ("é ü", '"é ü"'),
    ],
)
def test_commands_stand_in_quotes_that_read_best(line: str, written: str) -> None:
    text = to_toml(convert(f"0 5 * * * {line}\n", Dialect.DEBIAN, user_field=False, user="ann"))
    assert f"command = {written}\n" in text
    (job,) = tomllib.loads(text)["jobs"].values()
    assert job["command"] == line


def test_short_tables_stand_in_one_line() -> None:
    text = to_toml(
        convert("RANDOM_DELAY=10\n0 5 * * * a\nX=1\n0 6 * * * b\n", Dialect.CRONIE, user_field=False, user="ann")
    )
    assert 'schedule = { cron = "0 5 * * *", jitter = "10m" }\n' in text
    assert 'env = { X = "1" }\n' in text
    assert "[jobs.b.env]" not in text


@pytest.mark.parametrize(
    ("command", "cwd", "tidied"),
    [
        ("cd /srv/app && ./x >> log 2>&1", "/srv/app", "./x >> log 2>&1"),
        ("cd /srv/app && a && b | c", "/srv/app", "a && b | c"),
        ("(cd /srv/app && ./x)", "/srv/app", "./x"),
        ("cd app && ./x", "~/app", "./x"),
        ("cd ~/app && ./x", "~/app", "./x"),
        ("cd $HOME/app && ./x", "~/app", "./x"),
        ("cd && ./x", "~", "./x"),
        ("cd '/srv/my-app' && ./x", "/srv/my-app", "./x"),
    ],
)
def test_tidy_makes_a_cd_the_folder(command: str, cwd: str, tidied: str) -> None:
    job = only(f"0 5 * * * {command}\n", tidy=True)
    assert (job.cwd, job.steps[0].command) == (cwd, tidied)
    assert only(f"0 5 * * * {command}\n").steps[0].command == command


@pytest.mark.parametrize(
    "command",
    [
        "cd /srv; ./x", "cd /srv && ./x; y", "cd /srv && ./x || y", "cd /srv && ./x &", "cd $DIR && x", "cd /s* && x",
        "cd - && x", "cd /srv && cd - && x", "cd /srv && pwd > x", "cd /srv && echo $OLDPWD", "cd /srv > x && y",
        "cd ~bob/x && y", "cd /srv &&", "cd /a b && c", "x && cd /srv && y", "cd {{x}} && y", "cd /srv && cat%in",
    ],
)  # fmt: skip
def test_tidy_leaves_what_would_not_be_the_same(command: str) -> None:
    job = only(f"0 5 * * * {command}\n", tidy=True)
    assert job.cwd == "~"
    assert "cd " in str(job.steps[0].command)


# --- users, several files, merging -----------------------------------------------------------------------------------


def test_sudo_runs_the_lines_of_others_as_cron_would() -> None:
    text = "X=a b\nPATH=/opt:/bin\nSHELL=/bin/bash\n0 5 * * * bob ./x 'y'\n0 6 * * * bob cat%in\n0 7 * * * ann z\n"
    x, cat, z = jobs_of(text, user_field=True, sudo=True).values()
    front = 'sudo -H --preserve-env=X -u bob -- env PATH="$PATH" /bin/bash -c'
    assert (x.steps[0].command, x.cwd, x.shell) == (f"""{front} './x '"'"'y'"'"''""", "~bob", "/bin/sh")
    assert cat.steps[0].command == f"printf '%s\\n' in | {front} cat"
    assert (z.steps[0].command, z.cwd, z.shell) == ("z", "~", "/bin/bash")
    assert x.schedules


@pytest.fixture
def server(folder: Path) -> Callable[..., None]:
    def make(**files: str) -> None:
        for name, text in files.items():
            path = folder / name.replace("__", "/").replace("_d_", ".d/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    make(
        etc__crontab="17 * * * * root run-parts --report /etc/cron.hourly\n",
        etc__cron_d_php="9 * * * * root /usr/lib/php/sessionclean\n",
        etc__cron_d_app="MAILTO=ops@x\n*/5 * * * * www-data php -f /var/www/app/cron.php\n",
        var__spool__cron__crontabs__ann="0 3 * * * ./backup.sh\n",
        var__spool__cron__crontabs__bob="0 4 * * * ./backup.sh\n",
    )
    (folder / "etc/cron.d/old.dpkg-old").write_text("0 5 * * * root never\n")
    (folder / "etc/cron.d/.placeholder").write_text("x")
    return make


@pytest.mark.usefixtures("server")
def test_the_crontabs_of_a_server_are_one_file(folder: Path, capsys: Output) -> None:
    args = ["import", "crontab", "etc/crontab", "etc/cron.d", "var/spool/cron", "--sudo", "-o", "jobs.toml"]
    assert main(args) == 0
    err = capsys.readouterr().err
    assert "etc/cron.d/app line 2: job app-cron\n" in err
    assert "left aside, by their names cron does not read them: old.dpkg-old\n" in err
    jobs = tomllib.loads((folder / "jobs.toml").read_text())["jobs"]
    assert list(jobs) == ["cron-hourly", "app-cron", "sessionclean", "backup-ann", "backup-bob"]
    assert all("schedule" in job for job in jobs.values())
    assert main(["validate"]) == 0
    # The same once more, over it and into it: nothing is renamed, nothing comes twice.
    before = (folder / "jobs.toml").read_bytes()
    assert main([*args, "--merge"]) == 0
    assert (folder / "jobs.toml").read_bytes() == before
    (folder / "etc/cron.d/aaa").write_text("1 1 * * * root php -f /var/www/b/app/cron.php\n")
    assert main([*args, "--force"]) == 0
    after = tomllib.loads((folder / "jobs.toml").read_text())["jobs"]
    assert {name: after[name] for name in jobs} == jobs
    assert len(after) == len(jobs) + 1


OLD = """\
# mine, as I like it
[defaults]
timezone = "Asia/Tokyo"
cwd = "/srv"
env = { PGHOST = "db1" }
retry = 2

[jobs.dump]   # the one
command = "./dump.sh"
schedule = "0 1 * * *"
"""


@pytest.mark.parametrize("end", ["\n", "", "\r\n"])
def test_jobs_are_added_to_a_file_whose_text_stays(end: str, folder: Path, capsys: Output) -> None:
    target = folder / "jobs.toml"
    old = (OLD.rstrip("\n") + "\n").replace("\n", "\r\n") if end == "\r\n" else OLD.rstrip("\n") + end
    target.write_bytes(old.encode())
    target.chmod(0o640)
    (folder / "link.toml").symlink_to("jobs.toml")
    (folder / "crontab").write_text("PGHOST=db1\n0 1 * * * ./dump.sh\n# New\n0 2 * * * ./dump.sh --all\n0 3 * * * x\n")
    assert main(["import", "crontab", "crontab", "-o", "link.toml", "--merge"]) == 0
    err = capsys.readouterr().err
    assert "line 2: not added: it is there already, as dump\n" in err
    assert "[defaults] of link.toml count for the new jobs, too: retry\n" in err
    assert err.endswith("added 2 jobs to link.toml; next: jobctl --file link.toml validate\n")
    assert (folder / "link.toml").is_symlink()
    assert target.stat().st_mode & 0o777 == 0o640
    assert target.read_bytes().startswith(old.encode())
    jobs = tomllib.loads(target.read_text())["jobs"]
    assert list(jobs) == ["dump", "dump-all", "x"]
    assert jobs["dump-all"] == {
        "description": "New", "schedule": "0 2 * * *", "command": "./dump.sh --all", "cwd": "~", "overlap": "allow_all",
        "catchup_window": "1m", "timezone": jobs["x"]["timezone"],
    }  # fmt: skip
    assert main(["validate"]) == 0
    assert os.listdir(folder).count(".jobs.toml") == 0


@pytest.mark.parametrize(
    ("old", "says"),
    [
        ("jobs = { a = { command = 'x' } }\n", "cannot be added to: tables for the new jobs would not fit"),
        ("[jobs.a\ncommand = 'x'\n", "cannot be added to: "),
    ],
)
def test_a_file_that_cannot_be_added_to_is_left_alone(old: str, says: str, folder: Path, capsys: Output) -> None:
    target = folder / "jobs.toml"
    target.write_text(old)
    (folder / "crontab").write_text("0 1 * * * ./dump.sh\n")
    assert main(["import", "crontab", "crontab", "-o", "jobs.toml", "--merge"]) == 1
    assert says in capsys.readouterr().err
    assert target.read_text() == old


def test_a_changed_schedule_is_not_a_second_job(folder: Path, capsys: Output) -> None:
    (folder / "jobs.toml").write_text(OLD)
    (folder / "crontab").write_text("0 5 * * * ./dump.sh\n")
    assert main(["import", "crontab", "crontab", "-o", "jobs.toml", "--merge"]) == 0
    assert "as dump, with another schedule: left as it is" in capsys.readouterr().err
    assert (folder / "jobs.toml").read_text() == OLD


def test_of_a_folder_of_all_kinds_the_crontabs_are_taken(folder: Path, capsys: Output) -> None:
    for name, text in {"app.cron": "0 5 * * * x\n", "README": "Five * of them\n", "Dockerfile": "FROM a\n"}.items():
        (folder / "docker").mkdir(exist_ok=True)
        (folder / "docker" / name).write_text(text)
    assert main(["import", "crontab", "docker"]) == 0
    out, err = capsys.readouterr()
    assert list(tomllib.loads(out)["jobs"]) == ["x"]
    assert "note: docker: left aside, there is no entry in them: Dockerfile, README\n" in err
    assert "line 1: job x\n" in err


def test_where_busybox_looks_busybox_is_named(folder: Path, capsys: Output) -> None:
    (folder / "crontabs").mkdir()
    (folder / "crontabs/root").write_text("0 5 * * * x\n")
    assert main(["import", "crontab", "crontabs/root"]) == 0
    assert "--dialect busybox" in capsys.readouterr().err
    assert main(["import", "crontab", "crontabs", "--dialect", "busybox"]) == 0
    assert "--dialect" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["nowhere"], "error: nowhere: No such file or directory\nhint: name a crontab"),
        (["etc/cron.daily"], "error: etc/cron.daily holds scripts that run-parts runs, no crontabs\nhint: "),
        (["empty"], "note: empty: there is no crontab in it\nnothing to import"),
    ],
)
def test_what_is_no_crontab(args: list[str], says: str, folder: Path, capsys: Output) -> None:
    (folder / "etc/cron.daily").mkdir(parents=True)
    (folder / "empty").mkdir()
    main(["import", "crontab", *args])
    err = capsys.readouterr().err
    assert says in err
    assert "JOBCTL_DEBUG" not in err
