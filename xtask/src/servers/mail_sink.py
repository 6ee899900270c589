"""A mail server for tests. It demands STARTTLS, then AUTH, and keeps each mail as a file for each recipient."""

import asyncio
import itertools
import os
import pathlib
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

USER = "omoi"
# By what a recipient's address begins with, so that a test gets the answer that it asks for.
REFUSALS = {"refused": "550 5.1.1 no such mailbox", "later": "451 4.3.0 come again later"}


class Sink:
    def __init__(self, folder):
        self.folder = folder
        self.numbers = itertools.count(1)

    async def handle_RCPT(self, server, session, envelope, address, options):
        for prefix, refusal in REFUSALS.items():
            if address.startswith(prefix):
                return refusal
        if "/" in address or len(address) > 200:
            return "553 5.1.3 no file can be named so"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        for address in envelope.rcpt_tos:
            # Renamed when it is whole: a test that looks meanwhile sees all of it or nothing.
            number = next(self.numbers)
            half = self.folder / f".{number}"
            half.write_bytes(envelope.content)
            os.replace(half, self.folder / f"{address} {number:06}.eml")
        return "250 kept"


async def serve(port):
    here = pathlib.Path.cwd()
    password = (here / "password").read_text()
    mails = here / "mails"
    mails.mkdir()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(here / "certificate.pem", here / "key.pem")
    expected = (USER.encode(), password.encode())

    def authenticate(server, session, envelope, mechanism, given):
        # Without `handled` the server answers a refusal itself.
        is_known = (given.login, given.password) == expected
        return AuthResult(success=is_known, handled=False)

    loop = asyncio.get_running_loop()
    options = {"tls_context": tls, "require_starttls": True, "auth_required": True}
    sink = Sink(mails)
    server = await loop.create_server(
        lambda: SMTP(sink, authenticator=authenticate, hostname="localhost", loop=loop, **options),
        "127.0.0.1",
        port,
    )
    await server.serve_forever()


asyncio.run(serve(int(sys.argv[1])))
