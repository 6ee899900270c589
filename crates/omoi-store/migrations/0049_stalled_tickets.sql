-- A ticket of which nothing goes on is held up by the platform, with a task that looks for the cause, until that is gone.

-- since when the platform holds it up for that; what people hold up has none
alter table tickets add column stalled_at @time;
-- the task that looks for the cause, or did so: it starts although the ticket is held up
alter table tickets add column remedy_task_id @uuid references tasks (id);
create index tickets_stalled on tickets (org_id, stalled_at) where stalled_at is not null;
create index tickets_remedy on tickets (remedy_task_id) where remedy_task_id is not null;
