/**
 * The mail store. What stands where it stands because of failover: everything that a client was told (UIDs, UIDVALIDITY,
 * mod-sequences, object ids) is a row, allocated in the transaction that uses it; sequences are used only where a gap means nothing.
 */
export const mail = {
  number: 1,
  name: 'mail',
  sql: `
create schema if not exists handoff;
create schema mail;

-- One row for each write: its outcome can be asked for after the connection is lost.
create table handoff.operation (
  key text primary key,
  result json not null,
  -- Counts the look-ups: each is a commit of its own, and the standbys' word for it is their word for this row.
  confirmations int not null default 0,
  at timestamptz not null default now()
);
create index operation_at on handoff.operation using brin (at);

create function handoff.check_epoch(wanted bigint) returns void language plpgsql as $$
declare
  found text := current_setting('handoff.epoch', true);
begin
  if wanted <> 0 and nullif(found, '')::bigint is distinct from wanted then
    raise exception 'this instance has epoch "%", wanted %', found, wanted using errcode = 'HO001';
  end if;
end $$;

create table mail.domain (
  name text primary key,
  created_at timestamptz not null default now()
);

create table mail.account (
  id bigint generated always as identity primary key,
  -- Lower case.
  address text not null unique,
  domain text not null references mail.domain,
  password text not null,
  created_at timestamptz not null default now()
);

create table mail.alias (
  address text primary key,
  account_id bigint not null references mail.account on delete cascade
);
create index alias_account on mail.alias (account_id);

-- UIDVALIDITY must grow when a mailbox is made again under its old name (RFC 9051 §2.3.1.1): seconds at first, then counted.
create sequence mail.uid_validity as bigint maxvalue 4294967295;
select setval('mail.uid_validity', extract(epoch from now())::bigint);

create table mail.mailbox (
  id bigint generated always as identity primary key,
  account_id bigint not null references mail.account on delete cascade,
  name text not null,
  uid_validity bigint not null default nextval('mail.uid_validity'),
  uid_next bigint not null default 1,
  highest_modseq bigint not null default 1,
  -- The first UID that no session was told of (RFC 3501, \\Recent).
  recent_from bigint not null default 1,
  special_use text,
  object_id uuid not null default gen_random_uuid(),
  unique (account_id, name)
) with (fillfactor = 50);

-- A subscription outlives its mailbox (RFC 9051 §6.3.7).
create table mail.subscription (
  account_id bigint not null references mail.account on delete cascade,
  name text not null,
  primary key (account_id, name)
);

-- A message's content, once for all who have it. What is derived from the content alone is kept beside it. The structure is json, not
-- jsonb: it is only ever handed on whole.
create table mail.body (
  id bigint generated always as identity primary key,
  hash bytea not null unique,
  size bigint not null,
  content bytea compression lz4 not null,
  structure json compression lz4 not null,
  structure_version int not null,
  stored_at timestamptz not null default now()
);

-- What SEARCH compares, decoded and in lower case; made when a mailbox is first searched, so that delivery does not pay for it.
create table mail.body_text (
  body_id bigint primary key references mail.body on delete cascade,
  version int not null,
  -- A line for each field of the message's header: name, colon, value.
  fields text compression lz4 not null,
  -- Headers of the message and of its parts, then the text parts.
  headers text compression lz4 not null,
  content text compression lz4 not null,
  -- The day in the Date field, from 1970-01-01.
  sent_day int
);

create sequence mail.email_id;

create table mail.message (
  mailbox_id bigint not null references mail.mailbox on delete cascade,
  uid bigint not null,
  modseq bigint not null,
  internal_date timestamptz not null,
  size bigint not null,
  body_id bigint not null constraint message_body references mail.body,
  -- RFC 8474: copies of a message share it.
  email_id bigint not null default nextval('mail.email_id'),
  thread_id bigint not null,
  flags text[] not null default '{}',
  primary key (mailbox_id, uid)
);
create index message_modseq on mail.message (mailbox_id, modseq);
create index message_body_id on mail.message (body_id);

-- What has gone, for those who knew it.
create table mail.expunged (
  mailbox_id bigint not null references mail.mailbox on delete cascade,
  modseq bigint not null,
  uid bigint not null,
  primary key (mailbox_id, modseq, uid)
);

create table mail.delivery (
  mailbox_id bigint not null references mail.mailbox on delete cascade,
  key text not null,
  uid bigint not null,
  repeats int not null default 0,
  at timestamptz not null default now(),
  primary key (mailbox_id, key)
);
create index delivery_at on mail.delivery using brin (at);

-- The id of the body with this content. Always taken before any mailbox is locked: with mailboxes in the order of their ids that is
-- the order of all locks, so writers wait for each other and never in a circle.
create function mail.keep_body(p_hash bytea, p_content bytea, p_structure json, p_version int) returns bigint language plpgsql as $$
declare
  v_id bigint;
begin
  select id into v_id from mail.body where hash = p_hash;
  if v_id is not null then return v_id; end if;
  insert into mail.body (hash, size, content, structure, structure_version)
  values (p_hash, octet_length(p_content), p_content, p_structure, p_version) on conflict (hash) do nothing returning id into v_id;
  if v_id is not null then return v_id; end if;
  select id into v_id from mail.body where hash = p_hash;
  if v_id is null then raise exception 'a body was swept in the same moment' using errcode = 'serialization_failure'; end if;
  return v_id;
end $$;

-- A whole delivery in one statement: one round trip, one commit. A key that is known delivers nothing, but writes: the answer "has been
-- delivered" then waits for the standbys like a delivery, in case the wait of the first was cut short.
create function mail.deliver(
  p_epoch bigint, p_accounts bigint[], p_mailbox text, p_key text, p_hash bytea, p_content bytea, p_structure json, p_version int,
  p_received timestamptz, p_flags text[], p_thread bigint
) returns table (account_id bigint, mailbox_id bigint, uid bigint, duplicate boolean) language plpgsql as $$
declare
  v_body bigint;
  v_modseq bigint;
begin
  perform handoff.check_epoch(p_epoch);
  v_body := mail.keep_body(p_hash, p_content, p_structure, p_version);
  for account_id, mailbox_id in
    select b.account_id, b.id from mail.mailbox b
    where b.account_id = any (p_accounts) and b.name = p_mailbox
    order by b.id for no key update
  loop
    update mail.delivery d set repeats = repeats + 1 where d.mailbox_id = deliver.mailbox_id and d.key = p_key returning d.uid into uid;
    duplicate := found;
    if not duplicate then
      update mail.mailbox b set uid_next = b.uid_next + 1, highest_modseq = b.highest_modseq + 1
      where b.id = deliver.mailbox_id returning b.uid_next - 1, b.highest_modseq into uid, v_modseq;
      insert into mail.delivery (mailbox_id, key, uid) values (deliver.mailbox_id, p_key, deliver.uid);
      insert into mail.message (mailbox_id, uid, modseq, internal_date, size, body_id, thread_id, flags)
      values (deliver.mailbox_id, deliver.uid, v_modseq, p_received, octet_length(p_content), v_body, p_thread, p_flags);
    end if;
    return next;
  end loop;
end $$;
`,
} as const
