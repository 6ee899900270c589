-- What the work on tickets came to by phase, and what people and programs note of agents.

create table ticket_contexts (
    ticket_id @uuid not null references tickets (id),
    phase_id text not null check (phase_id in ('PHASE_REQUIREMENTS', 'PHASE_DESIGN', 'PHASE_IMPLEMENTATION', 'PHASE_TESTING', 'PHASE_DEPLOYMENT')),
    org_id @uuid not null references organisations (id),
    tasks @json not null,
    summary text not null,
    -- who had it built
    actor_kind text not null check (actor_kind in ('user', 'key', 'agent', 'system')),
    actor_id @uuid,
    updated_at @time not null,
    primary key (ticket_id, phase_id)
);

create table attempt_notes (
    attempt_id @uuid primary key references attempts (id),
    org_id @uuid not null references organisations (id),
    -- the conversation that its program says it has
    conversation_id text,
    -- words that people find it by
    tags @json not null,
    updated_at @time not null
);

@tenant ticket_contexts
@tenant attempt_notes
