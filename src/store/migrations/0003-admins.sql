-- Who may use the admin port. Secrets are kept as SHA-256 alone. Tokens are revoked, never removed: their names stand in histories.
create table admin_tokens (
  token_id text primary key,
  sha256 text not null unique,
  name text not null unique,
  roles text not null,
  tenants text not null,
  created_by text not null,
  created_at text not null,
  expires_at text,
  revoked_by text,
  revoked_at text
);

create table admin_sessions (
  session_id text primary key,
  sha256 text not null unique,
  name text not null,
  roles text not null,
  tenants text not null,
  via text not null,
  token_id text,
  created_at text not null,
  seen_at text not null,
  expires_at text not null
);

-- Logins that were completed, until they would have expired anyway: none is completed twice.
create table admin_logins (
  sha256 text primary key,
  expires_at text not null
);

-- Changes that were made beside a running Weir, as records of the audit log, until one of its processes has written them there.
-- `claimed_at`: one has begun to.
create table admin_changes (
  change_id text primary key,
  record text not null,
  created_at text not null,
  claimed_at text
);
