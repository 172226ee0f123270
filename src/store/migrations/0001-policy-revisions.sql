-- Every change of a stored policy. Rows are added, never altered or removed.
create table policy_revisions (
  policy text not null,
  number integer not null,
  parent integer not null,
  source text,
  sha256 text not null,
  author text not null,
  comment text not null,
  created_at text not null,
  primary key (policy, number)
);
