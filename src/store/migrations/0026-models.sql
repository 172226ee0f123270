-- Models that were trained here, and which of them works, by the plugin whose model it takes the place of.
create table learn_models (
  model_id text not null primary key,
  plugin text not null,
  sha256 text not null,
  size integer not null,
  base_sha256 text not null,
  dataset text not null,
  seed bigint not null,
  trained_at text not null,
  -- As it was trained: JSON.
  evaluation text not null,
  registered_by text not null,
  registered_at text not null,
  retired_by text,
  retired_at text
);
create index learn_models_by_plugin on learn_models (plugin, registered_at, model_id);

-- The file in pieces, base64. Of a retired model there are none.
create table learn_model_pieces (
  model_id text not null,
  piece integer not null,
  content text not null,
  primary key (model_id, piece)
);

-- What works from then on, numbered by plugin without gaps: the newest counts. `model_id` null: what the plugin ships.
-- `back`: the switch whose model a rollback brings again; 0: what is shipped.
create table learn_switches (
  plugin text not null,
  number integer not null,
  change text not null,
  model_id text,
  sha256 text not null,
  from_model_id text,
  from_sha256 text not null,
  back integer not null,
  author text not null,
  reason text,
  -- What stood against it: JSON, a list of texts.
  against text not null,
  created_at text not null,
  primary key (plugin, number)
);

-- Which switch each process has carried out, and what keeps it from a later one.
create table learn_followers (
  process text not null,
  plugin text not null,
  origin text not null,
  number integer not null,
  fault text,
  seen_at text not null,
  primary key (process, plugin)
);
