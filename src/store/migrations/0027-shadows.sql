-- The model that scores live traffic beside what works, by plugin; no row: none does.
create table learn_shadows (
  plugin text not null primary key,
  model_id text not null,
  -- Of exchanges, 0-1.
  share double precision not null,
  author text not null,
  started_at text not null
);

-- What came of it, summed over all processes: how both scored the same texts, against a threshold of a policy. Without a
-- policy the threshold is 0.5. Texts are counted, and nothing of them is here.
create table learn_shadow_counts (
  model_id text not null,
  classifier_id text not null,
  category text not null,
  policy text not null,
  threshold double precision not null,
  total bigint not null,
  -- At or above the threshold: only by what works, only by the other, by both.
  only_working bigint not null,
  only_shadow bigint not null,
  in_both bigint not null,
  -- Sums of the differences, shadow less working, and of their sizes.
  difference double precision not null,
  distance double precision not null,
  primary key (model_id, classifier_id, category, policy, threshold)
);

-- Texts that were scored beside and the milliseconds that it took, and those that were left out, by why.
create table learn_shadow_texts (
  model_id text not null,
  outcome text not null,
  total bigint not null,
  working_ms double precision not null,
  shadow_ms double precision not null,
  primary key (model_id, outcome)
);

-- Weekly runs, by the day on which each was due: who has it, until when, and what came of it.
create table learn_runs (
  due text not null primary key,
  state text not null,
  owner text not null,
  lease_until text not null,
  attempts integer not null,
  started_at text not null,
  ended_at text,
  detail text not null
);
