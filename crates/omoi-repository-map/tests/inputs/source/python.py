"""Doc."""
LIMIT = 3
class A(B):
    async def run(self, *args, **kw):
        return f"{self.x!r:>{width}}" if kw else [i for i in args]
