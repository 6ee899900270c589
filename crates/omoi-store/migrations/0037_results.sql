-- What agents and people say came of tasks and tickets, and what a ticket asks of its result.

create table task_results (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    project_id @uuid not null references projects (id),
    task_id @uuid not null references tasks (id),
    result_type text not null check (result_type in ('implementation', 'analysis', 'fix', 'design', 'test', 'documentation')),
    summary text not null,
    content text not null,
    status text not null check (status in ('unverified', 'verified', 'disputed')),
    -- who submitted it
    actor_kind text not null check (actor_kind in ('user', 'key', 'agent', 'system')),
    actor_id @uuid,
    -- the person who judged it; none where the checks of the task did
    judged_by_id @uuid references users (id),
    judged_at @time,
    feedback text,
    state_version bigint not null,
    created_at @time not null,
    updated_at @time not null
);
create index task_results_task on task_results (org_id, task_id, created_at, id);

create table result_criteria (
    ticket_id @uuid primary key references tickets (id),
    org_id @uuid not null references organisations (id),
    criteria @json not null,
    on_result_found text not null check (on_result_found in ('stop_all', 'do_nothing')),
    state_version bigint not null,
    created_at @time not null,
    updated_at @time not null
);

create table workflow_results (
    id @uuid primary key,
    org_id @uuid not null references organisations (id),
    project_id @uuid not null references projects (id),
    ticket_id @uuid not null references tickets (id),
    summary text not null,
    content text not null,
    -- what it is to meet, as it was when it was submitted
    criteria @json not null,
    status text not null check (status in ('pending_validation', 'validated', 'rejected')),
    -- who submitted it
    actor_kind text not null check (actor_kind in ('user', 'key', 'agent', 'system')),
    actor_id @uuid,
    judged_by_id @uuid references users (id),
    judged_at @time,
    feedback text,
    unmet @json not null,
    state_version bigint not null,
    created_at @time not null,
    updated_at @time not null
);
create index workflow_results_ticket on workflow_results (org_id, ticket_id, created_at, id);
create unique index workflow_results_validated on workflow_results (ticket_id) where status = 'validated';

-- What was judged stays as it was judged, whoever writes.
--@ sqlite
create trigger task_results_stay_judged before update on task_results when old.status <> 'unverified'
begin select raise(abort, 'a judged result is never changed'); end;
create trigger task_results_stay before delete on task_results when old.status <> 'unverified'
begin select raise(abort, 'a judged result is never removed'); end;
create trigger workflow_results_stay_judged before update on workflow_results when old.status <> 'pending_validation'
begin select raise(abort, 'a judged result is never changed'); end;
create trigger workflow_results_stay before delete on workflow_results when old.status <> 'pending_validation'
begin select raise(abort, 'a judged result is never removed'); end;
--@ postgres
create function refuse_judged_result() returns trigger language plpgsql as $body$
begin
    raise exception 'a judged result is never changed or removed';
end
$body$;
create trigger task_results_stay_judged before update or delete on task_results
    for each row when (old.status <> 'unverified') execute function refuse_judged_result();
create trigger workflow_results_stay_judged before update or delete on workflow_results
    for each row when (old.status <> 'pending_validation') execute function refuse_judged_result();
--@ both

@tenant task_results
@tenant result_criteria
@tenant workflow_results
