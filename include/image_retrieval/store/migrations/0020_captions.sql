-- Schema version 20: models write captions, beside those of people.

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
