"""The real worker, but some images make it crash, hang, or tell its environment."""

import json
import os
import resource
import time

from image_retrieval.imaging import worker

answer = worker.answer


def misbehave(data, options, limits):
    if data.startswith(b"CRASH"):
        os.abort()
    if data.startswith(b"SLEEP"):
        time.sleep(600)
    if data.startswith(b"ENVIRONMENT"):
        return json.dumps({"reason": "undecodable", "detail": json.dumps(dict(os.environ))}).encode(), b"", b""
    return answer(data, options, limits)


resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
worker.answer = misbehave
worker.main()
