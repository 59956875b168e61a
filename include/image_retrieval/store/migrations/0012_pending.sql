-- Schema version 12: what is about to be changed in the object store, so that what a kill leaves there is found.

CREATE TABLE retrieval.pending (
    collection    text NOT NULL,
    uri           text NOT NULL,
    kind          text NOT NULL CHECK (kind IN ('write', 'delete', 'empty')),
    sha256        text,
    former_uri    text,
    etag          text,
    last_modified timestamptz,
    since         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (collection, uri)
);
COMMENT ON TABLE retrieval.pending IS
    'Changes of the object store that belong to a transaction. Whoever next has the collection''s lock finds those that were broken off, and carries them out or takes them back.';
COMMENT ON COLUMN retrieval.pending.collection IS 'Collection that it belongs to; it may have been dropped.';
COMMENT ON COLUMN retrieval.pending.uri IS 'Object, or folder that ends in /.';
COMMENT ON COLUMN retrieval.pending.kind IS
    'write: an object is being written, and is taken back; delete: an object, empty: a folder, is to go.';
COMMENT ON COLUMN retrieval.pending.sha256 IS 'SHA-256 of the bytes that are being written, in hexadecimal.';
COMMENT ON COLUMN retrieval.pending.former_uri IS 'Copy of what lay there before; it exists before the object is touched.';
COMMENT ON COLUMN retrieval.pending.etag IS 'Version that is to go; a later one stays. Null: whatever lies there.';
COMMENT ON COLUMN retrieval.pending.last_modified IS 'When that version was written.';
COMMENT ON COLUMN retrieval.pending.since IS 'When it was announced.';


ALTER TABLE retrieval.collection ADD COLUMN definition jsonb;
COMMENT ON COLUMN retrieval.collection.definition IS
    'Its entry of collections.yaml at the last run, every default filled in; null until one. It tells how pictures to search by are resampled when the entry is gone.';
