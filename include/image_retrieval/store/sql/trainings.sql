-- name: begin
INSERT INTO retrieval.training (name, source, method, start, against, settings, pack, model, run_id)
VALUES (%(name)s, %(source)s, %(method)s, %(start)s, %(against)s, %(settings)s, %(pack)s, %(model)s, %(run_id)s)
ON CONFLICT (name) DO NOTHING;

-- name: find
SELECT name, source, method, start, against, settings, pack, model, state, reason, figures, gate, decision, run_id,
       started_at, changed_at
FROM retrieval.training WHERE name = %(name)s;

-- name: list
-- the latest first
SELECT name, source, method, start, against, state, reason, figures, gate ->> 'decision' AS gated, decision, run_id,
       started_at, changed_at
FROM retrieval.training ORDER BY started_at DESC, name LIMIT %(limit)s;

-- name: take_up
-- another run goes on with it
UPDATE retrieval.training SET run_id = %(run_id)s, changed_at = now() WHERE name = %(name)s AND run_id <> %(run_id)s;

-- name: advance
-- what the gate has said stays
UPDATE retrieval.training SET state = %(state)s, reason = %(reason)s, changed_at = now()
WHERE name = %(name)s AND (gate IS NULL OR state IN ('packing', 'training', 'gating'));

-- name: write_figures
UPDATE retrieval.training SET figures = %(figures)s, changed_at = now() WHERE name = %(name)s;

-- name: write_gate
UPDATE retrieval.training SET gate = %(gate)s, state = %(state)s, reason = %(reason)s, changed_at = now()
WHERE name = %(name)s;

-- name: decide
UPDATE retrieval.training SET decision = %(decision)s, changed_at = now() WHERE name = %(name)s;

-- name: of_source
SELECT name, source, method, start, against, settings, pack, model, state, reason, figures, gate, decision, run_id,
       started_at, changed_at
FROM retrieval.training WHERE source = %(source)s ORDER BY name;

-- name: lock
SELECT FROM retrieval.training WHERE name = %(name)s FOR UPDATE;

-- name: forget
DELETE FROM retrieval.training WHERE name = %(name)s;

-- name: forget_model
-- unless something of it remains
DELETE FROM retrieval.model AS m
WHERE m.name = %(name)s AND m.source = %(folder)s
  AND NOT EXISTS (SELECT FROM retrieval.collection AS c WHERE c.model = m.name)
  AND NOT EXISTS (SELECT FROM retrieval.vector_space AS v WHERE v.model = m.name)
  AND NOT EXISTS (SELECT FROM retrieval.switch AS s WHERE m.name IN (s.from_model, s.to_model));

-- name: collections_under
SELECT used.collection
FROM retrieval.model AS m
CROSS JOIN LATERAL (
    SELECT c.name AS collection FROM retrieval.collection AS c WHERE c.model = m.name
    UNION
    SELECT v.collection FROM retrieval.vector_space AS v
    WHERE v.model = m.name AND to_regclass('retrieval.' || quote_ident(v.vectors)) IS NOT NULL
    UNION
    SELECT s.collection FROM retrieval.switch AS s WHERE s.to_model = m.name AND s.state = 'open'
) AS used
WHERE m.name = %(name)s AND m.source = %(folder)s
ORDER BY used.collection;

-- name: that_need
SELECT name FROM retrieval.training
WHERE state = ANY(%(under_way)s) AND %(folder)s IN (start, against) AND model <> %(folder)s
ORDER BY name;
