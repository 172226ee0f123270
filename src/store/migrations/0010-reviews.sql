-- The review queue. `rank`: of the severity. `fence`: counts the claims, so that who lost one cannot decide by it.
create table review_items (
  review_id text primary key,
  request_id text not null,
  tenant_id text not null,
  direction text not null,
  origin text not null,
  severity text not null,
  severity_rank integer not null,
  policy text not null,
  triggered_rules text not null,
  classifier_results text not null,
  action text not null,
  status text not null,
  double_blind integer not null,
  round integer not null,
  fence integer not null,
  reviewer_id text,
  claimed_until text,
  resolution text,
  resolved_at text,
  created_at text not null,
  due_at text not null,
  hold_until text,
  hold_outcome text,
  unique (request_id, direction)
);

create index review_items_queue on review_items (status, severity_rank desc, due_at, review_id);
create index review_items_by_tenant on review_items (tenant_id, created_at);
create index review_items_by_time on review_items (created_at, review_id);

create table review_verdicts (
  review_id text not null,
  round integer not null,
  reviewer_id text not null,
  resolution text not null,
  categories text not null,
  notes text not null,
  created_at text not null,
  primary key (review_id, reviewer_id)
);

create index review_verdicts_by_time on review_verdicts (created_at);
