-- How many mails an organisation has sent is counted like what strangers try.

create table new_sign_in_limits (
    scope text not null check (scope in ('sign_in_address', 'sign_in_pair', 'sign_in_account', 'register_address',
        'resend_address', 'forgot_address', 'mail_to', 'verify_address', 'reset_address', 'mail_from_organisation')),
    key_digest text not null,
    window_start_at @time not null,
    tries bigint not null,
    locked_until_at @time,
    primary key (scope, key_digest)
);
insert into new_sign_in_limits (scope, key_digest, window_start_at, tries, locked_until_at)
    select scope, key_digest, window_start_at, tries, locked_until_at from sign_in_limits;
drop table sign_in_limits;
alter table new_sign_in_limits rename to sign_in_limits;
create index sign_in_limits_start on sign_in_limits (window_start_at);

@global sign_in_limits
