-- Keys of tenants, by the SHA-256 of the key. A row is altered once, when its key is revoked, and never removed.
create table tenant_keys (
  key_id text not null primary key,
  tenant_id text not null,
  name text not null,
  sha256 text not null unique,
  scopes text not null,
  requests_per_minute bigint,
  tokens_per_minute bigint,
  expires_at text,
  created_at text not null,
  created_by text not null,
  revoked_at text,
  revoked_by text,
  change bigint not null
);
create index tenant_keys_tenant_id on tenant_keys (tenant_id);
create index tenant_keys_change on tenant_keys (change);

-- Every change of a key, numbered without gaps. `audited_at`: when it was in an audit log; `claimed_at`: who writes it there began.
create table tenant_key_changes (
  number bigint not null primary key,
  change text not null,
  tenant_id text not null,
  key_id text not null,
  author text not null,
  created_at text not null,
  claimed_at text,
  audited_at text
);

-- What was used, by tenant, key and hour.
create table tenant_usage (
  tenant_id text not null,
  key_id text not null,
  hour text not null,
  requests bigint not null,
  refused bigint not null,
  blocked bigint not null,
  redacted bigint not null,
  prompt_tokens bigint not null,
  completion_tokens bigint not null,
  estimated bigint not null,
  primary key (tenant_id, key_id, hour)
);

-- The newest batch of usage of each process, so that a batch that is sent again counts once.
create table tenant_usage_writers (
  process text not null primary key,
  sequence bigint not null,
  written_at text not null
);
