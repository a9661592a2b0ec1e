/** The outbound queue: docs/design/outbound-queue.md. */
export const outbound = {
  number: 4,
  name: 'outbound',
  sql: `
create table mail.outbound (
  id bigint generated always as identity primary key,
  -- Given twice, queued once.
  key text not null unique,
  body_id bigint not null constraint message_body references mail.body,
  -- '' is the null return path.
  return_path text not null,
  envid text,
  ret text check (ret in ('FULL', 'HDRS')),
  require_tls boolean not null default false,
  queued_at timestamptz not null default now()
);
create index outbound_body_id on mail.outbound (body_id);

create table mail.outbound_recipient (
  outbound_id bigint not null references mail.outbound on delete cascade,
  number int not null,
  address text not null,
  -- Lower case, A-labels.
  domain text not null,
  -- RFC 3461; null: the default.
  notify text[],
  orcpt text,
  state text not null default 'waiting' check (state in ('waiting', 'trying', 'ending', 'held', 'delivered', 'failed')),
  -- Of the attempt that owns the row.
  attempt uuid,
  attempts int not null default 0,
  next_at timestamptz not null default now(),
  delay_told boolean not null default false,
  -- What the last attempt came to, and when.
  reply text,
  host text,
  at timestamptz not null default now(),
  primary key (outbound_id, number)
) with (fillfactor = 70);
create index outbound_recipient_due on mail.outbound_recipient (next_at) where state = 'waiting';
create index outbound_recipient_owned on mail.outbound_recipient (attempt) where attempt is not null;
`,
} as const
