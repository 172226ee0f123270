-- What was drawn for residual-risk campaigns, and what people say of it. A task is a drawn text; an annotation is one
-- person's part in it, or in an item with a known answer, from the moment when it is given to them.
create table risk_tasks (
  task_id text primary key,
  campaign text not null,
  tenant_id text not null,
  product text not null,
  request_id text not null,
  started_at text not null,
  direction text not null,
  stratum text not null,
  inclusion_probability double precision not null,
  automated_filter_result text not null,
  modality text not null,
  wanted integer not null,
  -- Labels it has and people who have it now, so that nobody is given what others are enough for.
  given integer not null,
  status text not null,
  human_label text,
  violation_category text,
  missing_reason text,
  created_at text not null,
  settled_at text
);

-- Ids are hashes: what nobody comes to is left at random.
create index risk_tasks_queue on risk_tasks (status, task_id);
create index risk_tasks_by_campaign on risk_tasks (campaign, created_at, task_id);
create index risk_tasks_double on risk_tasks (campaign, wanted, task_id);
create index risk_tasks_settled on risk_tasks (campaign, settled_at, task_id);

create table risk_annotations (
  annotation_id text primary key,
  task_id text not null,
  -- Of an item with a known answer; its task is then the one whose place it took, so that both look alike.
  item_id text,
  annotator_id text not null,
  batch_id text not null,
  position integer not null,
  status text not null,
  claimed_until text not null,
  shown_at text,
  human_label text,
  violation_category text,
  confidence_tier text,
  annotator_calibration double precision,
  labelled_at text
);

-- A person labels a task once, and is given an item once.
create unique index risk_annotations_once on risk_annotations (task_id, annotator_id) where item_id is null;
create unique index risk_annotations_item_once on risk_annotations (item_id, annotator_id) where item_id is not null;
create index risk_annotations_of_task on risk_annotations (task_id, status);
create index risk_annotations_of_annotator on risk_annotations (annotator_id, status, labelled_at);
create index risk_annotations_by_time on risk_annotations (labelled_at, annotation_id);
create index risk_annotations_claims on risk_annotations (status, claimed_until);

-- Texts with known answers, sealed.
create table risk_items (
  item_id text primary key,
  campaign text not null,
  direction text not null,
  modality text not null,
  sealed text not null,
  label text not null,
  category text,
  author text not null,
  created_at text not null,
  retired integer not null
);

-- `since`: answers before it are of an earlier training, and count no more. `good_at`: when the calibration last held.
create table risk_annotators (
  annotator_id text primary key,
  state text not null,
  since text not null,
  good_at text not null,
  changed_at text not null,
  changed_by text not null,
  reason text not null
);

-- How many tasks there are of each kind, changed with them: what estimates are made of, however many there are.
create table risk_cells (
  campaign text not null,
  tenant_id text not null,
  product text not null,
  direction text not null,
  modality text not null,
  stratum text not null,
  inclusion_probability double precision not null,
  automated_filter_result text not null,
  outcome text not null,
  category text not null,
  total integer not null,
  primary key (campaign, tenant_id, product, direction, modality, stratum, inclusion_probability, automated_filter_result, outcome, category)
);

-- How far each audit log is looked through for what was drawn.
create table risk_cursors (
  log text primary key,
  next integer not null,
  head text not null
);
