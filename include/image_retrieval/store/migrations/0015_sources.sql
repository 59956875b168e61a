-- Schema version 15: images bring metadata along from their source, and events hint at changed objects.

ALTER TABLE retrieval.image ADD COLUMN about jsonb;
COMMENT ON COLUMN retrieval.image.about IS
    'What the source last said of it, caption and attributes, so that a change there is told from one that people made; null: nothing.';
COMMENT ON TABLE retrieval.image IS 'Every object that a listing has found in a collection''s source.';

CREATE TABLE retrieval.hint (
    collection text NOT NULL,
    uri        text NOT NULL,
    received   timestamptz NOT NULL DEFAULT clock_timestamp(),
    times      bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (collection, uri)
);
COMMENT ON TABLE retrieval.hint IS
    'Objects that may have changed, as events and polls tell. The next run looks at each and forgets it; the scheduled listing finds whatever no hint told.';
COMMENT ON COLUMN retrieval.hint.collection IS 'Collection whose source holds the object.';
COMMENT ON COLUMN retrieval.hint.uri IS 'The object. Whether it was written or deleted is asked of the store.';
COMMENT ON COLUMN retrieval.hint.received IS 'When the first hint of it came.';
COMMENT ON COLUMN retrieval.hint.times IS 'How often it was hinted; a run forgets it unless it was hinted again meanwhile.';
