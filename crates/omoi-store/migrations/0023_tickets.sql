-- Tickets that people write, without a spec; the phase beside the status, what holds a ticket up, and its history.

--@ sqlite
create table new_tickets (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    project_id @uuid not null references projects (id),
    -- none where people wrote it
    spec_id @uuid references specs (id),
    number bigint not null,
    local_id text not null,
    ordinal bigint not null,
    title text not null,
    description text not null,
    priority text not null check (priority in ('LOW', 'MEDIUM', 'HIGH', 'CRITICAL')),
    status text not null check (status in ('backlog', 'analyzing', 'building', 'building-done',
        'testing', 'deploying', 'done')),
    approval_status text not null default 'approved' check (approval_status in ('approved',
        'pending_review', 'rejected', 'timed_out')),
    is_blocked @bool not null default false check (is_blocked in (false, true)),
    state_version bigint not null default 0,
    created_at @time not null,
    updated_at @time not null,
    phase_id text not null check (phase_id in ('PHASE_BACKLOG', 'PHASE_REQUIREMENTS', 'PHASE_DESIGN',
        'PHASE_IMPLEMENTATION', 'PHASE_TESTING', 'PHASE_DEPLOYMENT', 'PHASE_DONE')),
    previous_phase_id text check (previous_phase_id in ('PHASE_BACKLOG', 'PHASE_REQUIREMENTS', 'PHASE_DESIGN',
        'PHASE_IMPLEMENTATION', 'PHASE_TESTING', 'PHASE_DEPLOYMENT', 'PHASE_DONE')),
    blocked_reason text check (blocked_reason in ('dependency', 'waiting_on_clarification', 'failing_checks',
        'environment')),
    blocked_detail text,
    blocked_at @time,
    user_id @uuid references users (id),
    assignee_id @uuid references users (id),
    labels @json not null,
    -- none of a ticket that is older than this column
    text_digest text,
    unique (project_id, number),
    unique (spec_id, local_id),
    check ((phase_id = 'PHASE_BACKLOG' and status = 'backlog')
        or (phase_id in ('PHASE_REQUIREMENTS', 'PHASE_DESIGN') and status = 'analyzing')
        or (phase_id = 'PHASE_IMPLEMENTATION' and status in ('building', 'building-done'))
        or (phase_id = 'PHASE_TESTING' and status = 'testing')
        or (phase_id = 'PHASE_DEPLOYMENT' and status = 'deploying')
        or (phase_id = 'PHASE_DONE' and status = 'done'))
);
insert into new_tickets (id, org_id, project_id, spec_id, number, local_id, ordinal, title, description, priority, status,
        approval_status, is_blocked, state_version, created_at, updated_at, phase_id, labels)
    select id, org_id, project_id, spec_id, number, local_id, ordinal, title, description, priority, status,
        approval_status, is_blocked, state_version, created_at, updated_at,
        case status when 'backlog' then 'PHASE_BACKLOG' when 'analyzing' then 'PHASE_REQUIREMENTS'
        when 'testing' then 'PHASE_TESTING' when 'deploying' then 'PHASE_DEPLOYMENT' when 'done' then 'PHASE_DONE'
        else 'PHASE_IMPLEMENTATION' end, '[]' from tickets;
drop table tickets;
alter table new_tickets rename to tickets;

--@ postgres
alter table tickets alter column spec_id drop not null;
alter table tickets add column phase_id text check (phase_id in ('PHASE_BACKLOG', 'PHASE_REQUIREMENTS', 'PHASE_DESIGN',
        'PHASE_IMPLEMENTATION', 'PHASE_TESTING', 'PHASE_DEPLOYMENT', 'PHASE_DONE'));
update tickets set phase_id = case status when 'backlog' then 'PHASE_BACKLOG' when 'analyzing' then 'PHASE_REQUIREMENTS'
        when 'testing' then 'PHASE_TESTING' when 'deploying' then 'PHASE_DEPLOYMENT' when 'done' then 'PHASE_DONE'
        else 'PHASE_IMPLEMENTATION' end;
alter table tickets alter column phase_id set not null;
alter table tickets add column previous_phase_id text check (previous_phase_id in ('PHASE_BACKLOG', 'PHASE_REQUIREMENTS', 'PHASE_DESIGN',
        'PHASE_IMPLEMENTATION', 'PHASE_TESTING', 'PHASE_DEPLOYMENT', 'PHASE_DONE'));
alter table tickets add column blocked_reason text check (blocked_reason in ('dependency', 'waiting_on_clarification', 'failing_checks',
        'environment'));
alter table tickets add column blocked_detail text;
alter table tickets add column blocked_at @time;
alter table tickets add column user_id @uuid references users (id);
alter table tickets add column assignee_id @uuid references users (id);
alter table tickets add column labels @json;
update tickets set labels = '[]';
alter table tickets alter column labels set not null;
alter table tickets add column text_digest text;
alter table tickets add check ((phase_id = 'PHASE_BACKLOG' and status = 'backlog')
        or (phase_id in ('PHASE_REQUIREMENTS', 'PHASE_DESIGN') and status = 'analyzing')
        or (phase_id = 'PHASE_IMPLEMENTATION' and status in ('building', 'building-done'))
        or (phase_id = 'PHASE_TESTING' and status = 'testing')
        or (phase_id = 'PHASE_DEPLOYMENT' and status = 'deploying')
        or (phase_id = 'PHASE_DONE' and status = 'done'));

--@ both
create index tickets_created on tickets (org_id, created_at, id);
create index tickets_project_created on tickets (org_id, project_id, created_at, id);
create index tickets_digest on tickets (project_id, text_digest) where text_digest is not null;

create table state_transitions (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    project_id @uuid not null references projects (id),
    ticket_id @uuid not null references tickets (id),
    field text not null check (field in ('status', 'phase', 'approval', 'blocked', 'assignee', 'priority')),
    from_value text,
    to_value text,
    reason text,
    actor_kind text not null check (actor_kind in ('user', 'key', 'agent', 'system')),
    actor_id @uuid,
    occurred_at @time not null
);
create index state_transitions_ticket on state_transitions (ticket_id, occurred_at, id);

@tenant state_transitions
