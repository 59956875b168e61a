-- Schema version 14: scores are fitted on each collection.

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
COMMENT ON COLUMN retrieval.model.dtype IS
    'Precision stated for it; auto: float32, or what agrees with that; null where nothing was listed since version 4.';
