-- Specs, tickets and tasks are found by what people call them, such as `TKT-12`.

-- none of a comment
alter table search_documents add column number bigint;

update search_documents set number = (select s.number from specs s where s.id = row_id) where kind = 'spec';
update search_documents set number = (select t.number from tickets t where t.id = row_id) where kind = 'ticket';
update search_documents set number = (select t.number from tasks t where t.id = row_id) where kind = 'task';

-- The words that this program makes of references.
update search_documents set words = trim(words || ' spec' || number || 'ref') where kind = 'spec' and number is not null;
update search_documents set words = trim(words || ' tkt' || number || 'ref') where kind = 'ticket' and number is not null;
update search_documents set words = trim(words || ' tsk' || number || 'ref') where kind = 'task' and number is not null;
