-- What people search in: the texts of specs, tickets, tasks and comments, cut into words by this program. A text that was
-- written before is found by its whole words; a change cuts it anew.

create table search_documents (
    document_no @number primary key,
    row_id @uuid not null unique,
    org_id @uuid not null references organisations (id),
    project_id @uuid not null references projects (id),
    kind text not null check (kind in ('spec', 'ticket', 'task', 'comment')),
    title text not null,
    body text not null,
    words text not null,
    -- the ticket of a comment
    ticket_id @uuid references tickets (id),
    updated_at @time not null
);
create index search_documents_project on search_documents (org_id, project_id, updated_at);

--@ sqlite
create virtual table search_text using fts5 (words, content = 'search_documents', content_rowid = 'document_no', tokenize = 'unicode61 remove_diacritics 0');
create trigger search_text_insert after insert on search_documents begin
    insert into search_text (rowid, words) values (new.document_no, new.words);
end;
create trigger search_text_delete after delete on search_documents begin
    insert into search_text (search_text, rowid, words) values ('delete', old.document_no, old.words);
end;
create trigger search_text_update after update of words on search_documents begin
    insert into search_text (search_text, rowid, words) values ('delete', old.document_no, old.words);
    insert into search_text (rowid, words) values (new.document_no, new.words);
end;
--@ both

@tenant search_documents

insert into search_documents (row_id, org_id, project_id, kind, title, body, words, updated_at)
select id, org_id, project_id, 'spec', title, original_request, lower(title || ' ' || original_request), updated_at from specs;
insert into search_documents (row_id, org_id, project_id, kind, title, body, words, updated_at)
select id, org_id, project_id, 'ticket', title, description, lower(title || ' ' || description), updated_at from tickets;
insert into search_documents (row_id, org_id, project_id, kind, title, body, words, updated_at)
select id, org_id, project_id, 'task', title, description, lower(title || ' ' || description), updated_at from tasks;

insert into search_documents (row_id, org_id, project_id, kind, title, body, words, ticket_id, updated_at)
select id, org_id, project_id, 'comment', '', content, lower(content), ticket_id, updated_at from comments where deleted_at is null;

--@ postgres
update search_documents set words = trim(regexp_replace(words, '[^[:alnum:]]+', ' ', 'g'));
alter table search_documents add column word_vector tsvector not null
    generated always as (array_to_tsvector(string_to_array(words, ' '))) stored;
--@ both
