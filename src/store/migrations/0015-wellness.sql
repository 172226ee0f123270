-- What people who review ask for themselves, how long they have been at it, and what they opened these days: theirs alone.
create table reviewer_settings (
  reviewer_id text primary key,
  settings text not null,
  updated_at text not null
);

create table reviewer_pace (
  reviewer_id text primary key,
  pace text not null
);

create table reviewer_openings (
  reviewer_id text not null,
  day text not null,
  review_id text not null,
  severe integer not null,
  subjects text not null,
  primary key (reviewer_id, day, review_id)
);

-- What an item may be about, so that it is not offered to who does not want that.
create table review_subjects (
  review_id text not null,
  subject text not null,
  primary key (review_id, subject)
);
