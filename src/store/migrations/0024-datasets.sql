-- What models learn from: versions of a data set, which are never altered, and their rows. A row names the exchange that it is
-- of and what people said of it; its text lies apart, sealed as it was kept, once for all versions.
create table learning_datasets (
  dataset_id text primary key,
  sha256 text not null,
  about text not null,
  created_at text not null,
  created_by text not null
);

create table learning_rows (
  dataset_id text not null,
  number integer not null,
  content_id text not null,
  tenant_id text not null,
  request_id text not null,
  direction text not null,
  part text not null,
  row text not null,
  primary key (dataset_id, number)
);

create index learning_rows_by_content on learning_rows (content_id, part);

-- As review_contents; `review_id` is the id of the content here.
create table learning_contents (
  review_id text not null,
  session_digest text not null,
  request_digest text not null,
  tenant_id text not null,
  day text not null,
  keep_until text not null,
  after_erasure bigint not null,
  key_id text not null,
  slot text not null,
  sealed text not null,
  primary key (review_id, session_digest)
);

create index learning_contents_by_tenant on learning_contents (tenant_id, day);
create index learning_contents_by_end on learning_contents (keep_until);
create index learning_contents_by_key on learning_contents (key_id, review_id, session_digest);
