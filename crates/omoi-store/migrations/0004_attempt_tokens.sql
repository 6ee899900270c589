-- Whose a token is must be known before rows of an organisation can be read.

create table attempt_tokens (
    token_hash text primary key,
    org_id @uuid not null,
    attempt_id @uuid not null unique references attempts (id)
);
insert into attempt_tokens (token_hash, org_id, attempt_id)
    select token_hash, org_id, id from attempts where token_hash is not null;
drop index attempts_token;
alter table attempts drop column token_hash;
