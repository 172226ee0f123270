-- Texts of items of the review queue for other processes than the one that keeps them: sealed, each under a wrapped key.
-- `after_erasure`: the newest erasure that was carried out where it was copied; one that came later may cover it.
-- `slot` and `sealed` are empty where it was erased. `key_id`: of the master key.
create table review_contents (
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

create index review_contents_by_tenant on review_contents (tenant_id, day);
create index review_contents_by_end on review_contents (keep_until);
create index review_contents_by_key on review_contents (key_id, review_id, session_digest);
