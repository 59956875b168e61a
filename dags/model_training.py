"""### model_training

Trains a model on one's own images, without labels or with texts (methods `pairs` and `text`), and judges it.

1. **begin** checks the form and writes the row in `retrieval.training`.
2. **pack** writes small pictures under `<work_uri>/trainings/<model>/pack/`, and holds some of them out.
3. **train** learns from the others, in pods or a local process, under `<work_uri>/trainings/<model>/model/`. If it is
   ended, its next try goes on from the latest checkpoint. **take_in** records its figures.
4. **gate** judges the model on the held-out pictures, against the one that the collection shows; after a training on
   texts, which judges its model itself, it is skipped. **register** records the decision: *passed*, *undecided* or
   *refused*. A model that passed is known by its name from then on.
5. **approve** waits for a person, who sees the gate's report, if *Then switch* names a collection and the model passed.
   After an approval, **switch** triggers the DAG `model_switch`.
6. **report** closes the row, and fails if the training came to no model.

Nothing changes for searches before `model_switch` ends. You may clear any task, and trigger the DAG again with the same
form: finished work is not repeated. `image-retrieval training show NAME` and the tab *Trainings* of the page show how
a training gets on.
"""

from airflow.sdk import DAG

from orchestration.embedding import embeds_in_pods
from orchestration.orphans import remove_orphans
from orchestration.training import (
    NAME,
    TRAINING_DEFAULTS,
    approve,
    begin,
    pack,
    register,
    report,
    switch,
    take_in,
)
from orchestration.training_form import training_params
from orchestration.training_steps import step

with DAG(
    dag_id="model_training",
    schedule=None,
    params=training_params(),
    tags=["image-retrieval"],
    doc_md=__doc__,
    **TRAINING_DEFAULTS,
):
    begun = begin()
    train = step("train", "training", NAME, begun["run"], begun["gpus"], begun["machines"])
    gate = step("gate", "gating", NAME, begun["gate"])
    registered = register()
    last = report()
    begun >> pack() >> train >> take_in() >> gate >> registered
    registered >> approve(registered) >> switch(begun) >> last
    if embeds_in_pods():
        [train, gate] >> remove_orphans(NAME, last, kind="training")
