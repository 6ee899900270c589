-- What waits for a person's yes.

create table approvals (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    project_id @uuid not null references projects (id),
    kind text not null check (kind in ('ticket')),
    ticket_id @uuid not null references tickets (id),
    state text not null check (state in ('pending', 'approved', 'rejected', 'timed_out')),
    -- who asked
    actor_kind text not null check (actor_kind in ('user', 'key', 'agent', 'system')),
    actor_id @uuid,
    deadline_at @time not null,
    decided_by_id @uuid references users (id),
    decided_at @time,
    comment text,
    state_version bigint not null,
    created_at @time not null,
    updated_at @time not null
);
create index approvals_created on approvals (org_id, created_at, id);
create index approvals_due on approvals (org_id, deadline_at) where state = 'pending';
create unique index approvals_open on approvals (ticket_id) where state = 'pending';

@tenant approvals
