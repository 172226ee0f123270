-- Weekly reports of tenants that are due: whoever has one keeps it by renewing, until it is delivered or given up.
-- `state`: running, waiting (to be tried again when `next_at` is over), done, failed. `written_at`, `sent_at`: where it is delivered already.
create table weekly_reports (
  tenant_id text not null,
  week text not null,
  state text not null,
  owner text not null,
  next_at text not null,
  attempts integer not null,
  started_at text not null,
  written_at text,
  sent_at text,
  findings_sha256 text not null,
  ended_at text,
  detail text not null,
  primary key (tenant_id, week)
);

create index weekly_reports_by_week on weekly_reports (week, tenant_id);

-- What came and went in a tenant's queue within a week.
create index review_items_by_tenant_due on review_items (tenant_id, due_at);
create index review_items_by_tenant_resolved on review_items (tenant_id, resolved_at);
create index review_appeals_by_time on review_appeals (created_at);
