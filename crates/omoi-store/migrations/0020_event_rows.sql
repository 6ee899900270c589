-- The ticket and the task that an event is found by: most payloads know the task alone, many neither.

alter table events add column task_id @uuid;
alter table events add column ticket_id @uuid;

update events set task_id = cast(coalesce(
    case when event_type = 'discovery.recorded' then body -> 'payload' ->> 'source_task_id' end,
    body -> 'payload' ->> 'task_id') as @uuid);
update events set ticket_id = coalesce(
    cast(body -> 'payload' ->> 'ticket_id' as @uuid),
    (select t.ticket_id from tasks t where t.id = events.task_id));

create index events_project on events (project_id, seq);
create index events_task on events (task_id, seq) where task_id is not null;
create index events_ticket on events (ticket_id, seq) where ticket_id is not null;
