"""The server: an aiohttp front process that keeps the queue, and processes that check and run workflows for it."""
