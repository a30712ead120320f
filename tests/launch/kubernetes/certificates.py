"""Certificates of servers on loopback, made by openssl."""

import ssl
import subprocess
from pathlib import Path

CERTIFICATE = "cert.pem"
"""File of the certificate, which nobody has signed but itself."""


def serve_tls(folder: Path, *options: str) -> ssl.SSLContext:
    """Settings of a server, whose certificate lies in `folder`; `options` are openssl's."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem",
         "-out", CERTIFICATE, "-days", "1", *options],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    settings = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    settings.load_cert_chain(folder / CERTIFICATE, folder / "key.pem")
    return settings
