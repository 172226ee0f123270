-- Requests that wait for a person. `hold_key`: of the request, so that the same again finds its item; `hold_waiters`: how many wait for it.
alter table review_items add column hold_then text;
alter table review_items add column hold_key text;
alter table review_items add column hold_waiters integer not null default 0;

create index review_items_holding on review_items (hold_until) where hold_until is not null and hold_outcome is null;
create index review_items_by_hold_key on review_items (hold_key, created_at) where hold_key is not null;
