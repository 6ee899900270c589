-- What people and agents say of tickets, and whom they mention.

create table comments (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    project_id @uuid not null references projects (id),
    ticket_id @uuid not null references tickets (id),
    actor_kind text not null check (actor_kind in ('user', 'key', 'agent', 'system')),
    actor_id @uuid,
    content text not null,
    edited_at @time,
    deleted_at @time,
    state_version bigint not null,
    created_at @time not null,
    updated_at @time not null
);
create index comments_ticket on comments (org_id, ticket_id, created_at, id);

create table comment_mentions (
    comment_id @uuid not null references comments (id),
    user_id @uuid not null references users (id),
    org_id @uuid not null references organisations (id),
    primary key (comment_id, user_id)
);

@tenant comments
@tenant comment_mentions
