"""Lines of a crontab as cron reads them. What Debian's cron says of each was asked of its own parser."""

from __future__ import annotations

import pytest

from jobctl.core.schedule.cron import parse_cron
from jobctl.crontab.entry import Dialect, NeverError, RefusedError
from jobctl.crontab.lines import cron_text, read_entry, read_variable, split_command

DEBIAN, CRONIE = Dialect.DEBIAN, Dialect.CRONIE


@pytest.mark.parametrize(
    ("line", "debian", "cronie"),
    [
        ("A=b", ("A", "b"), ("A", "b")),
        (" \tA \t= b c  ", ("A", "b c"), ("A", "b c")),
        ("A=b # no comment", ("A", "b # no comment"), ("A", "b # no comment")),
        ("A=$HOME/x=y", ("A", "$HOME/x=y"), ("A", "$HOME/x=y")),
        ("A=b\r", ("A", "b"), ("A", "b")),
        ('A="b c" ', ("A", "b c"), ("A", "b c")),
        ("A='b\"c'", ("A", 'b"c'), ("A", 'b"c')),
        ("'A B' = c", ("A B", "c"), ("A B", "c")),
        ('A=""', ("A", ""), ("A", "")),
        ("=b", ("", "b"), ("", "b")),
        # Where they differ: nothing, blanks and quotes within quotes.
        ("A=", None, ("A", "")),
        ("A= ", None, ("A", "")),
        ('A="b  "', ("A", "b"), ("A", "b  ")),
        ("A=\"'b'\"", ("A", "b"), ("A", "'b'")),
        ("A=" + "x" * 2000, ("A", "x" * 996), ("A", "x" * 2000)),
        ("A=" + "é" * 1000, ("A", "é" * 498), ("A", "é" * 1000)),
        # No variables.
        ('A="b', None, None),
        ('A="b" c', None, None),
        ("A B=c", None, None),
        ('"A=b', None, None),
        ('"A=b"=c', None, None),
        ("A", None, None),
        ("", None, None),
        ("0 5 * * * A=b cmd", None, None),
        ("*/5=b", ("*/5", "b"), ("*/5", "b")),
    ],
)
def test_variables(line: str, debian: tuple[str, str] | None, cronie: tuple[str, str] | None) -> None:
    assert read_variable(line, DEBIAN) == debian
    assert read_variable(line, CRONIE) == cronie


NEVER = "never"
REFUSED = "refused"


def _read(line: str, dialect: Dialect) -> str:
    try:
        return cron_text(read_entry(line + " cmd", dialect, user_field=False, root=False))
    except NeverError:
        return NEVER
    except RefusedError:
        return REFUSED


@pytest.mark.parametrize(
    ("line", "debian", "cronie"),
    [
        ("30 2 * * *", "30 2 * * *", "30 2 * * *"),
        (" \t30\t2  * * *", "30 2 * * *", "30 2 * * *"),
        ("0 9-17/2 1,15 Jan-MAR mon,Wed-fri", "0 9-17/2 1,15 Jan-MAR mon,Wed-fri", "0 9-17/2 1,15 Jan-MAR mon,Wed-fri"),
        ("0 0 * * 7", "0 0 * * 7", "0 0 * * 7"),
        ("5-5 * * * *", "5-5 * * * *", "5-5 * * * *"),
        ("*/70 * * * *", "*/70 * * * *", "*/70 * * * *"),
        ("*/15,7 * * * *", "*/15,7 * * * *", "*/15,7 * * * *"),
        ("10,* * * * *", "10,* * * * *", "10,* * * * *"),
        # A day field without any day leaves the day to the other one, unless one of them begins with a star.
        ("0 0 20-10 * mon", "0 0 * * 1", "0 0 * * 1"),
        ("0 0 20-10 * *", NEVER, NEVER),
        ("0 0 13 * sat-mon", "0 0 13 * *", "0 0 13 * *"),
        ("0 0 */2 * sat-mon", NEVER, NEVER),
        ("0 0 20-10 * sat-mon", NEVER, NEVER),
        ("20-10,5 * * * *", "5 * * * *", "5 * * * *"),
        ("20-10,* * * * *", "0-59 * * * *", "0-59 * * * *"),
        ("*/20,30-10,41 * * * *", "*/20,41 * * * *", "*/20,41 * * * *"),
        ("50-10 * * * *", NEVER, NEVER),
        ("0 0 31 2 *", NEVER, NEVER),
        ("0 0 30 2 */2", NEVER, NEVER),
        ("0 0 31 2 mon", "0 0 31 2 mon", "0 0 31 2 mon"),
        # What follows a range up to the blank: nothing to Debian, an error to cronie.
        ("5.3 * * * *", "5 * * * *", REFUSED),
        ("*x * * * *", "* * * * *", REFUSED),
        ("0 0 * * mon#2", "0 0 * * 1", REFUSED),
        ("1,2;3 * * * *", "1-2 * * * *", REFUSED),
        ("0~30 * * * *", "0 * * * *", NEVER),
        ("~ * * * *", REFUSED, NEVER),
        ("30~10 * * * *", "30 * * * *", REFUSED),
        # cronie's own.
        ("0 0 * * fri-sun", NEVER, "0 0 * * 5-7"),
        ("0 0 * * fri-sun/2", NEVER, NEVER),
        ("0 5-0 * * *", NEVER, "0 5-7 * * *"),
        ("5-64/30 * * * *", REFUSED, "5,35 * * * *"),
        ("@daily", "@daily", "@daily"),
        ("@midnight", "@midnight", "@midnight"),
        # Refused by both.
        ("5x * * * *", REFUSED, REFUSED),
        ("1/20 * * * *", REFUSED, REFUSED),
        ("*/0 * * * *", REFUSED, REFUSED),
        ("1, * * * *", REFUSED, REFUSED),
        ("60 * * * *", REFUSED, REFUSED),
        ("0 24 * * *", REFUSED, REFUSED),
        ("0 0 0 * *", REFUSED, REFUSED),
        ("0 0 L * *", REFUSED, REFUSED),
        ("0 0 * * 5L", REFUSED, REFUSED),
        ("0 0 * * 8", REFUSED, REFUSED),
        ("0 0 ? * *", REFUSED, REFUSED),
        ("jan * * * *", REFUSED, REFUSED),
        ("4294967296 * * * *", REFUSED, REFUSED),  # an overflow makes it 0 for Debian: nobody means that
        ("@Daily", REFUSED, REFUSED),
        ("@every 5m", REFUSED, REFUSED),
        ("* * * *", REFUSED, REFUSED),
        ("* * * * * *", REFUSED, REFUSED),
        ("\ufeff0 5 * * *", REFUSED, REFUSED),
    ],
)
def test_times(line: str, debian: str, cronie: str) -> None:
    assert _read(line, DEBIAN) == debian
    assert _read(line, CRONIE) == cronie


@pytest.mark.parametrize("line", ["0 0 * * mon#2", "20-10,* * * * *", "0 0 20-10 * mon", "*x 1.5 * * *"])
def test_a_rewritten_line_begins_with_a_star_where_the_line_does(line: str) -> None:
    # It decides about clock changes and about the days.
    written = line.split()
    meant = parse_cron(_read(line, DEBIAN))
    assert meant.wild == any(field.startswith("*") for field in written[:2])


@pytest.mark.parametrize(
    ("line", "dialect", "says"),
    [
        ("x", DEBIAN, "bad minute"),
        ("0", DEBIAN, "bad hour: the line ends before it"),
        ("0 0 1 foo * cmd", DEBIAN, "bad month"),
        ("0 0 1 1 8 cmd", CRONIE, "bad day-of-week: cron cannot read it"),
        ("@dayly cmd", DEBIAN, "bad time specifier: known are @reboot"),
        ("* * * * * * cmd", DEBIAN, "a sixth field"),
        ("@daily", CRONIE, "bad command"),
        ("-0 5 * * * cmd", DEBIAN, "bad minute"),
        ("-0 5 * * * cmd", CRONIE, "only root"),
        ("0 5 * * * -x cmd", CRONIE, "bad option"),
        ("0 5 * * * -n -n cmd", CRONIE, "bad option"),
        ("0 5 * * * " + "x" * 999, DEBIAN, "longer than 998"),
        ("0 5 * * * " + "é" * 500, DEBIAN, "longer than 998"),
    ],
)
def test_refused_with_why(line: str, dialect: Dialect, says: str) -> None:
    with pytest.raises(RefusedError, match=says):
        read_entry(line, dialect, user_field=False, root=False)


@pytest.mark.parametrize(
    ("line", "dialect", "user", "command", "quiet"),
    [
        (
            "17 *\t* * *\troot\t cd / && run-parts /etc/cron.hourly",
            DEBIAN,
            "root",
            "cd / && run-parts /etc/cron.hourly",
            "",
        ),
        ("@daily  www-data x", DEBIAN, "www-data", "x", ""),
        ("-0 5 * * * root -n x", CRONIE, "root", "x", "- -n"),
        ("0 5 * * * root -n x", DEBIAN, "root", "-n x", ""),
        ("0 5 * * * root " + "x" * 998, DEBIAN, "root", "x" * 998, ""),
    ],
)
def test_the_user_field(line: str, dialect: Dialect, user: str, command: str, quiet: str) -> None:
    entry = read_entry(line, dialect, user_field=True, root=False)
    assert (entry.user, entry.command, entry.quiet) == (user, command, quiet)
    with pytest.raises(RefusedError, match="no command behind it"):
        read_entry("0 5 * * * root ", dialect, user_field=True, root=False)


@pytest.mark.parametrize(
    ("text", "debian", "cronie"),
    [
        ("date", ("date", ""), ("date", "")),
        ("date  ", ("date  ", ""), ("date  ", "")),
        (r"date +\%F", ("date +%F", ""), ("date +%F", "")),
        ("cat%a", ("cat", "a\n"), ("cat", "a\n")),
        ("cat%a%%b%", ("cat", "a\n\nb\n"), ("cat", "a\n\nb\n")),
        ("cat%", ("cat", ""), ("cat", "")),
        ("cat%%", ("cat", "\n"), ("cat", "\n")),
        (r"cat%\%a\b\\%", ("cat", "%a\\b\\%\n"), ("cat", "%a\\b\\%\n")),
        ("cat%a\\", ("cat", "a\\\n"), ("cat", "a\\\n")),
        ("cat%\\", ("cat", "\\"), ("cat", "\\")),  # cron ends the last line, but takes a lone backslash for none
        # Two backslashes are one to Debian.
        (r"a\\b", (r"a\b", ""), (r"a\\b", "")),
        (r"a\\%b", ("a\\", "b\n"), (r"a\\", "b\n")),
        (r"a\\\%b", (r"a\%b", ""), (r"a\\%b", "")),
        (r"a\nb", (r"a\nb", ""), (r"a\nb", "")),
    ],
)
def test_percent_signs(text: str, debian: tuple[str, str], cronie: tuple[str, str]) -> None:
    assert split_command(text, DEBIAN) == debian
    assert split_command(text, CRONIE) == cronie
