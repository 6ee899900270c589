-- Who invited: an invitation is good as long as they may give what it gives. None of the operator's.
alter table invitations add column invited_by_id @uuid references users (id);
create index invitations_inviter on invitations (org_id, invited_by_id);

-- The key that the refresh token before the newest was made with: no other key of the ring makes that token.
alter table sessions add column previous_key_name text;
