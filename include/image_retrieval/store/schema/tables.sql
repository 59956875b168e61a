-- The tables of a fresh database. They live in `retrieval`; people query `images`.
--
-- Later changes of the tables are in ../migrations/. A migrated database equals one that this file created.

COMMENT ON SCHEMA retrieval IS 'The tables behind image search. Query the views and functions of schema images instead.';

COMMENT ON SCHEMA images IS 'The face of image search: one view per collection, and the search functions.';


CREATE TYPE retrieval.result AS (
    image_id             text,
    similarity           double precision,
    image_path           text,
    resampled_image_path text,
    group_id             text,
    intra_id             text,
    caption              text,
    width                integer,
    height               integer,
    attributes           jsonb
);
COMMENT ON TYPE retrieval.result IS 'One found image; similarity is 1 - cosine distance, the inner product, or 1 / (1 + L2 distance).';


CREATE TABLE retrieval.project (
    id     uuid NOT NULL DEFAULT gen_random_uuid(),
    single boolean NOT NULL DEFAULT true CONSTRAINT project_is_single PRIMARY KEY CHECK (single)
);
COMMENT ON TABLE retrieval.project IS 'Who this database is, to others that use the same buckets; one row.';
COMMENT ON COLUMN retrieval.project.id IS 'Written into the folders that are this project''s alone.';
COMMENT ON COLUMN retrieval.project.single IS 'Keeps a second row out.';
INSERT INTO retrieval.project DEFAULT VALUES;


CREATE TABLE retrieval.model (
    name          text PRIMARY KEY,
    source        text NOT NULL,
    revision      text,
    family        text NOT NULL,
    dimensions    integer NOT NULL CHECK (dimensions BETWEEN 1 AND 4000),
    use_cls_token boolean NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    dtype         text,
    digest        text,
    calibration   jsonb
);
COMMENT ON TABLE retrieval.model IS 'Models that have made vectors. A name never changes its source: its vectors would not compare.';
COMMENT ON COLUMN retrieval.model.name IS 'Name from collections.yaml; part of the vector tables'' names.';
COMMENT ON COLUMN retrieval.model.source IS 'Folder, hub id or s3:// prefix that it was loaded from.';
COMMENT ON COLUMN retrieval.model.revision IS 'Commit of the hub id, where one was pinned.';
COMMENT ON COLUMN retrieval.model.family IS
    'vision_transformer, pooled_backbone (both images only), dual_encoder (images and text) or text_encoder (captions).';
COMMENT ON COLUMN retrieval.model.dimensions IS 'Length of its vectors, in components.';
COMMENT ON COLUMN retrieval.model.use_cls_token IS 'Vision transformers: the class token was taken, else the mean of the patch tokens.';
COMMENT ON COLUMN retrieval.model.created_at IS 'When it was first used.';
COMMENT ON COLUMN retrieval.model.dtype IS
    'Precision stated for it; auto: float32, or what agrees with that; null where nothing was listed since version 4.';
COMMENT ON COLUMN retrieval.model.digest IS
    'SHA-256 over its weights, config and preprocessor files; null until the first shard is in the table.';
COMMENT ON COLUMN retrieval.model.calibration IS
    'Per direction (image_image, text_image_en, text_image_zh) how a cosine becomes a score of 0 to 1; null where the model brings none.';


CREATE TABLE retrieval.collection (
    name       text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_]*$'),
    source     text NOT NULL,
    model      text NOT NULL REFERENCES retrieval.model,
    dimensions integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    distance   text NOT NULL DEFAULT 'cosine' CHECK (distance IN ('cosine', 'inner_product', 'l2')),
    ef_search  integer NOT NULL DEFAULT 100 CHECK (ef_search BETWEEN 1 AND 1000),
    overrules  text,
    definition jsonb,
    costs      jsonb,
    text_model text REFERENCES retrieval.model,
    weight     double precision NOT NULL DEFAULT 0.5 CHECK (weight BETWEEN 0 AND 1)
);
COMMENT ON TABLE retrieval.collection IS 'Collections that have a view in schema images, and the model whose vectors the view shows.';
COMMENT ON COLUMN retrieval.collection.name IS 'Name of the collection and of its view, images.<name>.';
COMMENT ON COLUMN retrieval.collection.source IS 'Bucket prefix that is kept in step.';
COMMENT ON COLUMN retrieval.collection.model IS 'Model whose vectors the view shows.';
COMMENT ON COLUMN retrieval.collection.dimensions IS 'Length of those vectors, in components.';
COMMENT ON COLUMN retrieval.collection.created_at IS 'When the collection was first seen.';
COMMENT ON COLUMN retrieval.collection.updated_at IS 'When its source or model last changed.';
COMMENT ON COLUMN retrieval.collection.distance IS 'What its vectors are compared by: cosine, inner_product or l2.';
COMMENT ON COLUMN retrieval.collection.ef_search IS
    'How many candidates a search through its index keeps, at least; raised until the measured recall is as wanted.';
COMMENT ON COLUMN retrieval.collection.overrules IS
    'Model in collections.yaml that a switch or a rollback put aside, until that file names another; null: the file holds.';
COMMENT ON COLUMN retrieval.collection.definition IS
    'Its entry of collections.yaml at the last run, every default filled in; null until one. It tells how pictures to search by are resampled when the entry is gone.';

COMMENT ON COLUMN retrieval.collection.costs IS
    'What searches with filters cost here, in microseconds, as the upkeep measured it: candidate of the index, vector compared by id, unit of the planner''s costs; null: not measured.';
COMMENT ON COLUMN retrieval.collection.text_model IS
    'Model of the vectors of captions that searches compare; null: captions have no vectors, or not all of them yet.';
COMMENT ON COLUMN retrieval.collection.weight IS
    'How much the vectors count in hybrid searches, 0 to 1; the rest is shared by the other sides, such as words of captions.';

CREATE TABLE retrieval.made_collection (
    name       text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_]*$'),
    definition jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE retrieval.made_collection IS 'Collections made through the API; those of collections.yaml are not among them.';
COMMENT ON COLUMN retrieval.made_collection.name IS 'Name of the collection.';
COMMENT ON COLUMN retrieval.made_collection.definition IS 'What an entry of collections.yaml would hold, every default filled in.';
COMMENT ON COLUMN retrieval.made_collection.created_at IS 'When it was made.';


-- A listing inserts a row, and loading its vector doubles the row's size. With room left in its page, that writes no
-- index.
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
    mode          text,
    phash         bigint,
    captured_at   timestamp,
    about         jsonb,
    colours       text[],
    sharpness     real,
    complexity    real,
    told          text,
    words         tsvector GENERATED ALWAYS AS (retrieval.words_of_both(caption, told)) STORED,
    UNIQUE (collection, uri),
    UNIQUE (collection, image_id)
) WITH (fillfactor = 30);
CREATE INDEX image_group ON retrieval.image (collection, group_id) WHERE group_id IS NOT NULL;
CREATE INDEX image_words ON retrieval.image USING gin (words) WHERE words IS NOT NULL;
COMMENT ON TABLE retrieval.image IS 'Every object that a listing has found in a collection''s source.';
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
COMMENT ON COLUMN retrieval.image.mode IS 'Colour mode of the original: RGB, L, CMYK, …';
COMMENT ON COLUMN retrieval.image.phash IS 'Perceptual hash of 64 bits: pictures that look alike differ in few of them.';
COMMENT ON COLUMN retrieval.image.captured_at IS 'When the picture was taken, by the camera''s own clock; null where the file does not tell.';
COMMENT ON COLUMN retrieval.image.about IS
    'What the source last said of it, caption and attributes, so that a change there is told from one that people made; null: nothing.';
COMMENT ON COLUMN retrieval.image.colours IS
    'Names of its colours, the largest first: black, white, grey, red, orange, brown, yellow, green, blue, purple, pink.';
COMMENT ON COLUMN retrieval.image.sharpness IS 'Variance of the Laplacian of the resampled picture''s brightness, times 1,000: low if it is blurred.';
COMMENT ON COLUMN retrieval.image.complexity IS 'Share of the resampled picture''s pixels at an edge, 0 to 1.';
COMMENT ON COLUMN retrieval.image.told IS
    'The captions of retrieval.caption that the views show, one a line; kept in step by triggers, so that words has theirs.';
COMMENT ON COLUMN retrieval.image.words IS 'The words of its captions, as searches compare them; null: it has none.';


CREATE TABLE retrieval.rejected (
    collection text NOT NULL,
    uri        text NOT NULL,
    etag       text NOT NULL,
    stage      text NOT NULL CHECK (stage IN ('list', 'resample', 'embed')),
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
COMMENT ON COLUMN retrieval.rejected.uri IS
    'Where the object lies. Of one that stage list rejected: its URI as text, with escapes, or shortened.';
COMMENT ON COLUMN retrieval.rejected.etag IS 'Version of the object that was rejected.';
COMMENT ON COLUMN retrieval.rejected.stage IS 'Stage that rejected it: list, resample or embed.';
COMMENT ON COLUMN retrieval.rejected.model IS 'Model that rejected it; null where no model can use it.';
COMMENT ON COLUMN retrieval.rejected.reason IS 'One of a closed list; docs/rejected.md explains each.';
COMMENT ON COLUMN retrieval.rejected.detail IS 'What the decoder or the store said.';
COMMENT ON COLUMN retrieval.rejected.attempts IS
    'How many runs have tried this version since it was listed or queued again; 0 until the next run has.';
COMMENT ON COLUMN retrieval.rejected.final IS 'Whether it is left alone until it changes or is queued again.';
COMMENT ON COLUMN retrieval.rejected.run_id IS 'Run that tried it last.';
COMMENT ON COLUMN retrieval.rejected.created_at IS 'When it was first rejected.';
COMMENT ON COLUMN retrieval.rejected.updated_at IS 'When it was last tried.';


CREATE TABLE retrieval.switch (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    collection text NOT NULL,
    from_model text NOT NULL REFERENCES retrieval.model,
    to_model   text NOT NULL REFERENCES retrieval.model CHECK (to_model <> from_model),
    state      text NOT NULL CHECK (state IN ('open', 'switched', 'rolled_back', 'given_up')),
    checks     jsonb,
    started_at timestamptz NOT NULL DEFAULT now(),
    ended_at   timestamptz,
    CHECK ((state = 'open') = (ended_at IS NULL))
);
CREATE UNIQUE INDEX switch_open ON retrieval.switch (collection) WHERE state = 'open';
CREATE INDEX switch_latest ON retrieval.switch (collection, id DESC);
COMMENT ON TABLE retrieval.switch IS 'Switches of a collection from one model to another; while one is open, runs feed both tables.';
COMMENT ON COLUMN retrieval.switch.id IS 'In order of time.';
COMMENT ON COLUMN retrieval.switch.collection IS 'Collection that is switched.';
COMMENT ON COLUMN retrieval.switch.from_model IS 'Model that its view showed, and that a rollback goes back to.';
COMMENT ON COLUMN retrieval.switch.to_model IS 'Model that its view shows once it is switched.';
COMMENT ON COLUMN retrieval.switch.state IS 'open; switched; rolled_back: was switched and is not any more; given_up: never was.';
COMMENT ON COLUMN retrieval.switch.checks IS 'Figures of both models, side by side, as last measured.';
COMMENT ON COLUMN retrieval.switch.started_at IS 'When it began.';
COMMENT ON COLUMN retrieval.switch.ended_at IS 'When it came to its state; the vectors that are not shown are kept for a while from then on.';


CREATE TABLE retrieval.run (
    collection    text NOT NULL,
    run_id        text NOT NULL,
    state         text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'success', 'failed')),
    model         text NOT NULL,
    listed        bigint NOT NULL,
    new           bigint NOT NULL,
    changed       bigint NOT NULL,
    restored      bigint NOT NULL,
    gone          bigint NOT NULL,
    shards        integer NOT NULL,
    left_over     bigint NOT NULL,
    list_seconds  double precision NOT NULL,
    index_seconds double precision,
    started_at    timestamptz NOT NULL DEFAULT now(),
    finished_at   timestamptz,
    also          text,
    switch        bigint REFERENCES retrieval.switch ON DELETE SET NULL,
    rejected      bigint NOT NULL DEFAULT 0,
    captions      bigint,
    captions_due  bigint,
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
COMMENT ON COLUMN retrieval.run.also IS
    'Model of a switch that was open at the listing: the second half of the shards are the first half under that model.';
COMMENT ON COLUMN retrieval.run.switch IS 'Switch that it belongs to: its images came of retrieval.image, not of a listing.';
COMMENT ON COLUMN retrieval.run.rejected IS
    'Objects that the listing itself rejected, by their names; those of its shards are counted there.';
COMMENT ON COLUMN retrieval.run.captions IS 'Captions that the captioner wrote during it; null: it captioned nothing.';
COMMENT ON COLUMN retrieval.run.captions_due IS 'Images that lacked a caption at its end, and will be tried again.';


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


-- The names of its indexes do not begin with vector_, since a space may need such a name.
CREATE TABLE retrieval.vector_space (
    collection text NOT NULL,
    model      text NOT NULL,
    vectors    text NOT NULL GENERATED ALWAYS AS ('vector_' || collection || '_' || model) STORED,
    stem       text NOT NULL GENERATED ALWAYS AS
        (regexp_replace('vector_' || collection || '_' || model, '(_(pkey|hnsw[12]?))+$', '')) STORED CONSTRAINT space_stem UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT space_key PRIMARY KEY (collection, model)
);
COMMENT ON TABLE retrieval.vector_space IS 'Which collection under which model each vector table belongs to.';
COMMENT ON COLUMN retrieval.vector_space.collection IS 'Name of the collection.';
COMMENT ON COLUMN retrieval.vector_space.model IS 'Name of the model, retrieval.model.';
COMMENT ON COLUMN retrieval.vector_space.vectors IS 'Name of the vector table, in schema retrieval.';
COMMENT ON COLUMN retrieval.vector_space.stem IS
    'The table''s name without what indexes add to theirs: no two spaces share it, so neither share a table, an index or a view.';
COMMENT ON COLUMN retrieval.vector_space.created_at IS 'When the space was made, or this table, whichever is later.';


CREATE TABLE retrieval.vector_index (
    vectors  text PRIMARY KEY,
    rows     bigint NOT NULL,
    seconds  double precision NOT NULL,
    built_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE retrieval.vector_index IS 'The index of each vector table, as it was built.';
COMMENT ON COLUMN retrieval.vector_index.vectors IS 'Name of the vector table.';
COMMENT ON COLUMN retrieval.vector_index.rows IS 'Vectors that it was built over; later ones were inserted.';
COMMENT ON COLUMN retrieval.vector_index.seconds IS 'How long that took.';
COMMENT ON COLUMN retrieval.vector_index.built_at IS 'When it was done.';


CREATE TABLE retrieval.recall (
    collection  text NOT NULL,
    model       text NOT NULL,
    measured_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ef_search   integer NOT NULL,
    rows        bigint NOT NULL,
    queries     integer NOT NULL,
    recall      double precision NOT NULL,
    target      double precision NOT NULL,
    PRIMARY KEY (collection, measured_at)
);
COMMENT ON TABLE retrieval.recall IS 'How many of the 10 nearest images searches through the index found, over time.';
COMMENT ON COLUMN retrieval.recall.collection IS 'Collection that was searched.';
COMMENT ON COLUMN retrieval.recall.model IS 'Model whose vectors it showed.';
COMMENT ON COLUMN retrieval.recall.measured_at IS 'When it was measured.';
COMMENT ON COLUMN retrieval.recall.ef_search IS 'ef_search that it was measured with.';
COMMENT ON COLUMN retrieval.recall.rows IS 'Vectors that were there.';
COMMENT ON COLUMN retrieval.recall.queries IS 'Queries that were asked.';
COMMENT ON COLUMN retrieval.recall.recall IS 'Share of the exact answers'' 10 images that the index found, too.';
COMMENT ON COLUMN retrieval.recall.target IS 'What the collection wants of it.';


CREATE TABLE retrieval.calibration (
    collection text NOT NULL,
    model      text NOT NULL,
    direction  text NOT NULL CHECK (direction IN ('image_image', 'text_image_en', 'text_image_zh')),
    slope      double precision CHECK (slope > 0 AND slope < 'Infinity'),
    middle     double precision CHECK (middle > '-Infinity' AND middle < 'Infinity'),
    reason     text,
    rate       double precision NOT NULL CHECK (rate > 0 AND rate < 1),
    vectors    bigint NOT NULL,
    sampled    integer NOT NULL,
    probes     integer NOT NULL,
    phrases    integer,
    fitted_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (collection, model, direction),
    FOREIGN KEY (collection, model) REFERENCES retrieval.vector_space ON DELETE CASCADE,
    CHECK ((slope IS NULL) = (middle IS NULL) AND (slope IS NULL) = (reason IS NOT NULL))
);
COMMENT ON TABLE retrieval.calibration IS
    'How a cosine becomes a score of 0 to 1, fitted on a collection''s own vectors; a calibration that the model brings comes first.';
COMMENT ON COLUMN retrieval.calibration.collection IS 'Collection whose vectors it was fitted on.';
COMMENT ON COLUMN retrieval.calibration.model IS 'Model that made them.';
COMMENT ON COLUMN retrieval.calibration.direction IS 'What is searched by: pictures, English texts or Chinese ones.';
COMMENT ON COLUMN retrieval.calibration.slope IS 'Steepness of the logistic function at its middle; null where none could be fitted.';
COMMENT ON COLUMN retrieval.calibration.middle IS 'Cosine whose score is 0.5, the default cutoff; null where none could be fitted.';
COMMENT ON COLUMN retrieval.calibration.reason IS 'Why none could be fitted; null where one was.';
COMMENT ON COLUMN retrieval.calibration.rate IS 'Results by chance, per search, that the middle was aimed at; copies and named things may have moved it.';
COMMENT ON COLUMN retrieval.calibration.vectors IS 'Vectors of the collection at the time.';
COMMENT ON COLUMN retrieval.calibration.sampled IS 'Vectors of them that were compared.';
COMMENT ON COLUMN retrieval.calibration.probes IS 'Altered copies of pictures, or phrases, that were compared with them.';
COMMENT ON COLUMN retrieval.calibration.phrases IS 'Version of the list of phrases; null for pictures.';
COMMENT ON COLUMN retrieval.calibration.fitted_at IS 'When it was fitted.';


CREATE TABLE retrieval.caption_word (
    collection text NOT NULL REFERENCES retrieval.collection ON DELETE CASCADE,
    word       text COLLATE "C" NOT NULL,
    share      double precision NOT NULL CHECK (share > 0 AND share <= 1),
    PRIMARY KEY (collection, word)
);
COMMENT ON TABLE retrieval.caption_word IS
    'The most frequent words of a collection''s captions, as the upkeep counts them in a sample: a rare word weighs more in hybrid searches.';
COMMENT ON COLUMN retrieval.caption_word.collection IS 'Name of the collection.';
COMMENT ON COLUMN retrieval.caption_word.word IS 'A lexeme of retrieval.image.words; the empty one stands for each word that is not listed.';
COMMENT ON COLUMN retrieval.caption_word.share IS 'Share of the captions that hold it.';


CREATE TABLE retrieval.query (
    model      text NOT NULL REFERENCES retrieval.model ON DELETE CASCADE,
    text       text NOT NULL,
    embedding  halfvec NOT NULL,
    uses       bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    used_at    timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX query_text ON retrieval.query (model, md5(text));
COMMENT ON TABLE retrieval.query IS 'Texts that were searched for, embedded once per model, so that SQL can search by them again.';
COMMENT ON COLUMN retrieval.query.model IS 'Model that embedded it; a name never changes its weights.';
COMMENT ON COLUMN retrieval.query.text IS 'The text as it was given.';
COMMENT ON COLUMN retrieval.query.embedding IS 'Its vector, of length 1, in half precision.';
COMMENT ON COLUMN retrieval.query.uses IS 'How often a service fetched or made it; what a service answered out of its own memory is not counted.';
COMMENT ON COLUMN retrieval.query.created_at IS 'When it was embedded.';
COMMENT ON COLUMN retrieval.query.used_at IS 'When a service last fetched or made it.';


CREATE TABLE retrieval.compared (
    id         bigint PRIMARY KEY REFERENCES retrieval.image ON DELETE CASCADE,
    model      text NOT NULL,
    etag       text NOT NULL,
    digest     bigint,
    similarity double precision NOT NULL
);
COMMENT ON TABLE retrieval.compared IS 'Images whose duplicates were looked for, and what was compared; the others are still to come.';
COMMENT ON COLUMN retrieval.compared.id IS 'Image, retrieval.image.id.';
COMMENT ON COLUMN retrieval.compared.model IS 'Model whose vectors were compared.';
COMMENT ON COLUMN retrieval.compared.etag IS 'Version of the object that its vector was made of.';
COMMENT ON COLUMN retrieval.compared.digest IS 'Digest of that vector.';
COMMENT ON COLUMN retrieval.compared.similarity IS 'Similarity from which on two images counted as the same scene.';


CREATE TABLE retrieval.duplicate (
    a          bigint NOT NULL REFERENCES retrieval.image ON DELETE CASCADE,
    b          bigint NOT NULL REFERENCES retrieval.image ON DELETE CASCADE,
    collection text NOT NULL,
    tier       text NOT NULL CHECK (tier IN ('picture', 'scene')),
    similarity double precision NOT NULL,
    PRIMARY KEY (a, b),
    CHECK (a < b)
);
CREATE INDEX duplicate_other ON retrieval.duplicate (b);
CREATE INDEX duplicate_best ON retrieval.duplicate (collection, tier, similarity DESC, a, b);
COMMENT ON TABLE retrieval.duplicate IS 'Pairs of images that show the same, of different bytes; the index upkeep keeps them.';
COMMENT ON COLUMN retrieval.duplicate.a IS 'One image, retrieval.image.id.';
COMMENT ON COLUMN retrieval.duplicate.b IS 'The other one, first seen later.';
COMMENT ON COLUMN retrieval.duplicate.collection IS 'Collection that both belong to.';
COMMENT ON COLUMN retrieval.duplicate.tier IS 'picture: their perceptual hashes say so and their vectors agree; scene: their vectors alone say so.';
COMMENT ON COLUMN retrieval.duplicate.similarity IS '1 - cosine distance of their vectors.';


CREATE TABLE retrieval.verdict (
    collection text NOT NULL,
    a          text NOT NULL,
    b          text NOT NULL,
    verdict    text NOT NULL CHECK (verdict IN ('duplicate', 'different')),
    a_sha256   text,
    b_sha256   text,
    decided_by text NOT NULL,
    decided_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (collection, a, b),
    CHECK (a < b COLLATE "C")
);
COMMENT ON TABLE retrieval.verdict IS 'What people say of two images. It holds as long as both have the bytes that they had.';
COMMENT ON COLUMN retrieval.verdict.collection IS 'Collection that both belong to.';
COMMENT ON COLUMN retrieval.verdict.a IS 'image_id of one of them, the first in order of bytes.';
COMMENT ON COLUMN retrieval.verdict.b IS 'image_id of the other one.';
COMMENT ON COLUMN retrieval.verdict.verdict IS 'duplicate or different.';
COMMENT ON COLUMN retrieval.verdict.a_sha256 IS 'SHA-256 of the bytes that a had.';
COMMENT ON COLUMN retrieval.verdict.b_sha256 IS 'SHA-256 of the bytes that b had.';
COMMENT ON COLUMN retrieval.verdict.decided_by IS 'Who said so.';
COMMENT ON COLUMN retrieval.verdict.decided_at IS 'When.';


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


CREATE TABLE retrieval.filter_use (
    collection text NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('column', 'attribute', 'attribute_range')),
    subject    text NOT NULL,
    uses       bigint NOT NULL,
    slow       bigint NOT NULL,
    seconds    double precision NOT NULL,
    used_at    timestamptz NOT NULL DEFAULT now(),
    halved_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (collection, kind, subject)
);
COMMENT ON TABLE retrieval.filter_use IS
    'What searches of the service, the client and the command line have filtered by; the upkeep proposes indexes by it.';
COMMENT ON COLUMN retrieval.filter_use.collection IS 'Collection that was searched.';
COMMENT ON COLUMN retrieval.filter_use.kind IS 'column, attribute: a value or one of a list, or attribute_range: a range of numbers.';
COMMENT ON COLUMN retrieval.filter_use.subject IS 'Name of the column or of the attribute.';
COMMENT ON COLUMN retrieval.filter_use.uses IS 'Searches whose filter named it; halved once a day, as are slow and seconds.';
COMMENT ON COLUMN retrieval.filter_use.slow IS 'Those of them that took long.';
COMMENT ON COLUMN retrieval.filter_use.seconds IS 'How long all of them took, together.';
COMMENT ON COLUMN retrieval.filter_use.used_at IS 'When the last of them was.';
COMMENT ON COLUMN retrieval.filter_use.halved_at IS 'When the upkeep last halved its numbers.';


CREATE TABLE retrieval.filter_index (
    name    text PRIMARY KEY,
    made_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE retrieval.filter_index IS
    'Indexes on retrieval.image that the upkeep made for filters of one collection, which their condition names.';
COMMENT ON COLUMN retrieval.filter_index.name IS 'Name of the index; noted before it is made, and forgotten after it is dropped.';
COMMENT ON COLUMN retrieval.filter_index.made_at IS 'When it was begun.';


CREATE TABLE retrieval.caption (
    image      bigint NOT NULL REFERENCES retrieval.image ON DELETE CASCADE,
    model      text NOT NULL,
    language   text NOT NULL,
    etag       text NOT NULL,
    digest     text NOT NULL,
    text       text NOT NULL CHECK (text ~ '[^[:space:]]'),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (image, model, language)
);
COMMENT ON TABLE retrieval.caption IS
    'Captions that models wrote. What a person or the source says of an image is retrieval.image.caption, which wins.';
COMMENT ON COLUMN retrieval.caption.image IS 'Image, retrieval.image.id.';
COMMENT ON COLUMN retrieval.caption.model IS 'Name of the captioner in collections.yaml.';
COMMENT ON COLUMN retrieval.caption.language IS 'Language of the text, such as en or zh.';
COMMENT ON COLUMN retrieval.caption.etag IS 'Version of the object that the caption was made of.';
COMMENT ON COLUMN retrieval.caption.digest IS
    'Over the files of the captioner, or over the address and model of an endpoint, and over prompt and longest output.';
COMMENT ON COLUMN retrieval.caption.text IS 'The caption.';
COMMENT ON COLUMN retrieval.caption.created_at IS 'When it was written.';


CREATE TABLE retrieval.uncaptioned (
    image      bigint NOT NULL REFERENCES retrieval.image ON DELETE CASCADE,
    model      text NOT NULL,
    language   text NOT NULL,
    etag       text NOT NULL,
    digest     text NOT NULL,
    reason     text NOT NULL,
    detail     text NOT NULL DEFAULT '',
    attempts   integer NOT NULL DEFAULT 1,
    final      boolean NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (image, model, language)
);
COMMENT ON TABLE retrieval.uncaptioned IS 'Images of which a captioner made no caption, and why. They are searchable all the same.';
COMMENT ON COLUMN retrieval.uncaptioned.image IS 'Image, retrieval.image.id.';
COMMENT ON COLUMN retrieval.uncaptioned.model IS 'Name of the captioner in collections.yaml.';
COMMENT ON COLUMN retrieval.uncaptioned.language IS 'Language that was asked for.';
COMMENT ON COLUMN retrieval.uncaptioned.etag IS 'Version of the object that was tried.';
COMMENT ON COLUMN retrieval.uncaptioned.digest IS 'As of retrieval.caption.';
COMMENT ON COLUMN retrieval.uncaptioned.reason IS 'One of a closed list; docs/captions.md explains each.';
COMMENT ON COLUMN retrieval.uncaptioned.detail IS 'What the captioner said, or what went wrong.';
COMMENT ON COLUMN retrieval.uncaptioned.attempts IS 'How often this version was tried.';
COMMENT ON COLUMN retrieval.uncaptioned.final IS 'Whether it is left alone until the image or the captioner changes.';
COMMENT ON COLUMN retrieval.uncaptioned.updated_at IS 'When it was last tried.';


CREATE TABLE retrieval.shown_captions (
    collection text PRIMARY KEY,
    model      text NOT NULL,
    languages  text[] NOT NULL CHECK (cardinality(languages) > 0),
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE retrieval.shown_captions IS
    'Whose captions the views of a collection show. Another captioner takes over once it has captioned all images.';
COMMENT ON COLUMN retrieval.shown_captions.collection IS 'Name of the collection.';
COMMENT ON COLUMN retrieval.shown_captions.model IS 'Name of the captioner.';
COMMENT ON COLUMN retrieval.shown_captions.languages IS 'Its languages; the column caption shows the first.';
COMMENT ON COLUMN retrieval.shown_captions.updated_at IS 'When that last changed.';


CREATE TABLE retrieval.training (
    name       text PRIMARY KEY,
    source     text NOT NULL,
    method     text NOT NULL,
    start      text NOT NULL,
    against    text NOT NULL,
    settings   jsonb NOT NULL,
    pack       text NOT NULL,
    model      text NOT NULL,
    state      text NOT NULL DEFAULT 'packing' CHECK (state IN
                   ('packing', 'training', 'gating', 'passed', 'undecided', 'refused', 'collapsed', 'failed')),
    reason     text,
    figures    jsonb,
    gate       jsonb,
    decision   text CHECK (decision IN ('approved', 'rejected')),
    run_id     text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX training_latest ON retrieval.training (started_at DESC);
COMMENT ON TABLE retrieval.training IS 'Trainings of models on one''s own images: what each learns from, its state, and what came of it.';
COMMENT ON COLUMN retrieval.training.name IS 'Name of the model that it makes.';
COMMENT ON COLUMN retrieval.training.source IS 'What it learns from: a collection, or the URI of an index file.';
COMMENT ON COLUMN retrieval.training.method IS 'What it learns by: continue, moco, moby, swav, pairs or text.';
COMMENT ON COLUMN retrieval.training.start IS 'Model that it goes on from, or random.';
COMMENT ON COLUMN retrieval.training.against IS 'Model that it is judged against.';
COMMENT ON COLUMN retrieval.training.settings IS 'What else a person chose.';
COMMENT ON COLUMN retrieval.training.pack IS 'Folder of the packed pictures, ending in /.';
COMMENT ON COLUMN retrieval.training.model IS 'Folder of the training, ending in /, which becomes the model.';
COMMENT ON COLUMN retrieval.training.state IS 'packing, training and gating: under way. passed, undecided, refused: what the gate said. collapsed: stopped, since features became alike. failed: came to no model.';
COMMENT ON COLUMN retrieval.training.reason IS 'Why it came to its state; null while it is under way.';
COMMENT ON COLUMN retrieval.training.figures IS 'Figures of the finished training.';
COMMENT ON COLUMN retrieval.training.gate IS 'Report of the gate.';
COMMENT ON COLUMN retrieval.training.decision IS 'What a person said of the model when asked whether to switch to it; null: nobody was asked, or nobody has answered.';
COMMENT ON COLUMN retrieval.training.run_id IS 'Run of the DAG that asked for it.';
COMMENT ON COLUMN retrieval.training.started_at IS 'When it was asked for.';
COMMENT ON COLUMN retrieval.training.changed_at IS 'When its row last changed.';


CREATE TABLE retrieval.map (
    collection text PRIMARY KEY,
    model      text NOT NULL,
    images     bigint NOT NULL,
    made_at    timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (collection, model) REFERENCES retrieval.vector_space ON DELETE CASCADE
);
COMMENT ON TABLE retrieval.map IS 'The map of each collection: its images in the plane, those that are alike side by side.';
COMMENT ON COLUMN retrieval.map.collection IS 'Collection that it shows.';
COMMENT ON COLUMN retrieval.map.model IS 'Model whose vectors were laid out.';
COMMENT ON COLUMN retrieval.map.images IS 'Images that it was made of; later ones were placed among them.';
COMMENT ON COLUMN retrieval.map.made_at IS 'When all of it was last laid out.';


CREATE TABLE retrieval.map_place (
    image   bigint PRIMARY KEY REFERENCES retrieval.image ON DELETE CASCADE,
    x       real NOT NULL CHECK (x BETWEEN 0 AND 1),
    y       real NOT NULL CHECK (y BETWEEN 0 AND 1),
    cluster integer NOT NULL,
    anchor  boolean NOT NULL,
    late    boolean NOT NULL,
    etag    text NOT NULL
);
COMMENT ON TABLE retrieval.map_place IS 'Where each image lies on the map of its collection.';
COMMENT ON COLUMN retrieval.map_place.image IS 'Image, retrieval.image.id.';
COMMENT ON COLUMN retrieval.map_place.x IS 'From 0, left, to 1.';
COMMENT ON COLUMN retrieval.map_place.y IS 'From 0, top, to 1.';
COMMENT ON COLUMN retrieval.map_place.cluster IS 'The smallest cluster that it lies in, retrieval.map_cluster.number.';
COMMENT ON COLUMN retrieval.map_place.anchor IS 'Whether it was laid out itself; the others lie among their nearest anchors.';
COMMENT ON COLUMN retrieval.map_place.late IS 'Whether it was placed after the map was made: new or changed since.';
COMMENT ON COLUMN retrieval.map_place.etag IS 'Version of the object whose vector was placed.';


CREATE TABLE retrieval.map_cluster (
    collection text NOT NULL REFERENCES retrieval.map ON DELETE CASCADE,
    number     integer NOT NULL,
    level      integer NOT NULL,
    parent     integer,
    x          real NOT NULL,
    y          real NOT NULL,
    images     bigint NOT NULL DEFAULT 0,
    typical    bigint REFERENCES retrieval.image ON DELETE SET NULL,
    words      text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (collection, number)
);
CREATE INDEX map_cluster_typical ON retrieval.map_cluster (typical);
COMMENT ON TABLE retrieval.map_cluster IS 'The clusters of each map, at up to three levels.';
COMMENT ON COLUMN retrieval.map_cluster.collection IS 'Collection whose map it is on.';
COMMENT ON COLUMN retrieval.map_cluster.number IS 'Number of the cluster on its map.';
COMMENT ON COLUMN retrieval.map_cluster.level IS '1 for the largest clusters; those of the next level are parts of them.';
COMMENT ON COLUMN retrieval.map_cluster.parent IS 'Number of the cluster that it is a part of; null on level 1.';
COMMENT ON COLUMN retrieval.map_cluster.x IS 'Its middle, as in retrieval.map_place.';
COMMENT ON COLUMN retrieval.map_cluster.y IS 'Its middle, as in retrieval.map_place.';
COMMENT ON COLUMN retrieval.map_cluster.images IS 'Images in it, as the upkeep last counted them.';
COMMENT ON COLUMN retrieval.map_cluster.typical IS 'The image whose vector is nearest to their mean; null once it was removed.';
COMMENT ON COLUMN retrieval.map_cluster.words IS 'Words of captions that are more frequent in it than elsewhere.';
