-- Each reference has one index that its columns lead, by which rows that refer to one that goes are found. Where a reference
-- is seldom there, only rows that have it are in its index. References to organisations have none of their own.

-- The key of plans begins with the same column.
drop index tasks_spec;

-- What both columns are asked for together leads with the narrower one, which is a reference.
drop index comments_ticket;
create index comments_ticket on comments (ticket_id, org_id, created_at, id);
drop index invitations_inviter;
create index invitations_inviter on invitations (invited_by_id, org_id) where invited_by_id is not null;
drop index notifications_user;
create index notifications_user on notifications (user_id, org_id, id);
drop index stored_files_ticket;
create index stored_files_ticket on stored_files (ticket_id, org_id, id);
drop index task_results_task;
create index task_results_task on task_results (task_id, org_id, created_at, id);
drop index threads_project;
create index threads_project on threads (project_id, org_id, created_at, id);
drop index workflow_results_ticket;
create index workflow_results_ticket on workflow_results (ticket_id, org_id, created_at, id);

-- Each participant and each delivery is found by whom it names; all of a thread or a message by the first of these.
drop index thread_participants_task;
create unique index thread_participants_task on thread_participants (task_id, thread_id);
drop index thread_participants_key;
create unique index thread_participants_key on thread_participants (api_key_id, thread_id);
drop index thread_deliveries_task;
create unique index thread_deliveries_task on thread_deliveries (task_id, thread_message_id);
drop index thread_deliveries_key;
create unique index thread_deliveries_key on thread_deliveries (api_key_id, thread_message_id);

create index ablations_by_attempt on ablations (attempt_id);
create index api_keys_created_by on api_keys (created_by_id);
create index api_keys_by_custom_role on api_keys (custom_role_id) where custom_role_id is not null;
create index api_keys_by_project on api_keys (project_id) where project_id is not null;
create index approvals_by_attempt on approvals (attempt_id) where attempt_id is not null;
create index approvals_decided_by on approvals (decided_by_id) where decided_by_id is not null;
create index approvals_by_project on approvals (project_id);
create index approvals_by_task on approvals (task_id) where task_id is not null;
create index approvals_by_ticket on approvals (ticket_id) where ticket_id is not null;
create index attempts_by_merge on attempts (merge_id) where merge_id is not null;
create index comment_mentions_by_user on comment_mentions (user_id);
create index comments_by_project on comments (project_id);
create index discoveries_by_task on discoveries (task_id) where task_id is not null;
create index invitations_by_custom_role on invitations (custom_role_id) where custom_role_id is not null;
create index memberships_by_custom_role on memberships (custom_role_id) where custom_role_id is not null;
create index merges_by_resolve_task on merges (resolve_task_id) where resolve_task_id is not null;
create index notifications_by_approval on notifications (approval_id) where approval_id is not null;
create index notifications_by_comment on notifications (comment_id) where comment_id is not null;
create index notifications_by_project on notifications (project_id);
create index notifications_by_spec on notifications (spec_id) where spec_id is not null;
create index notifications_by_ticket on notifications (ticket_id) where ticket_id is not null;
create index one_time_tokens_by_api_key on one_time_tokens (api_key_id) where api_key_id is not null;
create index one_time_tokens_by_session on one_time_tokens (session_id) where session_id is not null;
create index open_calls_by_attempt on open_calls (attempt_id) where attempt_id is not null;
create index open_calls_by_organisation_budget on open_calls (organisation_budget_id) where organisation_budget_id is not null;
create index open_calls_by_project_budget on open_calls (project_budget_id) where project_budget_id is not null;
create index open_calls_by_project on open_calls (project_id);
create index ownership_offers_offered_by on ownership_offers (offered_by_id);
create index ownership_offers_by_to_user on ownership_offers (to_user_id);
create index phase_artifacts_by_project on phase_artifacts (project_id);
create index phase_gate_results_by_project on phase_gate_results (project_id);
create index project_grants_by_membership on project_grants (membership_id);
create index project_grants_by_project on project_grants (project_id);
create index receipts_by_attempt on receipts (attempt_id);
create index repository_trusts_by_project on repository_trusts (project_id);
create index repository_trusts_by_user on repository_trusts (user_id);
create index search_documents_by_project on search_documents (project_id);
create index search_documents_by_ticket on search_documents (ticket_id) where ticket_id is not null;
create index state_transitions_by_project on state_transitions (project_id);
create index stored_files_by_project on stored_files (project_id);
create index task_results_judged_by on task_results (judged_by_id) where judged_by_id is not null;
create index task_results_by_project on task_results (project_id);
create index thread_deliveries_by_user on thread_deliveries (user_id) where user_id is not null;
create index thread_messages_by_api_key on thread_messages (api_key_id) where api_key_id is not null;
create index thread_messages_by_attempt on thread_messages (attempt_id) where attempt_id is not null;
create index thread_messages_by_task on thread_messages (task_id) where task_id is not null;
create index thread_messages_by_user on thread_messages (user_id) where user_id is not null;
create index thread_participants_by_user on thread_participants (user_id) where user_id is not null;
create index threads_by_task on threads (task_id) where task_id is not null;
create index threads_by_ticket on threads (ticket_id) where ticket_id is not null;
create index tickets_by_assignee on tickets (assignee_id) where assignee_id is not null;
create index tickets_by_user on tickets (user_id) where user_id is not null;
create index workflow_results_judged_by on workflow_results (judged_by_id) where judged_by_id is not null;
create index workflow_results_by_project on workflow_results (project_id);
