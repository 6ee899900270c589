-- What agents and people say to each other about work.

create table threads (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    project_id @uuid not null references projects (id),
    thread_type text not null check (thread_type in ('review', 'consultation')),
    status text not null check (status in ('active', 'resolved', 'expired')),
    -- what it is about
    ticket_id @uuid references tickets (id),
    task_id @uuid references tasks (id),
    -- digest of all that, and of who takes part
    subject_key text not null,
    -- who opened it
    actor_kind text not null check (actor_kind in ('user', 'key', 'agent', 'system')),
    actor_id @uuid,
    closed_at @time,
    state_version bigint not null,
    created_at @time not null,
    updated_at @time not null
);
create index threads_project on threads (org_id, project_id, created_at, id);
create index threads_created on threads (org_id, created_at, id);
create index threads_subject on threads (project_id, subject_key) where status = 'active';
create index threads_idle on threads (org_id, updated_at) where status = 'active';

-- One of the three says who takes part: a person, a key, or the agent of a task.
create table thread_participants (
    thread_id @uuid not null references threads (id),
    org_id @uuid not null references organisations (id),
    user_id @uuid references users (id),
    api_key_id @uuid references api_keys (id),
    task_id @uuid references tasks (id),
    joined_at @time not null
);
create unique index thread_participants_user on thread_participants (thread_id, user_id);
create unique index thread_participants_key on thread_participants (thread_id, api_key_id);
create unique index thread_participants_task on thread_participants (thread_id, task_id);

create table thread_messages (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    thread_id @uuid not null references threads (id),
    -- who says it, and the attempt of an agent
    user_id @uuid references users (id),
    api_key_id @uuid references api_keys (id),
    task_id @uuid references tasks (id),
    attempt_id @uuid references attempts (id),
    message_type text not null check (message_type in ('info', 'question', 'answer', 'warning', 'discovery')),
    content text not null,
    is_broadcast @bool not null,
    created_at @time not null
);
create index thread_messages_thread on thread_messages (thread_id, created_at, id);
create index thread_messages_broadcast on thread_messages (org_id, created_at) where is_broadcast;

-- To whom something is said: an agent has it by the message that waits for it.
create table thread_deliveries (
    thread_message_id @uuid not null references thread_messages (id),
    org_id @uuid not null references organisations (id),
    user_id @uuid references users (id),
    api_key_id @uuid references api_keys (id),
    task_id @uuid references tasks (id),
    message_id @uuid references messages (id),
    read_at @time,
    created_at @time not null
);
create unique index thread_deliveries_user on thread_deliveries (thread_message_id, user_id);
create unique index thread_deliveries_key on thread_deliveries (thread_message_id, api_key_id);
create unique index thread_deliveries_task on thread_deliveries (thread_message_id, task_id);
create index thread_deliveries_message on thread_deliveries (message_id);

-- When a message was taken back that no agent had read.
alter table messages add column expired_at @time;
create index messages_unread on messages (org_id, created_at)
    where message_type = 'agent_collaboration' and acked_at is null and expired_at is null;

@tenant threads
@tenant thread_participants
@tenant thread_messages
@tenant thread_deliveries
