"""The examples that wait, roll back, ask and tidy up: a real mail server, a real storage, real kills. One test for what
each is about; that they are valid is test_examples.py's."""

from __future__ import annotations

import gzip
import itertools
import json
import shutil
import signal
import socket
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from places import DAY, HOUR, MINUTE, Place
from test_examples import PATIENCE, Example, attempts, of
from test_examples_daemon import daemon, documents, replace, until

from jobctl.core.run.history import EventType
from jobctl.core.run.rows import RunRow
from jobctl.engines.local.submit import enqueue
from jobctl.engines.local.worker import dispatcher
from jobctl.host import clock
from jobctl.host.host import Host
from jobctl.store.store import Store


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def events(example: Example, run: str) -> Counter[str]:
    with Store(str(example.state), create=False) as store:
        row = store.find(run)
        return Counter(str(event.type) for event in store.events(row.id, upto=row.seq))


# -- a mail service ------------------------------------------------------------------------------------------------


class Post:
    """A mail server of this machine, down until `open`. `says` are its next answers to a mail, before it is well."""

    def __init__(self) -> None:
        self.port = free_port()
        self.mails: list[Any] = []  # what came, in order; also what was answered with a failure
        self.says: list[str] = []
        self.refuses: list[str] = []  # addresses that do not exist
        self._controller: Controller | None = None

    @property
    def server(self) -> str:
        return f"127.0.0.1:{self.port}"

    def open(self) -> None:
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()

    def close(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    async def handle_RCPT(self, _: SMTP, __: Session, envelope: Envelope, to: str, ___: list[str]) -> str:
        if to in self.refuses:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(to)
        return "250 OK"

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.mails.append(message_from_bytes(envelope.content))
        return self.says.pop(0) if self.says else "250 OK"

    def sent(self) -> list[tuple[str, str]]:
        return [(mail["To"], mail["Subject"]) for mail in self.mails]


@pytest.fixture
def post() -> Iterator[Post]:
    service = Post()
    yield service
    service.close()


# -- reminder-mail -------------------------------------------------------------------------------------------------

SUBJECTS = ["How do you like it?", "Have you seen what is new?", "We miss you"]


class Months:
    """Daemons on the example's folder, one after the other, and a clock that is set forward."""

    def __init__(self, example: Example, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place = Place(example.folder)
        self._real, self._ahead = clock.now, 0
        monkeypatch.setattr(clock, "now", lambda: self._real() + self._ahead)
        boot = clock.boottime
        monkeypatch.setattr(clock, "boottime", lambda: boot() + self._ahead)

    def begin(self, **params: str) -> None:
        enqueue(self.place.store, self.place.job("reminder"), params, trigger="manual", host=Host())
        self.place.dispatch()
        self._go_on()

    def pass_(self, ms: int) -> None:
        """So much time passes, and the daemon does what is due then."""
        self._ahead += ms
        assert dispatcher.wake(self.place.store, self.place.engine, clock.now()) == []
        self._go_on()

    def _go_on(self) -> None:
        self.place.until(lambda: not self.place.engine.busy)  # the run is over, or a row that is nobody's

    def restart(self) -> None:
        self.place.die()
        self.place = Place(self.place.folder)

    @property
    def run(self) -> RunRow:
        [run] = self.place.runs("reminder")
        return run

    @property
    def wait(self) -> int:
        """How long the run still waits, in ms."""
        assert self.run.wake_at is not None
        return self.run.wake_at - clock.now()

    def tried(self, step: str) -> list[str]:
        return [attempt.status for attempt in self.place.store.state(self.run).step(step).attempts]


@pytest.fixture
def months(example: Example, monkeypatch: pytest.MonkeyPatch) -> Iterator[Months]:
    here = Months(example, monkeypatch)
    yield here
    here.place.close()


def about(wait: int, ms: int) -> bool:
    return ms - MINUTE < wait <= ms


@of("reminder-mail")
def test_reminders_go_out_after_a_day_a_week_and_a_month(months: Months, post: Post) -> None:
    post.open()
    months.begin(to="ada@example.org", server=post.server)
    for number, sleep in enumerate((DAY, 7 * DAY, 30 * DAY), 1):
        assert about(months.wait, sleep)
        months.restart()
        months.pass_(months.wait - 1_000)
        assert len(post.mails) == number - 1
        months.restart()
        months.pass_(1_000)
        assert len(post.mails) == number
    assert months.run.status == "succeeded"
    assert post.sent() == [("ada@example.org", subject) for subject in SUBJECTS]
    assert len({mail["Message-ID"] for mail in post.mails}) == 3


@of("reminder-mail")
def test_a_reminder_is_tried_again_until_the_mail_service_works(months: Months, post: Post) -> None:
    months.begin(to="ada@example.org", server=post.server)
    months.pass_(DAY)
    waits = []
    for _ in range(12):  # nobody listens
        waits.append(months.wait)
        months.pass_(months.wait)
    growing = [5 * MINUTE * 2**n for n in range(7)] + [6 * HOUR] * 5
    assert [about(wait, expected) for wait, expected in zip(waits, growing, strict=True)] == [True] * 12
    post.open()
    post.says = ["451 try again later"]
    months.pass_(months.wait)
    assert about(months.wait, 6 * HOUR)
    months.pass_(months.wait)
    assert months.tried("first") == ["failed"] * 14 + ["succeeded"]
    # What the service had taken before it failed is the same mail, and says so.
    assert post.sent() == [("ada@example.org", SUBJECTS[0])] * 2
    assert len({mail["Message-ID"] for mail in post.mails}) == 1
    assert about(months.wait, 7 * DAY)


@of("reminder-mail")
@pytest.mark.parametrize("to", ["nobody@example.org", "", "ada\nBcc: eve@example.org"])
def test_a_reminder_to_an_address_that_is_wrong_is_not_tried_again(months: Months, post: Post, to: str) -> None:
    post.open()
    post.refuses = ["nobody@example.org"]
    months.begin(to=to, server=post.server)
    months.pass_(DAY)
    assert months.run.status == "failed"
    assert months.tried("first") == ["failed"]
    assert post.mails == []


@of("reminder-mail")
def test_a_reminder_that_sleeps_is_nobodys_and_can_be_taken_back(example: Example) -> None:
    first = daemon(example)
    code, output = example.call("jobctl", "run", "reminder", "--detach", "-p", "to=ada@example.org")
    assert code == 0, output
    asleep = example.until("reminder", lambda found: found["waiting_for"] and found["executor"] is None)
    waits = asleep["waiting_for"]
    assert (waits["kind"], waits["name"]) == ("sleep", "day")
    until_ = datetime.fromisoformat(waits["until"]) - datetime.fromisoformat(asleep["started_at"])
    assert abs(until_ - timedelta(days=1)) < timedelta(seconds=1)
    assert [pid for pid in example.processes() if not is_keeper(pid)] == [first.pid]
    first.kill()
    first.wait()
    deadline = time.monotonic() + 20
    while example.processes():  # its keeper has nothing to keep
        assert time.monotonic() < deadline
    daemon(example)
    assert example.call("jobctl", "cancel", "reminder")[0] == 0
    example.until("reminder", lambda found: found["status"] == "canceled")


def is_keeper(pid: int) -> bool:
    return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"jobctl-keeper")


# -- taxi-payment --------------------------------------------------------------------------------------------------

DYING = str(Path(__file__).with_name("dying.py"))
MOMENTS = ["before", "after", "then", "machine+5", "machine+25", "machine+45"]

# Which service refuses -> commits of a trip until it is over, and what then stands in the ledger.
TRIPS: dict[str, tuple[int, dict[str, int]]] = {
    "nobody": (4, {"charge": -2400, "pay": 1920, "report": 480}),
    "charge": (3, {"charge!undo": 0}),
    "pay": (5, {"charge": -2400, "pay!undo": 0, "charge!undo": 2400}),
    "report": (7, {"charge": -2400, "pay": 1920, "report!undo": 0, "pay!undo": -1920, "charge!undo": 2400}),
}


def trip(refuses: str, customer: str = "ada") -> list[str]:
    return [
        "run",
        "trip",
        "-p",
        f"customer={customer}",
        "-p",
        "driver=bob",
        "-p",
        "fare=2400",
        "-p",
        f"refuses={refuses}",
    ]


def dying(example: Example, moment: str, number: int, *words: str) -> int:
    code, output = example.call(sys.executable, DYING, moment, str(number), *words)
    assert code in (0, 1, -signal.SIGKILL), output
    return code


def ledger(example: Example) -> dict[str, dict[str, int]]:
    """Trip -> what was booked for it, by step."""
    found: dict[str, dict[str, int]] = {}
    if (example.folder / "data/ledger.db").exists():
        with closing(sqlite3.connect(example.folder / "data/ledger.db")) as db:
            for key, run, amount in db.execute("SELECT key, trip, amount FROM entries"):
                found.setdefault(run, {})[key.removeprefix(f"{run}/")] = amount
    return found


@of("taxi-payment")
@pytest.mark.parametrize("refuses", TRIPS)
def test_a_trip_is_fully_paid_or_fully_rolled_back_at_whatever_instant_jobctl_is_killed(
    example: Example, refuses: str
) -> None:
    commits, booked = TRIPS[refuses]
    cases = list(itertools.product(MOMENTS, range(1, commits + 1)))
    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(lambda case: dying(example, *case, *trip(refuses, f"{case[0]}-{case[1]}")), cases))
        # After the last commit there is nothing left to wait for: the trip is over.
        reached = [number < commits or moment in ("before", "after") for moment, number in cases]
        assert [code == -signal.SIGKILL for code in codes] == reached
        assert dying(example, "before", commits + 1, *trip(refuses, "unharmed")) != -signal.SIGKILL

        left = [run["id"] for run in documents(example) if run["status"] == "running"]
        assert len(left) > commits
        for run in left:
            example.until(run, lambda found: found["interrupted"])
        ends = list(pool.map(lambda run: example.call("jobctl", "resume", run)[0], left[::2]))
    assert set(ends) == {0 if refuses == "nobody" else 1}
    code, output = example.call("jobctl", "daemon", "--once")
    assert code == 0, output

    trips = documents(example)
    # All but the one that was killed before anything of it was recorded.
    assert sorted(run["params"]["customer"] for run in trips) == sorted(
        ["unharmed", *(f"{moment}-{number}" for moment, number in cases if (moment, number) != ("before", 1))]
    )
    assert {run["status"] for run in trips} == {"succeeded" if refuses == "nobody" else "failed"}
    assert ledger(example) == {run["id"]: booked for run in trips}


@of("taxi-payment")
@pytest.mark.parametrize("refuses", TRIPS)
def test_a_trip_is_fully_paid_or_fully_rolled_back_when_jobctl_is_killed_at_every_commit_in_turn(
    example: Example, refuses: str
) -> None:
    commits, booked = TRIPS[refuses]
    assert dying(example, "after", 1, *trip(refuses)) == -signal.SIGKILL
    [run] = documents(example)
    kills = 1
    # Whoever goes on takes the run, which is a commit, too; and then does the next thing.
    lives = itertools.cycle([("resume", 1), ("daemon", 2), ("daemon", 1), ("resume", 2)])
    while run["finished_at"] is None and kills < 100:
        example.until(run["id"], lambda found: found["interrupted"])
        command, number = next(lives)
        words = ("resume", run["id"]) if command == "resume" else ("daemon", "--once")
        assert dying(example, "after", number, *words) == -signal.SIGKILL
        kills += 1
        [run] = documents(example)
    assert kills == 1 + 2 * (commits - 1)
    assert run["status"] == ("succeeded" if refuses == "nobody" else "failed")
    assert ledger(example) == {run["id"]: booked}


@of("taxi-payment")
def test_an_undo_is_tried_until_it_works(example: Example) -> None:
    replace(example, '"python3 services.py refund"', "'[ $JOBCTL_ATTEMPT = 3 ] && python3 services.py refund'")
    assert example.call("jobctl", *trip("pay"))[0] == 1
    [(_, booked)] = ledger(example).items()
    assert booked == TRIPS["pay"][1]
    assert attempts(example.step("trip", "charge")["compensation"]) == [("failed", 1), ("failed", 1), ("succeeded", 0)]


@of("taxi-payment")
def test_nobody_has_paid_anything_for_a_trip_that_failed(example: Example) -> None:
    assert example.call("jobctl", *trip("report", "ada"))[0] == 1
    assert example.call("jobctl", *trip("nobody", "grace"))[0] == 0
    assert example.call("python3", "services.py", "list") == (0, "bob: +1920\ncompany: +480\ngrace: -2400\n")


@of("taxi-payment")
def test_a_trip_that_was_rolled_back_stays_so_when_it_is_resumed(example: Example) -> None:
    assert example.call("jobctl", *trip("report"))[0] == 1
    before = ledger(example)
    assert example.call("jobctl", "resume", "trip", "--from", "charge")[0] == 1
    assert attempts(example.step("trip", "charge"))[-1] == ("failed", 77)
    assert ledger(example) == before


@of("taxi-payment")
@pytest.mark.parametrize(
    ("calls", "code", "booked"),
    [
        pytest.param(["charge", "charge"], 0, {"charge": -2400}, id="an attempt is repeated"),
        pytest.param(["charge", "refund", "refund"], 0, {"charge": -2400, "charge!undo": 2400}, id="so is an undo"),
        pytest.param(["refund", "charge"], 77, {"charge!undo": 0}, id="the charge comes too late"),
    ],
)
def test_a_service_books_nothing_twice(example: Example, calls: list[str], code: int, booked: dict[str, int]) -> None:
    variables = {"JOBCTL_RUN": "trip-1", "JOBCTL_STEP": "charge", "JOBCTL_PARAM_REFUSES": "nobody"}
    codes = []
    for call in calls:
        key = "trip-1/charge" + ("!undo" if call == "refund" else "")
        words = ["ada", "2400"] if call == "charge" else []
        codes.append(example.call("python3", "services.py", call, *words, JOBCTL_IDEMPOTENCY_KEY=key, **variables)[0])
    assert codes == [0] * (len(calls) - 1) + [code]
    assert ledger(example) == {"trip-1": booked}


# -- subscription-polling ------------------------------------------------------------------------------------------


class Subscription:
    """What a web server says of a subscription, and when it was asked."""

    def __init__(self) -> None:
        self.state = "trial"
        self.down = False
        self.asked: list[float] = []
        self.url = ""


@pytest.fixture
def subscription() -> Iterator[Subscription]:
    here = Subscription()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            here.asked.append(time.monotonic())
            self.send_response(503 if here.down else 200)
            self.end_headers()
            self.wfile.write(f"{here.state}\n".encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        here.url = f"http://127.0.0.1:{server.server_port}/"
        threading.Thread(target=server.serve_forever, args=(0.05,)).start()
        yield here
        server.shutdown()


asks_with_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def acted(example: Example) -> list[str]:
    return [path.read_text() for path in example.folder.glob("data/watch-*")]


@asks_with_curl
@of("subscription-polling")
def test_a_thousand_times_not_yet_leave_one_row_and_no_events(example: Example, subscription: Subscription) -> None:
    replace(example, '"1m"', '"1ms"')
    replace(example, '"1h"', '"1ms"')
    run = example.start("jobctl", "run", "watch", "-p", f"url={subscription.url}")
    until(example, lambda: len(subscription.asked) > 2)
    before = events(example, "watch")
    for number in range(100, 1_100, 100):
        until(example, lambda: len(subscription.asked) > number + 2)  # noqa: B023 - called at once
    assert events(example, "watch") == before
    assert before[EventType.ATTEMPT_STARTED] == 2  # of `before`, and of `changed`
    assert attempts(example.step("watch", "changed")) == [("running", None)]
    subscription.state = "canceled"
    output, _ = run.communicate(timeout=PATIENCE)
    assert run.returncode == 0, output
    assert attempts(example.step("watch", "changed")) == [("succeeded", 0)]
    assert acted(example) == ["it was trial, now it is canceled\n"]


@asks_with_curl
@of("subscription-polling")
def test_a_subscription_is_asked_for_less_and_less_often(example: Example, subscription: Subscription) -> None:
    replace(example, '"1m"', '"40ms"')
    replace(example, '"1h"', '"135ms"')
    run = example.start("jobctl", "run", "watch", "-p", f"url={subscription.url}")
    until(example, lambda: len(subscription.asked) > 7)
    subscription.state = "canceled"
    run.communicate(timeout=PATIENCE)
    asked = subscription.asked[1:]  # first by `before`
    waits = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert all(wait > least for wait, least in zip(waits, (0.04, 0.06, 0.09, 0.135, 0.135), strict=False))


@asks_with_curl
@of("subscription-polling")
def test_only_no_answer_is_a_failed_attempt_and_daemons_come_and_go(
    example: Example, subscription: Subscription
) -> None:
    replace(example, '"1m"', '"20ms"')
    replace(example, '"1h"', '"20ms"')
    replace(example, '"10s"', '"20ms"')
    first = daemon(example)
    assert example.call("jobctl", "run", "watch", "--detach", "-p", f"url={subscription.url}")[0] == 0
    until(example, lambda: len(subscription.asked) > 5)
    subscription.down = True
    example.until("watch", lambda found: found["steps"][1]["attempt"] > 2)
    subscription.down = False
    first.kill()
    first.wait()
    daemon(example)
    asked = len(subscription.asked)
    until(example, lambda: len(subscription.asked) > asked + 5)
    subscription.state = "active"
    example.until("watch", lambda found: found["status"] == "succeeded")
    assert acted(example) == ["it was trial, now it is active\n"]
    *failed, last = attempts(example.step("watch", "changed"))
    assert set(failed) == {("failed", 2)}
    assert last == ("succeeded", 0)


@asks_with_curl
@of("subscription-polling")
def test_a_subscription_that_never_changes_fails_the_run_in_the_end(
    example: Example, subscription: Subscription
) -> None:
    replace(example, '"1m"', '"20ms"')
    replace(example, '"90d"', '"300ms"')
    assert example.call("jobctl", "run", "watch", "-p", f"url={subscription.url}")[0] == 1
    assert example.statuses("watch") == {"before": "succeeded", "changed": "timed_out", "act": "skipped"}
    assert acted(example) == []


# -- upload-and-clean-up -------------------------------------------------------------------------------------------

SECRET = "wJalrXUtnFEMI"  # what no file may hold


@contextmanager
def storage(port: int) -> Iterator[None]:
    """An S3 of this machine, while it is up. All of them show the same buckets."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    try:
        yield
    finally:
        server.stop()


@pytest.fixture
def archive() -> Iterator[Any]:
    """A client of a storage in which there is a bucket of that name."""
    boto3 = pytest.importorskip("boto3", reason="the extra `servers` is not installed")
    pytest.importorskip("moto.server", reason="the extra `servers` is not installed")

    port = free_port()
    with storage(port):
        keys = {"aws_access_key_id": "a", "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
        client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", **keys)
        client.create_bucket(Bucket="archive")
        yield client
        for key in stored(client):
            client.delete_object(Bucket="archive", Key=key)
        client.delete_bucket(Bucket="archive")


def stored(client: Any) -> list[str]:
    return [found["Key"] for found in client.list_objects_v2(Bucket="archive").get("Contents", [])]


def upload(url: str, bucket: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """The command, and the environment of whoever calls it."""
    credentials = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1"}
    words = ("jobctl", "run", "upload", "-p", "file=points.csv", "-p", f"bucket={bucket}")
    return words, {**credentials, "AWS_ENDPOINT_URL": url}


@of("upload-and-clean-up")
def test_a_file_is_uploaded_when_the_storage_is_back_and_its_copy_deleted(example: Example, archive: Any) -> None:
    port = free_port()
    command, environment = upload(f"http://127.0.0.1:{port}", "archive")
    run = example.start(*command, **environment)
    example.until("upload", lambda found: found["steps"][1]["status"] == "waiting")
    assert len(list(example.folder.glob("work/*"))) == 1
    with storage(port):
        output, _ = run.communicate(timeout=PATIENCE)
        assert run.returncode == 0, output
        assert example.call(*command, **environment)[0] == 0
    key = f"{example.step('upload', 'pack')['outputs']['digest']}.gz"
    assert stored(archive) == [key]  # the same thing twice is one
    body = archive.get_object(Bucket="archive", Key=key)["Body"].read()
    assert gzip.decompress(body) == (example.folder / "points.csv").read_bytes()
    assert (example.folder / "data/uploads").read_text() == f"points.csv is s3://archive/{key}\n" * 2
    assert list(example.folder.glob("work/*")) == []
    written = [path for folder in (example.folder, example.state) for path in folder.rglob("*") if path.is_file()]
    assert [path for path in written if SECRET.encode() in path.read_bytes()] == []


@of("upload-and-clean-up")
@pytest.mark.parametrize(
    ("up", "tries", "error"),
    [
        pytest.param(True, 1, "NoSuchBucket", id="there is no such bucket: never again"),
        pytest.param(False, 5, "Could not connect", id="the storage stays down: five times"),
    ],
)
def test_the_copy_is_deleted_also_when_the_upload_has_failed_for_good(
    example: Example, archive: Any, up: bool, tries: int, error: str
) -> None:
    replace(example, 'initial_interval = "1s"', 'initial_interval = "10ms"')
    url = archive.meta.endpoint_url if up else f"http://127.0.0.1:{free_port()}"
    command, environment = upload(url, "nowhere")
    code, output = example.call(*command, **environment)
    assert code == 1, output
    assert attempts(example.step("upload", "upload")) == [("failed", 1)] * tries
    assert error in example.step("upload", "upload")["error"]
    assert example.statuses("upload") == {
        "pack": "succeeded",
        "upload": "failed",
        "note": "skipped",
        "clean": "succeeded",
    }
    assert list(example.folder.glob("work/*")) == []


# -- import-with-approval ------------------------------------------------------------------------------------------


@of("import-with-approval")
def test_users_are_welcomed_when_somebody_has_approved_them(example: Example, post: Post) -> None:
    daemon(example)
    code, output = example.call("jobctl", "run", "import-users", "--detach", "-p", f"server={post.server}")
    assert code == 0, output

    def welcomes(holds: Callable[[dict[str, Any]], object]) -> dict[str, dict[str, Any]]:
        """Name -> the user's run, of those of which that holds."""
        return {run["params"]["name"]: run for run in documents(example) if run["job"] == "welcome" and holds(run)}

    def asks(run: dict[str, Any]) -> bool:
        return run["waiting_for"] is not None and run["waiting_for"]["kind"] == "approval"

    until(example, lambda: len(welcomes(asks)) == 3)
    runs = welcomes(asks)
    assert {name: run["params"]["email"] for name, run in runs.items()} == {
        "Ada": "ada@example.org",
        "Grace": "grace@example.org",
        "Mallory": "mallory@example.org",
    }
    assert {run["trigger"] for run in runs.values()} == {"child"}
    assert example.call("jobctl", "approve", runs["Ada"]["id"])[0] == 0
    assert example.call("jobctl", "reject", runs["Mallory"]["id"], "--comment", "unknown")[0] == 0
    # The mail service is down, and nobody waits for Grace.
    example.until(runs["Ada"]["id"], lambda found: found["steps"][1]["attempt"] > 1)
    post.open()
    example.until(runs["Ada"]["id"], lambda found: found["status"] == "succeeded")
    assert set(welcomes(asks)) == {"Grace"}
    assert (example.document("import-users") or {})["status"] == "running"
    assert example.call("jobctl", "approve", runs["Grace"]["id"])[0] == 0
    code, output = example.call("jobctl", "wait", "import-users")
    assert code == 0, output
    assert sorted(post.sent()) == [("ada@example.org", "Welcome, Ada"), ("grace@example.org", "Welcome, Grace")]
    mallory = example.document(runs["Mallory"]["id"]) or {}
    assert (mallory["status"], mallory["steps"][1]["status"]) == ("failed", "skipped")
    assert "unknown" in json.dumps(mallory["reason"])


@of("import-with-approval")
def test_users_are_read_as_one_list(example: Example) -> None:
    output = example.scratch / "output"
    assert example.call("python3", "users.py", "users.csv", JOBCTL_OUTPUT=str(output))[0] == 0
    key, _, users = output.read_text().strip().partition("=")
    assert key == "users"
    assert [sorted(user) for user in json.loads(users)] == [["email", "name"]] * 3
