"""The newest revision of the schema that this build knows."""

import asyncio


class ExpectedRevision:
    """Looked up when first asked for, and once: the migrations' machinery is heavy, and nothing else here needs it."""

    def __init__(self) -> None:
        self._revision: asyncio.Task[str] | None = None

    async def get(self) -> str:
        if self._revision is None:
            self._revision = asyncio.create_task(asyncio.to_thread(_look_up))
        return await asyncio.shield(self._revision)


def _look_up() -> str:
    from libs.data.migrate import expected_revision

    return expected_revision()
