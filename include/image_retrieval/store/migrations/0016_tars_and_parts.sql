-- Schema version 16: sources hold pictures in tars, and a listing that is killed goes on where it was.

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


CREATE TABLE retrieval.listed_part (
    collection text NOT NULL,
    run_id     text NOT NULL,
    number     integer NOT NULL,
    declared   text NOT NULL,
    up_to      text NOT NULL,
    listed     bigint NOT NULL,
    rows       jsonb NOT NULL,
    missing    jsonb NOT NULL,
    refused    jsonb NOT NULL,
    began      timestamptz NOT NULL,
    saved      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (collection, run_id, number)
);
COMMENT ON TABLE retrieval.listed_part IS
    'What a run under way has listed and compared, so that its next try goes on behind it if this one is killed.';
COMMENT ON COLUMN retrieval.listed_part.collection IS 'Collection whose source is listed.';
COMMENT ON COLUMN retrieval.listed_part.run_id IS 'Run that lists it.';
COMMENT ON COLUMN retrieval.listed_part.number IS 'Place among the parts, in the order of the URIs.';
COMMENT ON COLUMN retrieval.listed_part.declared IS 'Digest of the collection''s entry: parts under another one do not count.';
COMMENT ON COLUMN retrieval.listed_part.up_to IS 'Last URI of the part.';
COMMENT ON COLUMN retrieval.listed_part.listed IS 'Number of images that the part lists.';
COMMENT ON COLUMN retrieval.listed_part.rows IS 'Objects that the table did not know as they are.';
COMMENT ON COLUMN retrieval.listed_part.missing IS 'Known URIs that were not listed.';
COMMENT ON COLUMN retrieval.listed_part.refused IS 'Objects whose names no table can hold.';
COMMENT ON COLUMN retrieval.listed_part.began IS 'When the transaction of the listing began.';
COMMENT ON COLUMN retrieval.listed_part.saved IS 'When the part was saved.';
