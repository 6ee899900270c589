-- Work that requests ask for and do not wait for.

create table operations (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    project_id @uuid not null references projects (id),
    kind text not null check (kind in ('set_up_repository')),
    status text not null check (status in ('running', 'succeeded', 'failed')),
    -- what it gave, as it is answered
    result @document,
    error_code text,
    error_message text,
    error_hint text,
    created_at @time not null,
    -- whoever works on it moves this on; once it has passed, nobody does
    lease_until @time not null,
    ended_at @time,
    state_version bigint not null
);
create index operations_running on operations (org_id, status);
create index operations_project on operations (project_id);

@tenant operations
