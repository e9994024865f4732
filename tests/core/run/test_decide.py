"""What follows from what: named situations, each event with the actions it leads to."""

from __future__ import annotations

import os
import subprocess
import sys
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from situations import World, job, story

from jobctl.core.keys import item_index, step_name
from jobctl.core.model import Job, RunStatus, StepKind, StepStatus, When
from jobctl.core.run.decide import Action, Compensate, Decider, EndStep, FinishRun, Mode, StartStep, StopStep
from jobctl.core.run.history import Event, EventType
from jobctl.core.run.resume import kept, restore, to_redo

CHAIN = job("a", "b < a", "c < b")
SAGA = job("a [undo]", "b < a [undo]", "c < b [undo]")

Situations = dict[str, tuple[Job, str]]

FORWARD: Situations = {
    "a chain runs in order": (
        CHAIN,
        """
        take -> start a
        a starts
        a ok -> start b
        b ok -> start c
        c ok -> finish succeeded
        end
        """,
    ),
    "a diamond meets again": (
        job("a", "b < a", "c < a", "d < b c"),
        """
        take -> start a
        a ok -> start b, start c
        c ok
        b ok -> start d
        d ok -> finish succeeded
        """,
    ),
    "the file's order is not the graph's": (
        job("c < b", "b < a", "a"),
        """
        take -> start a
        a ok -> start b
        b ok -> start c
        c ok -> finish succeeded
        """,
    ),
    "steps without needs start at once": (
        job("a", "b", "c"),
        """
        take -> start a, start b, start c
        b ok
        a ok
        c ok -> finish succeeded
        """,
    ),
    "no more commands at once than allowed, in the file's order": (
        job("a", "b", "c", "d < a", limit=2),
        """
        take -> start a, start b
        a starts
        b ok -> start c
        a ok -> start d
        c ok
        d ok -> finish succeeded
        """,
    ),
    "what becomes ready takes its place in the file's order": (
        job("z", "y < z", "x", limit=1),
        """
        take -> start z
        z ok -> start y
        y ok -> start x
        x ok -> finish succeeded
        """,
    ),
    "waits occupy nothing": (
        job("a", "b [sleep]", "c [signal]", "d [job]", "e", "f [approval]", limit=1),
        """
        take -> start b, start c, start d, start f, start a
        a ok -> start e
        f ok
        b ok
        c ok
        d ok
        e ok -> finish succeeded
        """,
    ),
    "a wait starts while all places are taken": (
        job("a", "b", "c [sleep]", "d < c [sleep]", limit=1),
        """
        take -> start c, start a
        c ok -> start d
        d ok
        a ok -> start b
        b ok -> finish succeeded
        """,
    ),
    "an attempt that is retried ends nothing": (
        job("a", "b < a", limit=1),
        """
        take -> start a
        a retries
        a starts
        a retries
        a ok -> start b
        b ok -> finish succeeded
        """,
    ),
    "a step that is retried keeps its place": (
        job("a", "b", limit=1),
        """
        take -> start a
        a retries
        a ok -> start b
        b ok -> finish succeeded
        """,
    ),
    "an allowed failure is none": (
        job("a [allow]", "b < a [allow]", "c < b"),
        """
        take -> start a
        a fails -> start b
        b timed_out -> start c
        c ok -> finish succeeded
        """,
    ),
    "a step that its condition skips counts as done": (
        CHAIN,
        """
        take -> start a
        a skipped -> start b
        b ok -> start c
        c skipped -> finish succeeded
        """,
    ),
    "a wait that ends outside of an attempt": (
        job("a [signal]", "b < a"),
        """
        take -> start a
        a came -> start b
        b ok -> finish succeeded
        """,
    ),
    "a timeout that lets the step go on": (
        job("a [signal]", "b < a"),
        """
        take -> start a
        a continues -> start b
        b ok -> finish succeeded
        """,
    ),
    "a second executor goes on without starting again": (
        CHAIN,
        """
        take -> start a
        a starts
        take
        a ok -> start b
        take
        b ok -> start c
        take
        c ok -> finish succeeded
        take
        """,
    ),
    "nothing is compensated on success": (
        SAGA,
        """
        take -> start a
        a ok -> start b
        b ok -> start c
        c ok -> finish succeeded
        """,
    ),
}

AT_THE_END: Situations = {
    "`always` runs in its place when all goes well": (
        job("a", "w < a [always]", "b < w"),
        """
        take -> start a
        a ok -> start w
        w ok -> start b
        b ok -> finish succeeded
        """,
    ),
    "`failure` does not run when all goes well": (
        job("a", "f < a [failure]"),
        """
        take -> start a
        a ok -> finish succeeded
        """,
    ),
    "`failure` and `always` without needs": (
        job("f [failure]", "w [always]", "a"),
        """
        take -> start w, start a
        w ok
        a fails -> start f
        f ok -> finish failed
        """,
    ),
    "a job of a `failure` step alone": (
        job("f [failure]"),
        """
        take -> finish succeeded
        """,
    ),
    "`failure` in the middle is passed over when all goes well": (
        job("a", "f < a [failure]", "b < f"),
        """
        take -> start a
        a ok -> start b
        b ok -> finish succeeded
        """,
    ),
    "`failure` in the middle runs when the step before it fails": (
        job("a", "f < a [failure]", "b < f"),
        """
        take -> start a
        a fails -> start f
        f ok -> finish failed
        """,
    ),
    "`failure` that was passed over runs when a step behind it fails": (
        job("a", "f < a [failure]", "b < f"),
        """
        take -> start a
        a ok -> start b
        b fails -> start f
        f ok -> finish failed
        """,
    ),
    "`always` behind a `failure` that was passed over fails": (
        job("a", "f < a [failure]", "w < f [always]"),
        """
        take -> start a
        a ok -> start w
        w fails -> start f
        f ok -> finish failed
        """,
    ),
    "`failure`, then the `always` that needs it": (
        job("a", "f < a [failure]", "w < f [always]"),
        """
        take -> start a
        a fails -> start f
        f ok -> start w
        w ok -> finish failed
        """,
    ),
    "the end runs in the order of the graph, also across steps that are passed over": (
        job("a", "w < a [always]", "b < w", "c < b", "f < c [failure]", "d < f", "v < d [always]"),
        """
        take -> start a
        a fails -> start w
        w ok -> start f
        f ok -> start v
        v ok -> finish failed
        """,
    ),
    "what is passed over waits for no place": (
        job("a", "w < a [always]", "b < a", "s < b [always sleep]", "v < a [always]", limit=1),
        """
        take -> start a
        a fails -> start s, start w
        w ok -> start v
        s ok
        v ok -> finish failed
        """,
    ),
    "a step at the end that fails stops nothing": (
        job("a", "f < a [failure]", "w < f [always]", "v < w [always]"),
        """
        take -> start a
        a fails -> start f
        f fails -> start w
        w fails -> start v
        v fails -> finish failed
        """,
    ),
    "`always` that ran in its place does not run again": (
        job("w [always]", "a < w"),
        """
        take -> start w
        w ok -> start a
        a fails -> finish failed
        """,
    ),
    "`always` that fails in its place fails the run": (
        job("a", "w < a [always]", "v < w [always]"),
        """
        take -> start a
        a ok -> start w
        w fails -> start v
        v ok -> finish failed
        """,
    ),
    "`always` and `failure` mind the limit too": (
        job("a", "b [always]", "c < a [always]", "d < a [failure]", "e < a [always]", limit=1),
        """
        take -> start a
        a fails -> start b
        b ok -> start c
        c ok -> start d
        d ok -> start e
        e ok -> finish failed
        """,
    ),
    "a step at the end is retried and skipped like any other": (
        job("a", "f < a [failure]", "w < f [always]"),
        """
        take -> start a
        a fails -> start f
        f retries
        f ok -> start w
        w skipped -> finish failed
        """,
    ),
}

FAILURE: Situations = {
    "a failure starts nothing further": (
        CHAIN,
        """
        take -> start a
        a fails -> finish failed
        """,
    ),
    "a timed-out step is a failure of the run": (
        CHAIN,
        """
        take -> start a
        a timed_out -> finish failed
        """,
    ),
    "a step that could not even start is a failure": (
        job("a", "f < a [failure]", "w < a [always]"),
        """
        take -> start a
        a refused -> start f, start w
        f ok
        w ok -> finish failed
        """,
    ),
    "what runs is drained, in the order of its start": (
        job("a", "b", "c", "d < b", "e"),
        """
        take -> start a, start b, start c, start e
        e ok
        a starts
        c fails -> drain a, drain b
        b ok
        a ok -> finish failed
        """,
    ),
    "a second failure while the first drains": (
        job("a", "b", "c [undo]"),
        """
        take -> start a, start b, start c
        a fails -> drain b, drain c
        b fails
        c fails -> undo c
        c undone -> finish failed
        """,
    ),
    "what waits for its retry ends when the run is drained": (
        job("a [undo]", "b", "w < a [always]"),
        """
        take -> start a, start b
        a retries
        b fails -> drain a
        a dropped -> undo a
        a undone -> start w
        w ok -> finish failed
        """,
    ),
    "an allowed failure while draining": (
        job("a [allow]", "b"),
        """
        take -> start a, start b
        b fails -> drain a
        a fails -> finish failed
        """,
    ),
}

COMPENSATION: Situations = {
    "newest start first, one after another": (
        SAGA,
        """
        take -> start a
        a ok -> start b
        b ok -> start c
        c fails -> undo c
        c undoing
        c undone -> undo b
        b undone -> undo a
        a undone -> finish failed
        """,
    ),
    "the order of starts counts, not of ends, nor of the file": (
        job("a [undo]", "b [undo]", "c < b [undo]", "d < a c"),
        """
        take -> start a, start b
        b starts
        a starts
        b ok -> start c
        c ok
        a ok -> start d
        d fails -> undo c
        c undone -> undo a
        a undone -> undo b
        b undone -> finish failed
        """,
    ),
    "a retry does not make a start newer": (
        job("a [undo]", "b [undo]", "c < a b"),
        """
        take -> start a, start b
        a starts
        b starts
        a retries
        a ok
        b ok -> start c
        c fails -> undo b
        b undone -> undo a
        a undone -> finish failed
        """,
    ),
    "only what was started": (
        SAGA,
        """
        take -> start a
        a fails -> undo a
        a undone -> finish failed
        """,
    ),
    "what was to start and did not has nothing to undo": (
        job("a [undo]", "b [undo]"),
        """
        take -> start a, start b
        a fails -> drain b
        b dropped -> undo a
        a undone -> finish failed
        """,
    ),
    "what its condition skipped has nothing to undo": (
        SAGA,
        """
        take -> start a
        a skipped -> start b
        b ok -> start c
        c fails -> undo c
        c undone -> undo b
        b undone -> finish failed
        """,
    ),
    "an allowed failure may have done something": (
        job("a [undo allow]", "b < a"),
        """
        take -> start a
        a fails -> start b
        b fails -> undo a
        a undone -> finish failed
        """,
    ),
    "a wait that came true is undone too": (
        job("a [signal undo]", "b < a"),
        """
        take -> start a
        a came -> start b
        b fails -> undo a
        a undone -> finish failed
        """,
    ),
    "an undo is retried": (
        SAGA,
        """
        take -> start a
        a fails -> undo a
        a undo-retries
        a undoing
        a undo-retries
        a undone -> finish failed
        """,
    ),
    "an undo that fails for good does not keep the others": (
        SAGA,
        """
        take -> start a
        a ok -> start b
        b fails -> undo b
        b undo-fails -> undo a
        a undone -> finish failed
        """,
    ),
    "compensation comes before the steps of the end": (
        job("a [undo]", "f < a [failure]", "w < f [always undo]"),
        """
        take -> start a
        a fails -> undo a
        a undone -> start f
        f ok -> start w
        w fails -> finish failed
        """,
    ),
    "`always` that ran in its place is undone like any other": (
        job("w [always undo]", "a < w"),
        """
        take -> start w
        w ok -> start a
        a fails -> undo w
        w undone -> finish failed
        """,
    ),
    "a cancel does not stop it": (
        job("a [undo]", "b < a [undo]", "w < b [always]", "f < b [failure]"),
        """
        take -> start a
        a ok -> start b
        b fails -> undo b
        b undoing
        cancel
        b undone -> undo a
        cancel
        deadline
        a undone -> start w, start f
        cancel
        w ok
        deadline
        f ok -> finish failed
        """,
    ),
}

REQUESTS: Situations = {
    "cancel before anything was taken": (
        job("a [undo]", "w < a [always]", "f [failure]"),
        """
        cancel -> finish canceled
        take
        end
        """,
    ),
    "terminate before anything was taken": (
        job("a", "w [always]"),
        """
        terminate -> finish terminated
        """,
    ),
    "cancel while it was paused in the queue": (
        job("a", "w [always]"),
        """
        pause
        take
        cancel -> finish canceled
        """,
    ),
    "cancel of what runs, then undo, then `always` and no `failure`": (
        job("a [undo]", "b < a", "f < b [failure]", "w < f [always]", "g < w [failure]", "v < g [always]"),
        """
        take -> start a
        a ok -> start b
        b starts
        cancel -> cancel b
        b canceled -> undo a
        a undone -> start w
        w ok -> start v
        v ok -> finish canceled
        """,
    ),
    "cancel before the first attempt began": (
        job("a [undo]", "w < a [always]"),
        """
        take -> start a
        cancel -> cancel a
        a dropped -> start w
        w ok -> finish canceled
        """,
    ),
    "a step that ends well although it was asked to stop": (
        SAGA,
        """
        take -> start a
        a starts
        cancel -> cancel a
        a ok -> undo a
        a undone -> finish canceled
        """,
    ),
    "a step that fails because it was asked to stop": (
        job("a", "f < a [failure]"),
        """
        take -> start a
        a starts
        cancel -> cancel a
        a fails -> finish canceled
        """,
    ),
    "cancel while a failure drains: what drains is asked, the run has failed": (
        job("a", "b", "f < a [failure]"),
        """
        take -> start a, start b
        a fails -> drain b
        cancel -> cancel b
        cancel -> cancel b
        b canceled -> start f
        f ok -> finish failed
        """,
    ),
    "cancel at the end changes nothing": (
        job("a", "f < a [failure]"),
        """
        take -> start a
        a fails -> start f
        f starts
        cancel
        f ok -> finish failed
        cancel
        """,
    ),
    "cancel of a paused run": (
        SAGA,
        """
        take -> start a
        a starts
        pause
        cancel -> cancel a
        a canceled -> undo a
        a undone -> finish canceled
        """,
    ),
    "cancel when nothing runs, because it is paused": (
        job("a [undo]", "b < a"),
        """
        take -> start a
        pause
        a ok
        cancel -> undo a
        a undone -> finish canceled
        """,
    ),
    "cancel takes a paused compensation up again": (
        SAGA,
        """
        take -> start a
        a ok -> start b
        b fails -> undo b
        pause
        b undone
        cancel -> undo a
        a undone -> finish failed
        """,
    ),
    "cancel takes a paused end up again": (
        job("a", "w < a [always]"),
        """
        take -> start a
        a starts
        pause
        a fails
        unpause -> start w
        pause
        w ok
        cancel -> finish failed
        """,
    ),
    "the run's timeout": (
        job("a [undo]", "f < a [failure]", "w < f [always]"),
        """
        take -> start a
        a starts
        deadline -> timeout a
        a timed_out -> undo a
        a undone -> start f
        f ok -> start w
        w ok -> finish timed_out
        """,
    ),
    "the run's timeout while it is paused": (
        SAGA,
        """
        take -> start a
        a starts
        pause
        deadline -> timeout a
        a canceled -> undo a
        a undone -> finish timed_out
        """,
    ),
    "whoever comes first gives the status: cancel, then the timeout": (
        CHAIN,
        """
        take -> start a
        a starts
        cancel -> cancel a
        deadline -> cancel a
        a canceled -> finish canceled
        """,
    ),
    "whoever comes first gives the status: the timeout, then cancel": (
        CHAIN,
        """
        take -> start a
        a starts
        deadline -> timeout a
        cancel -> timeout a
        a timed_out -> finish timed_out
        """,
    ),
    "terminate kills what runs and does nothing else": (
        job("a [undo]", "b < a", "c < a", "f < a [failure]", "w < b [always]"),
        """
        take -> start a
        a ok -> start b, start c
        b starts
        terminate -> kill b, kill c
        c dropped
        b canceled -> finish terminated
        """,
    ),
    "terminate while a cancel waits": (
        SAGA,
        """
        take -> start a
        a starts
        cancel -> cancel a
        terminate -> kill a
        cancel
        deadline
        a canceled -> finish terminated
        """,
    ),
    "terminate, and again": (
        CHAIN,
        """
        take -> start a
        a starts
        terminate -> kill a
        terminate -> kill a
        a canceled -> finish terminated
        terminate
        """,
    ),
    "terminate during compensation": (
        SAGA,
        """
        take -> start a
        a ok -> start b
        b fails -> undo b
        b undoing
        terminate -> kill b
        b undo-killed -> finish terminated
        """,
    ),
    "terminate while an undo waits for its retry": (
        SAGA,
        """
        take -> start a
        a fails -> undo a
        a undo-retries
        terminate -> kill a
        a undo-dropped -> finish terminated
        """,
    ),
    "terminate before an undo has begun": (
        SAGA,
        """
        take -> start a
        a fails -> undo a
        terminate -> kill a
        a undo-dropped -> finish terminated
        """,
    ),
    "terminate at the end": (
        job("a", "f < a [failure]", "w < a [always]", "v < w [always]"),
        """
        take -> start a
        a fails -> start f, start w
        terminate -> kill f, kill w
        f ok
        w ok -> finish terminated
        """,
    ),
    "terminate of a paused run": (
        job("a", "b < a"),
        """
        take -> start a
        pause
        a ok
        terminate -> finish terminated
        """,
    ),
    "a pause does not hold back the end of a terminated run": (
        CHAIN,
        """
        take -> start a
        a starts
        terminate -> kill a
        pause
        a canceled -> finish terminated
        """,
    ),
}

PAUSE: Situations = {
    "paused in the queue": (
        CHAIN,
        """
        pause
        unpause
        take -> start a
        a ok -> start b
        """,
    ),
    "paused in the queue, taken, taken up": (
        CHAIN,
        """
        pause
        take
        unpause -> start a
        a ok -> start b
        """,
    ),
    "what runs ends by itself, nothing new starts": (
        job("a", "b", "c < a", "d < b"),
        """
        take -> start a, start b
        pause
        a ok
        b ok
        pause
        unpause -> start c, start d
        c ok
        d ok -> finish succeeded
        """,
    ),
    "the last step ends while it is paused": (
        job("a"),
        """
        take -> start a
        pause
        a ok
        unpause -> finish succeeded
        """,
    ),
    "a failure while it is paused": (
        job("a [undo]", "b [undo]", "w < a [always]"),
        """
        take -> start a, start b
        a starts
        b starts
        pause
        a fails -> drain b
        b ok
        unpause -> undo b
        pause
        b undone
        unpause -> undo a
        a undoing
        pause
        unpause
        a undone -> start w
        pause
        w ok
        unpause -> finish failed
        """,
    ),
    "between cancel and compensation": (
        SAGA,
        """
        take -> start a
        a starts
        cancel -> cancel a
        pause
        a canceled
        unpause -> undo a
        a undone -> finish canceled
        """,
    ),
}

REOPENED: Situations = {
    "a failed step starts again, finished ones are kept": (
        CHAIN,
        """
        take -> start a
        a ok -> start b
        b fails -> finish failed
        reopen -> redo b, redo c
        take -> start b
        b ok -> start c
        c ok -> finish succeeded
        """,
    ),
    "twice": (
        CHAIN,
        """
        take -> start a
        a fails -> finish failed
        reopen -> redo a, redo b, redo c
        take -> start a
        a ok -> start b
        b fails -> finish failed
        reopen -> redo b, redo c
        take -> start b
        b ok -> start c
        c ok -> finish succeeded
        """,
    ),
    "canceled": (
        CHAIN,
        """
        take -> start a
        a ok -> start b
        b starts
        cancel -> cancel b
        b canceled -> finish canceled
        reopen -> redo b, redo c
        take -> start b
        """,
    ),
    "canceled in the queue": (
        CHAIN,
        """
        cancel -> finish canceled
        reopen -> redo a, redo b, redo c
        take -> start a
        """,
    ),
    "timed out": (
        CHAIN,
        """
        take -> start a
        a starts
        deadline -> timeout a
        a timed_out -> finish timed_out
        reopen -> redo a, redo b, redo c
        take -> start a
        """,
    ),
    "terminated": (
        job("a [undo]", "b < a", "w < b [always]"),
        """
        take -> start a
        a ok -> start b
        b starts
        terminate -> kill b
        b canceled -> finish terminated
        reopen -> redo b, redo w
        take -> start b
        b fails -> undo a
        a undone -> start w
        w ok -> finish failed
        """,
    ),
    "terminated while a step waited for its retry": (
        CHAIN,
        """
        take -> start a
        a retries
        terminate -> kill a
        a dropped -> finish terminated
        reopen -> redo a, redo b, redo c
        take -> start a
        """,
    ),
    "a pause of the try before is over": (
        CHAIN,
        """
        take -> start a
        pause
        terminate -> kill a
        a dropped -> finish terminated
        reopen -> redo a, redo b, redo c
        take -> start a
        """,
    ),
    "canceled again before it was taken": (
        job("a [undo]", "b < a", "w < b [always]"),
        """
        take -> start a
        a ok -> start b
        b starts
        terminate -> kill b
        b canceled -> finish terminated
        reopen -> redo b, redo w
        cancel -> undo a
        take
        a undone -> start w
        w ok -> finish canceled
        """,
    ),
    "what ended well beside the failure is kept": (
        job("a", "b", "c < a", "d < b"),
        """
        take -> start a, start b
        a starts
        b fails -> drain a
        a ok -> finish failed
        reopen -> redo b, redo c, redo d
        take -> start b, start c
        """,
    ),
    "an allowed failure and a skipped step are finished": (
        job("a [allow]", "b < a", "c < b"),
        """
        take -> start a
        a fails -> start b
        b skipped -> start c
        c fails -> finish failed
        reopen -> redo c
        take -> start c
        """,
    ),
    "an allowed failure that was compensated is unfinished": (
        job("a [allow undo]", "b < a"),
        """
        take -> start a
        a fails -> start b
        b fails -> undo a
        a undone -> finish failed
        reopen from b -> redo a, redo b
        take -> start a
        """,
    ),
    "an allowed failure of an earlier try is none of this one": (
        job("a", "b [allow]"),
        """
        take -> start a, start b
        a fails -> drain b
        b fails -> finish failed
        reopen -> redo a, redo b
        take -> start a, start b
        terminate -> kill a, kill b
        a dropped
        b dropped -> finish terminated
        reopen -> redo a, redo b
        cancel -> finish canceled
        reopen -> redo a, redo b
        take -> start a, start b
        """,
    ),
    "an allowed failure that the run's end brought about is none": (
        job("a [allow]", "b [allow]", "c [allow]", "d"),
        """
        take -> start a, start b, start c, start d
        c canceled
        a starts
        b starts
        d starts
        deadline -> timeout a, timeout b, timeout d
        a timed_out
        b ok
        d timed_out -> finish timed_out
        reopen -> redo a, redo d
        take -> start a, start d
        """,
    ),
    "an allowed failure after the run stopped had not all its attempts": (
        job("a [allow]", "b [allow]", "c [allow]", "d"),
        """
        take -> start a, start b, start c, start d
        a fails
        b retries
        c starts
        d fails -> drain b, drain c
        b dropped
        c fails -> finish failed
        reopen -> redo b, redo c, redo d
        take -> start b, start c, start d
        """,
    ),
    "from a step: it and what needs it": (
        job("a", "b < a", "c < a", "d < b", "e < d c"),
        """
        take -> start a
        a ok -> start b, start c
        b ok -> start d
        c ok
        d fails -> finish failed
        reopen from b -> redo b, redo d, redo e
        take -> start b
        b ok -> start d
        d ok -> start e
        e ok -> finish succeeded
        """,
    ),
    "from a step of a run that succeeded": (
        job("a", "b < a", "c < a", "w < a [always]"),
        """
        take -> start a
        a ok -> start b, start c, start w
        b ok
        w ok
        c ok -> finish succeeded
        reopen from b -> redo b
        take -> start b
        b ok -> finish succeeded
        """,
    ),
    "from a step beside the one that failed": (
        job("a", "b"),
        """
        take -> start a, start b
        a ok
        b fails -> finish failed
        reopen from a -> redo a, redo b
        take -> start a, start b
        """,
    ),
    "what was compensated is unfinished, and so is what needs it": (
        job("a [undo]", "b < a", "c < b", "d"),
        """
        take -> start a, start d
        d ok
        a ok -> start b
        b ok -> start c
        c fails -> undo a
        a undone -> finish failed
        reopen from a -> redo a, redo b, redo c
        take -> start a
        a ok -> start b
        b ok -> start c
        c fails -> undo a
        a undone -> finish failed
        """,
    ),
    "what is kept is compensated in the order of its starts": (
        job("a [undo]", "b [undo]", "c < a b", "d < c [undo]"),
        """
        take -> start a, start b
        b starts
        a starts
        a ok
        b ok -> start c
        c starts
        terminate -> kill c
        c canceled -> finish terminated
        reopen -> redo c, redo d
        take -> start c
        c ok -> start d
        d fails -> undo d
        d undone -> undo a
        a undone -> undo b
        b undone -> finish failed
        """,
    ),
    "an undo that failed is due again, with new attempts": (
        job("a [undo]", "b < a"),
        """
        take -> start a
        a ok -> start b
        b fails -> undo a
        a undo-fails -> finish failed
        reopen from b -> redo b
        take -> start b
        b fails -> undo a
        a undo-retries
        a undone -> finish failed
        """,
    ),
    "an undo that a terminate cut off is due again": (
        SAGA,
        """
        take -> start a
        a ok -> start b
        b fails -> undo b
        b undo-retries
        terminate -> kill b
        b undo-dropped -> finish terminated
        reopen from b -> redo b, redo c
        take -> start b
        b fails -> undo b
        b undone -> undo a
        a undone -> finish failed
        """,
    ),
    "`failure` and `always` that ran at the end run at the next end": (
        job("a", "f < a [failure]", "w < f [always]"),
        """
        take -> start a
        a fails -> start f
        f ok -> start w
        w ok -> finish failed
        reopen -> redo a, redo f, redo w
        take -> start a
        a fails -> start f
        f ok -> start w
        w ok -> finish failed
        reopen -> redo a, redo f, redo w
        take -> start a
        a ok -> start w
        w ok -> finish succeeded
        """,
    ),
    "`always` that ran after a cancel between two steps runs at the next end": (
        job("a", "b < a", "w < a [always]", limit=1),
        """
        take -> start a
        pause
        a ok
        cancel -> start w
        w ok -> finish canceled
        reopen -> redo b, redo w
        take -> start b
        b ok -> start w
        w ok -> finish succeeded
        """,
    ),
    "`always` that ran after a timeout of a wait runs at the next end": (
        job("a [signal]", "w [always]", limit=1),
        """
        take -> start a, start w
        w ok
        deadline -> timeout a
        a dropped -> finish timed_out
        reopen -> redo a
        take -> start a
        """,
    ),
    "`failure` after a timeout of a wait is due at the next end": (
        job("a [signal]", "f < a [failure]"),
        """
        take -> start a
        deadline -> timeout a
        a dropped -> start f
        f ok -> finish timed_out
        reopen -> redo a, redo f
        take -> start a
        a fails -> start f
        f ok -> finish failed
        """,
    ),
    "`always` that ran in its place is kept, also when a step before it was compensated": (
        job("a [undo]", "w [always]", "c < a w"),
        """
        take -> start a, start w
        a ok
        w ok -> start c
        c fails -> undo a
        a undone -> finish failed
        reopen from a -> redo a, redo c
        take -> start a
        a ok -> start c
        """,
    ),
    "`always` after a compensated failure runs at the next end": (
        job("a [undo]", "w < a [always]", "v [always]"),
        """
        take -> start a, start v
        v ok
        a fails -> undo a
        a undone -> start w
        w ok -> finish failed
        reopen from a -> redo a, redo w
        take -> start a
        a ok -> start w
        """,
    ),
    "`always` after a compensated failure that it does not need": (
        job("a [undo]", "w [always]", limit=1),
        """
        take -> start a
        a fails -> undo a
        a undone -> start w
        w ok -> finish failed
        reopen from a -> redo a, redo w
        take -> start a
        a ok -> start w
        """,
    ),
    "`always` that ran at the end, between two cancels": (
        job("a", "b < a", "w < a [always]", "v < w [always]", limit=1),
        """
        take -> start a
        pause
        a ok
        cancel -> start w
        w ok -> start v
        cancel
        v ok -> finish canceled
        reopen -> redo b, redo w, redo v
        take -> start b
        """,
    ),
    "`always` that ran in its place after a pause": (
        job("a", "w < a [always]", "b < w"),
        """
        take -> start a
        pause
        a ok
        unpause -> start w
        w ok -> start b
        b fails -> finish failed
        reopen -> redo b
        take -> start b
        """,
    ),
    "`always` that was running when the run failed had its place": (
        job("a", "w [always]"),
        """
        take -> start a, start w
        w starts
        a fails -> drain w
        w ok -> finish failed
        reopen -> redo a
        take -> start a
        a ok -> finish succeeded
        """,
    ),
    "an earlier failure does not make a later `always` one of the end": (
        job("a", "w [always]", "b < a w"),
        """
        take -> start a, start w
        a fails -> drain w
        w dropped -> finish failed
        reopen -> redo a, redo w, redo b
        take -> start a, start w
        w ok
        a ok -> start b
        b fails -> finish failed
        reopen -> redo b
        take -> start b
        """,
    ),
    "work behind a `failure` step is kept": (
        job("a", "f < a [failure]", "b < f", "c < b"),
        """
        take -> start a
        a ok -> start b
        b ok -> start c
        c fails -> start f
        f ok -> finish failed
        reopen -> redo f, redo c
        take -> start c
        c ok -> finish succeeded
        """,
    ),
}

WAITS: Situations = {
    "a sleep": (
        job("a [sleep]", "b < a"),
        """
        take -> start a
        a waits
        a fires -> end a succeeded
        a ends -> start b
        b ok -> finish succeeded
        """,
    ),
    "a signal": (
        job("a [signal]", "b < a"),
        """
        take -> start a
        a waits
        send go {"k":1,"l":[2]} -> end a succeeded k=1 l=[2]
        a ends -> start b
        b ok -> finish succeeded
        """,
    ),
    "a payload that is no table is one output": (
        job("a [signal]", "b [signal]", "c [signal]"),
        """
        take -> start a, start b, start c
        a waits
        b waits
        c waits
        send go "text" -> end a succeeded value=text
        send go [] -> end b succeeded value=[]
        send go null -> end c succeeded
        """,
    ),
    "a signal of another name": (
        job("a [signal]"),
        """
        take -> start a
        a waits
        send stop 1
        send go 2 -> end a succeeded value=2
        """,
    ),
    "signals that come early are kept, in order": (
        job("a [signal]", "b < a [signal]", "c < b [signal]"),
        """
        send go 1
        take -> start a
        send go 2
        a waits -> end a succeeded value=1
        send go 3
        a ends -> start b
        b waits -> end b succeeded value=2
        b ends -> start c
        c waits -> end c succeeded value=3
        c ends -> finish succeeded
        """,
    ),
    "one signal ends one wait: the longest": (
        job("a [signal]", "b [signal]"),
        """
        take -> start a, start b
        b waits
        a waits
        send go 1 -> end b succeeded value=1
        send go 2 -> end a succeeded value=2
        send go 3
        b ends
        a ends -> finish succeeded
        """,
    ),
    "who has begun to wait first is first, also behind one that has ended": (
        job("a [signal]", "b [signal]", "c [signal]"),
        """
        take -> start a, start b, start c
        c waits
        b waits
        send go 1 -> end c succeeded value=1
        c ends
        a waits
        send go 2 -> end b succeeded value=2
        send go 3 -> end a succeeded value=3
        """,
    ),
    "steps that wait for different signals": (
        job("a [signal]", "b [stop]"),
        """
        take -> start a, start b
        a waits
        b waits
        send stop 1 -> end b succeeded value=1
        send go 2 -> end a succeeded value=2
        b ends
        a ends -> finish succeeded
        """,
    ),
    "a signal that does not come in time": (
        job("a [signal]", "b < a"),
        """
        take -> start a
        a waits
        a fires -> end a timed_out
        a ends -> finish failed
        """,
    ),
    "a signal that need not come": (
        job("a [signal continue]", "b < a"),
        """
        take -> start a
        a waits
        a fires -> end a succeeded
        send go 1
        a ends -> start b
        b ok -> finish succeeded
        """,
    ),
    "a signal and the timer in one breath": (
        job("a [signal]", "b < a [signal]"),
        """
        take -> start a
        a waits
        send go 1 -> end a succeeded value=1
        a fires
        a ends -> start b
        b waits
        """,
    ),
    "the timer and a signal in one breath: the signal is kept": (
        job("a [signal continue]", "b < a [signal]"),
        """
        take -> start a
        a waits
        a fires -> end a succeeded
        send go 1
        a ends -> start b
        b waits -> end b succeeded value=1
        """,
    ),
    "approved": (
        job("a [approval]", "b < a"),
        """
        take -> start a
        a waits
        a approved -> end a succeeded by=anna
        a ends -> start b
        b ok -> finish succeeded
        """,
    ),
    "rejected: no retry, and what was done is undone": (
        job("z [undo]", "a < z [approval]", "b < a", "f < b [failure]"),
        """
        take -> start z
        z ok -> start a
        a waits
        a rejected -> end a failed
        a ends -> undo z
        z undone -> start f
        f ok -> finish failed
        """,
    ),
    "rejected, and it may be": (
        job("a [approval allow]", "b < a"),
        """
        take -> start a
        a waits
        a rejected -> end a failed
        a ends -> start b
        """,
    ),
    "an answer that does not come in time": (
        job("a [approval]", "c [approval continue]"),
        """
        take -> start a, start c
        a waits
        c waits
        c fires -> end c succeeded
        c ends
        a fires -> end a timed_out
        a ends -> finish failed
        """,
    ),
    "several answers": (
        job("a [approval]", "b [approval]"),
        """
        take -> start a, start b
        a waits
        b waits
        b approved -> end b succeeded by=anna
        a approved -> end a succeeded by=anna
        b ends
        a ends -> finish succeeded
        """,
    ),
    "its condition is asked first": (
        job("a [signal]", "b < a"),
        """
        send go 1
        take -> start a
        a starts
        a may
        a waits -> end a succeeded value=1
        a ends -> start b
        """,
    ),
    "its condition says no": (
        job("a [signal]", "b < a [signal]"),
        """
        send go 1
        take -> start a
        a skipped -> start b
        b waits -> end b succeeded value=1
        """,
    ),
    "timers and answers go on in a pause, and nothing new starts": (
        job("a [sleep]", "b [signal]", "c [approval]", "d < a b c [sleep]"),
        """
        take -> start a, start b, start c
        a waits
        b waits
        c waits
        pause
        a fires -> end a succeeded
        a ends
        send go 1 -> end b succeeded value=1
        b ends
        c approved -> end c succeeded by=anna
        c ends
        unpause -> start d
        d waits
        d fires -> end d succeeded
        d ends -> finish succeeded
        """,
    ),
    "a wait that fails in a pause": (
        job("z [undo]", "a < z [signal]"),
        """
        take -> start z
        z ok -> start a
        a waits
        pause
        a fires -> end a timed_out
        a ends
        unpause -> undo z
        z undone -> finish failed
        """,
    ),
    "canceled while it waits": (
        job("z [undo]", "a < z [signal]", "w < a [always]"),
        """
        take -> start z
        z ok -> start a
        a waits
        cancel -> cancel a
        a dropped -> undo z
        z undone -> start w
        w ok -> finish canceled
        """,
    ),
    "canceled and a signal in one breath: the cancel was first": (
        job("a [signal]"),
        """
        take -> start a
        a waits
        cancel -> cancel a
        send go 1
        a dropped -> finish canceled
        reopen -> redo a
        take -> start a
        a waits -> end a succeeded value=1
        """,
    ),
    "a signal and a cancel in one breath: the signal was first": (
        job("a [signal undo]", "b < a"),
        """
        take -> start a
        a waits
        send go 1 -> end a succeeded value=1
        cancel -> cancel a
        a ends -> undo a
        a undone -> finish canceled
        """,
    ),
    "canceled, and answered too late": (
        job("a [approval]"),
        """
        take -> start a
        a waits
        cancel -> cancel a
        a approved
        a dropped -> finish canceled
        """,
    ),
    "the run's deadline while it waits": (
        job("a [approval]", "b [sleep]"),
        """
        take -> start a, start b
        a waits
        b waits
        deadline -> timeout a, timeout b
        a dropped
        b dropped -> finish timed_out
        """,
    ),
    "terminated while it waits": (
        job("z [undo]", "a < z [sleep]", "w < a [always]"),
        """
        take -> start z
        z ok -> start a
        a waits
        terminate -> kill a
        a dropped -> finish terminated
        """,
    ),
    "another step fails while it waits": (
        job("a [signal]", "b"),
        """
        take -> start a, start b
        a waits
        b fails -> drain a
        send go 1
        a dropped -> finish failed
        reopen -> redo a, redo b
        take -> start a, start b
        a waits -> end a succeeded value=1
        """,
    ),
    "waits at the end": (
        job("a", "s < a [always sleep]", "g < s [always signal]"),
        """
        take -> start a
        a fails -> start s
        s waits
        s fires -> end s succeeded
        s ends -> start g
        g waits
        cancel
        send go 1 -> end g succeeded value=1
        g ends -> finish failed
        """,
    ),
    "what waited well can be undone, what waited in vain need not": (
        job("a [signal undo]", "b < a [signal undo]"),
        """
        take -> start a
        a waits
        send go 1 -> end a succeeded value=1
        a ends -> start b
        b waits
        b fires -> end b timed_out
        b ends -> undo a
        a undone -> finish failed
        """,
    ),
    "signals that nobody took are there for the next try": (
        job("a", "b < a [signal]", "c < b [signal]", "d < c [stop]"),
        """
        send go 1
        send stop 9
        take -> start a
        a ok -> start b
        b waits -> end b succeeded value=1
        send go 2
        send go 3
        b ends -> start c
        c waits -> end c succeeded value=2
        c ends -> start d
        terminate -> kill d
        d dropped -> finish terminated
        reopen from c -> redo c, redo d
        take -> start c
        c waits -> end c succeeded value=3
        c ends -> start d
        d waits -> end d succeeded value=9
        d ends -> finish succeeded
        """,
    ),
    "a signal that was decided about and never recorded is there for the next try": (
        job("a [signal]"),
        """
        take -> start a
        a waits
        send go 1 -> end a succeeded value=1
        fail
        reopen -> redo a
        take -> start a
        a waits -> end a succeeded value=1
        """,
    ),
    "a step that is kept has kept its signal": (
        job("a [signal]", "b < a"),
        """
        take -> start a
        a waits
        send go 1 -> end a succeeded value=1
        a ends -> start b
        b fails -> finish failed
        reopen from a -> redo a, redo b
        take -> start a
        a waits
        send go 2 -> end a succeeded value=2
        """,
    ),
}

SUSPENDED: Situations = {
    "a script that sleeps goes on as another attempt": (
        job("a", "b < a"),
        """
        take -> start a
        a naps
        a fires -> start a
        a naps
        a fires -> start a
        a ok -> start b
        """,
    ),
    "a script that waits for a signal": (
        job("a", "b < a"),
        """
        take -> start a
        a listens
        send stop 1
        send go 2 -> wake a go=2
        a wakes -> start a
        a ok -> start b
        """,
    ),
    "an early signal is taken at once, and each wait takes one": (
        job("a"),
        """
        take -> start a
        a starts
        send go 1
        send go 2
        a listens -> wake a go=1
        a wakes -> start a
        a listens -> wake a go=2
        a wakes -> start a
        a listens
        send go 3 -> wake a go=3
        send go 4
        a wakes -> start a
        a listens -> wake a go=4
        """,
    ),
    "the oldest wait is first, a step's or a script's": (
        job("a", "b", "c [signal]"),
        """
        take -> start c, start a, start b
        a starts
        b listens
        c waits
        a listens
        send go 1 -> wake b go=1
        send go 2 -> end c succeeded value=2
        send go 3 -> wake a go=3
        """,
    ),
    "a script is told that its signal did not come in time": (
        job("a"),
        """
        take -> start a
        a listens
        a fires -> start a
        send go 1
        a listens -> wake a go=1
        """,
    ),
    "the step's own limit passes": (
        job("a [undo]"),
        """
        take -> start a
        a nears-its-limit
        a fires -> end a timed_out
        a ends -> undo a
        """,
    ),
    "it is woken: its sleep ends, not its own time": (
        job("a [undo]"),
        """
        take -> start a
        a nears-its-limit
        a woken
        a fires -> start a
        """,
    ),
    "woken before its next attempt": (
        job("a"),
        """
        take -> start a
        a retries
        a woken
        a ok -> finish succeeded
        """,
    ),
    "a signal is not what waking brings": (
        job("a"),
        """
        take -> start a
        a listens
        a woken
        send go 1 -> wake a go=1
        """,
    ),
    "what is suspended holds no slot, and goes on when there is one": (
        job("a", "b", "c", limit=1),
        """
        take -> start a
        a naps -> start b
        b naps -> start c
        a fires
        b fires
        c ok -> start a
        a ok -> start b
        b ok -> finish succeeded
        """,
    ),
    "it is done when another fails: it is ended, and undone": (
        job("a [undo]", "b"),
        """
        take -> start a, start b
        a naps
        b fails -> drain a
        a dropped -> undo a
        a undone -> finish failed
        """,
    ),
    "it is canceled while it waits for its slot": (
        job("a", "b", limit=1),
        """
        take -> start a
        a naps -> start b
        a fires
        cancel -> cancel a, cancel b
        a dropped
        b canceled -> finish canceled
        """,
    ),
    "a signal that comes after a cancel wakes nobody": (
        job("a"),
        """
        take -> start a
        a listens
        cancel -> cancel a
        send go 1
        a dropped -> finish canceled
        """,
    ),
    "nothing of it starts while the run is paused": (
        job("a"),
        """
        take -> start a
        a naps
        pause
        a fires
        unpause -> start a
        """,
    ),
    "a script in the cleanup waits, too": (
        job("a", "b < a [failure]"),
        """
        take -> start a
        a fails -> start b
        b naps
        b fires -> start b
        b ok -> finish failed
        """,
    ),
}

SITUATIONS = SUSPENDED | FORWARD | AT_THE_END | FAILURE | COMPENSATION | REQUESTS | PAUSE | REOPENED | WAITS


@pytest.mark.parametrize("name", SITUATIONS)
def test_what_follows(name: str) -> None:
    what, story = SITUATIONS[name]
    world = World(what)
    for line in filter(None, map(str.strip, story.splitlines())):
        words, _, expected = line.partition(" -> ")
        assert (words, world.tell(words)) == (words, expected.split(", ") if expected else [])


def test_no_situation_hides_another_of_the_same_name() -> None:
    tables = (SUSPENDED, FORWARD, AT_THE_END, FAILURE, COMPENSATION, REQUESTS, PAUSE, REOPENED, WAITS)
    assert len(SITUATIONS) == sum(len(table) for table in tables)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("a ok", None),
        ("a fails", "step a: boom"),
        ("a timed_out", "step a: timed out"),
        ("a refused", "step a: no such thing"),
        ("a starts, cancel, a canceled", "canceled"),
        ("a starts, deadline, a canceled", "the run's timeout passed"),
        ("a starts, terminate, a canceled", "terminated"),
        ("a starts, cancel, terminate, a canceled", "terminated"),
        ("a starts, cancel, deadline, a fails", "canceled"),
    ],
)
def test_the_run_ends_with_its_first_reason(words: str, reason: str | None) -> None:
    world = World(job("a"))
    world.tell("take")
    for word in words.split(", "):
        world.tell(word)
    assert world.finished is not None
    assert world.finished.reason == reason


@pytest.mark.parametrize(
    ("step", "words", "reason"),
    [
        ("a [signal]", "a fires", "step a: the signal go did not come in time"),
        ("a [approval]", "a fires", "step a: the answer did not come in time"),
        ("a [approval]", "a rejected", "step a: rejected by anna: no"),
        ("a [approval]", "cancel", "canceled"),
    ],
)
def test_why_a_wait_ended_the_run(step: str, words: str, reason: str) -> None:
    world = World(job(step))
    for word in ("take", "a waits", words, "a dropped" if words == "cancel" else "a ends"):
        world.tell(word)
    assert world.finished is not None
    assert world.finished.reason == reason


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"approved": False}, "rejected"),
        ({"approved": False, "by": "anna"}, "rejected by anna"),
        ({"approved": False, "comment": "not now"}, "rejected: not now"),
    ],
)
def test_a_rejection_says_who_and_why(answer: dict[str, Any], error: str) -> None:
    world = World(job("a [approval]"))
    world.tell("take")
    world.tell("a waits")
    (end,) = world.feed(Event(EventType.APPROVAL_ANSWERED, world.now(), "a", data=answer))
    assert end == EndStep("a", StepStatus.FAILED, {}, error)


def test_what_was_decided_and_is_not_recorded_is_found_by_who_goes_on() -> None:
    world = World(job("a [signal]", "b [approval]", "c [sleep]"))
    for words in ("take", "a waits", "b waits", "c waits", "send go 1", "b approved"):
        world.tell(words)
    _, decider = restore(world.job, world.events)
    assert [(end.step, end.status) for end in decider.ends()] == [("a", "succeeded"), ("b", "succeeded")]
    assert decider.active() == ["a", "b", "c"]
    world.tell("b ends")
    _, decider = restore(world.job, world.events)
    assert [end.step for end in decider.ends()] == ["a"]


def test_signals_of_a_try_with_another_definition_are_kept_too() -> None:
    before, after = job("gone [signal]", "b < gone"), job("b", "new < b [signal]")
    world = World(before)
    for words in ("take", "gone waits", "send go 1", "gone ends", "send go 2", "b fails", "end"):
        world.tell(words)
    events = [*world.events, Event(EventType.RUN_REOPENED, 900, data={"redo": to_redo(after, world.state)})]
    events += [Event(EventType.RUN_TAKEN, 901), Event(EventType.ATTEMPT_STARTED, 902, "b", 2)]
    events += [Event(EventType.ATTEMPT_ENDED, 903, "b", 2)]
    _, decider = restore(after, events)
    waits = Event(EventType.WAIT_STARTED, 904, "new", data={"kind": "signal", "name": "go"})
    assert decider.feed(waits) == [EndStep("new", StepStatus.SUCCEEDED, {"value": 2}, None)]


@pytest.mark.parametrize("kind", [EventType.CANCEL_REQUESTED, EventType.RUN_TIMED_OUT, EventType.TERMINATE_REQUESTED])
def test_a_reason_that_somebody_gave_is_the_run_s(kind: EventType) -> None:
    world = World(job("a"))
    world.tell("take")
    world.feed(Event(kind, world.now(), data={"reason": "the disk is needed"}))
    world.tell("a canceled")
    assert world.finished is not None
    assert world.finished.reason == "the disk is needed"


@pytest.mark.parametrize(
    ("words", "may"),
    [
        ("", False),
        ("take", True),
        ("take, pause", False),
        ("take, pause, unpause", True),
        ("take, a starts, b fails", False),
        ("take, b fails, a ok", True),
        ("take, b fails, a ok, pause", False),
        ("take, b fails, a ok, a undone", True),
        ("take, b fails, a ok, a undone, w ok", False),
        ("take, cancel", False),
        ("take, b fails, a ok, terminate", False),
    ],
)
def test_attempts_start_only_when_the_run_goes_on(words: str, may: bool) -> None:
    world = World(job("a [undo]", "b", "w < a [always]"))
    for word in filter(None, words.split(", ")):
        world.tell(word)
    assert world.decider.may_start is may


def test_what_an_engine_must_find_running() -> None:
    world = World(job("b", "a [undo]", "c < a b"))
    seen = []
    for words in ("take", "a starts", "b starts", "b ok", "a ok", "c fails", "a undoing", "terminate", "a undo-killed"):
        world.tell(words)
        seen.append((words, world.decider.active(), world.decider.undoing))
    assert seen == [
        ("take", ["b", "a"], None),
        ("a starts", ["b", "a"], None),
        ("b starts", ["b", "a"], None),
        ("b ok", ["a"], None),
        ("a ok", ["c"], None),
        ("c fails", [], "a"),
        ("a undoing", [], "a"),
        ("terminate", [], "a"),
        ("a undo-killed", [], None),
    ]


def test_an_end_that_is_told_twice_counts_once() -> None:
    decider = Decider(job("a", "b", "c < a b"))
    decider.feed(Event(EventType.RUN_TAKEN, 1))
    ended = Event(EventType.ATTEMPT_ENDED, 2, "a", 1)
    assert decider.feed(ended) == []
    assert decider.feed(ended) == []
    assert decider.feed(Event(EventType.UNDO_ENDED, 3, "a", 1)) == []
    assert decider.feed(Event(EventType.ATTEMPT_ENDED, 4, "b", 1)) == [StartStep("c")]


def test_a_retry_at_nothing_is_no_retry() -> None:
    decider = Decider(job("a"))
    decider.feed(Event(EventType.RUN_TAKEN, 1))
    event = Event(EventType.ATTEMPT_ENDED, 2, "a", 1, {"retry_at": None})
    assert decider.feed(event) == [FinishRun(RunStatus.SUCCEEDED, None)]


def test_a_snapshot_is_not_changed_by_what_comes_later() -> None:
    world = World(SAGA)
    world.tell("take")
    before = world.decider.snapshot()
    copy = {key: (list(value) if isinstance(value, list) else value) for key, value in before.items()}
    copy |= {key: dict(value) for key, value in before.items() if isinstance(value, dict)}
    for words in ("a ok", "b fails", "b undone"):
        world.tell(words)
    assert before == copy
    assert before != world.decider.snapshot()


def test_a_snapshot_of_another_version_is_refused() -> None:
    saved = Decider(CHAIN).snapshot() | {"version": 0}
    with pytest.raises(ValueError, match="version 0"):
        Decider.restore(CHAIN, saved)


# -- reopened ------------------------------------------------------------------------------------------------------


def test_attempts_are_numbered_on_across_reopenings() -> None:
    world = World(CHAIN)
    for words in ("take", "a retries", "a fails", "reopen", "take", "a retries", "a ok", "b fails", "reopen from a"):
        world.tell(words)
    a = world.state.steps["a"]
    assert ([attempt.number for attempt in a.attempts], a.attempts_in_try) == ([1, 2, 3, 4], 0)
    for words in ("take", "a retries", "a starts"):
        world.tell(words)
    assert ([attempt.number for attempt in a.attempts], a.attempts_in_try) == ([1, 2, 3, 4, 5, 6], 2)
    assert world.state.steps["b"].attempts_in_try == 0


def test_kept_steps_come_in_the_order_of_their_starts_however_the_clock_went() -> None:
    what = job("c", "b", "a", "d < a b c")
    events = [Event(EventType.RUN_CREATED, 0), Event(EventType.RUN_TAKEN, 0)]
    events += [Event(EventType.ATTEMPT_STARTED, at, name, 1) for name, at in (("b", 5), ("a", 5), ("c", 3))]
    events += [Event(EventType.ATTEMPT_ENDED, 6, name, 1) for name in "cab"]
    events += [
        Event(EventType.ATTEMPT_STARTED, 6, "d", 1),
        Event(EventType.ATTEMPT_ENDED, 6, "d", 1, {"status": "failed"}),
        Event(EventType.RUN_ENDED, 6, data={"status": "failed"}),
        Event(EventType.RUN_REOPENED, 6, data={"redo": ["d"]}),
    ]
    state, _ = restore(what, events)
    assert list(kept(what, state)) == ["b", "a", "c"]


def test_a_changed_definition_takes_over_at_the_reopening() -> None:
    before, after = job("a", "old < a"), job("a", "new < a", "b < new")
    world = World(before)
    for words in ("take", "a ok", "old fails", "end"):
        world.tell(words)
    redo = to_redo(after, world.state)
    assert redo == ["new", "b"]
    reopened = Event(EventType.RUN_REOPENED, world.now(), data={"redo": redo})
    taken = Event(EventType.RUN_TAKEN, world.now())
    state, decider = restore(after, [*world.events, reopened])
    assert kept(after, state) == {"a": StepStatus.SUCCEEDED}
    assert decider.feed(taken) == [StartStep("new")]
    _, decider = restore(after, [*world.events, reopened, taken])
    assert decider.active() == ["new"]


REUSED: dict[str, tuple[Job, dict[str, dict[str, Any]], str]] = {
    "what needs them starts at once": (CHAIN, {"a": {}, "b": {}}, "take -> start c"),
    "a failure that is allowed is an end too": (
        job("a [allow]", "b < a"),
        {"a": {"status": "failed"}},
        "take -> start b",
    ),
    "they are not undone": (
        SAGA,
        {"a": {}},
        """
        take -> start b
        b ok -> start c
        c fails -> undo c
        c undone -> undo b
        b undone -> finish failed
        """,
    ),
    "nor when it is canceled": (
        SAGA,
        {"a": {}, "b": {}},
        """
        take -> start c
        c starts
        cancel -> cancel c
        c canceled -> undo c
        c undone -> finish canceled
        """,
    ),
    "nor in a later try, where only this run's own are": (
        SAGA,
        {"a": {}},
        """
        take -> start b
        b ok -> start c
        terminate -> kill c
        c dropped -> finish terminated
        reopen -> redo c
        take -> start c
        c fails -> undo c
        c undone -> undo b
        b undone -> finish failed
        """,
    ),
    "what is done again by this run is this run's to undo": (
        SAGA,
        {"a": {}, "b": {}},
        """
        take -> start c
        terminate -> kill c
        c dropped -> finish terminated
        reopen from b -> redo b, redo c
        take -> start b
        b ok -> start c
        c fails -> undo c
        c undone -> undo b
        b undone -> finish failed
        """,
    ),
}


@pytest.mark.parametrize("name", REUSED)
def test_what_another_run_has_done(name: str) -> None:
    what, reused, words = REUSED[name]
    world = World(what, reused)
    for line in words.strip().splitlines():
        told, _, expected = line.strip().partition(" -> ")
        assert world.tell(told) == (expected.split(", ") if expected else []), line


@pytest.mark.parametrize("length", range(1, 22))
def test_a_history_that_breaks_off_anywhere_leads_to_the_same_actions(length: int) -> None:
    words = ["take", "a starts", "a ok", "b starts", "b retries", "b starts", "take", "b ok", "c starts", "pause"]
    words += ["c fails", "unpause", "c undoing", "c undo-retries", "c undoing", "c undone", "b undoing", "b undo-fails"]
    words += ["a undoing", "a undone", "end"]
    whole, broken = World(SAGA), World(SAGA)
    for word in words[:length]:
        whole.tell(word)
        broken.tell(word)
    broken.state, broken.decider = restore(SAGA, broken.events)
    assert [broken.tell(word) for word in words[length:]] == [whole.tell(word) for word in words[length:]]
    assert (whole.state.status, whole.decider.mode) == (RunStatus.FAILED, Mode.ENDED)


# -- the same everywhere, and at any size --------------------------------------------------------------------------


def test_every_process_decides_the_same() -> None:
    told = set()
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        code = "import situations; print(situations.story())"
        told.add(subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True).stdout)
    assert told == {f"{story()}\n".encode()}


def _chain(n: int) -> Job:
    return job("s0", *(f"s{i} < s{i - 1}" for i in range(1, n)))


def _fan(n: int) -> Job:
    return job("first", *(f"s{i} < first" for i in range(n - 2)), "last < " + " ".join(f"s{i}" for i in range(n - 2)))


def _passed_over(n: int) -> Job:
    """A chain that fails at once and has its only other step that runs at its far end."""
    return job("s0", *(f"s{i} < s{i - 1}" for i in range(1, n - 1)), f"end < s{n - 2} [always]")


def _run(what: Job, outcomes: dict[str, str] | None = None) -> int:
    """Drive a job to its end, what started first ending first; how many steps started."""
    decider = Decider(what)
    queue: list[Action] = decider.feed(Event(EventType.RUN_TAKEN, 0))
    started = 0
    for action in queue:
        if isinstance(action, StartStep):
            started += 1
            decider.feed(Event(EventType.ATTEMPT_STARTED, 1, action.step, 1))
            data = {"status": (outcomes or {}).get(action.step, "succeeded")}
            queue += decider.feed(Event(EventType.ATTEMPT_ENDED, 2, action.step, 1, data))
    assert isinstance(queue[-1], FinishRun)
    return started


SIZES = {
    "chain": (_chain, {}, 10_000),
    "fan": (_fan, {}, 10_000),
    "passed over": (_passed_over, {"s0": "failed"}, 2),
}


@pytest.mark.parametrize("shape", SIZES)
def test_ten_thousand_steps(shape: str) -> None:
    build, outcomes, expected = SIZES[shape]
    assert _run(build(10_000), outcomes) == expected


@pytest.mark.parametrize("shape", SIZES)
def test_the_work_per_step_does_not_grow_with_the_job(shape: str) -> None:
    build, outcomes, _ = SIZES[shape]
    few, many = (_lines_executed(build(n), outcomes) for n in (100, 1_000))
    assert many < 11 * few


def _lines_executed(what: Job, outcomes: dict[str, str]) -> int:
    """How many lines of decide.py a whole run takes: a measure that no busy machine disturbs."""
    lines = 0
    file = sys.modules[Decider.__module__].__file__

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal lines
        if frame.f_code.co_filename != file:
            return None
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        _run(what, outcomes)
    finally:
        sys.settrace(before)
    return lines


# -- whatever happens ----------------------------------------------------------------------------------------------


@st.composite
def _jobs(draw: st.DrawFn) -> Job:
    lines = []
    for i in range(draw(st.integers(1, 7))):
        needs = [f"s{n}" for n in range(i) if draw(st.booleans())]
        traits = [trait for trait in ("undo", "allow") if draw(st.integers(0, 3)) == 0]
        traits += draw(
            st.sampled_from([[], [], [], [], ["sleep"], ["signal"], ["signal", "continue"], ["approval"], ["job"]])
        )
        traits += draw(st.sampled_from([[], [], [], ["always"], ["failure"]]))
        traits += draw(st.sampled_from([[], [], ["each"], ["two"], ["fast"]]))
        lines.append(f"s{i} < {' '.join(needs)} [{' '.join(traits)}]")
    draw(st.randoms(use_true_random=False)).shuffle(lines)
    return job(*lines, limit=draw(st.integers(1, 3)))


class _Watched(World):
    """A run whose promises are checked at every action."""

    def __init__(self, what: Job) -> None:
        self.running: dict[str, None] = {}
        self.started: set[str] = set()  # in this try
        self.begun: list[str] = []  # attempts began, or kept from an earlier try
        self.undone: list[str] = []
        self.undoing: str | None = None
        self.at_end: set[str] = set()
        self.ending: set[str] = set()  # waits whose end was decided in this try
        super().__init__(what)

    def feed(self, event: Event) -> list[Action]:
        over = event.data.get("retry_at") is None
        fanned = self._fanned(event.step)
        if event.type in (EventType.ATTEMPT_ENDED, EventType.STEP_ENDED) and over and not fanned:
            self.running.pop(event.step)
        if event.type is EventType.ITEMS_LISTED:
            self.running.pop(event.step)
        came = event.type is EventType.STEP_ENDED and event.data["status"] == "succeeded" and not fanned
        came = came or (event.type is EventType.WAIT_STARTED and event.data["kind"] == "child")
        if (came or event.type is EventType.ATTEMPT_STARTED) and event.step not in self.begun:
            self.begun.append(event.step)
        if event.type is EventType.UNDO_ENDED and over:
            self.undoing = None
        return super().feed(event)

    def _fanned(self, name: str) -> bool:
        state = self.state.steps.get(name)
        return state is not None and state.items is not None and state.status is not StepStatus.PENDING

    def reopened(self) -> None:
        assert not self.running
        assert self.undoing is None
        done = kept(self.job, self.state)
        self.started, self.undone, self.at_end, self.ending = set(done), [], set(), set()
        self.begun = [n for n, status in done.items() if status is not StepStatus.SKIPPED and not self._fanned(n)]

    def _note(self, actions: list[Action]) -> list[Action]:
        for action in actions:
            if isinstance(action, StartStep):
                self._check_start(action.step)
            elif isinstance(action, Compensate):
                assert not self.running
                assert self.undoing is None
                assert action.step not in self.undone
                self.undoing = action.step
                self.undone.append(action.step)
            elif isinstance(action, StopStep):
                assert action.step in self.running or action.step == self.undoing
            elif isinstance(action, EndStep):
                if self._fanned(action.step):
                    assert action.step not in map(step_name, self.running), "it ends when its items have"
                else:
                    assert self.state.steps[action.step].status is StepStatus.WAITING
                    assert action.step in self.running
                assert action.step not in self.ending, "a wait ends once"
                self.ending.add(action.step)
            else:
                self._check_finish(action.status)
        return super()._note(actions)

    def _check_start(self, name: str) -> None:
        step = self.job.step(step_name(name))
        assert name not in self.started, "a step starts once in a try, and never when it was kept"
        assert not self.decider.paused
        self.started.add(name)
        self.running[name] = None
        steps = {n: self.job.step(step_name(n)) for n in self.running}
        lists = [n for n, s in steps.items() if s.foreach is not None and item_index(n) is None]
        commands = [n for n, s in steps.items() if s.kind is StepKind.COMMAND and n not in lists]
        assert len(commands) <= self.job.max_parallel_steps
        if step.foreach is not None and step.foreach.max_parallel is not None:
            assert sum(1 for s in steps.values() if s is step) <= step.foreach.max_parallel
        if self.decider.mode is Mode.FORWARD:
            assert step.when is not When.FAILURE
            for need in map(self.job.step, step.needs):
                state = self.state.steps.get(need.name)
                passed_over = state is None or state.status is StepStatus.PENDING
                well = need.when is When.FAILURE if passed_over else self._well(need.name)
                assert well, "needs have ended well"
        else:
            assert self.decider.mode is Mode.CLEANUP
            self.at_end.add(name)
            assert step.when is not When.SUCCESS
            assert not set(map(step_name, self.running)) & set(step.needs), "also at the end, needs come first"

    def _well(self, name: str) -> bool:
        status = self.state.steps[name].status
        return status in (StepStatus.SUCCEEDED, StepStatus.SKIPPED) or self.job.step(step_name(name)).allow_failure

    def _check_finish(self, status: RunStatus) -> None:
        assert not self.running
        assert self.undoing is None
        ended = {name: state.status for name, state in self.state.steps.items()}
        if status is RunStatus.SUCCEEDED:
            assert self.undone == []
            assert all(step.name in self.started or step.when is When.FAILURE for step in self.job.steps)
            assert all(self._well(name) for name in self.started)
        elif status is not RunStatus.TERMINATED:
            skipped = {name for name, s in ended.items() if s is StepStatus.SKIPPED}
            due = [n for n in self.begun if self.job.step(step_name(n)).compensate and n not in skipped | self.at_end]
            assert self.undone == due[::-1]
            late = {When.ALWAYS} if status is RunStatus.CANCELED else {When.ALWAYS, When.FAILURE}
            if any(s is not StepStatus.PENDING for s in ended.values()):
                assert all(step.name in self.started for step in self.job.steps if step.when in late)


def _possible(world: _Watched) -> list[str]:
    """What may happen to the work next. An engine does only what may_start and the stops allow it."""
    decider, words = world.decider, []
    for name in decider.active():
        state = world.state.steps.get(name)
        if state is not None and state.status is StepStatus.RUNNING:
            words += [f"{name} {word}" for word in ("ok", "ok", "ok", "fails", "timed_out", "skipped", "canceled")]
            words += [f"{name} retries"]
        elif name in (end.step for end in decider.ends()):
            words += [f"{name} ends"]
        elif state is not None and state.waits_for_child():  # it may end in any mode
            words += [f"{name} {word}" for word in ("came", "refused", "dropped", "fires")]
        elif state is not None and state.waiting is not None:
            answers = ["approved", "rejected", "fires"] if state.waiting["kind"] == "approval" else ["fires"]
            words += [f"{name} {word}" for word in answers]
            words += [f"{name} dropped"] if decider.mode is Mode.STOPPING else []
        elif decider.may_start and world.job.step(step_name(name)).foreach is not None and item_index(name) is None:
            known = state is not None and state.items is not None
            words += [f"{name} listed"] if known else [f"{name} listed {n}" for n in (1, 3, 0, 2)] + [f"{name} refused"]
        elif decider.may_start:
            command = world.job.step(step_name(name)).kind is StepKind.COMMAND
            words += [f"{name} {'starts' if command else 'waits'}"] * 3 + [f"{name} refused"]
        elif decider.mode is Mode.STOPPING:
            words += [f"{name} dropped"]
    words += [f"{end.step} ends" for end in decider.ends() if end.step not in decider.active()]
    if decider.undoing is not None:
        name = decider.undoing
        undo = world.state.undo.get(name)
        if undo is not None and undo.status is StepStatus.RUNNING:
            words += [f"{name} {word}" for word in ("undone", "undone", "undo-fails", "undo-retries")]
        elif decider.may_start:
            words += [f"{name} undoing"]
        elif decider.mode is Mode.STOPPING:
            words += [f"{name} undo-dropped"]
    return words


def _requests(world: _Watched) -> list[str]:
    words = ["take", "pause", "cancel", "terminate", "send go 1"]
    if world.state.status is RunStatus.PAUSED:
        words += ["unpause"] * 8
    if world.state.status is not RunStatus.QUEUED:
        words += ["deadline"]
    return words


@settings(max_examples=300, deadline=None)
@given(what=_jobs(), data=st.data())
def test_whatever_happens_the_promises_hold(what: Job, data: st.DataObject) -> None:
    world = _Watched(what)
    patience = 60
    for _ in range(data.draw(st.integers(1, 3), label="tries")):
        if world.decider.mode is Mode.ENDED:
            world.tell("end")
            names = st.sampled_from([step.name for step in what.steps])
            start = data.draw(names if world.state.undone else st.none() | names, label="from")
            world.tell("reopen" if start is None else f"reopen from {start}")
            world.reopened()
        if world.decider.mode is Mode.NEW and data.draw(st.integers(0, 5)):
            world.tell("take")
        while world.decider.mode is not Mode.ENDED:
            patience -= 1
            words = _possible(world)
            if patience < 0:  # enough of it: the shortest way to an end
                words = words[:1] or ["unpause" if world.decider.paused else "take"]
            elif not words or not data.draw(st.integers(0, 9)):
                words += _requests(world)
            world.tell(data.draw(st.sampled_from(words), label="then"))
    world.tell("end")
    assert world.finished is not None
    assert world.state.status == world.finished.status


@pytest.mark.parametrize(
    ("told", "asked"),
    [
        ("take; a starts; w starts", {"a": None, "w": None}),
        ("take; a starts; w starts; b fails", {"a": None, "w": None}),  # they may end by themselves
        ("take; a starts; w starts; b fails; cancel", {"a": "cancel", "w": None}),  # and may not any more
        ("take; a starts; w starts; b fails; deadline; cancel", {"a": "timeout", "w": None}),  # the first word counts
        ("take; a starts; w starts; cancel", {"a": "cancel", "w": None}),  # what always runs is not cut short
        ("take; a starts; w starts; cancel; terminate", {"a": "kill", "w": "kill"}),
        ("take; a starts; w ok; b fails; a ok", {"a!undo": None}),
        ("take; a starts; w ok; b fails; a ok; a undoing; cancel", {"a!undo": None}),  # an undo is shielded
        ("take; a starts; w ok; b fails; a ok; a undoing; terminate", {"a!undo": "kill"}),
    ],
)
def test_how_what_is_under_way_is_asked_to_end(told: str, asked: dict[str, str | None]) -> None:
    """Whoever takes a run over asks this of each attempt: what StopStep has said, and nobody may have heard."""
    world = World(job("a [undo]", "b", "w [always]"))
    for words in told.split("; "):
        world.tell(words)
    assert {key: world.decider.asked_to_end(key) for key in asked} == asked
