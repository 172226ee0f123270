-- What campaigns drew by, as each audit log declares it, with the place of the entry.
create table risk_declarations (
  log text not null,
  position integer not null,
  campaign text not null,
  in_force_at text not null,
  declared text not null,
  primary key (log, position)
);
create index risk_declarations_by_campaign on risk_declarations (campaign, in_force_at, log, position);

-- How many there were of what campaigns draw from, counted with the tasks as each log is looked through.
create table risk_population (
  log text not null,
  campaign text not null,
  definition text not null,
  day text not null,
  stratum text not null,
  probability double precision not null,
  total bigint not null,
  drawn bigint not null,
  primary key (log, campaign, definition, day, stratum, probability)
);
create index risk_population_by_campaign on risk_population (campaign, day);

-- Of what was drawn: which score came nearest, where there was any.
create table risk_nearest (
  task_id text primary key,
  classifier_id text not null,
  category text not null,
  score double precision not null
);

-- Reports that were issued, as they were signed, and what was said about them since.
create table risk_reports (
  campaign text not null,
  version integer not null,
  from_day text not null,
  until_day text not null,
  issued_at text not null,
  author text not null,
  sha256 text not null,
  -- Of what it found, without when and on which checkpoints.
  findings_sha256 text not null,
  document text not null,
  page text not null,
  note text not null,
  primary key (campaign, version)
);

create table risk_corrections (
  correction_id text primary key,
  campaign text not null,
  made_at text not null,
  author text not null,
  reason text not null
);
create index risk_corrections_by_campaign on risk_corrections (campaign, made_at, correction_id);
