-- Schema version 1: the tables. They live in `retrieval`; people query `images`.

-- pgvector and the schemas are there already: an administrator has made them, or env.py
COMMENT ON SCHEMA retrieval IS 'The tables behind image search. Query the views and functions of schema images instead.';

COMMENT ON SCHEMA images IS 'The face of image search: one view per collection, and the search functions.';


CREATE TABLE retrieval.model (
    name          text PRIMARY KEY,
    source        text NOT NULL,
    revision      text,
    family        text NOT NULL,
    dimensions    integer NOT NULL CHECK (dimensions BETWEEN 1 AND 4000),
    use_cls_token boolean NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE retrieval.model IS 'Models that have made vectors. A name never changes its source: its vectors would not compare.';
COMMENT ON COLUMN retrieval.model.name IS 'Name from collections.yaml; part of the vector tables'' names.';
COMMENT ON COLUMN retrieval.model.source IS 'Folder, hub id or s3:// prefix that it was loaded from.';
COMMENT ON COLUMN retrieval.model.revision IS 'Commit of the hub id, where one was pinned.';
COMMENT ON COLUMN retrieval.model.family IS 'vision_transformer (images only) or dual_encoder (images and text).';
COMMENT ON COLUMN retrieval.model.dimensions IS 'Length of its vectors, in components.';
COMMENT ON COLUMN retrieval.model.use_cls_token IS 'Vision transformers: the class token was taken, else the mean of the patch tokens.';
COMMENT ON COLUMN retrieval.model.created_at IS 'When it was first used.';


CREATE TABLE retrieval.collection (
    name       text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_]*$'),
    source     text NOT NULL,
    model      text NOT NULL REFERENCES retrieval.model,
    dimensions integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE retrieval.collection IS 'Collections that have a view in schema images, and the model whose vectors the view shows.';
COMMENT ON COLUMN retrieval.collection.name IS 'Name of the collection and of its view, images.<name>.';
COMMENT ON COLUMN retrieval.collection.source IS 'Bucket prefix that is kept in step.';
COMMENT ON COLUMN retrieval.collection.model IS 'Model whose vectors the view shows.';
COMMENT ON COLUMN retrieval.collection.dimensions IS 'Length of those vectors, in components.';
COMMENT ON COLUMN retrieval.collection.created_at IS 'When the collection was first seen.';
COMMENT ON COLUMN retrieval.collection.updated_at IS 'When its source or model last changed.';


CREATE TABLE retrieval.image (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    collection    text NOT NULL,
    image_id      text NOT NULL,
    uri           text NOT NULL,
    etag          text,
    size          bigint,
    last_modified timestamptz,
    sha256        text,
    width         integer,
    height        integer,
    format        text,
    resampled_uri text,
    group_id      text,
    intra_id      text,
    caption       text,
    attributes    jsonb NOT NULL DEFAULT '{}',
    first_seen    timestamptz NOT NULL DEFAULT now(),
    updated       timestamptz NOT NULL DEFAULT now(),
    deleted       timestamptz,
    UNIQUE (collection, uri),
    UNIQUE (collection, image_id)
);
CREATE INDEX image_group ON retrieval.image (collection, group_id) WHERE group_id IS NOT NULL;
COMMENT ON TABLE retrieval.image IS 'Every object that a listing has found in a collection''s bucket prefix.';
COMMENT ON COLUMN retrieval.image.id IS 'Joins the vector tables.';
COMMENT ON COLUMN retrieval.image.collection IS 'Collection that it belongs to.';
COMMENT ON COLUMN retrieval.image.image_id IS 'Key under the collection''s source, without its extension; a second object of that name keeps its extension.';
COMMENT ON COLUMN retrieval.image.uri IS 'Where the original lies.';
COMMENT ON COLUMN retrieval.image.etag IS 'Version of the object that this row describes; null until it was embedded.';
COMMENT ON COLUMN retrieval.image.size IS 'Bytes of the original.';
COMMENT ON COLUMN retrieval.image.last_modified IS 'When the original was written, as the object store tells.';
COMMENT ON COLUMN retrieval.image.sha256 IS 'SHA-256 of the original''s bytes, in hexadecimal.';
COMMENT ON COLUMN retrieval.image.width IS 'Pixels of the upright original.';
COMMENT ON COLUMN retrieval.image.height IS 'Pixels of the upright original.';
COMMENT ON COLUMN retrieval.image.format IS 'File format by content: JPEG, PNG, …';
COMMENT ON COLUMN retrieval.image.resampled_uri IS 'Where the resampled picture lies; null where none is kept.';
COMMENT ON COLUMN retrieval.image.group_id IS 'What several images show, such as a product; from the collection''s id_pattern.';
COMMENT ON COLUMN retrieval.image.intra_id IS 'Which image of its group it is; from the collection''s id_pattern.';
COMMENT ON COLUMN retrieval.image.caption IS 'What it shows, in words.';
COMMENT ON COLUMN retrieval.image.attributes IS 'Anything else that searches filter by.';
COMMENT ON COLUMN retrieval.image.first_seen IS 'When a listing first found it.';
COMMENT ON COLUMN retrieval.image.updated IS 'When this row last changed.';
COMMENT ON COLUMN retrieval.image.deleted IS 'When a listing first missed it; null while it is there.';


CREATE TABLE retrieval.rejected (
    collection text NOT NULL,
    uri        text NOT NULL,
    etag       text NOT NULL,
    stage      text NOT NULL CHECK (stage IN ('resample', 'embed')),
    model      text,
    reason     text NOT NULL,
    detail     text NOT NULL DEFAULT '',
    attempts   integer NOT NULL DEFAULT 1,
    final      boolean NOT NULL,
    run_id     text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (collection, uri)
);
COMMENT ON TABLE retrieval.rejected IS 'Objects that are not searchable, and why. One that changes is tried again by itself.';
COMMENT ON COLUMN retrieval.rejected.collection IS 'Collection that it belongs to.';
COMMENT ON COLUMN retrieval.rejected.uri IS 'Where the object lies.';
COMMENT ON COLUMN retrieval.rejected.etag IS 'Version of the object that was rejected.';
COMMENT ON COLUMN retrieval.rejected.stage IS 'Stage that rejected it: resample or embed.';
COMMENT ON COLUMN retrieval.rejected.model IS 'Model that rejected it; null where no model can use it.';
COMMENT ON COLUMN retrieval.rejected.reason IS 'One of a closed list; docs/rejected.md explains each.';
COMMENT ON COLUMN retrieval.rejected.detail IS 'What the decoder or the store said.';
COMMENT ON COLUMN retrieval.rejected.attempts IS 'How many runs have tried this version.';
COMMENT ON COLUMN retrieval.rejected.final IS 'Whether it is left alone until it changes.';
COMMENT ON COLUMN retrieval.rejected.run_id IS 'Run that tried it last.';
COMMENT ON COLUMN retrieval.rejected.created_at IS 'When it was first rejected.';
COMMENT ON COLUMN retrieval.rejected.updated_at IS 'When it was last tried.';


CREATE TABLE retrieval.run (
    collection  text NOT NULL,
    run_id      text NOT NULL,
    state       text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'success', 'failed')),
    model       text NOT NULL,
    listed      bigint NOT NULL,
    new         bigint NOT NULL,
    changed     bigint NOT NULL,
    restored    bigint NOT NULL,
    gone        bigint NOT NULL,
    shards      integer NOT NULL,
    left_over   bigint NOT NULL,
    list_seconds  double precision NOT NULL,
    index_seconds double precision,
    started_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    PRIMARY KEY (collection, run_id)
);
CREATE INDEX run_latest ON retrieval.run (collection, started_at DESC);
COMMENT ON TABLE retrieval.run IS 'Every run of a collection: what the listing found and how it ended.';
COMMENT ON COLUMN retrieval.run.collection IS 'Collection that it belongs to.';
COMMENT ON COLUMN retrieval.run.run_id IS 'Name of the run; the DAG run''s where Airflow ran it.';
COMMENT ON COLUMN retrieval.run.state IS 'running, success or failed.';
COMMENT ON COLUMN retrieval.run.model IS 'Model that made this run''s vectors.';
COMMENT ON COLUMN retrieval.run.listed IS 'Objects that the listing found.';
COMMENT ON COLUMN retrieval.run.new IS 'Objects without a vector, among them.';
COMMENT ON COLUMN retrieval.run.changed IS 'Objects whose bytes are not those that were embedded.';
COMMENT ON COLUMN retrieval.run.restored IS 'Objects that had been deleted and are back.';
COMMENT ON COLUMN retrieval.run.gone IS 'Objects that the listing missed and that were marked deleted.';
COMMENT ON COLUMN retrieval.run.shards IS 'Shards that this run took.';
COMMENT ON COLUMN retrieval.run.left_over IS 'Images that did not fit into this run''s shards.';
COMMENT ON COLUMN retrieval.run.list_seconds IS 'Seconds that listing and comparing took.';
COMMENT ON COLUMN retrieval.run.index_seconds IS 'Seconds that view and index took.';
COMMENT ON COLUMN retrieval.run.started_at IS 'When its listing began.';
COMMENT ON COLUMN retrieval.run.finished_at IS 'When the report was written.';


CREATE TABLE retrieval.shard (
    collection       text NOT NULL,
    run_id           text NOT NULL,
    shard            integer NOT NULL,
    images           integer NOT NULL,
    resampled        integer NOT NULL,
    embedded         integer NOT NULL,
    upserted         integer NOT NULL,
    rejected         integer NOT NULL,
    resample_seconds double precision NOT NULL,
    embed_seconds    double precision NOT NULL,
    upsert_seconds   double precision NOT NULL,
    finished_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (collection, run_id, shard),
    FOREIGN KEY (collection, run_id) REFERENCES retrieval.run ON DELETE CASCADE
);
COMMENT ON TABLE retrieval.shard IS 'Shards that are in the table, written in the same transaction as their vectors.';
COMMENT ON COLUMN retrieval.shard.collection IS 'Collection of the run.';
COMMENT ON COLUMN retrieval.shard.run_id IS 'Run that the shard belongs to.';
COMMENT ON COLUMN retrieval.shard.shard IS 'Number of the shard in its run, from 0.';
COMMENT ON COLUMN retrieval.shard.images IS 'Images of its manifest.';
COMMENT ON COLUMN retrieval.shard.resampled IS 'Images that were decoded and resampled.';
COMMENT ON COLUMN retrieval.shard.embedded IS 'Images that the model made a vector of.';
COMMENT ON COLUMN retrieval.shard.upserted IS 'Vectors written: those that were not there, or were others.';
COMMENT ON COLUMN retrieval.shard.rejected IS 'Images that went to retrieval.rejected.';
COMMENT ON COLUMN retrieval.shard.resample_seconds IS 'Seconds that the stage took.';
COMMENT ON COLUMN retrieval.shard.embed_seconds IS 'Seconds that the stage took, without starting its process.';
COMMENT ON COLUMN retrieval.shard.upsert_seconds IS 'Seconds that the stage took.';
COMMENT ON COLUMN retrieval.shard.finished_at IS 'When it was written.';
