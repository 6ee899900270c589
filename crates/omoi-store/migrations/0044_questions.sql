-- A task waits for the answer to what its agent asked.

--@ sqlite
create table new_tasks (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    project_id @uuid not null references projects (id),
    spec_id @uuid not null references specs (id),
    ticket_id @uuid not null references tickets (id),
    number bigint not null,
    local_id text not null,
    title text not null,
    description text not null,
    task_type text not null,
    phase_id text not null,
    priority text not null check (priority in ('LOW', 'MEDIUM', 'HIGH', 'CRITICAL')),
    status text not null check (status in ('pending', 'claiming', 'assigned', 'running',
        'pending_validation', 'validating', 'needs_revision', 'blocked', 'completed', 'failed',
        'cancelled')),
    score double precision not null default 0,
    level bigint not null,
    ordinal bigint not null,
    estimated_hours double precision not null default 1,
    files @json not null,
    requirements @json not null,
    branch text not null,
    base_sha text,
    head_sha text,
    integration_state text not null check (integration_state in ('none', 'queued',
        'merging', 'conflict', 'merged', 'manual')),
    round bigint not null default 0,
    retry_count bigint not null default 0,
    max_retries bigint not null default 3,
    force_execute @bool not null default false check (force_execute in (false, true)),
    needed @bool not null default true check (needed in (false, true)),
    not_before @time not null,
    deadline_at @time,
    timeout_seconds bigint not null,
    fence bigint not null default 0,
    attempt_id @uuid,
    revision @json,
    error_class text,
    error_message text,
    blocked_by text check (blocked_by in ('dependency_failed', 'environment_fault',
        'provider_unavailable', 'budget_exceeded', 'needs_check', 'question')),
    blocked_by_id @uuid references tasks (id),
    blocked_reason text,
    parent_task_id @uuid references tasks (id),
    discovery_depth bigint not null default 0,
    resolves_merge_id @uuid,
    summary text,
    n_open_prerequisites bigint not null default 0 check (n_open_prerequisites >= 0),
    n_dependents bigint not null default 0,
    state_version bigint not null default 0,
    queued_at @time not null,
    started_at @time,
    completed_at @time,
    created_at @time not null,
    updated_at @time not null,
    unique (project_id, number),
    unique (spec_id, local_id),
    check ((status = 'blocked') = (blocked_by is not null)),
    check ((blocked_by_id is not null) = (blocked_by is not null and blocked_by = 'dependency_failed'))
);
-- whoever gives this table another column before this migration gives it here, too
insert into new_tasks select * from tasks;
drop table tasks;
alter table new_tasks rename to tasks;
create index tasks_status on tasks (org_id, status, priority);
-- What a claim looks at. The constant columns make SQLite prefer it to the index above.
create index tasks_ready on tasks (org_id, status, n_open_prerequisites, not_before)
    where status = 'pending' and n_open_prerequisites = 0;
create index tasks_spec on tasks (spec_id);
create index tasks_ticket on tasks (ticket_id);
create index tasks_parent on tasks (parent_task_id);
create index tasks_blocked_by on tasks (blocked_by_id);
create index tasks_created on tasks (org_id, created_at, id);
create index tasks_project_created on tasks (org_id, project_id, created_at, id);

--@ postgres
alter table tasks drop constraint tasks_blocked_by_check;
alter table tasks add constraint tasks_blocked_by_check check (blocked_by in ('dependency_failed', 'environment_fault',
        'provider_unavailable', 'budget_exceeded', 'needs_check', 'question'));
