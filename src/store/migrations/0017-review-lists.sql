-- Lists of the review queue by what they are asked for, and how many wait.
create index review_items_by_status on review_items (status, created_at, review_id);
create index review_items_by_severity on review_items (severity, created_at, review_id);
create index review_items_of_tenant on review_items (tenant_id, created_at, review_id);
create index review_items_depth on review_items (status, severity);
drop index review_items_by_tenant;
