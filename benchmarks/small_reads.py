"""Small reads by the S3 client and by obstore: `python -m benchmarks.small_reads [--objects N] [--at-once N]`.

Each round reads every object of an S3 store of its own once in each way, in an order that changes from round to round,
with as many at once: the client in threads, obstore in the same threads, and obstore in one event loop. The ratios are
those of the same round.
"""

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from benchmarks.needs import reported, require, run, whole
from benchmarks.own_services import own_services
from image_retrieval.objects import ObjectStore
from image_retrieval.settings import Settings

PREFIX = "s3://images/small/"
CLIENT, THREADS, LOOP = "client", "obstore_threads", "obstore_loop"


def ways(settings: Settings, uris: list[str], at_once: int, bytes_each: int) -> dict[str, Callable[[], None]]:
    """What reads all objects, by its name."""
    import obstore
    from obstore.store import S3Store

    assert settings.s3_access_key_id
    assert settings.s3_secret_access_key
    other = S3Store(
        "images",
        endpoint=settings.s3_endpoint_url,
        access_key_id=settings.s3_access_key_id.get_secret_value(),
        secret_access_key=settings.s3_secret_access_key.get_secret_value(),
        region="us-east-1",
        client_options={"allow_http": True, "timeout": timedelta(seconds=30)},
    )
    objects = ObjectStore(settings)
    keys = [uri.removeprefix("s3://images/") for uri in uris]

    def check(sizes: list[int]) -> None:
        if sizes != [bytes_each] * len(uris):
            raise SystemExit("an object is not as it was written")

    def threads(read: Callable[[str], Any], names: list[str]) -> None:
        with ThreadPoolExecutor(at_once) as pool:
            check([len(data) for data in pool.map(read, names)])

    async def loop() -> None:
        limit = asyncio.Semaphore(at_once)

        async def read(key: str) -> int:
            async with limit:
                return len(await (await other.get_async(key)).bytes_async())

        check(list(await asyncio.gather(*map(read, keys))))

    return {
        CLIENT: lambda: threads(objects.read, uris),
        THREADS: lambda: threads(lambda key: obstore.get(other, key).bytes(), keys),
        LOOP: lambda: asyncio.run(loop()),
    }


def main() -> None:
    """Measure, print a table, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=whole(1), default=1000)
    parser.add_argument("--bytes", type=whole(1, 2**24), default=20_000)
    parser.add_argument("--at-once", type=whole(1, 1000), default=32)
    parser.add_argument("--rounds", type=whole(1, 1000), default=9)
    options = parser.parse_args()
    require("obstore")
    with own_services() as settings, reported(**vars(options)) as found:
        uris = [f"{PREFIX}{number:06}.jpg" for number in range(options.objects)]
        store = ObjectStore(settings)
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda uri: store.write(uri, os.urandom(options.bytes)), uris))
        read = ways(settings, uris, options.at_once, options.bytes)
        seconds: dict[str, list[float]] = {name: [] for name in read}
        for number in range(-1, options.rounds):  # the first one only opens connections
            for name in sorted(read, reverse=number % 2 == 0):
                started = time.perf_counter()
                read[name]()
                if number >= 0:
                    seconds[name].append(time.perf_counter() - started)
        for name, taken in seconds.items():
            found[f"{name}_per_second"] = round(options.objects / statistics.median(taken))
        for name in (THREADS, LOOP):
            ratios = [own / other for own, other in zip(seconds[CLIENT], seconds[name], strict=True)]
            found[f"{name}_ratio"] = round(statistics.median(ratios), 2)
            found[f"{name}_ratio_range"] = [round(min(ratios), 2), round(max(ratios), 2)]


if __name__ == "__main__":
    run(main)
