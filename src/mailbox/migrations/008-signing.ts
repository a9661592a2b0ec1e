/** Keys that sign the mail of a domain (RFC 6376): src/authenticity/signing-keys.ts. */
export const signing = {
  number: 8,
  name: 'signing',
  sql: `
create table mail.signing_key (
  -- Lower case, A-labels.
  domain text not null,
  selector text not null,
  algorithm text not null check (algorithm in ('rsa-sha256', 'ed25519-sha256')),
  -- PKCS #8, PEM.
  private_key text not null,
  created_at timestamptz not null default now(),
  primary key (domain, selector)
);
`,
} as const
