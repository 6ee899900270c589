-- People are asked what becomes of a conflict that no agent resolved: another try with a note, one side, or neither.

alter table merges add column taken_side text check (taken_side in ('ours', 'theirs'));
alter table merges add column person_note text;

--@ sqlite
create table new_approvals (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    project_id @uuid not null references projects (id),
    kind text not null check (kind in ('ticket', 'spec_requirements', 'spec_design', 'phase_gate', 'question',
        'repository_trust', 'merge_conflict')),
    ticket_id @uuid references tickets (id),
    state text not null check (state in ('pending', 'approved', 'rejected', 'answered', 'timed_out', 'withdrawn')),
    -- who asked
    actor_kind text not null check (actor_kind in ('user', 'key', 'agent', 'system')),
    actor_id @uuid,
    deadline_at @time,
    decided_by_id @uuid references users (id),
    decided_at @time,
    comment text,
    state_version bigint not null,
    created_at @time not null,
    updated_at @time not null,
    spec_id @uuid references specs (id),
    output_digest text,
    task_id @uuid references tasks (id),
    attempt_id @uuid references attempts (id),
    question text,
    choices @json not null,
    gate_phase text check (gate_phase in ('PHASE_BACKLOG', 'PHASE_REQUIREMENTS', 'PHASE_DESIGN',
        'PHASE_IMPLEMENTATION', 'PHASE_TESTING', 'PHASE_DEPLOYMENT', 'PHASE_DONE', 'PHASE_BLOCKED')),
    target_phase text check (target_phase in ('PHASE_BACKLOG', 'PHASE_REQUIREMENTS', 'PHASE_DESIGN',
        'PHASE_IMPLEMENTATION', 'PHASE_TESTING', 'PHASE_DEPLOYMENT', 'PHASE_DONE', 'PHASE_BLOCKED')),
    merge_id @uuid references merges (id),
    check (ticket_id is null or spec_id is null),
    check ((ticket_id is null and spec_id is null) = (kind = 'repository_trust')),
    check ((gate_phase is not null) = (kind = 'phase_gate')),
    check ((target_phase is not null) = (kind = 'phase_gate')),
    check ((question is not null) = (kind in ('phase_gate', 'question', 'repository_trust', 'merge_conflict'))),
    check (task_id is null or (ticket_id is not null
        and ((kind = 'question' and attempt_id is not null) or kind = 'merge_conflict'))),
    check ((merge_id is not null) = (kind = 'merge_conflict'))
);
insert into new_approvals (id, org_id, project_id, kind, ticket_id, state, actor_kind, actor_id, deadline_at, decided_by_id,
        decided_at, comment, state_version, created_at, updated_at, spec_id, output_digest, task_id, attempt_id, question,
        choices, gate_phase, target_phase)
    select id, org_id, project_id, kind, ticket_id, state, actor_kind, actor_id, deadline_at, decided_by_id, decided_at,
        comment, state_version, created_at, updated_at, spec_id, output_digest, task_id, attempt_id, question, choices,
        gate_phase, target_phase from approvals;
drop table approvals;
alter table new_approvals rename to approvals;
create index approvals_created on approvals (org_id, created_at, id);
create index approvals_due on approvals (org_id, deadline_at) where state = 'pending';
create unique index approvals_of_output on approvals (spec_id, kind) where state = 'pending';
create index approvals_spec on approvals (spec_id, created_at) where spec_id is not null;
create unique index approvals_open on approvals (ticket_id, kind) where state = 'pending' and task_id is null;
create unique index approvals_of_project on approvals (project_id) where state = 'pending' and kind = 'repository_trust';
create unique index approvals_of_task on approvals (task_id) where state = 'pending' and task_id is not null;

--@ postgres
alter table approvals drop constraint approvals_kind_check;
alter table approvals add constraint approvals_kind_check check (kind in ('ticket', 'spec_requirements', 'spec_design',
    'phase_gate', 'question', 'repository_trust', 'merge_conflict'));
alter table approvals add column merge_id @uuid references merges (id);
alter table approvals drop constraint approvals_check4;
alter table approvals add check
    ((question is not null) = (kind in ('phase_gate', 'question', 'repository_trust', 'merge_conflict')));
alter table approvals drop constraint approvals_check5;
alter table approvals add check (task_id is null or (ticket_id is not null
    and ((kind = 'question' and attempt_id is not null) or kind = 'merge_conflict')));
alter table approvals add check ((merge_id is not null) = (kind = 'merge_conflict'));

--@ both
create index approvals_by_merge on approvals (merge_id) where merge_id is not null;
