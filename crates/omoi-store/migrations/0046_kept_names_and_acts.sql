-- No row of the audit log is replaced either, and no head of a chain is removed. Before this runs, names of projects get
-- the keys that the program compares names by.

--@ sqlite
create trigger audit_log_is_never_replaced before insert on audit_log
when exists (select 1 from audit_log kept where kept.org_id = new.org_id and kept.seq = new.seq)
begin select raise(abort, 'rows of audit_log are never replaced'); end;

--@ postgres
revoke delete on audit_heads from omoi_app;

--@ both
