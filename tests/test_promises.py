"""Every promise of docs/architecture.md has tests that would fail if it were broken: here stands which."""

from __future__ import annotations

import ast

import pytest

from test_docs import ARCHITECTURE, ROOT, rows

# A promise, as it stands there -> file of tests -> its tests.
PROMISES: dict[str, dict[str, list[str]]] = {
    "An event that was acknowledged is never lost, power cuts included": {
        "tests/store/test_append.py": ["test_a_turn_that_cannot_be_written_leaves_nothing_half_written"],
        "tests/faults/test_power_cut.py": ["test_what_was_acknowledged_survives_a_power_cut"],
        "tests/faults/test_many_killed.py": ["test_nothing_is_lost_and_nothing_done_twice"],
    },
    "Two writers never both add the same event of a run": {
        "tests/store/test_append.py": [
            "test_of_two_writers_one_reads_again",
            "test_many_writers_append_one_after_the_other",
        ],
        "tests/faults/test_interference.py": ["test_fifty_calls_at_once"],
    },
    "A finished step never runs again; attempts of a step never overlap": {
        "tests/core/run/test_decide.py": ["test_whatever_happens_the_promises_hold"],
        "tests/core/run/test_history.py": ["test_what_may_not_follow", "test_what_is_not_redone_stays_as_it_is"],
        "tests/faults/test_many_killed.py": ["test_nothing_is_lost_and_nothing_done_twice"],
        "tests/faults/test_nth_call.py": [
            "test_the_daemon_is_killed_at_its_nth",
            "test_run_is_killed_at_its_nth_and_a_daemon_goes_on",
        ],
        "tests/faults/test_keeper_calls.py": [
            "test_a_keeper_and_its_daemon_are_killed_and_others_go_on",
            "test_two_daemons_adopt_from_a_keeper_that_is_killed",
        ],
    },
    "kill -9` of jobctl loses no work: commands run on and are taken over, output and exit code intact": {
        "tests/end_to_end/test_kill.py": [
            "test_killed_after_some_time",
            "test_killed_at_the_nth_system_call",
            "test_a_living_attempt_is_adopted_and_a_killed_one_is_lost",
        ],
        "tests/end_to_end/test_examples.py": ["test_a_killed_run_is_taken_up_again"],
        "tests/faults/test_nth_call.py": ["test_run_is_killed_at_its_nth_and_a_daemon_goes_on"],
        "tests/process/test_keeper.py": ["test_a_keeper_goes_on_with_what_runs"],
    },
    "kill -9` of a keeper loses no work while its executor lives: its commands become the executor's children": {
        "tests/engines/local/test_keepers.py": ["test_a_keeper_that_dies_costs_nothing_while_its_executor_lives"],
        "tests/faults/test_keeper_calls.py": ["test_a_keeper_is_killed_and_its_daemon_goes_on"],
        "tests/faults/test_children.py": ["test_children_that_behave_badly"],
    },
    "start_to_close` and the limit of the log hold though no jobctl lives": {
        "tests/process/test_keeper.py": [
            "test_a_limit_is_kept_whoever_else_lives",
            "test_a_log_is_capped_whoever_else_lives",
        ],
    },
    "What died is noticed at once, what is slow is never taken for dead": {
        "tests/process/test_keeper.py": ["test_whether_anything_of_it_lives_is_a_lock"],
        "tests/engines/local/test_executor.py": [
            "test_an_executor_lives_until_its_process_ends_and_no_longer",
            "test_a_stopped_executor_is_slow_and_not_dead",
        ],
        "tests/end_to_end/test_examples.py": ["test_a_killed_run_is_taken_up_again"],
        "tests/faults/test_interference.py": [
            "test_a_daemon_that_is_stopped_is_slow_and_not_dead",
            "test_a_writer_that_holds_the_store_for_long",
        ],
    },
    "Stop means stop, the whole process tree": {
        "tests/process/test_keeper.py": [
            "test_nothing_escapes",
            "test_what_minds_no_sigterm_is_killed_after_its_grace",
        ],
        "tests/process/test_cgroups.py": ["test_nothing_escapes_whatever_it_does_and_whoever_else_lives"],
        "tests/process/test_descent.py": ["test_whose_an_orphan_is", "test_an_address_is_never_taken_for_a_process"],
        "tests/end_to_end/test_examples.py": ["test_a_canceled_pipeline_leaves_nothing_behind"],
        "tests/faults/test_children.py": [
            "test_children_that_behave_badly",
            "test_processes_that_multiply_are_stopped_all_of_them",
        ],
    },
    "A run that was started in the foreground is canceled by a signal, in whatever phase it comes, and never later "
    "than that; before anything is recorded nothing is": {
        "tests/reported/test_signals.py": [
            "test_while_it_waits_for_a_place",
            "test_while_a_daemon_has_the_run",
            "test_of_a_run_that_is_taken_up_again",
            "test_while_the_store_is_locked",
            "test_from_the_first_instruction",
        ],
    },
    "Where nothing outlives a daemon, what runs is asked to end when it is stopped, and loses neither its place nor a "
    "retry by that": {
        "tests/reported/test_containers.py": [
            "test_what_runs_is_asked_to_end_and_goes_on_afterwards",
            "test_it_counts_for_no_retry",
            "test_the_first_process_reaps_what_comes_to_it",
        ],
        "tests/core/run/test_attempts.py": ["test_after_an_attempt_that_was_stopped_with_its_daemon_another_follows"],
        "tests/simulation/test_simulation.py": ["test_all_that_must_hold_holds"],
    },
    "Whoever reads what jobctl says and stops reading stops nothing: not a schedule, a run, a signal": {
        "tests/reported/test_stalled_readers.py": [
            "test_a_daemon_goes_on_and_hears",
            "test_what_is_left_out_is_counted",
            "test_nor_does_a_supervisor_that_does_not_listen",
            "test_a_run_goes_on_to_its_end",
            "test_a_signal_is_heard",
        ],
        "tests/cli/show/test_feed.py": ["test_a_reader_that_does_not_read_holds_nothing_up_and_loses_nothing"],
    },
    "What is to be undone is undone to the end, the newest start first, at whatever instant something is killed. "
    "The one exception is a run that kills whoever takes it": {
        "tests/core/run/test_decide.py": ["test_whatever_happens_the_promises_hold"],
        "tests/end_to_end/test_examples_workflows.py": [
            "test_a_trip_is_fully_paid_or_fully_rolled_back_when_jobctl_is_killed_at_every_commit_in_turn",
            "test_an_undo_is_tried_until_it_works",
        ],
    },
    "A step gets the same environment whoever runs it": {
        "tests/process/test_environment.py": ["test_what_passes", "test_the_list_is_the_contracts"],
        "tests/test_docs.py": ["test_an_attempt_has_the_environment_that_is_documented"],
        "tests/faults/test_interference.py": ["test_signals_ignored_and_blocked_and_descriptors_closed"],
    },
    "What a command writes never grows beyond its limit for long": {
        "tests/process/test_logs.py": ["test_a_log_is_capped_while_its_command_writes"],
        "tests/engines/local/test_loop.py": [
            "test_a_log_stays_within_its_limit",
            "test_a_flood_that_ends_before_anybody_looks_at_it_stays_within_its_limit_too",
        ],
        "tests/faults/test_children.py": ["test_children_that_behave_badly"],
    },
    "The disk is full: nothing is damaged, what runs goes on, and is recorded when there is room": {
        "tests/store/test_database.py": ["test_a_full_disk_and_room_again"],
        "tests/engines/local/test_loop.py": [
            "test_a_full_disk_stops_new_work_and_nothing_else",
            "test_a_cancel_while_the_disk_is_full_is_carried_out_when_there_is_room",
        ],
        "tests/faults/test_state_folder.py": ["test_a_full_disk_stops_new_work_and_loses_nothing"],
        "tests/reported/test_reserve.py": ["test_what_runs_ends_in_order_and_nothing_new_begins"],
    },
    "A fire time starts at most one run, however many daemons look at the clock": {
        "tests/store/test_firings.py": ["test_processes_that_race_for_fire_times_get_each_once_and_lose_none"],
        "tests/engines/local/worker/test_scheduler.py": [
            "test_two_daemons_fire_each_time_once",
            "test_two_processes_that_race_fire_each_time_once_and_lose_none",
        ],
        "tests/faults/test_interference.py": ["test_a_daemon_that_is_stopped_is_slow_and_not_dead"],
    },
    "No fire time is lost in silence: it gets its run, late if need be, or a record of why not": {
        "tests/engines/local/worker/test_scheduler.py": [
            "test_after_downtime",
            "test_what_could_not_be_recorded_is_fired_when_it_can",
            "test_a_daemon_that_dies_between_its_commits_loses_no_fire_time",
        ],
        "tests/store/test_firings.py": ["test_a_dropped_fire_time_moves_the_progress"],
        "tests/faults/test_state_folder.py": ["test_a_full_disk_stops_new_work_and_loses_nothing"],
        "tests/reported/test_fire_times.py": ["test_killed_at_any_commit_every_fire_time_has_its_run_or_its_record"],
    },
    "Schedules fire when Debian's cron does, also when the clocks change": {
        "tests/core/schedule/test_schedule.py": ["test_fires_when_debian_cron_does", "test_clock_changes"],
        "tests/core/schedule/test_cron.py": ["test_the_days"],
    },
    "A clock that is set silences nothing, and fires nothing twice that has a fixed time": {
        "tests/engines/local/worker/test_scheduler.py": [
            "test_a_clock_that_is_set_back",
            "test_a_clock_that_goes_two_hours_ahead_and_back_fires_nothing_twice_that_has_a_fixed_time",
            "test_a_clock_that_was_years_ahead_does_not_silence_a_schedule",
        ],
        "tests/end_to_end/test_daemon.py": [
            "test_a_clock_that_is_set_two_hours_ahead_and_back",
            "test_a_clock_that_was_a_year_ahead_silences_nothing",
        ],
        "tests/faults/test_interference.py": ["test_a_clock_that_is_set_two_hours_back_and_forth"],
    },
    "A killed daemon's commands run on, and the next daemon adopts them;"
    " after a reboot they are tried again from their cursors": {
        "tests/end_to_end/test_daemon.py": [
            "test_attempts_outlive_a_killed_daemon_and_the_next_one_adopts_them",
            "test_what_runs_on_is_adopted_and_watched",
        ],
        "tests/end_to_end/test_examples_daemon.py": ["test_every_run_goes_on_from_where_it_stopped"],
        "tests/faults/test_nth_call.py": ["test_the_daemon_is_killed_at_its_nth"],
    },
    "Of several daemons on one folder, one goes on within two seconds when another dies": {
        "tests/end_to_end/test_daemon.py": ["test_the_second_daemon_takes_over_from_the_first"],
        "tests/end_to_end/test_examples_daemon.py": ["test_every_firing_is_one_run_whichever_daemon_dies"],
    },
    "All of this in worlds that nobody has thought of: crashes at any commit or action, clocks that step, full disks,"
    " several daemons": {
        "tests/simulation/test_simulation.py": [
            "test_all_that_must_hold_holds",
            "test_a_seed_is_the_same_world_every_time",
            "test_a_defect_is_found_and_its_world_made_smaller",
        ],
    },
    "A run that kills whoever takes it stops nobody else": {
        "tests/engines/local/worker/test_rescuer.py": ["test_poison"],
        "tests/end_to_end/test_daemon.py": ["test_a_run_that_kills_every_daemon_is_ended"],
    },
    "Root runs nothing that somebody else can write, and completion runs nothing of the folder one is in": {
        "tests/reported/test_trust.py": [
            "test_what_root_takes_jobs_from",
            "test_a_daemon_keeps_the_old_definitions_until_the_file_is_roots_again",
        ],
        "tests/reported/test_hostile_folders.py": ["test_nothing_of_it_is_run"],
    },
    "What is kept of a definitions file is what stands in it, or is not believed; deleted, damaged or not to be written"
    " it changes nothing, and no secret is in it": {
        "tests/definitions/test_kept.py": [
            "test_what_is_kept_is_what_the_file_says",
            "test_it_is_read_again_when_what_it_depends_on_is_another",
            "test_what_is_no_entry_of_ours_is_replaced",
            "test_a_full_disk_changes_nothing_and_leaves_nothing",
            "test_secrets_are_not_kept",
        ],
    },
    "A request's secrets are in the request alone: in no argument, variable, file, log, history or document": {
        "tests/end_to_end/test_http.py": ["test_a_secret_is_in_the_request_and_nowhere_else"],
        "tests/process/test_http_runner.py": ["test_what_is_secret_is_written_nowhere"],
    },
    "A value in a request's url changes neither host nor the path's depth; no secret follows a redirect elsewhere": {
        "tests/core/kinds/test_http.py": ["test_a_value_in_a_url_stays_where_it_is"],
        "tests/process/test_http_runner.py": ["test_no_secret_goes_to_another_host", "test_where_a_redirect_may_lead"],
    },
    "No step is of a kind that a part of jobctl does not know": {
        "tests/core/kinds/test_kinds.py": [
            "test_every_kind_has_a_row_of_its_own",
            "test_a_kind_is_part_of_what_a_definition_may_say",
            "test_nobody_else_asks_what_kind_a_step_is",
        ],
    },
    "What jobctl says of a definitions file shows no value that may be a secret": {
        "tests/reported/test_bad_toml.py": ["test_what_may_be_a_secret_is_not_repeated"],
        "tests/core/definition/test_document.py": ["test_values_are_not_repeated"],
    },
    "A child run begins if and only if its parent says so, and its end is known to a parent that waits for it": {
        "tests/engines/local/test_child_runs.py": [
            "test_killed_after_every_commit_nothing_is_lost_and_nothing_is_done_twice",
            "test_a_store_that_cannot_be_written_at_some_commit_loses_no_child",
            "test_a_refused_parent_brings_no_child_into_being",
        ],
        "tests/end_to_end/test_kill_children.py": ["test_killed_at_every_commit"],
    },
    "A child run is asked to end when its parent ends, also when that died before it could ask": {
        "tests/engines/local/test_child_runs.py": [
            "test_what_becomes_of_a_child_when_its_parent_ends",
            "test_killed_after_every_commit_of_an_end_the_children_are_asked_all_the_same",
        ],
        "tests/daemon/test_children.py": ["test_children_of_a_run_that_ended_without_asking_them_are_asked_by_a_sweep"],
    },
    "A job's `notify` tells of each end, and of missed fire times, that it names. The notification is recorded if and "
    "only if what it tells of is recorded, and it is carried out like any run": {
        "tests/engines/local/test_notifications.py": [
            "test_each_end_is_told_to_who_wants_to_know_it",
            "test_the_end_and_what_tells_of_it_are_one_commit",
            "test_who_dies_with_the_end_leaves_it_to_the_next",
        ],
        "tests/daemon/test_notices.py": [
            "test_missed_fire_times_are_told_once_for_each_record",
            "test_a_run_that_cannot_begin_is_told_of",
            "test_a_run_that_is_ended_as_poison_is_told_of",
        ],
        "tests/end_to_end/test_notify.py": ["test_killed_at_any_commit_it_is_told_once"],
    },
    "A queue has no more runs under way than its concurrency, over all daemons": {
        "tests/engines/local/worker/test_dispatcher.py": ["test_the_places_of_a_queue_are_shared_by_daemons"],
        "tests/engines/local/worker/test_capacity.py": ["test_the_places_of_a_queue_are_those_of_all_daemons"],
        "tests/faults/test_many.py": ["test_ten_thousand_queued_runs"],
    },
    "A place that a dead run holds is given back, daemon or not": {
        "tests/reported/test_places.py": ["test_who_waits_gets_the_place_of_one_that_has_died"],
    },
    "A job with very many runs keeps no other waiting, and no catch-up is without bound": {
        "tests/engines/local/worker/test_dispatcher.py": [
            "test_places_go_round_the_jobs",
            "test_a_priority_goes_before_the_round",
        ],
        "tests/engines/local/worker/test_scheduler.py": [
            "test_a_catch_up_is_bounded_and_the_newest_are_kept",
            "test_what_wakes_up_together_starts_apart",
            "test_what_came_due_together_was_not_alive",
        ],
    },
    "Definitions change whole or not at all; a run keeps the ones it started with": {
        "tests/daemon/test_reloader.py": [
            "test_all_or_nothing",
            "test_a_file_that_is_gone_keeps_its_jobs_until_it_is_back",
        ],
        "tests/engines/local/test_loop.py": ["test_updated_takes_the_new_definition"],
        "tests/faults/test_interference.py": ["test_definitions_that_go_wrong_and_go_away_under_a_daemon"],
    },
    "One job, row or file that is broken stops no other": {
        "tests/engines/local/worker/test_scheduler.py": [
            "test_a_job_that_cannot_begin_is_recorded_as_failed_and_stops_no_other"
        ],
        "tests/engines/local/worker/test_rescuer.py": [
            "test_a_run_that_cannot_be_read_keeps_no_other_from_being_rescued"
        ],
        "tests/daemon/test_loop.py": ["test_a_duty_that_fails_is_reported_once_and_does_not_stop_the_others"],
        "tests/daemon/test_barrier.py": [
            "test_what_goes_wrong_in_one_run_stops_no_other",
            "test_how_a_command_ends_whose_run_is_put_aside_is_not_lost",
            "test_events_of_one_run_that_cannot_be_written_stop_no_other",
        ],
        "tests/reported/test_damaged_attempts.py": ["test_each_file_of_an_attempt_damaged_in_each_way"],
        "tests/reported/test_damaged_rows.py": ["test_who_asks_is_answered", "test_the_daemon_goes_on_with_the_others"],
        "tests/store/test_queries.py": ["test_a_damaged_event_breaks_its_run_and_no_other"],
        "tests/faults/test_children.py": ["test_children_that_behave_badly"],
    },
    "A job has one run for a key, however often and by however many it is asked for": {
        "tests/reported/test_keys.py": [
            "test_asked_for_twice_it_is_one_run",
            "test_many_who_ask_at_once_have_one_run",
        ],
    },
    "A copy of a state folder touches nothing of the original: no process, no fire time, no run, until somebody says"
    " what it is to be": {
        "tests/reported/test_identity.py": [
            "test_a_folder_is_known_wherever_it_lies_and_a_copy_is_not_it",
            "test_a_copy_touches_nothing_of_the_original_until_it_is_a_store_of_its_own",
        ],
    },
    "The machine dies, and from a backup all goes on: everything that was recorded when it was made is there, what ran"
    " then is lost and tried again as its policy says, and a backup that is not whole changes nothing": {
        "tests/reported/test_backup.py": [
            "test_the_machine_dies_and_everything_that_was_recorded_goes_on",
            "test_what_is_no_backup_is_refused_and_changes_nothing",
            "test_a_restore_that_is_killed_is_done_again_or_is_a_copy",
        ],
    },
    "A store that has vanished is no first use: no empty one is made beside what it has left, and who uses it goes on"
    " when it is back": {
        "tests/reported/test_lost_store.py": [
            "test_what_a_lost_store_has_left_is_told_from_a_first_use",
            "test_a_first_use_that_is_killed_anywhere_is_tried_again",
            "test_a_daemon_waits_for_its_store_and_goes_on",
        ],
    },
    "A state folder whose place others decide about, or that cannot hold one, is refused before anything is in it": {
        "tests/reported/test_state_folder.py": [
            "test_whose_folders_are_above",
            "test_links_on_the_way",
            "test_a_file_system_that_cannot_hold_a_store_is_found_out",
        ],
        "tests/host/test_settings.py": ["test_network_file_systems_are_refused"],
    },
    "Who only asks changes no store of an older jobctl; who writes first keeps it as it was, and the daemons on it have"
    " ended in order before": {
        "tests/reported/test_upgrade.py": [
            "test_who_asks_changes_nothing_and_who_writes_keeps_what_was",
            "test_living_daemons_are_asked_to_end_before_the_store_is_changed",
            "test_an_upgrade_that_is_killed_anywhere_is_done_by_the_next",
        ],
        "tests/store/test_upgrades.py": ["test_it_is_brought_to_the_schema_of_today", "test_its_runs_go_on"],
    },
    "What a daemon suffers from is told by `status`, whatever the store takes; what cannot pass by itself ends it with"
    " exit code 4": {
        "tests/reported/test_troubles.py": [
            "test_a_store_that_somebody_has_locked",
            "test_a_disk_that_is_full",
            "test_a_reader_that_stays",
            "test_a_daemon_ends_on_a_database_that_is_damaged",
        ],
        "tests/reported/test_store_changes.py": [
            "test_a_daemon_whose_store_was_upgraded_ends_and_the_next_one_goes_on"
        ],
    },
    "What is wrong is told to whoever asks, the same as often as it is asked, and also what cannot be told; nothing is"
    " written": {
        "tests/cli/test_status_check.py": [
            "test_a_failed_run_is_news_until_its_next_success",
            "test_what_cannot_be_told_is_said",
            "test_nothing_is_written",
        ],
    },
    "Whether what is recorded fits together can be seen on the spot: every history is what its rows say, every fire"
    " time has its run or its record, or it is said which not": {
        "tests/reported/test_proof.py": ["test_what_does_not_fit_is_said"],
    },
    "A state folder that is damaged, moved away or somebody else's is said so, and nothing makes it worse": {
        "tests/store/test_database.py": [
            "test_a_database_that_cannot_be_used_is_named_with_a_way_out",
            "test_a_folder_that_cannot_be_written",
        ],
        "tests/faults/test_state_folder.py": [
            "test_a_store_that_is_harmed_under_a_daemon",
            "test_no_command_makes_it_worse",
        ],
    },
    "Retention never touches a run that is not over, and holds up no firing": {
        "tests/engines/local/worker/test_pruner.py": [
            "test_what_is_kept",
            "test_a_run_that_is_resumed_meanwhile_is_not_touched",
            "test_a_portion_at_a_time",
        ],
        "tests/faults/test_many.py": ["test_a_long_history"],
    },
    "A clock that lies deletes nothing, and what goes by its age is told": {
        "tests/core/test_believed.py": ["test_by_which_instant_age_is_measured"],
        "tests/reported/test_what_is_deleted.py": [
            "test_a_daemon_that_starts_by_a_wrong_clock_removes_nothing",
            "test_nor_does_the_next_one",
            "test_nor_does_prune",
            "test_what_a_daemon_removes_is_told",
        ],
    },
    "A wait, a silence and a limit last as long as they say, whatever the wall clock is set to": {
        "tests/reported/test_time_passes.py": [
            "test_a_heartbeat_is_a_change",
            "test_a_wait_lasts_as_long_as_it_says",
            "test_a_limit_that_passed_while_nobody_looked_has_passed",
        ],
    },
    "A finished part of a durable script never runs again; one whose order has changed gets an error,"
    " never another part's result": {
        "tests/engines/local/test_suspensions.py": [
            "test_what_is_finished_is_not_done_again_by_the_next_attempt",
            "test_what_another_attempt_would_do_just_the_same_is_said_and_not_retried",
            "test_it_is_taken_over_at_every_stage",
        ],
    },
    "A run that was accepted is recorded, daemon or not, and begins once, or ends when nobody took it in time": {
        "tests/reported/test_accepted.py": [
            "test_what_is_accepted_while_no_daemon_lives_runs_when_one_comes",
            "test_what_has_not_begun_in_time_is_canceled_and_never_runs",
        ],
        "tests/simulation/test_simulation.py": ["test_all_that_must_hold_holds"],
    },
    "A run's history does not depend on when an engine answers what the run wants, or in which order": {
        "tests/core/run/test_turn.py": [
            "test_an_engine_that_answers_late_and_in_any_order_writes_the_same_history",
            "test_jobs_that_are_drawn_have_the_same_histories_under_a_late_engine",
        ],
    },
    "What a client can be asked means the same whichever engine carries it out": {
        "tests/engines/test_client.py": [
            "test_a_run_is_recorded_before_anybody_works_and_carried_out_then",
            "test_what_failed_is_undone_and_its_history_says_how",
            "test_a_key_has_one_run",
            "test_what_an_engine_cannot_do_is_an_error_with_a_way_out",
        ],
    },
    "The same events give the same decisions in every process": {
        "tests/test_architecture.py": ["test_the_core_asks_for_nothing_that_differs_between_two_processes"],
        "tests/core/run/test_decide.py": [
            "test_every_process_decides_the_same",
            "test_a_history_that_breaks_off_anywhere_leads_to_the_same_actions",
        ],
    },
    "What is wrong with a definitions file is said all at once, each with its line": {
        "tests/core/definition/test_jobs.py": ["test_all_problems_at_once_with_their_places_in_the_order_of_lines"],
    },
    "What is imported from a crontab fires when its line did under its cron - of four crons, whose readers are checked"
    " against their own sources - and what cannot be right in it is said, not imported in silence": {
        "tests/test_crontab.py": [
            "test_the_next_100_fire_times_are_those_of_croniter",
            "test_fire_times_are_those_of_a_scan_of_every_minute",
            "test_every_line_is_converted_or_reported",
        ],
        "tests/reported/test_crontabs.py": [
            "test_it_fires_when_busybox_and_supercronic_do",
            "test_a_user_field_that_was_forgotten_is_an_error_with_what_to_type",
            "test_a_percent_sign_that_cannot_have_worked_is_said_and_not_run",
        ],
    },
}

HELD_BY = {promise: cells[-1] for promise, *cells in rows(ARCHITECTURE, "## 3. What is promised, and what keeps it")}


def test_every_promise_has_its_tests_and_every_test_its_promise() -> None:
    assert list(HELD_BY) == list(PROMISES)


@pytest.mark.parametrize("promise", PROMISES)
def test_a_promise_is_held_by_tests_that_there_are(promise: str) -> None:
    tests = PROMISES[promise]
    assert HELD_BY[promise].replace("`", "").split(", ") == list(tests)
    for file, names in tests.items():
        module = ast.parse((ROOT / file).read_text())
        there = {node.name for node in module.body if isinstance(node, ast.FunctionDef)}
        assert names
        assert set(names) <= there, file
