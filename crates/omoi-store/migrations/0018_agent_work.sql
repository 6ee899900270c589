-- What agents did is listed in pages, newest first: attempts of an organisation and of one project, and what they cost.

create index attempts_created on attempts (org_id, created_at, id);
create index attempts_project_created on attempts (org_id, project_id, created_at, id);
create index cost_entries_created on cost_entries (org_id, created_at, id);

-- Commits that people tie to tickets, beside those that tasks made.

create table commit_links (
    ticket_id @uuid not null references tickets (id),
    org_id @uuid not null references organisations (id),
    commit_sha text not null,
    actor_kind text not null check (actor_kind in ('user', 'key', 'agent', 'system')),
    actor_id @uuid,
    created_at @time not null,
    primary key (ticket_id, commit_sha)
);

@tenant commit_links
