-- `disputed`: two who labelled it differ, and it waits for a third who sees what both said, and not who they are.
alter table risk_tasks add column disputed integer not null default 0;
create index risk_tasks_disputed on risk_tasks (disputed, status, task_id);

-- `given_at`: when its batch was made. `note`: why, in the words of who labels; for who decides between two.
-- `skip_reason`: why its person gave it back. `adjudicates`: it was given with what others had said.
alter table risk_annotations add column given_at text;
alter table risk_annotations add column note text;
alter table risk_annotations add column skip_reason text;
alter table risk_annotations add column adjudicates integer not null default 0;
create index risk_annotations_given on risk_annotations (annotator_id, given_at);
create index risk_annotations_of_batch on risk_annotations (batch_id, status);

-- `source_task`: the drawn text that an item is; then nothing is sealed here, and it goes when the text is erased.
alter table risk_items add column source_task text;

-- Who saw an item with its answer is never given it.
create table risk_item_views (
  item_id text not null,
  viewer text not null,
  viewed_at text not null,
  primary key (item_id, viewer)
);
