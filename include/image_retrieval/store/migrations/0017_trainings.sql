-- Schema version 17: trainings have rows.

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
COMMENT ON TABLE retrieval.training IS 'Trainings of models on one''s own images: what each learns from, how far it is, and what came of it.';
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
