-- What a person is told of, by itself: that a comment mentions them, or that a question waits for their answer.

create table notifications (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    project_id @uuid not null references projects (id),
    user_id @uuid not null references users (id),
    kind text not null check (kind in ('mention', 'approval')),
    -- what it is about: a ticket, or the plan of a spec
    ticket_id @uuid references tickets (id),
    spec_id @uuid references specs (id),
    comment_id @uuid references comments (id),
    approval_id @uuid references approvals (id),
    -- who mentions, or asks
    actor_kind text not null check (actor_kind in ('user', 'key', 'agent', 'system')),
    actor_id @uuid,
    created_at @time not null,
    read_at @time
);
create index notifications_user on notifications (org_id, user_id, id);
create index notifications_unread on notifications (org_id, user_id) where read_at is null;
create index notifications_approval on notifications (approval_id) where read_at is null;

@tenant notifications
