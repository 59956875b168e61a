-- Schema version 12: objects that no table can hold under their names are rejected by the listing.

ALTER TABLE retrieval.rejected DROP CONSTRAINT rejected_stage_check;
ALTER TABLE retrieval.rejected ADD CONSTRAINT rejected_stage_check CHECK (stage IN ('list', 'resample', 'embed'));
COMMENT ON COLUMN retrieval.rejected.stage IS 'Stage that rejected it: list, resample or embed.';
COMMENT ON COLUMN retrieval.rejected.uri IS
    'Where the object lies. Of one that stage list rejected: its URI as text, with escapes, or shortened.';

ALTER TABLE retrieval.run ADD COLUMN rejected bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN retrieval.run.rejected IS
    'Objects that the listing itself rejected, by their names; those of its shards are counted there.';
