-- Tickets that people tie to specs, beside those of the plans of specs and those that follow one.

create table spec_ticket_links (
    spec_id @uuid not null references specs (id),
    ticket_id @uuid not null references tickets (id),
    org_id @uuid not null references organisations (id),
    -- who says so
    actor_kind text not null check (actor_kind in ('user', 'key', 'agent', 'system')),
    actor_id @uuid,
    created_at @time not null,
    primary key (spec_id, ticket_id)
);
create index spec_ticket_links_ticket on spec_ticket_links (ticket_id);

@tenant spec_ticket_links
