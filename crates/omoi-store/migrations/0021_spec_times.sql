-- Since when a spec works on its tasks, and when a person last had it go on: the log, which told it so far, is kept
-- for some time only.

alter table specs add column working_since @time;
alter table specs add column resumed_at @time;
update specs set
    working_since = (select max(e.occurred_at) from events e
        where e.org_id = specs.org_id and e.spec_id = specs.id and e.event_type = 'spec.work_started'),
    resumed_at = (select max(e.occurred_at) from events e
        where e.org_id = specs.org_id and e.spec_id = specs.id
            and e.event_type in ('spec.work_started', 'spec.resumed'));
