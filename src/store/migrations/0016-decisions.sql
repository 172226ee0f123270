-- What was decided, one row for each closed exchange of an audit log. Names and numbers, never content; all of it follows from the logs.
-- `next_index`: entries before it are taken; `head`: hash of the last of them. `shipped`: of another Weir, whose tenants may have the names of ours.
create table decision_logs (
  log_id bigint not null primary key,
  log text not null unique,
  name text not null,
  shipped integer not null,
  next_index bigint not null,
  head text not null
);

-- `decision_id`: log_id * 2^39 + index of the entry. `request_key`: the first 52 bits of the request id. `mark`: the first 48 of the entry's hash.
create table decisions (
  decision_id bigint not null primary key,
  at_ms bigint not null,
  mark bigint not null,
  request_key bigint not null,
  request_id text not null,
  tenant_id text not null,
  shipped integer not null,
  session_id text,
  policy_id text not null,
  policy_revision text not null,
  model text,
  route text not null,
  outcome text not null,
  error_code text,
  status integer not null,
  action text,
  input_action text,
  output_action text,
  late_action text,
  is_partial integer not null,
  is_degraded integer not null,
  started_ms bigint not null,
  duration_ms double precision not null,
  first_byte_ms double precision,
  detail text not null
);

create index decisions_by_time on decisions (at_ms, decision_id);
create index decisions_by_tenant on decisions (tenant_id, at_ms, decision_id);
create index decisions_by_policy on decisions (policy_id, at_ms, decision_id);
create index decisions_by_request on decisions (request_key);

-- Rules that fired, categories that were found, actions other than allow: `rule:pii-out`, `category:pii.EMAIL`, `action:block`.
create table decision_labels (
  decision_id bigint not null,
  label text not null,
  tenant_id text not null,
  at_ms bigint not null,
  primary key (decision_id, label)
);

create index decision_labels_by_time on decision_labels (label, at_ms, decision_id);
create index decision_labels_by_tenant on decision_labels (tenant_id, label, at_ms, decision_id);

-- The same, counted by minute and by hour; `tenant_id` is empty for all tenants together. `counts`: JSON, numbers by `direction|measure|name`.
create table decision_counts (
  span text not null,
  shipped integer not null,
  tenant_id text not null,
  bucket_ms bigint not null,
  counts text not null,
  primary key (span, shipped, tenant_id, bucket_ms)
);
