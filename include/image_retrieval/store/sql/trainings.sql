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
