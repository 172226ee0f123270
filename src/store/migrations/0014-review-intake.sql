-- What else comes into the review queue, and what goes out of it. `alike`: the same for items that one look tells alike.
-- `batched`: further requests that the item stands for. `prior_resolution`: of the round before an objection.
-- `overdue_at`: when it was noticed that nobody had decided it in time.
alter table review_items add column near_rules text not null default '[]';
alter table review_items add column inclusion_probability double precision;
alter table review_items add column alike text not null default '';
alter table review_items add column batched integer not null default 0;
alter table review_items add column prior_resolution text;
alter table review_items add column overdue_at text;

create index review_items_alike on review_items (alike, status);
create index review_items_open on review_items (status, tenant_id);
create index review_items_due on review_items (status, overdue_at, due_at);
create index review_items_resolved on review_items (resolved_at);

-- Requests that an item stands for, as far as they are listed.
create table review_batched (
  request_id text not null,
  direction text not null,
  review_id text not null,
  created_at text not null,
  primary key (request_id, direction)
);

create index review_batched_by_item on review_batched (review_id, created_at);

-- What came in and what did not, by the hour.
create table review_counts (
  name text not null,
  tenant_id text not null,
  hour text not null,
  count bigint not null,
  primary key (name, tenant_id, hour)
);

create index review_counts_by_hour on review_counts (hour);

-- Why somebody objected to what was done, or to how an item was decided.
create table review_appeals (
  review_id text not null,
  round integer not null,
  author text not null,
  reason text not null,
  created_at text not null,
  primary key (review_id, round, author)
);

-- What tenants and the operator are told, until it was taken or given up. `attempts`: those that failed.
create table review_notices (
  notice_id text not null primary key,
  tenant_id text not null,
  receiver text not null,
  event text not null,
  body text not null,
  created_at text not null,
  due_at text not null,
  claimed_until text,
  attempts integer not null
);

create index review_notices_due on review_notices (due_at);
