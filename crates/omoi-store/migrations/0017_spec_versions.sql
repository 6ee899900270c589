-- What specs were planned from before and after each change that a person made.

create table spec_versions (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    spec_id @uuid not null references specs (id),
    number bigint not null,
    title text not null,
    -- accepted outputs by phase
    outputs @document not null,
    -- where the spec was to be planned on from
    current_phase text not null,
    summary text not null,
    actor_kind text not null check (actor_kind in ('user', 'key', 'agent', 'system')),
    actor_id @uuid,
    created_at @time not null,
    unique (spec_id, number)
);

@tenant spec_versions
