/** Sieve scripts, and what they are to remember: docs/design/filter.md. */
export const filter = {
  number: 7,
  name: 'filter',
  sql: `
create table mail.sieve_script (
  account_id bigint not null references mail.account on delete cascade,
  name text not null,
  content text not null,
  active boolean not null default false,
  primary key (account_id, name)
);
create unique index sieve_script_active on mail.sieve_script (account_id) where active;

-- RFC 5230 §4.1: to whom a vacation reply went, and how long not to send it again.
create table mail.vacation_reply (
  account_id bigint not null references mail.account on delete cascade,
  recipient text not null,
  -- Of the reply's key.
  hash bytea not null,
  expires_at timestamptz not null,
  primary key (account_id, recipient, hash)
);
create index vacation_reply_expires on mail.vacation_reply (expires_at);

-- RFC 7352: keys that were seen.
create table mail.sieve_seen (
  account_id bigint not null references mail.account on delete cascade,
  hash bytea not null,
  expires_at timestamptz not null,
  primary key (account_id, hash)
);
create index sieve_seen_expires on mail.sieve_seen (expires_at);
`,
} as const
