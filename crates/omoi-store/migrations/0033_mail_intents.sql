-- Mails that are to go out, written with the act that they follow from. No token is here: whoever sends a mail makes it, and
-- keeps its digest as that of any other.

create table mail_intents (
    id @uuid primary key,
    kind text not null check (kind in ('verification', 'known_address', 'reset', 'invitation', 'unlock', 'token_reuse')),
    email text not null,
    user_id @uuid references users (id),
    invitation_id @uuid references invitations (id) on delete cascade,
    state text not null check (state in ('planned', 'sent', 'confirmed', 'failed', 'bounced')),
    tries bigint not null,
    next_at @time not null,
    created_at @time not null,
    expires_at @time not null,
    error text,
    check ((kind = 'invitation') = (invitation_id is not null)),
    check (kind = 'invitation' or user_id is not null)
);
create index mail_intents_next on mail_intents (state, next_at);
create index mail_intents_user on mail_intents (user_id, kind);
create index mail_intents_invitation on mail_intents (invitation_id);
create index mail_intents_end on mail_intents (expires_at);

@global mail_intents
