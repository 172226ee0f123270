-- Erasures of kept content that were asked for, numbered without gaps. Exchanges and sessions by digests of their ids.
create table erasures (
  number bigint not null primary key,
  erasure_id text not null unique,
  tenant_id text not null,
  before_day text,
  request_digest text,
  request_name text,
  session_digest text,
  session_name text,
  author text not null,
  created_at text not null
);
create index erasures_tenant_id on erasures (tenant_id, number);

-- Who keeps content and carries erasures out, in order: those up to `done` are confirmed; up to `since` they came before it.
create table erasure_keepers (
  keeper text not null primary key,
  origin text not null,
  since bigint not null,
  done bigint not null,
  seen_at text not null
);
