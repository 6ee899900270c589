-- People are asked about the requirements and the design of a spec, too: for as long as it takes.

--@ sqlite
create table new_approvals (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    project_id @uuid not null references projects (id),
    kind text not null check (kind in ('ticket', 'spec_requirements', 'spec_design')),
    ticket_id @uuid references tickets (id),
    state text not null check (state in ('pending', 'approved', 'rejected', 'timed_out', 'withdrawn')),
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
    check ((ticket_id is not null) = (kind = 'ticket')),
    check ((spec_id is not null) = (kind <> 'ticket'))
);
insert into new_approvals (id, org_id, project_id, kind, ticket_id, state, actor_kind, actor_id, deadline_at, decided_by_id,
        decided_at, comment, state_version, created_at, updated_at)
    select id, org_id, project_id, kind, ticket_id, state, actor_kind, actor_id, deadline_at, decided_by_id, decided_at,
        comment, state_version, created_at, updated_at from approvals;
drop table approvals;
alter table new_approvals rename to approvals;
create index approvals_created on approvals (org_id, created_at, id);
create index approvals_due on approvals (org_id, deadline_at) where state = 'pending';
create unique index approvals_open on approvals (ticket_id) where state = 'pending';

--@ postgres
alter table approvals drop constraint approvals_kind_check;
alter table approvals add constraint approvals_kind_check check (kind in ('ticket', 'spec_requirements', 'spec_design'));
alter table approvals drop constraint approvals_state_check;
alter table approvals add constraint approvals_state_check
    check (state in ('pending', 'approved', 'rejected', 'timed_out', 'withdrawn'));
alter table approvals alter column ticket_id drop not null;
alter table approvals alter column deadline_at drop not null;
alter table approvals add column spec_id @uuid references specs (id);
alter table approvals add column output_digest text;
alter table approvals add check ((ticket_id is not null) = (kind = 'ticket'));
alter table approvals add check ((spec_id is not null) = (kind <> 'ticket'));

--@ both
create unique index approvals_of_output on approvals (spec_id, kind) where state = 'pending';
create index approvals_spec on approvals (spec_id, created_at) where spec_id is not null;
