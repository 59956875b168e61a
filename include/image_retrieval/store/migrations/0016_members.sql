-- Schema version 16: sources hold pictures in tars.

CREATE TABLE retrieval.tar (
    collection    text NOT NULL,
    uri           text NOT NULL,
    etag          text NOT NULL DEFAULT '',
    seen          text NOT NULL,
    last_modified timestamptz NOT NULL DEFAULT 'epoch',
    names         text[] NOT NULL DEFAULT '{}',
    offsets       bigint[] NOT NULL DEFAULT '{}',
    sizes         bigint[] NOT NULL DEFAULT '{}',
    abouts        text[] NOT NULL DEFAULT '{}',
    faults        jsonb NOT NULL DEFAULT '[]',
    reason        text,
    detail        text,
    PRIMARY KEY (collection, uri)
);
COMMENT ON TABLE retrieval.tar IS
    'What the tars of a source hold, so that one that did not change is not read again.';
COMMENT ON COLUMN retrieval.tar.collection IS 'Collection whose source lists the tar, or members of it.';
COMMENT ON COLUMN retrieval.tar.uri IS 'The tar.';
COMMENT ON COLUMN retrieval.tar.etag IS 'The version that names, offsets, sizes and abouts are of; empty before one could be read.';
COMMENT ON COLUMN retrieval.tar.seen IS 'The version that was read last; another one than etag could not be read to its end.';
COMMENT ON COLUMN retrieval.tar.last_modified IS 'When the version etag was written.';
COMMENT ON COLUMN retrieval.tar.names IS 'Its files, without those that describe others.';
COMMENT ON COLUMN retrieval.tar.offsets IS 'Where the bytes of each begin.';
COMMENT ON COLUMN retrieval.tar.sizes IS 'How many bytes each has.';
COMMENT ON COLUMN retrieval.tar.abouts IS 'What the files beside each say of it, as JSON; null: nothing.';
COMMENT ON COLUMN retrieval.tar.faults IS 'Members that cannot be used: name, reason and detail of each.';
COMMENT ON COLUMN retrieval.tar.reason IS 'Why the version seen could not be read; null: it could.';
COMMENT ON COLUMN retrieval.tar.detail IS 'The same in words.';
