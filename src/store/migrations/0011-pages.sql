-- Messages to who is on call about items of the review queue, until they were taken. `step`: who is asked, 0 first.
create table review_pages (
  review_id text not null,
  step integer not null,
  kind text not null,
  due_at text not null,
  claimed_until text,
  attempts integer not null,
  sent_at text,
  primary key (review_id, kind, step)
);

create index review_pages_due on review_pages (sent_at, due_at);
