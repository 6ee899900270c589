-- Who made a change: a kind, and which one of it. Only OmoiOS itself has no id.

alter table events add column actor_kind text not null default 'system'
    check (actor_kind in ('user', 'key', 'agent', 'system'));
alter table events add column actor_id @uuid check ((actor_kind = 'system') = (actor_id is null));
update events set actor_kind = 'user', actor_id = '01930000-0000-7000-8000-000000000002' where actor = 'local';
alter table events drop column actor;
