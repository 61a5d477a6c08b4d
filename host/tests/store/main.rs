//! The contract of the store: one list of tests, run on SQLite and on PostgreSQL.
//!
//! PostgreSQL's half needs `JACKFIELD_TEST_POSTGRES_URL`; `tests/run` sets it.
#![expect(
    clippy::unwrap_used,
    reason = "a test may panic on what it did not expect"
)]

mod audit;
mod changes;
mod clocks;
mod connect_links;
mod connections;
mod connectors;
mod credentials;
mod custom_fields;
mod data_keys;
mod diagnosis;
mod exchanges;
mod history;
mod idempotency;
mod inbound;
mod lists;
mod oauth_apps;
mod opening;
mod operators;
mod pages;
mod passes;
mod passthrough;
mod projects;
mod pull_frequencies;
mod rate_budget;
mod remaps;
mod request_counts;
mod runs;
mod summary;
mod support;
mod syncs;
mod webhooks;

/// Runs every named test on both databases.
macro_rules! contract {
    ($($area:ident: $($test:ident),+;)+) => {
        mod sqlite {$(
            mod $area {$(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    crate::support::on_sqlite(crate::$area::$test).await;
                }
            )+}
        )+}
        mod postgres {$(
            mod $area {$(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    crate::support::on_postgres(crate::$area::$test).await;
                }
            )+}
        )+}
    };
}

contract! {
    opening:
        a_reopened_database_has_everything,
        several_processes_may_open_a_new_database_at_once,
        migrating_twice_does_nothing_the_second_time,
        a_newer_schema_is_refused_with_a_sentence,
        a_changed_migration_is_refused_with_a_sentence,
        ping_writes_until_the_store_is_closed;
    audit:
        entries_are_listed_by_project_in_pages,
        old_entries_are_removed,
        connections_leave_their_marks,
        operators_keys_work_until_they_are_revoked;
    exchanges:
        exchanges_are_listed_by_connection_in_pages,
        old_exchanges_and_too_many_go;
    data_keys:
        a_data_key_waits_seals_and_goes_when_nothing_needs_it,
        sealed_values_are_found_in_pages_and_replaced_if_unchanged;
    connectors:
        what_is_installed_is_there_for_all_hosts,
        what_is_refused_leaves_nothing,
        hosts_take_turns_and_old_bytes_go,
        changed_bytes_are_noticed;
    oauth_apps:
        an_app_is_set_changed_and_removed,
        apps_of_another_project_are_out_of_reach,
        secrets_of_apps_are_sealed_again;
    projects:
        keys_tell_when_they_were_used,
        a_project_is_renamed,
        projects_are_listed_for_the_operator,
        api_keys_open_their_project_until_revoked,
        linked_users_are_unique_in_their_project,
        nothing_is_made_in_a_project_that_is_not_there,
        the_null_character_is_refused;
    connect_links:
        a_link_is_kept_found_listed_and_revoked,
        a_link_whose_login_broke_off_is_open_again,
        of_two_who_use_a_link_one_gets_it,
        a_login_waits_for_its_links_choice_only,
        a_project_says_how_its_pages_are;
    connections:
        a_connection_is_stored_whole,
        the_same_account_is_connected_once,
        a_login_again_makes_it_valid,
        settings_change_where_they_are_still_the_same,
        a_dead_connection_is_announced_once,
        a_deleted_connection_is_gone,
        a_connection_is_deleted_beside_who_refers_to_it,
        another_project_reaches_nothing;
    credentials:
        of_fifty_one_may_refresh,
        a_refresh_lease_runs_out,
        a_lost_refresh_lease_stores_nothing,
        an_oauth_state_is_taken_once,
        an_oauth_state_runs_out;
    rate_budget:
        two_hosts_take_no_more_than_there_is,
        a_block_is_everybodys_and_ends,
        who_shares_a_bucket_is_the_manifests_choice,
        a_sync_that_waits_has_not_failed;
    custom_fields:
        a_definition_is_stored_changed_and_deleted,
        what_is_mapped_for_one_goes_before_what_is_mapped_for_all,
        custom_fields_of_another_project_are_out_of_reach,
        objects_with_mappings_are_always_looked_at,
        custom_values_are_read_in_pages;
    pages:
        a_page_that_a_write_has_overtaken_does_not_undo_it,
        each_change_is_told_from_the_others,
        a_change_of_the_providers_document_alone_is_silent,
        a_deleted_record_may_come_back,
        the_last_of_two_with_one_id_wins,
        events_carry_the_record,
        times_go_forward_while_the_clock_stands,
        a_large_page_is_written_at_once,
        concurrent_writers_of_a_connection_take_turns,
        a_bad_text_rolls_the_page_back;
    passes:
        a_pass_misses_what_nobody_has_seen,
        what_is_written_after_the_comparison_stays,
        a_host_that_lost_its_claim_deletes_nothing,
        a_question_waits_while_runs_go_on,
        a_newer_pass_answers_an_older_question,
        what_somebody_keeps_is_missed_again_once_it_was_seen,
        a_missing_record_with_a_change_under_way_is_reconciled,
        a_new_run_forgets_an_unfinished_pass,
        many_records_are_compared_in_parts;
    passthrough:
        a_waiting_request_is_claimed_by_one,
        what_ended_is_forgotten_in_time;
    lists:
        pages_lead_to_the_end_and_back,
        pages_hold_while_records_change,
        deleted_records_are_hidden_unless_asked_for,
        modified_after_bounds_both_directions,
        an_empty_page_still_leads_back,
        created_after_hides_what_was_there_before,
        filters_compare_texts_numbers_and_booleans,
        filtered_pages_lead_to_the_end_and_back,
        a_remote_id_is_looked_up,
        several_records_are_read_by_their_ids,
        every_page_is_a_walk_along_the_index,
        one_record_is_read_by_its_id,
        remote_ids_are_looked_up_in_bulk;
    changes:
        a_long_queue_of_one_connection_keeps_no_other_waiting,
        an_edit_is_stored_at_once_and_those_that_follow_join_it,
        a_push_is_claimed_once_and_its_answer_is_no_news_afterwards,
        a_page_is_merged_with_what_waits,
        what_the_provider_refuses_is_as_it_was;
    clocks:
        leases_hold_whatever_the_clocks_of_hosts_say,
        three_hosts_make_sixty_runs_in_an_hour;
    diagnosis:
        a_problem_tells_since_when_how_often_and_after_what,
        what_fails_at_once_is_told_from_what_fails_alone,
        a_dead_login_is_a_problem_of_its_connection,
        runs_that_failed_tell_which_came_right,
        the_newest_dead_deliveries_of_each_endpoint_are_told;
    history:
        each_field_knows_where_it_came_from,
        what_changed_is_told_for_a_while,
        a_change_of_ours_is_told_from_the_answer_to_it,
        another_project_learns_nothing,
        the_history_of_a_deleted_connection_goes;
    idempotency:
        a_key_is_claimed_once_and_answered_ever_after,
        a_key_that_came_to_no_end_is_claimed_again_with_the_same_provider_key,
        keys_belong_to_their_connection_and_request,
        keys_are_forgotten_after_a_day;
    inbound:
        a_record_that_waits_waits_once,
        a_claimed_notice_is_one_workers_until_its_lease_ends,
        a_change_during_a_read_makes_it_due_again,
        what_failed_waits_and_what_is_given_up_goes,
        connections_of_an_account_are_found_whoevers_they_are,
        a_connections_secret_is_made_once_until_replaced;
    operators:
        an_address_has_one_account,
        the_last_owner_stays,
        a_session_ends_by_rest_by_age_and_by_word,
        what_lets_nobody_in_any_more_goes,
        who_was_removed_is_remembered_until_there_is_an_account_again,
        one_of_two_sets_a_server_up,
        links_of_operators_work_once_and_in_time,
        guesses_are_counted_for_all_hosts;
    pull_frequencies:
        a_choice_plans_what_waits_and_can_be_taken_back;
    remaps:
        documents_are_read_in_pages_and_end_with_their_object,
        a_remap_is_written_where_its_document_still_stands,
        a_pass_goes_on_where_it_was_and_shows_how_far_it_is,
        what_is_written_by_another_version_during_a_pass_voids_it,
        objects_unified_by_another_version_are_found;
    request_counts:
        requests_are_counted_by_minute_and_project,
        counts_that_cannot_be_written_stay_counted;
    runs:
        pages_are_counted_in_their_own_transaction,
        a_run_goes_on_over_turns_crashes_and_failures,
        what_was_given_up_is_gone_on_with_by_another_run,
        how_much_there_is_comes_from_the_provider_or_the_last_full_run,
        the_log_is_filtered_paged_and_of_one_project,
        a_failing_record_is_kept_until_it_can_be_unified,
        pushes_one_soon_after_the_other_are_one_run,
        a_cancelled_run_writes_no_more_and_the_next_goes_on,
        a_deleted_connection_ends_its_runs,
        old_runs_and_failures_go;
    summary:
        runs_are_added_up_in_steps,
        the_log_is_looked_through_by_every_filter,
        what_needs_attention_is_counted_by_cause,
        counts_of_many_end_at_a_thousand,
        records_are_shown_newest_first_and_found_by_remote_id,
        the_first_sight_of_a_project_walks_indexes;
    syncs:
        a_claim_takes_one_object_of_a_connection,
        two_instances_share_the_work,
        a_page_under_a_lost_lease_is_rolled_back,
        a_lease_is_renewed_until_it_is_lost,
        a_completed_run_clears_its_cursor,
        a_failed_run_keeps_its_cursor,
        a_request_during_a_run_repeats_it,
        dead_and_deleted_connections_are_not_claimed,
        new_objects_are_added_to_the_syncs,
        projects_take_turns_and_what_is_asked_for_goes_first,
        a_claim_that_is_given_back_goes_on_at_once,
        a_paused_sync_is_left_alone_until_it_is_resumed,
        a_slot_of_a_schedule_makes_one_run,
        a_run_that_is_given_up_waits_for_the_schedule,
        syncs_of_a_project_are_listed_in_pages;
    webhooks:
        endpoints_get_what_they_want_from_now_on,
        a_claim_that_is_never_finished_is_due_again,
        a_dead_delivery_is_brought_back_by_hand,
        a_receiver_that_is_gone_or_fails_for_days_is_disabled,
        deliveries_are_listed_in_pages_to_the_end_and_back,
        what_is_past_its_keeping_time_goes,
        an_event_of_a_slow_transaction_is_not_passed_by;
}
