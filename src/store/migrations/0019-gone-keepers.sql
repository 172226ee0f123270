-- Who is gone with what it kept, on an operator's word: erasures wait for it no more, unless it comes back.
alter table erasure_keepers add column gone_at text;
