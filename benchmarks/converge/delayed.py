"""A long line: passes TCP connections on, each byte so many seconds later, in both directions.

`python delayed.py SECONDS PORT ADDRESS:PORT…` listens on PORT of each address. What is on its way delays nothing else.
"""

import asyncio
import sys


class Line(asyncio.Protocol):
    """One end of a connection; what it receives the other end sends, later."""

    def __init__(self, delay: float) -> None:
        self.delay, self.loop = delay, asyncio.get_running_loop()
        self.other: asyncio.Future[asyncio.Transport] = self.loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.loop.call_later(self.delay, self.later, "write", data)

    def connection_lost(self, error: Exception | None) -> None:
        self.loop.call_later(self.delay, self.later, "close")

    def later(self, what: str, *arguments: bytes) -> None:
        self.other.add_done_callback(lambda other: getattr(other.result(), what)(*arguments))


class Near(Line):
    """The end that a client has connected to."""

    def __init__(self, delay: float, target: tuple[str, int]) -> None:
        super().__init__(delay)
        self.target = target

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.reaching = self.loop.create_task(self.reach())

    async def reach(self) -> None:
        await asyncio.sleep(3 * self.delay)  # SYN, its answer, and the ACK by which a server hears of a connection
        far, line = await self.loop.create_connection(lambda: Line(self.delay), *self.target)
        line.other.set_result(self.transport)  # type: ignore[arg-type]
        self.other.set_result(far)


async def main(delay: float, port: int, targets: list[str]) -> None:
    loop = asyncio.get_running_loop()
    for each in targets:
        address, _, there = each.rpartition(":")
        target = (address, int(there))
        await loop.create_server(lambda target=target: Near(delay, target), address, port)  # type: ignore[misc]
    print("listening", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
