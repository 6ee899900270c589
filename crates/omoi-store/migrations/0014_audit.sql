-- Who did what: one chain of rows for each organisation, and one for what belongs to none (the nil id). No row is ever
-- changed or removed, so that nothing refers to others: what they name may go.

create table audit_log (
    org_id @uuid not null,
    seq bigint not null check (seq > 0),
    id @uuid not null,
    occurred_at @time not null,
    actor_kind text not null check (actor_kind in ('user', 'key', 'agent', 'system')),
    actor_id @uuid,
    credential_id @uuid,
    action text not null,
    target_kind text not null,
    target_id @uuid,
    outcome text not null check (outcome in ('ok', 'denied')),
    ip text,
    user_agent text,
    request_id text,
    reason text,
    -- JSON, kept letter by letter: the digest is of the text.
    value_before text,
    value_after text,
    digest text not null,
    primary key (org_id, seq)
);

-- The newest row of each chain. It is locked last of all rows, with the counter of events.
create table audit_heads (
    org_id @uuid primary key,
    seq bigint not null,
    digest text not null
);

@tenant_or_platform audit_log
@append_only audit_log
@tenant_or_platform audit_heads
