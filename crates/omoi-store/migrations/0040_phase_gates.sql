-- What phases of tickets show, what their gates said, and more kinds of questions to people: whether a ticket may pass a gate
-- that refused it, what an agent wants to know, and whether the file of a repository may have what it asks for.

create table phase_artifacts (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    project_id @uuid not null references projects (id),
    ticket_id @uuid not null references tickets (id),
    phase_id text not null check (phase_id in ('PHASE_BACKLOG', 'PHASE_REQUIREMENTS', 'PHASE_DESIGN',
        'PHASE_IMPLEMENTATION', 'PHASE_TESTING', 'PHASE_DEPLOYMENT', 'PHASE_DONE', 'PHASE_BLOCKED')),
    artifact_type text not null check (artifact_type in ('requirements_document', 'design_document', 'code_changes',
        'test_coverage', 'packaging_bundle', 'handoff_documentation', 'test_results', 'test_evidence',
        'deployment_evidence')),
    -- its number among those of the ticket: of each type the last counts
    n bigint not null,
    -- a document has text, coverage its hundredths
    content text,
    percent bigint check (percent between 0 and 100),
    actor_kind text not null check (actor_kind in ('user', 'key', 'agent', 'system')),
    actor_id @uuid,
    created_at @time not null,
    unique (ticket_id, n),
    check ((content is null) <> (percent is null))
);

create table phase_gate_results (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    project_id @uuid not null references projects (id),
    ticket_id @uuid not null references tickets (id),
    phase_id text not null check (phase_id in ('PHASE_BACKLOG', 'PHASE_REQUIREMENTS', 'PHASE_DESIGN',
        'PHASE_IMPLEMENTATION', 'PHASE_TESTING', 'PHASE_DEPLOYMENT', 'PHASE_DONE', 'PHASE_BLOCKED')),
    to_phase text not null check (to_phase in ('PHASE_BACKLOG', 'PHASE_REQUIREMENTS', 'PHASE_DESIGN',
        'PHASE_IMPLEMENTATION', 'PHASE_TESTING', 'PHASE_DEPLOYMENT', 'PHASE_DONE', 'PHASE_BLOCKED')),
    -- its number among those of the ticket
    n bigint not null,
    gate_status text not null check (gate_status in ('passed', 'skipped', 'pending', 'failed', 'overridden')),
    blocking_reasons @json not null,
    artifacts @json not null,
    actor_kind text not null check (actor_kind in ('user', 'key', 'agent', 'system')),
    actor_id @uuid,
    created_at @time not null,
    unique (ticket_id, n)
);

--@ sqlite
create table new_approvals (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    project_id @uuid not null references projects (id),
    kind text not null check (kind in ('ticket', 'spec_requirements', 'spec_design', 'phase_gate', 'question', 'repository_trust')),
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
    check (ticket_id is null or spec_id is null),
    check ((ticket_id is null and spec_id is null) = (kind = 'repository_trust')),
    check ((gate_phase is not null) = (kind = 'phase_gate')),
    check ((target_phase is not null) = (kind = 'phase_gate')),
    check ((question is not null) = (kind in ('phase_gate', 'question', 'repository_trust'))),
    check (task_id is null or (kind = 'question' and ticket_id is not null and attempt_id is not null))
);
insert into new_approvals (id, org_id, project_id, kind, ticket_id, state, actor_kind, actor_id, deadline_at, decided_by_id,
        decided_at, comment, state_version, created_at, updated_at, spec_id, output_digest, choices)
    select id, org_id, project_id, kind, ticket_id, state, actor_kind, actor_id, deadline_at, decided_by_id, decided_at,
        comment, state_version, created_at, updated_at, spec_id, output_digest, '[]' from approvals;
drop table approvals;
alter table new_approvals rename to approvals;
create index approvals_created on approvals (org_id, created_at, id);
create index approvals_due on approvals (org_id, deadline_at) where state = 'pending';
create unique index approvals_of_output on approvals (spec_id, kind) where state = 'pending';
create index approvals_spec on approvals (spec_id, created_at) where spec_id is not null;

--@ postgres
alter table approvals drop constraint approvals_kind_check;
alter table approvals add constraint approvals_kind_check
    check (kind in ('ticket', 'spec_requirements', 'spec_design', 'phase_gate', 'question', 'repository_trust'));
alter table approvals drop constraint approvals_state_check;
alter table approvals add constraint approvals_state_check
    check (state in ('pending', 'approved', 'rejected', 'answered', 'timed_out', 'withdrawn'));
alter table approvals drop constraint approvals_check;
alter table approvals drop constraint approvals_check1;
alter table approvals add column task_id @uuid references tasks (id);
alter table approvals add column attempt_id @uuid references attempts (id);
alter table approvals add column question text;
alter table approvals add column choices @json;
update approvals set choices = '[]';
alter table approvals alter column choices set not null;
alter table approvals add column gate_phase text check (gate_phase in ('PHASE_BACKLOG', 'PHASE_REQUIREMENTS', 'PHASE_DESIGN',
        'PHASE_IMPLEMENTATION', 'PHASE_TESTING', 'PHASE_DEPLOYMENT', 'PHASE_DONE', 'PHASE_BLOCKED'));
alter table approvals add column target_phase text check (target_phase in ('PHASE_BACKLOG', 'PHASE_REQUIREMENTS', 'PHASE_DESIGN',
        'PHASE_IMPLEMENTATION', 'PHASE_TESTING', 'PHASE_DEPLOYMENT', 'PHASE_DONE', 'PHASE_BLOCKED'));
alter table approvals add check (ticket_id is null or spec_id is null);
alter table approvals add check ((ticket_id is null and spec_id is null) = (kind = 'repository_trust'));
alter table approvals add check ((gate_phase is not null) = (kind = 'phase_gate'));
alter table approvals add check ((target_phase is not null) = (kind = 'phase_gate'));
alter table approvals add check ((question is not null) = (kind in ('phase_gate', 'question', 'repository_trust')));
alter table approvals add check (task_id is null or (kind = 'question' and ticket_id is not null and attempt_id is not null));
drop index approvals_open;

--@ both
create unique index approvals_open on approvals (ticket_id, kind) where state = 'pending' and task_id is null;
create unique index approvals_of_project on approvals (project_id) where state = 'pending' and kind = 'repository_trust';
create unique index approvals_of_task on approvals (task_id) where state = 'pending' and task_id is not null;

@tenant phase_artifacts
@tenant phase_gate_results
