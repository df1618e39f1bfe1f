"""The least that speaks Modbus TCP: a server that answers always the same, and a client that only waits for bytes.

Run as a program it serves: `python modbus_wire.py` prints its port. They are a measure, not a product: no time-out, no
exception, one whole reply a packet.
"""

import asyncio
import struct

REGISTERS = 40
_WORDS = struct.pack(f">{REGISTERS}H", *(17 * n % 300 for n in range(REGISTERS)))
_ANSWER = bytes([2 * REGISTERS]) + _WORDS


class Served(asyncio.Protocol):
    """One connection of the server."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer one request: transaction and unit as asked."""
        self.transport.write(data[:4] + struct.pack(">H", 3 + 2 * REGISTERS) + data[6:8] + _ANSWER)


class Asking(asyncio.Protocol):
    """One connection of the bare client."""

    def __init__(self) -> None:
        self._reply: asyncio.Future[bytes] | None = None
        self._transaction = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Give the reply to who waits."""
        if self._reply is not None:
            self._reply.set_result(data)

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    async def ask(self) -> tuple[int, ...]:
        """Return the registers of one read."""
        self._reply = asyncio.get_running_loop().create_future()
        self._transaction = (self._transaction + 1) & 0xFFFF
        self._transport.write(struct.pack(">HHHBBHH", self._transaction, 0, 6, 1, 3, 0, REGISTERS))
        return struct.unpack(f">{REGISTERS}H", (await self._reply)[9:])


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(Served, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
