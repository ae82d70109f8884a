"""Open-loop load on one HTTP endpoint, from a process of its own: load.py URL RATE SECONDS BODIES.

BODIES is a JSON file: a list of request bodies, sent in turn. A request is sent when its time has come, whether or
not earlier ones were answered, and its latency counts from that time: a server that stalls is charged for all that
would have been asked meanwhile (no coordinated omission). Prints one JSON document.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

CONNECTIONS = 64
GIVE_UP_S = 5.0
Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Client:
    """Keep-alive connections; a request waits for a free one, on its own time."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._free: asyncio.LifoQueue[tuple[asyncio.StreamReader, asyncio.StreamWriter] | None] = (
            asyncio.LifoQueue()
        )
        for _ in range(CONNECTIONS):
            self._free.put_nowait(None)

    async def send(self, request: bytes) -> tuple[int, bytes]:
        """Status and body."""
        pair = await self._free.get()
        try:
            reader, writer = pair or await asyncio.open_connection(self._host, self._port)
            pair = None
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line[15:]) for line in head.split(b"\r\n") if line[:15].lower() == b"content-length:"
            )
            body = await reader.readexactly(length)
            pair = (reader, writer)
            return int(head[9:12]), body
        finally:
            self._free.put_nowait(pair)


async def load(url: str, rate: float, seconds: float, bodies: list[str]) -> dict[str, object]:
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    client = Client(host, port)
    head = f"POST {parts.path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: "
    requests = [head.encode() + str(len(raw)).encode() + b"\r\n\r\n" + raw for raw in map(str.encode, bodies)]
    latencies: list[float] = []
    statuses: Counter[str] = Counter()
    generations: Counter[str] = Counter()

    async def ask(request: bytes, due: float) -> None:
        try:
            async with asyncio.timeout(GIVE_UP_S):
                status, body = await client.send(request)
            if status == 200 and b'"generation"' in body:
                generations[json.loads(body)["generation"]] += 1
            statuses[str(status)] += 1
        except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
            statuses[type(error).__name__] += 1
        latencies.append(time.perf_counter() - due)

    tasks = []
    begin = time.perf_counter() + 0.05
    for number in range(int(rate * seconds)):
        due = begin + number / rate
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        tasks.append(asyncio.create_task(ask(requests[number % len(requests)], due)))
    await asyncio.gather(*tasks)
    latencies.sort()
    spent = time.perf_counter() - begin
    return {
        "rate": rate,
        "answered_per_s": statuses["200"] / spent,
        "statuses": dict(statuses),
        "generations": dict(generations),
        **{f"p{share}_ms": 1e3 * latencies[len(latencies) * share // 100] for share in (50, 90, 99)},
        "max_ms": 1e3 * latencies[-1],
    }


if __name__ == "__main__":
    address, rate, seconds, file = sys.argv[1:]
    print(json.dumps(asyncio.run(load(address, float(rate), float(seconds), json.loads(Path(file).read_text())))))
