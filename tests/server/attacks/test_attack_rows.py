"""The attack list, row by row, and the tests that try each; the test below sees that they are there.

Rows that are not named here for want of what they attack: 25 (no node and no route takes a pattern), 35 (nothing is
downloaded), 36 (nothing unpacks an archive; what comes near is the import of jobs), the markdown of 32 and the page's
own reading of 31 (the editor's). Their tests say that there is nothing of the kind.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TESTS = HERE.parents[1]
ROWS = {
    1: ["attacks/test_attack_paths.py::test_no_route_leads_out_of_its_folder",
        "attacks/test_attack_paths.py::test_row1_no_request_target_leads_out_of_the_pages",
        "files/test_input_files.py::test_nothing_outside_is_reached",
        "test_pages.py::test_no_other_file_is_reached_by_a_pages_name"],
    2: ["attacks/test_attack_paths.py::test_neither_route_nor_node_nor_batch_reads_what_lies_elsewhere",
        "files/test_paths.py::test_what_leads_out_looks_as_if_nothing_was_there"],
    3: ["attacks/test_attack_paths.py::test_neither_route_nor_node_nor_batch_reads_what_lies_elsewhere",
        "files/test_paths.py::test_links_that_leave_are_refused_and_links_that_stay_are_followed",
        "files/test_output_files.py::test_a_file_that_was_taken_away_is_told_as_gone"],
    4: ["attacks/test_attack_paths.py::test_neither_route_nor_node_nor_batch_reads_what_lies_elsewhere",
        "security/test_hostile_workflows.py::test_a_wrong_workflow_is_refused_by_its_place"],
    5: ["attacks/test_attack_files.py::test_pictures_are_saved_below_the_output_folder_alone",
        "security/test_hostile_workflows.py::test_files_are_written_below_the_output_folder_alone"],
    6: ["files/test_uploads.py::test_a_senders_name_is_made_safe",
        "files/test_uploads.py::test_a_folder_that_leads_out_is_refused"],
    7: ["attacks/test_attack_files.py::test_row7_whatever_is_served_of_a_user_is_never_a_page",
        "attacks/test_attack_browser.py::test_rows7_and_32_nothing_that_users_send_runs_in_the_servers_name",
        "files/test_uploads.py::test_what_is_no_picture_is_refused_by_its_content",
        "files/test_uploads.py::test_a_picture_with_a_page_behind_it_is_refused"],
    8: ["files/test_serving.py::test_no_name_ends_a_header_or_begins_another",
        "files/test_uploads.py::test_a_senders_name_is_made_safe"],
    9: ["attacks/test_attack_requests.py::test_no_route_answers_a_foreign_page",
        "attacks/test_attack_browser.py::test_a_foreign_page_submits_nothing",
        "attacks/test_attack_browser.py::test_row9_a_foreign_page_reads_nothing",
        "attacks/test_attack_browser.py::test_row9_a_foreign_page_embeds_nothing",
        "attacks/test_attack_browser.py::test_row9_a_foreign_page_frames_nothing"],
    10: ["attacks/test_attack_requests.py::test_no_route_takes_json_of_another_type",
         "attacks/test_attack_browser.py::test_rows9_and_10_a_foreign_form_submits_nothing"],
    11: ["attacks/test_attack_requests.py::test_no_route_answers_under_another_name",
         "attacks/test_attack_requests.py::test_row11_two_hosts_or_an_address_in_the_request_line_change_nothing",
         "attacks/test_attack_browser.py::test_row11_a_name_that_was_made_to_lead_here_leads_nowhere"],
    12: ["attacks/test_attack_requests.py::test_row12_no_stream_opens_for_a_foreign_page",
         "attacks/test_attack_browser.py::test_row12_a_foreign_page_opens_no_stream",
        "attacks/test_attack_browser.py::test_row12_the_servers_own_page_opens_a_stream",
         "events/test_event_routes.py::test_a_stranger_and_a_foreign_page_get_no_stream"],
    13: ["attacks/test_attack_requests.py::test_no_route_answers_a_foreign_page",
         "security/test_origins.py::test_no_origin_breaks_the_check"],
    14: ["attacks/test_attack_requests.py::test_row14_every_route_that_is_not_a_page_asks_for_the_token",
         "attacks/test_attack_requests.py::test_row14_a_token_in_an_address_opens_nothing",
         "attacks/test_attack_requests.py::test_row14_a_token_is_compared_by_its_hash",
         "test_serve_process.py::test_the_link_works_and_neither_it_nor_the_token_is_logged"],
    15: ["test_serve_process.py::test_nobody_is_let_in_from_elsewhere_without_a_token"],
    16: ["attacks/test_attack_requests.py::test_no_compressed_body_is_unpacked",
         "attacks/test_attack_requests.py::test_no_request_hides_in_another",
         "attacks/test_attack_requests.py::test_row16_a_body_in_chunks_ends_at_the_limit",
         "security/test_limits.py::test_a_body_that_trickles_in_is_given_up",
         "security/test_limits.py::test_a_head_that_trickles_in_is_given_up"],
    17: ["attacks/test_attack_requests.py::test_what_is_no_json_is_refused_by_its_place",
         "attacks/test_attack_requests.py::test_row17_a_byte_order_mark_is_let_pass"],
    18: ["attacks/test_attack_requests.py::test_far_too_much_is_refused_with_its_limit_while_others_are_served"],
    19: ["attacks/test_attack_workflows.py::test_a_ring_is_told_by_its_nodes"],
    20: ["attacks/test_attack_workflows.py::test_names_that_mean_something_elsewhere_mean_nothing_here",
         "security/test_hostile_workflows.py::test_ids_of_nodes_are_plain_names"],
    21: ["attacks/test_attack_workflows.py::test_every_wrong_value_is_named_at_once",
         "attacks/test_attack_workflows.py::test_row21_more_than_the_machine_holds_fails_in_words_and_the_worker_goes_on",
         "security/test_hostile_workflows.py::test_a_wrong_workflow_is_refused_by_its_place"],
    22: ["attacks/test_attack_workflows.py::test_every_wrong_value_is_named_at_once",
         "attacks/test_attack_workflows.py::test_legal_extremes_run"],
    23: ["attacks/test_attack_workflows.py::test_row23_a_name_of_another_case_is_told_the_right_one",
         "security/test_hostile_workflows.py::test_a_wrong_workflow_is_refused_by_its_place"],
    24: ["attacks/test_attack_workflows.py::test_any_prompt_is_text_and_takes_little_time"],
    25: ["attacks/test_attack_paths.py::test_rows35_and_36_nothing_is_installed_downloaded_or_unpacked",
         "attacks/test_attack_requests.py::test_row25_what_is_searched_for_is_text_and_no_pattern"],
    26: ["attacks/test_attack_files.py::test_row26_pickles_are_never_opened"],
    27: ["attacks/test_attack_files.py::test_rows27_to_29_weights_with_lying_headers_are_told_as_such"],
    28: ["attacks/test_attack_files.py::test_rows27_to_29_weights_with_lying_headers_are_told_as_such"],
    29: ["attacks/test_attack_files.py::test_rows27_to_29_weights_with_lying_headers_are_told_as_such"],
    30: ["attacks/test_attack_files.py::test_row30_pictures_that_would_burst_are_refused_when_sent",
         "attacks/test_attack_files.py::test_row30_pictures_that_would_burst_burst_no_worker",
         "attacks/test_attack_files.py::test_row30_pictures_that_are_only_odd_are_taken_and_read"],
    31: ["attacks/test_attack_files.py::test_row31_what_a_picture_says_of_its_workflow_is_not_read_here"],
    32: ["attacks/test_attack_workflows.py::test_row32_markup_comes_back_as_json_and_never_as_a_page",
         "attacks/test_attack_browser.py::test_rows7_and_32_nothing_that_users_send_runs_in_the_servers_name"],
    33: ["../workers/test_routes.py::test_a_path_that_leads_elsewhere_is_refused",
         "../workers/test_routes.py::test_a_route_that_is_taken_is_refused_and_the_first_stays",
         "../workers/test_routes.py::test_files_of_a_folder_are_served_and_none_beside_it"],
    34: ["attacks/test_attack_workflows.py::test_no_address_is_called_that_was_not_listed",
         "attacks/test_attack_strangers.py::"
         "test_rows34_and_43_what_strangers_send_reaches_nothing_but_the_data_folder",
         "events/test_webhooks.py::test_any_other_address_is_refused_with_its_field",
         "events/test_webhooks.py::test_a_name_that_leads_to_a_private_address_is_not_connected_to",
         "events/test_webhooks.py::test_redirects_are_not_followed"],
    35: ["attacks/test_attack_paths.py::test_rows35_and_36_nothing_is_installed_downloaded_or_unpacked"],
    36: ["attacks/test_attack_paths.py::test_row36_archives_are_not_taken",
         "attacks/test_attack_paths.py::test_row36_what_an_import_says_of_outputs_gives_no_file_away"],
    37: ["attacks/test_attack_paths.py::test_what_is_saved_changes_no_file_of_the_servers_own"],
    38: ["attacks/test_attack_streams.py::test_row38_jobs_beyond_the_number_allowed_may_come_later",
         "attacks/test_attack_streams.py::test_row38_streams_beyond_the_number_allowed_may_come_later",
         "attacks/test_attack_streams.py::test_row38_a_batch_beyond_the_number_allowed_is_refused_before_it_is_made",
         "attacks/test_attack_streams.py::test_row38_connections_that_say_nothing_hold_nobody_up",
         "security/test_limits.py::test_uploads_beyond_the_number_allowed_may_come_later",
         "security/test_limits.py::"
         "test_connections_beyond_the_number_allowed_are_closed_and_the_others_served"],
    39: ["attacks/test_attack_streams.py::test_a_stream_that_breaks_the_rules_is_closed_with_a_code",
         "attacks/test_attack_streams.py::test_row39_junk_in_messages_is_told_and_the_stream_goes_on",
         "events/test_websocket_stream.py::test_a_stalled_client_is_cut_and_stalls_nobody",
         "events/test_hub.py::test_previews_give_way_to_newer_ones_within_a_bound"],
    40: ["attacks/test_attack_requests.py::test_row40_what_is_another_users_looks_as_if_it_was_not_there"],
    41: ["attacks/test_attack_workflows.py::test_row41_whatever_a_node_raises_tells_no_secret",
         "../workers/test_redact.py::test_what_tells_too_much_is_hidden"],
    42: ["attacks/test_attack_workflows.py::test_row42_a_picture_holds_its_workflow_and_nothing_of_the_server",
         "attacks/test_attack_files.py::test_row42_without_metadata_a_picture_holds_nothing"],
    43: ["attacks/test_attack_strangers.py::"
         "test_rows34_and_43_what_strangers_send_reaches_nothing_but_the_data_folder"],
}  # fmt: skip
"""Each row's tests, by file below `tests/server`."""


@pytest.mark.parametrize("row", range(1, 44), ids=lambda row: f"row{row}")
def test_every_row_has_its_tests(row: int) -> None:
    assert ROWS[row]
    for test in ROWS[row]:
        file, _, name = test.partition("::")
        text = (TESTS / "server" / file).read_text(encoding="utf-8")
        assert re.search(rf"^(async )?def {name}\(", text, re.MULTILINE), test


def test_every_attack_is_in_the_list() -> None:
    listed = {test for tests in ROWS.values() for test in tests}
    own = {
        f"attacks/{path.name}::{name}"
        for path in HERE.glob("test_attack_*.py")
        for name in re.findall(r"^def (test_row\w+|test_rows\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert own <= listed
