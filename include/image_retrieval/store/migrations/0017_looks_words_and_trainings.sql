-- Schema version 17: pictures are told by their looks, captions by their words and by models, searches with filters choose
-- their way by measured costs, and trainings have rows. The table of images is written once more, for its words.

ALTER TABLE retrieval.image
    ADD COLUMN colours text[],
    ADD COLUMN sharpness real,
    ADD COLUMN complexity real,
    ADD COLUMN told text,
    ADD COLUMN words tsvector GENERATED ALWAYS AS (retrieval.words_of_both(caption, told)) STORED;
COMMENT ON COLUMN retrieval.image.colours IS
    'Names of its colours, the largest first: black, white, grey, red, orange, brown, yellow, green, blue, purple, pink.';
COMMENT ON COLUMN retrieval.image.sharpness IS 'Variance of the Laplacian of the resampled picture''s brightness, times 1,000: low if it is blurred.';
COMMENT ON COLUMN retrieval.image.complexity IS 'Share of the resampled picture''s pixels at an edge, 0 to 1.';
CREATE INDEX image_words ON retrieval.image USING gin (words) WHERE words IS NOT NULL;
COMMENT ON COLUMN retrieval.image.told IS
    'The captions of retrieval.caption that the views show, one a line; kept in step by triggers, so that words has theirs.';
COMMENT ON COLUMN retrieval.image.words IS 'The words of its captions, as searches compare them; null: it has none.';


ALTER TABLE retrieval.collection ADD COLUMN costs jsonb;
COMMENT ON COLUMN retrieval.collection.costs IS
    'What searches with filters cost here, in microseconds, as the upkeep measured it: candidate of the index, vector compared by id, unit of the planner''s costs; null: not measured.';


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
COMMENT ON COLUMN retrieval.training.method IS 'What it learns by: continue, moco, moby or swav.';
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
